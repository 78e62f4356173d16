# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Cases of powerfail.t: plans, and ends of runs.

case_torn() {
    begin "torn plans"
    id=$(submit one)
    big=$(submit one)
    ok "runs are active" wait_until 20 has_run one 2
    crash
    : >"$SPOOL/active/$id"
    head -c 300 "$SPOOL/active/$big" >"$TMP/head" && cp "$TMP/head" "$SPOOL/active/$big"
    reboot
    ok "they are written again from their accepts" wait_until 20 has_run one 4
    go one
    ok "and end" wait_until 20 ended "$id"
    ok "the other, too" wait_until 20 ended "$big"
    is "well, once" "$(end_of "$id") $(end_of "$big")" "success success"
}

case_torn_large() {
    begin "a torn plan that its accept does not hold (FAULTS 52)"
    { unit "$(waits one)" && printf '[Environment]\nBIG="%05000d"\n' 0; } >"$TMP/large.task"
    id=$(submit large)
    ok "a run of a large plan is active" wait_until 20 has_run one
    crash
    printf 'X' | dd of="$SPOOL/active/$id" bs=1 seek=200 conv=notrunc 2>/dev/null
    reboot
    ok "it ends" wait_until 20 ended "$id"
    is "in failure" "$(end_of "$id")" failure
    is "it did not run again" "$(runs_of one)" 1
    ok "its plan is in rejected/" test -s "$SPOOL/rejected/$id"
    like "with a reason" "$(cat "$SPOOL/rejected/$id.reason")" "active/$id: .*digest"
}

case_twice() {
    begin "one id in two directories"
    one_active
    crash
    cp "$SPOOL/active/$id" "$SPOOL/ready/$id"
    reboot
    ok "one is set aside" wait_until 10 at rejected "$id"
    like "with a reason" "$(cat "$SPOOL/rejected/$id.reason")" "ready/$id: the run $id is in active/$id"
    ok "the other goes on" wait_until 20 has_run one 2
    cp "$SPOOL/active/$id:2" "$SPOOL/tmp/.copy" && mv "$SPOOL/tmp/.copy" "$SPOOL/hold/$id"
    ok "a copy beside a live run is set aside, too" wait_until 10 at rejected "$id@*"
    is "which is not disturbed" "$(find "$SPOOL/active" -type f -printf '%f ')" "$id:2 "
    go one
    ok "it ends" wait_until 20 ended "$id"
    is "well, once" "$(end_of "$id") $(runs_of one)" "success 2"
}

case_ended_plan() {
    begin "an end is on record, the plan is back (rule 4)"
    rm -f "$TMP"/{go,ran}.one && go one
    id=$(submit one)
    ok "a run ends well" wait_until 20 ended "$id"
    fails=$(submit bad3)
    ok "another in failure" wait_until 20 at failed "$fails+1"
    crash
    "$BIN/taskdep" plan "$TMP/one.task" >"$SPOOL/active/$id"
    cp "$SPOOL/failed/$fails+1" "$SPOOL/hold/$fails" && rm "$SPOOL/failed/$fails+1"
    reboot
    ok "the one is unlinked" wait_until 10 empty
    ok "the other goes to failed/" wait_until 10 at failed "$fails+1"
    is "nothing ran again" "$(runs_of one) $(count ' start ')" "1 2"
    is "one end each" "$(end_of "$id") $(end_of "$fails")" "success failure"
    is "hold/ is empty" "$(find "$SPOOL/hold" -type f)" ""
}

case_parking() {
    begin "step 6 was under way: tmp/ID.full (rule 5)"
    two_fail 'exit 4'
    is "its plan there is reduced" "$(grep -c '^task ' "$SPOOL/failed/$id+1")" 1
    crash
    rm "$SPOOL/failed/$id+1"
    disk plan "$id" >"$SPOOL/tmp/$id.full"
    is "the plan had two" "$(grep -c '^task ' "$SPOOL/tmp/$id.full")" 2
    reboot
    ok "it is finished" wait_until 20 at failed "$id+1"
    is "reduced, too" "$(grep -c '^task ' "$SPOOL/failed/$id+1")" 1
    ok "nothing is left" wait_until 10 empty
    crash
    rm "$SPOOL/failed/$id+1"
    head -c 100 /dev/zero >"$SPOOL/tmp/$id.full"
    reboot
    ok "a torn one is written from its accept" wait_until 20 at failed "$id+1"
    is "its digest is right" "$(tail -n 1 "$SPOOL/failed/$id+1")" \
        "digest $(head -n -1 "$SPOOL/failed/$id+1" | sha256sum | cut -d ' ' -f 1)"
    is "one end, once" "$(end_of "$id")" failure
}

