# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Cases of powerfail.t: drops and their accepts.

case_accepted() {
    begin "the accept is durable, neither plan nor drop reached the disk (rule 8)"
    one_active
    crash
    rm "$SPOOL"/active/"$id"
    reboot
    ok "its plan is written again and runs" wait_until 20 has_run one 2
    go one
    ok "it ends" wait_until 20 ended "$id"
    is "well, once" "$(end_of "$id") $(count " accept $id")" "success 1"
    is "as it may have run, its start is on record" "$(count " start $id\.0")" 2
    ok "nothing is left" wait_until 10 empty
}

case_removed() {
    begin "the same in one boot: its owner removed the plan (rule 8)"
    one_active
    crash
    rm "$SPOOL"/active/"$id"
    restart
    ok "it ends" wait_until 20 ended "$id"
    is "it is cancelled" "$(end_of "$id")" cancelled
    like "so is its task" "$(records)" " end $id\.0 [^ ]*state=cancelled"
    exits "task wait says so" 130 task wait --timeout=10s "$id"
    is "it was not started again" "$(runs_of one)" 1
}

case_killed() {
    begin "a kill in recovery does not make a boot a clean one (FAULTS 45)"
    id=$(submit one)
    other=$(submit one)
    ok "two runs are active" wait_until 20 has_run one 2
    crash
    rm "$SPOOL/active/$id" "$SPOOL/active/$other"
    new_boot
    calls=renameat,renameat2,unlinkat,fsync,fdatasync,pwrite64,ftruncate,write
    kills=0
    if strace -qq -o /dev/null true 2>/dev/null; then
        for n in {1..60}; do
            strace -qq -o /dev/null -e "trace=$calls" -e "inject=$calls:signal=KILL:when=$n" \
                "$BIN/taskd" --spool="$SPOOL" </dev/null >>"$TMP/taskd.out" 2>>"$TMP/taskd.err" &
            TASKD=$!
            disown "$TASKD"
            TEST_PIDS+=("$TASKD")
            wait_until 2 gone "$TASKD" || break
            kills=$((kills + 1))
        done
        pool=$(pool_pid "$SPOOL" || true)
        [ -z "$pool" ] || TEST_PIDS+=("$pool")
        kill -s KILL "$(grep -o 'pid=[0-9]*' "$SPOOL/owner" | cut -d = -f 2)" 2>/dev/null || true
        wait_until 10 gone "$TASKD"
        diag <<<"killed $kills times in recovery"
        ok "recovery was killed again and again" test "$kills" -ge 5
    else
        skip "kills in recovery" "strace can't be used here"
    fi
    crash
    restart
    go one
    ok "both end" wait_until 20 ended "$id"
    ok "the other, too" wait_until 20 ended "$other"
    is "well, once" "$(end_of "$id") $(end_of "$other")" "success success"
    is "accepted once" "$(count ' accept ')" 2
    ok "nothing is left" wait_until 10 empty
}

case_back() {
    begin "NAME is back in incoming/ (rule 3)"
    cp "$TMP/one.task" "$TMP/back.task"
    mv "$TMP/back.task" "$SPOOL/incoming/"
    ok "a run is active" wait_until 20 has_run one
    crash
    id=$(records | awk '$2 == "accept" { print $3 }')
    rm "$SPOOL"/active/"$id"
    cp -p "$TMP/one.task" "$SPOOL/incoming/back.task"
    disk rekey "$id" "$SPOOL/incoming/back.task"
    reboot
    ok "it is known by inode and times, and unlinked" wait_until 10 bash -c "! test -e '$SPOOL/incoming/back.task'"
    ok "its run goes on" wait_until 20 has_run one 2
    go one
    ok "it ends" wait_until 20 ended "$id"
    is "one drop is accepted once" "$(count ' accept ')" 1
    ok "nothing is left" wait_until 10 empty
    cp -p "$TMP/one.task" "$SPOOL/incoming/back.task"
    ok "another file of that name is another drop" wait_until 20 has_run one 3
    is "accepted" "$(count ' accept ')" 2
}

case_submitted() {
    begin "what task submit dropped is back in incoming/, its plan is gone (rules 3 and 8)"
    one_active
    crash
    rm "$SPOOL"/active/"$id"
    cp "$TMP/one.task" "$SPOOL/incoming/$id@one.task"
    reboot
    ok "its run goes on" wait_until 20 has_run one 2
    ok "the drop is known by its id, and unlinked" wait_until 10 bash -c "! test -e '$SPOOL/incoming/$id@one.task'"
    go one
    ok "it ends" wait_until 20 ended "$id"
    is "well, accepted once" "$(end_of "$id") $(count ' accept ')" "success 1"
    ok "nothing is left" wait_until 10 empty
}

