# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Cases of powerfail.t: what waits for the disk. Seen in the order of taskd's system calls.

# The next starts of taskd are traced into $TMP/trace; the tracer is no child of ours.
trace() {
    strace -D -qq -o /dev/null true 2>/dev/null || return
    # shellcheck disable=SC2034,SC2054 # for restart; the commas are strace's
    TRACE=(strace -D -qq -y -s 1000 -o "$TMP/trace"
        -e trace=pwrite64,fdatasync,fsync,renameat,renameat2,unlinkat,sendmsg,sendto,writev)
}
# order REGEX…: each matches a line of the trace behind the one before.
order() { python3 - "$TMP/trace" "$@" <<'END'
import re, sys
lines = iter(open(sys.argv[1], errors="replace"))
for pattern in sys.argv[2:]:
    if not any(re.search(pattern, line) for line in lines):
        sys.exit("nothing matches %s where it should" % pattern)
END
}
# Does the start of RUN.0, attempt A, wait for its record?
waits_for_disk() { order "pwrite64.* start $1[.]0 a=$2 " '^fdatasync.* = 0' "send.*run [0-9]+ $1[.]0 a=$2 "; }

case_cautious() {
    begin "starts are durable before they run: at a second attempt, and after a power failure"
    if ! trace; then
        skip "the order of system calls" "strace can't be used here"
        return
    fi
    crash
    rm -rf "$SPOOL"
    restart
    unit "$(ran plain)" >"$TMP/plain.task"
    id=$(submit plain)
    ok "on a new spool a task ends" wait_until 20 ended "$id"
    ok "its start waited for nothing" is_not waits_for_disk "$id" 1
    id=$(submit flaky)
    ok "one waits for its second attempt" wait_until 20 at deferred "$id:2"
    go flaky
    ok "and ends" wait_until 20 ended "$id"
    ok "the second start waited for the disk" waits_for_disk "$id" 2

    stop_taskd TERM
    crash
    reboot
    id=$(submit plain)
    ok "after a stop in order a task ends" wait_until 20 ended "$id"
    ok "nothing waited" is_not waits_for_disk "$id" 1

    crash
    reboot
    ok "until when is on record" wait_until 10 recorded "note - what=recovered due=[0-9]"
    id=$(submit plain)
    ok "after a power failure a task ends" wait_until 20 ended "$id"
    ok "its start waited for the disk" waits_for_disk "$id" 1

    crash
    restart
    id=$(submit plain)
    ok "after a kill in that boot a task ends" wait_until 20 ended "$id"
    ok "its start waited for the disk" waits_for_disk "$id" 1

    stop_taskd TERM
    like "the checkpoint says so" "$(cat "$SPOOL/checkpoint")" 'cautious [0-9]+'
    restart
    id=$(submit plain)
    ok "after a stop in that boot a task ends" wait_until 20 ended "$id"
    ok "its start waited for the disk" waits_for_disk "$id" 1
}

case_big() {
    begin "a plan that its accept does not carry (rule 5)"
    { unit "$(waits one)" && printf '[Environment]\nBIG="%05000d"\n' 0; } >"$TMP/large.task"
    if trace; then
        crash
        restart
        id=$(submit large)
        ok "a run of a large plan is active" wait_until 20 has_run one
        ok "it was in ready/ durably before its accept" order '^fsync.* = 0' \
            "^renameat.*\"$id\".*\"$id\"" '^fsync.* = 0' "pwrite64.* accept $id "
    else
        skip "the order of system calls" "strace can't be used here"
        id=$(submit large)
        ok "a run of a large plan is active" wait_until 20 has_run one
    fi
    is "its accept does not carry it" "$(count " accept $id .* plan=")" 0
    crash
    disk cut " accept $id"
    mv "$SPOOL/active/$id" "$SPOOL/ready/"
    : >"$TMP/trace"
    reboot
    ok "without its accept it runs" wait_until 20 has_run one 2
    is "its accept is written again" "$(count " accept $id .*recovered=yes")" 1
    [ ! -s "$TMP/trace" ] || ok "it was synced before" order '^fsync.* = 0' "pwrite64.* accept $id "
    go one
    ok "it ends" wait_until 20 ended "$id"
    is "once" "$(end_of "$id")" success
}