case_ended_anywhere() {
    begin "a plan of an ended generation, wherever it lies (rule 4)"
    rm -f "$TMP/go.one" && go one
    good=() bad=()
    for _ in 1 2 3 4; do good+=("$(submit one)") bad+=("$(submit bad3)"); done
    for id in "${good[@]}" "${bad[@]}"; do wait_until 20 ended "$id"; done
    ok "eight runs end" wait_until 10 empty
    mv "$SPOOL/failed/${bad[3]}+1" "$SPOOL/ready/"
    ok "one of them a second time" wait_until 10 ended "${bad[3]}" 1
    ok "at rest" wait_until 10 at failed "${bad[3]}+2"
    starts=$(count ' start ')
    crash
    "$BIN/taskdep" plan "$TMP/one.task" >"$TMP/plan"
    cp "$TMP/plan" "$SPOOL/ready/${good[0]}"
    cp "$TMP/plan" "$SPOOL/deferred/${good[1]}:2"
    cp "$TMP/plan" "$SPOOL/hold/${good[2]}"
    cp "$TMP/plan" "$SPOOL/failed/${good[3]}"
    mv "$SPOOL/failed/${bad[0]}+1" "$SPOOL/ready/${bad[0]}"
    mv "$SPOOL/failed/${bad[1]}+1" "$SPOOL/active/${bad[1]}:3"
    mv "$SPOOL/failed/${bad[2]}+1" "$SPOOL/failed/${bad[2]}"
    mv "$SPOOL/failed/${bad[3]}+2" "$SPOOL/deferred/${bad[3]}:2+1"
    reboot
    ok "those of ends in failure go to failed/" wait_until 10 at failed "${bad[0]}+1"
    ok "to their next generation" wait_until 10 at failed "${bad[3]}+2"
    ok "those of successes are unlinked" wait_until 10 empty
    is "nothing else is there" "$(find "$SPOOL"/{ready,active,deferred,hold,failed} -type f -printf '%f\n' | sort)" \
        "$(printf '%s\n' "${bad[0]}+1" "${bad[1]}+1" "${bad[2]}+1" "${bad[3]}+2" | sort)"
    is "nothing ran again" "$(count ' start ')" "$starts"
    is "one end each" "$(for id in "${good[@]}" "${bad[@]}"; do end_of "$id"; done | sort | uniq -c | tr -s ' \n' ' ')" \
        " 4 failure 4 success "
    is "no accept is written again" "$(count ' accept ')" 8
}