case_copied() {
    begin "a copy with an accept's inode and mtime, not its ctime (rule 3)"
    cp "$TMP/one.task" "$SPOOL/tmp/.new" && mv "$SPOOL/tmp/.new" "$SPOOL/incoming/one.task"
    ok "a run is active" wait_until 20 has_run one
    crash
    id=$(records | awk '$2 == "accept" { print $3 }')
    cp -p "$TMP/one.task" "$SPOOL/incoming/one.task"
    disk rekey "$id" "$SPOOL/incoming/one.task"
    touch -r "$TMP/one.task" "$SPOOL/incoming/one.task" # the same mtime, another ctime
    reboot
    ok "it is a drop of its own" wait_until 20 has_run one 3
    is "accepted" "$(count ' accept ')" 2
}

case_unaccepted() {
    begin "a valid plan, its accept lost (rule 2)"
    one_active
    crash
    disk cut " accept $id"
    mv "$SPOOL/active/$id" "$SPOOL/ready/"
    cp "$TMP/one.task" "$SPOOL/tmp/$id@one.task"
    reboot
    ok "it runs" wait_until 20 has_run one 2
    is "its accept is written again" "$(count " accept $id .* recovered=yes")" 1
    ok "then its drop goes" wait_until 10 bash -c "! test -e '$SPOOL/tmp/$id@one.task'"
    go one
    ok "it ends" wait_until 20 ended "$id"
    is "under its name" "$(records | awk -v id="$id" '$2 == "end" && $3 == id' | grep -o 'name=[^ ]*')" "name=one"
}

case_taken() {
    begin "a taken drop, no plan, no accept; another plan is unfinished"
    one_active
    crash
    disk cut " accept $id"
    rm "$SPOOL/active/$id"
    cp "$TMP/one.task" "$SPOOL/tmp/$id@one.task"
    head -c 20 "$TMP/one.task" >"$SPOOL/tmp/$id"
    reboot
    ok "it is compiled again under its id" wait_until 20 has_run one 2
    go one
    ok "it ends" wait_until 20 ended "$id"
    is "accepted once" "$(count ' accept ')" 1
    ok "nothing is left" wait_until 10 empty
}

case_rejected() {
    begin "a bad drop whose reject is on record (rule 6)"
    echo x >"$TMP/bad.task"
    cp "$TMP/bad.task" "$SPOOL/tmp/.bad" && mv "$SPOOL/tmp/.bad" "$SPOOL/incoming/bad.task"
    ok "it is rejected" wait_until 20 test -e "$SPOOL/rejected/bad.task"
    id=$(records | awk '$2 == "reject" { print $3 }')
    crash
    mv "$SPOOL/rejected/bad.task" "$SPOOL/tmp/$id@bad.task"
    : >"$SPOOL/rejected/bad.task.reason"
    reboot
    ok "it is in rejected/ again" wait_until 20 test -e "$SPOOL/rejected/bad.task"
    like "with its reason" "$(cat "$SPOOL/rejected/bad.task.reason")" 'bad.task:1:1: '
    is "rejected once" "$(count ' reject ')" 1
}

two_of_each() {
    [ "$(find "$SPOOL/rejected" -name '*.reason' | wc -l)" = 2 ] &&
        [ "$(find "$SPOOL/rejected" -type f | wc -l)" = 4 ]
}
case_bad_twice() {
    begin "two bad drops of one name at once"
    printf 'x\n' >"$TMP/bad1" && printf '[Nope]\n' >"$TMP/bad2"
    kill -s STOP "$TASKD"
    mv "$TMP/bad1" "$SPOOL/incoming/bad.task"
    kill -s CONT "$TASKD"
    ok "the first is taken" wait_until 20 recorded ' reject .* name=bad.task'
    mv "$TMP/bad2" "$SPOOL/incoming/bad.task"
    ok "so is the second" wait_until 20 test "$(count ' reject ')" -le 2
    ok "each has its own reason" wait_until 10 two_of_each
}

case_bad_taken() {
    begin "a bad drop is taken, its reject did not reach the disk (rule 6)"
    crash
    echo x >"$SPOOL/tmp/$ID@bad.task"
    echo "what was there before" >"$SPOOL/rejected/bad.task"
    reboot
    ok "it is rejected beside another of its name" wait_until 10 test -e "$SPOOL/rejected/bad.task@$ID"
    like "with a reason" "$(cat "$SPOOL/rejected/bad.task@$ID.reason")" 'bad.task:1:1: '
    like "and a record" "$(records)" "reject $ID [^ ]*name=bad.task"
    is "the other is untouched" "$(cat "$SPOOL/rejected/bad.task")" "what was there before"
    ok "nothing is left" wait_until 10 empty
    crash
    mv "$SPOOL/rejected/bad.task@$ID" "$SPOOL/tmp/$ID@bad.task"
    mkdir "$SPOOL/rejected/bad.task@$ID.d"
    reboot
    ok "back in tmp/ after a power failure it goes there again" \
        wait_until 10 test -e "$SPOOL/rejected/bad.task@$ID"
    is "rejected once" "$(count ' reject ')" 1
}