case_machine_killer() {
    begin "a task that takes the machine down three times is parked"
    id=$(submit one)
    for n in 1 2 3; do
        ok "attempt $n runs" wait_until 20 has_run one "$n"
        crash
        reboot
    done
    ok "it is parked" wait_until 20 at hold "$id*"
    is "lost three times" "$(count " lost $id\.0 ")" 3
    like "the record says what to do" "$(records)" "hold $id [^ ]*task%20release"
    crash
    reboot
    ok "it stays there" at hold "$id*"
    is "and did not run again" "$(runs_of one)" 3
    mv "$SPOOL"/hold/"$id"* "$SPOOL/ready/"
    go one
    ok "released, it ends" wait_until 20 ended "$id"
    is "once" "$(end_of "$id")" success
}

case_synced_first() {
    begin "start-up and checkpoints sync first (rules 1 and 7)"
    if ! trace; then
        skip "the order of system calls" "strace can't be used here"
        return
    fi
    id=$(submit one)
    ok "a run is active" wait_until 20 recorded " start $id\.0"
    crash
    mv "$SPOOL/active/$id" "$SPOOL/ready/"
    reboot
    ok "it goes on" wait_until 20 has_run one 2
    ok "the old segment is synced before a plan moves" \
        order '^fdatasync.*00000001-taskd-000001.open>.* = 0' "^renameat.*\"$id"
    for directory in incoming tmp ready active deferred hold failed; do
        ok "so is $directory/" order "^fsync.*/$directory>.* = 0" "^renameat.*\"$id"
    done
    other=$(submit one)
    ok "another run is active" wait_until 20 has_run one 3
    ok "on record" wait_until 10 recorded " start $other\.0"
    stop_taskd TERM
    ok "its plan is synced before the checkpoint" \
        order "^renameat.*\"$other\".*\"$other\"" "^fsync.*/active/$other>.* = 0" '^renameat.*"checkpoint"'
    for directory in incoming tmp ready active deferred hold failed; do
        ok "so is $directory/" order "^renameat.*\"$other\".*\"$other\"" \
            "^fsync.*/$directory>.* = 0" '^fsync.*/checkpoint.new>.* = 0' '^renameat.*"checkpoint"'
    done
    go one
}

case_steps_in_order() {
    begin "what waits for a record waits until it is durable (steps 4 and 6, rule 6)"
    if ! trace; then
        skip "the order of system calls" "strace can't be used here"
        return
    fi
    crash
    restart
    synced='^fdatasync.*taskd.*open>.* = 0'
    echo x >"$TMP/bad.task" && cp "$TMP/bad.task" "$SPOOL/tmp/.bad"
    mv "$SPOOL/tmp/.bad" "$SPOOL/incoming/bad.task"
    ok "a bad drop is rejected" wait_until 20 test -e "$SPOOL/rejected/bad.task"
    ok "after its reject was durable" \
        order 'pwrite64.* reject ' "$synced" '^renameat2.*@bad.task".*/rejected>'
    go one
    id=$(submit one)
    fails=$(submit bad3)
    ok "a run ends" wait_until 20 ended "$id"
    ok "another fails" wait_until 20 at failed "$fails+1"
    ok "its taken drop is unlinked after its accept was durable" \
        order "pwrite64.* accept $id " "$synced" "^unlinkat.*\"$id@one.task\""
    ok "its plan after its end" order "pwrite64.* end $id " "$synced" "^unlinkat.*/active>.*\"$id\""
    ok "what failed goes on after its end" \
        order "pwrite64.* end $fails " "$synced" "^renameat.*/active>.*\"$fails\".*/tmp>" \
        "^fsync.*/tmp/$fails.full>.* = 0" "^renameat.*\"$fails.full\".*/failed>"
}
