# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Cases of powerfail.t: the journal, and a checkpoint (rule 7).

case_torn_tail() {
    begin "a torn tail (FAULTS 1)"
    id=$(submit one)
    ok "a run is active" wait_until 20 recorded " start $id\.0"
    crash
    disk tear
    reboot
    ok "it is noted" wait_until 10 recorded ' note - what=journal.torn .*bytes=[0-9]'
    ok "the tail is kept aside" at journal '*.torn'
    go one
    ok "the run ends" wait_until 20 ended "$id"
    is "accepted once, ended once" "$(count ' accept ') $(end_of "$id")" "1 success"
}

case_no_journal() {
    begin "the journal is gone: the directories remain the truth (FAULTS 3)"
    one_active
    crash
    rm "$SPOOL"/journal/*
    reboot
    ok "it runs" wait_until 20 has_run one 2
    go one
    ok "and ends" wait_until 20 ended "$id"
    is "its accept is written again" "$(count " accept $id .*recovered=yes")" 1
}

case_checkpoint() {
    begin "a start from a checkpoint"
    cp "$TMP/lib.task" "$SPOOL/units/lib.task"
    { printf '[Dependencies]\nRequires=lib.task\n' && unit "$(ran flaky); test -e $TMP/go.flaky" $'Restart=3\nRestartSec=10s'; } >"$TMP/two.task"
    id=$(submit two)
    held=$(submit one)
    ok "a task waits for its second attempt, another runs" wait_until 20 at deferred "$id"
    ok "runs" wait_until 20 has_run one
    mv "$SPOOL/active/$held" "$SPOOL/hold/"
    ok "that is parked" wait_until 10 recorded " hold $held"
    pool=$(pool_pid "$SPOOL")
    wait_until 10 recorded " end $held\.0" || true
    stop_taskd TERM
    ok "taskd wrote a checkpoint when it stopped" grep -q '^taskcheckpoint 1 ' "$SPOOL/checkpoint"
    like "with the run's attempts" "$(cat "$SPOOL/checkpoint")" "att $id\.1 a=1 failures=1 due="
    like "and what is parked" "$(grep "^run $held" "$SPOOL/checkpoint")" ' held=yes'
    kill -s KILL "$pool"
    wait_until 10 gone "$pool"
    cp -a "$SPOOL" "$TMP/kept"
    reboot
    go flaky
    ok "it ends" wait_until 40 ended "$id"
    is "with what had ended before" "$(end_of "$id") $(runs_of lib) $(runs_of flaky)" "success 1 2"
    is "what is parked stays so" "$(find "$SPOOL/hold" -type f | wc -l) $(count " hold $held")" "1 1"
    is "no accept is written again" "$(count 'recovered=yes')" 0
    crash
    rm -rf "$SPOOL" && mv "$TMP/kept" "$SPOOL"
    sed -i '2s/pos/pox/' "$SPOOL/checkpoint"
    reboot
    ok "with a bad checkpoint the whole journal is read" wait_until 40 ended "$id"
    is "to the same end" "$(end_of "$id") $(runs_of lib) $(runs_of flaky)" "success 1 3"
}

case_checkpoint_retry() {
    begin "a retried run in a checkpoint (rules 7 and 9)"
    unit "$(again)" >"$TMP/again.task"
    id=$(submit again)
    ok "a run fails" wait_until 20 at failed "$id+1"
    : >"$TMP/second"
    mv "$SPOOL/failed/$id+1" "$SPOOL/ready/"
    ok "and is retried" wait_until 20 has_run one 2
    other=$(submit one)
    ok "another runs" wait_until 20 has_run one 3
    stop_taskd TERM
    like "the checkpoint has its line" "$(cat "$SPOOL/checkpoint")" "run $id g=1 "
    crash
    mv "$SPOOL/active/$id+1" "$SPOOL/failed/$id+1"
    rm "$SPOOL/active/$other"
    reboot
    ok "in failed/ it is a cancel, not at rest" wait_until 10 ended "$id" 1
    is "cancelled" "$(end_of "$id" 1)" cancelled
    ok "then it is at rest" wait_until 10 at failed "$id+2"
    ok "a plan of the checkpoint that is gone was removed" wait_until 10 ended "$other"
    is "cancelled" "$(end_of "$other")" cancelled
    crash
    reboot
    ok "it stays at rest" at failed "$id+2"
    is "one end each" "$(end_of "$id") $(end_of "$id" 1)" "failure cancelled"
    is "nothing ran" "$(runs_of one)" 3
}

case_checkpoint_torn() {
    begin "a torn plan that was accepted before the checkpoint (FAULTS 52)"
    id=$(submit one)
    other=$(submit one)
    ok "runs are active" wait_until 20 has_run one 2
    stop_taskd TERM
    crash
    printf 'X' | dd of="$SPOOL/active/$id" bs=1 seek=40 conv=notrunc 2>/dev/null
    : >"$SPOOL/active/$other"
    reboot
    ok "it is written again from its accept" wait_until 20 has_run one 4
    go one
    ok "and ends" wait_until 20 ended "$id"
    ok "the other, too" wait_until 20 ended "$other"
    is "well, accepted once" "$(end_of "$id") $(end_of "$other") $(count ' accept ')" "success success 2"
}

case_undone() {
    begin "a checkpoint does not pass a step that failed (rule 7)"
    one_active
    unit "$(waits late); exit 3" >"$TMP/late.task"
    fails=$(submit late)
    mkdir -p "$SPOOL/tmp/$fails.full/x" # renaming a file onto it fails
    go late
    ok "another fails" wait_until 20 ended "$fails"
    stop_taskd TERM
    is "its plan is still where it was" "$(find "$SPOOL"/{ready,active,failed} -name "$fails*" | wc -l)" 1
    rm -r "$SPOOL/tmp/$fails.full"
    restart
    ok "the next start finishes it" wait_until 10 at failed "$fails+1"
    is "one end" "$(end_of "$fails") $(count " start $fails")" "failure 1"
    go one
    ok "the other ends" wait_until 20 ended "$id"
}

case_reason_lost() {
    begin "a rejected drop's reason did not reach the disk, though taskd ended in order (rule 6)"
    echo x >"$TMP/bad.task" && cp "$TMP/bad.task" "$SPOOL/tmp/.bad"
    mv "$SPOOL/tmp/.bad" "$SPOOL/incoming/bad.task"
    ok "it is rejected" wait_until 20 test -e "$SPOOL/rejected/bad.task"
    stop_taskd
    crash
    : >"$SPOOL/rejected/bad.task.reason"
    echo x >"$SPOOL/rejected/older.task"
    reboot
    ok "its reason is written again" wait_until 10 test -s "$SPOOL/rejected/bad.task.reason"
    like "from the journal" "$(cat "$SPOOL/rejected/bad.task.reason")" '^bad.task:1:1: '
    ok "so is the next one's" wait_until 10 test -s "$SPOOL/rejected/older.task.reason"
    like "one that the journal does not know says so" "$(cat "$SPOOL/rejected/older.task.reason")" 'not known any more'
    ok "fsck has nothing to say" task fsck
}