case_definition() {
    begin "a definition is taken, not yet in units/"
    printf '[RunIf]\ncron="0 0 1 1 *"\n[Command]\ncommand="true"\n' >"$TMP/new.task"
    cp "$TMP/new.task" "$SPOOL/tmp/.new" && mv "$SPOOL/tmp/.new" "$SPOOL/incoming/new.task"
    ok "it is installed" wait_until 10 test -e "$SPOOL/units/new.task"
    id=$(records | awk '$2 == "arm" { print $3 }')
    crash
    mv "$SPOOL/units/new.task" "$SPOOL/tmp/$id@new.task"
    reboot
    ok "on record it is installed again" wait_until 10 test -e "$SPOOL/units/new.task"
    is "armed once" "$(count ' arm ')" 1
    crash
    disk cut " arm $id"
    mv "$SPOOL/units/new.task" "$SPOOL/tmp/$id@new.task"
    reboot
    ok "not on record, too" wait_until 10 test -e "$SPOOL/units/new.task"
    is "armed again" "$(count ' arm ')" 1
    ok "nothing is left" wait_until 10 empty
}

case_ended_taken() {
    begin "a taken drop whose run has ended (step 4)"
    go one
    id=$(submit one)
    ok "a run ends" wait_until 20 ended "$id"
    crash
    cp "$TMP/one.task" "$SPOOL/tmp/$id@one.task"
    reboot
    ok "the drop is unlinked" wait_until 10 empty
    is "nothing ran again" "$(runs_of one) $(count ' accept ')" "1 1"
}

case_command_back() {
    begin "a command is back in incoming/ (rule 3)"
    one_active
    : >"$SPOOL/incoming/$id.cancel"
    ok "it is cancelled" wait_until 10 ended "$id"
    crash
    : >"$SPOOL/incoming/$id.cancel"
    disk rekey "$id" "$SPOOL/incoming/$id.cancel" cancel
    reboot
    ok "it is known, and unlinked" wait_until 10 empty
    is "cancelled once" "$(count " cancel $id")" 1
    mv "$SPOOL/failed/$id+1" "$SPOOL/ready/"
    ok "and does not cancel a retry" wait_until 10 has_run one 2
    go one
    ok "that ends" wait_until 20 ended "$id" 1
    is "well" "$(end_of "$id" 1)" success
}

only_in_tmp() { [ "$(ls "$SPOOL/tmp")" = "$1" ]; }
case_stale() {
    begin "what no row names in tmp/"
    crash
    touch -d '2 days ago' "$SPOOL/tmp/left.new" "$SPOOL/tmp/$ID.reason"
    touch "$SPOOL/tmp/young.new"
    head -c 20 "$TMP/one.task" >"$SPOOL/tmp/$ID"
    reboot
    ok "a day old it goes, and so does an unfinished plan" wait_until 10 only_in_tmp young.new
}

case_rejected_back() {
    begin "a bad drop is back in incoming/, its reject is on record (rules 3 and 6)"
    echo x >"$TMP/bad.task" && cp "$TMP/bad.task" "$SPOOL/tmp/.bad"
    mv "$SPOOL/tmp/.bad" "$SPOOL/incoming/bad.task"
    ok "it is rejected" wait_until 20 test -e "$SPOOL/rejected/bad.task"
    id=$(records | awk '$2 == "reject" { print $3 }')
    crash
    rm "$SPOOL/rejected/bad.task.reason"
    mv "$SPOOL/rejected/bad.task" "$SPOOL/incoming/bad.task"
    disk rekey "$id" "$SPOOL/incoming/bad.task" reject
    reboot
    ok "it goes to rejected/ again" wait_until 20 test -e "$SPOOL/rejected/bad.task"
    like "with its reason" "$(cat "$SPOOL/rejected/bad.task.reason")" 'bad.task:1:1: '
    is "rejected once" "$(count ' reject ')" 1
    ok "nothing is left" wait_until 10 empty
}

case_reason_alone() {
    begin "a bad drop is taken, its reason is there, its reject is not on record (rule 6)"
    crash
    echo x >"$SPOOL/tmp/$ID@bad.task"
    echo "of a start that was killed" >"$SPOOL/rejected/bad.task.reason"
    reboot
    ok "it is rejected under its name" wait_until 10 test -e "$SPOOL/rejected/bad.task"
    like "with its own reason" "$(cat "$SPOOL/rejected/bad.task.reason")" '^bad.task:1:1: '
    is "nothing else is there" "$(find "$SPOOL/rejected" -type f | wc -l)" 2
}