case_twice_ended() {
    begin "one id in two directories, one of them an old copy"
    id=$(submit bad3)
    ok "a run fails" wait_until 20 at failed "$id+1"
    crash
    cp "$SPOOL/failed/$id+1" "$SPOOL/ready/$id"
    reboot
    ok "the copy goes to rejected/" wait_until 10 at rejected "$id"
    like "with a reason" "$(cat "$SPOOL/rejected/$id.reason")" "ready/$id: the run $id is in failed/$id\+1"
    ok "what failed is at rest" at failed "$id+1"
    is "nothing ran" "$(count ' start ')" 1
    crash
    rm "$SPOOL"/rejected/*
    id=$ID
    "$BIN/taskdep" plan "$TMP/one.task" >"$SPOOL/ready/$id"
    head -c 100 "$SPOOL/ready/$id" >"$SPOOL/hold/$id"
    reboot
    ok "of a whole and a torn one the whole runs" wait_until 20 has_run one
    ok "the torn one is set aside" at rejected "$id"
    go one
    ok "it ends" wait_until 20 ended "$id"
    is "well" "$(end_of "$id")" success
}

case_retry_undone() {
    begin "a retry is on record, the renames before it did not reach the disk (rules 4 and 9)"
    two_fail "$(again)"
    : >"$TMP/second"
    mv "$SPOOL/failed/$id+1" "$SPOOL/ready/"
    ok "its retry runs" wait_until 20 has_run one 2
    ok "on record" wait_until 10 recorded " retry $id g=1"
    crash
    rm "$SPOOL/active/$id+1"
    disk plan "$id" >"$SPOOL/active/$id"
    reboot
    ok "the retry goes on" wait_until 20 has_run one 3
    is "without what had succeeded" "$(runs_of lib) $(cat "$SPOOL/active/$id"* | grep -c "^task ")" "1 1"
    go one
    ok "it ends" wait_until 20 ended "$id" 1
    is "one end each" "$(end_of "$id") $(end_of "$id" 1) $(count " retry $id ")" "failure success 1"
    crash
    disk plan "$id" >"$SPOOL/hold/$id"
    reboot
    ok "after its end the plan of the first generation is unlinked" wait_until 10 gone_from hold "$id"
    is "nothing ran, nothing is asked again" "$(runs_of one) $(count " retry $id ")" "3 1"
    is "failed/ is empty" "$(ls "$SPOOL/failed")" ""
}

# A retry on record of which tmp/ alone has something left: with $1 to put there.
retry_left() {
    unit "$(again)" >"$TMP/again.task"
    id=$(submit again)
    ok "a run fails" wait_until 20 at failed "$id+1"
    : >"$TMP/second"
    mv "$SPOOL/failed/$id+1" "$SPOOL/ready/"
    ok "its retry runs" wait_until 20 has_run one 2
    ok "on record" wait_until 10 recorded " retry $id g=1"
    crash
    rm "$SPOOL/active/$id+1"
}
case_retry_full() {
    begin "a retry is on record, its plan is back in tmp/ID.full (rules 5 and 9)"
    retry_left
    disk plan "$id" >"$SPOOL/tmp/$id.full"
    reboot
    ok "the retry goes on" wait_until 20 has_run one 3
    go one
    ok "it ends" wait_until 20 ended "$id" 1
    is "one end each" "$(end_of "$id") $(end_of "$id" 1) $(count " retry $id ")" "failure success 1"
    ok "nothing is left" wait_until 10 empty
}
case_retry_taken() {
    begin "a retry is on record, its plan is gone, and the drop is back in tmp/ (step 4)"
    retry_left
    cp "$TMP/again.task" "$SPOOL/tmp/$id@again.task"
    reboot
    ok "it ends" wait_until 20 ended "$id" 1
    is "one end each" "$(end_of "$id") $(end_of "$id" 1)" "failure cancelled"
    is "nothing ran again" "$(runs_of one)" 2
    ok "nothing is left" wait_until 10 empty
}
case_retry_succeeded() {
    begin "a retry has succeeded, the renames of all of it did not reach the disk (models/run.c, later)"
    two_fail "$(again)"
    cp "$SPOOL/failed/$id+1" "$TMP/parked"
    : >"$TMP/second" && go one
    mv "$SPOOL/failed/$id+1" "$SPOOL/ready/"
    ok "its retry ends" wait_until 20 ended "$id" 1
    is "well" "$(end_of "$id" 1)" success
    crash
    disk plan "$id" >"$SPOOL/tmp/$id.full"
    reboot
    ok "the plan in tmp/ goes" wait_until 10 gone_from tmp "$id.full"
    is "failed/ has no plan of what succeeded" "$(ls "$SPOOL/failed")" ""
    is "nothing ran again" "$(runs_of lib) $(runs_of one)" "1 2"
}
case_retry_killed() {
    begin "a retry whose renames were lost, and a start that is killed while it mends that (models/run.c, whole)"
    two_fail "$(again)"
    : >"$TMP/second"
    mv "$SPOOL/failed/$id+1" "$SPOOL/ready/"
    ok "its retry runs" wait_until 20 has_run one 2
    ok "on record" wait_until 10 recorded " retry $id g=1"
    crash
    rm "$SPOOL/active/$id+1"
    disk plan "$id" >"$SPOOL/active/$id"
    new_boot
    if strace -qq -o /dev/null true 2>/dev/null; then
        for n in 2 3; do # the first is the journal's
            { strace -qq -o /dev/null -e trace=renameat2,renameat -e "inject=renameat2,renameat:signal=KILL:when=$n" \
                "$BIN/taskd" --spool="$SPOOL" </dev/null || true; } 2>>"$TMP/taskd.err"
        done
    else
        skip "kills in recovery" "strace can't be used here"
    fi
    reboot
    ok "the retry goes on" wait_until 20 has_run one 3
    is "without what had succeeded" "$(runs_of lib) $(cat "$SPOOL/active/$id"* | grep -c "^task ")" "1 1"
    go one
    ok "it ends" wait_until 20 ended "$id" 1
}

case_two_places() {
    begin "a drop is back in incoming/ beside its plan, its accept did not reach the disk"
    one_active
    crash
    disk cut " accept $id"
    cp "$TMP/one.task" "$SPOOL/incoming/$id@one.task"
    reboot
    go one
    ok "it ends" wait_until 20 ended "$id"
    is "well, accepted once" "$(end_of "$id") $(count " accept $id")" "success 1"
    ok "nothing is left" wait_until 10 empty
}
