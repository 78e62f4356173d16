#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: rows 20, 21, 37, 38 and 39 of task-faults(7): a clock that jumps a year forth or a day back stops nothing and
# loses nothing; days and zones that are not there. taskd and its pool run under faults/clock.c, which tells them another time.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs task taskd taskrun tasklog taskdep cc
# shellcheck source=Tests/scenarios/faults/common.sh
. "$ROOT/Tests/scenarios/faults/common.sh"

next() { taskdep next "$@" 2>&1 | paste -sd' '; }
is "FAULT 37: 02:30 in the gap runs once, at its end; next day as ever" \
    "$(next -n 2 --from 2026-03-29T00:00:00Z --tz=Europe/Berlin '30 2 * * *')" "2026-03-29T03:00:00+02:00 2026-03-30T02:30:00+02:00"
is "FAULT 37: 02:30 in the overlap runs once, the first time" \
    "$(next -n 2 --from 2026-10-24T12:00:00Z --tz=Europe/Berlin '30 2 * * *')" "2026-10-25T02:30:00+02:00 2026-10-26T02:30:00+01:00"
is "FAULT 37: a midnight that is not there (São Paulo)" \
    "$(next -n 2 --from 2018-11-03T12:00:00Z --tz=America/Sao_Paulo '0 0 * * *')" "2018-11-04T01:00:00-02:00 2018-11-05T00:00:00-02:00"
is "FAULT 38: 29 February comes in leap years, and 2100 is none" \
    "$(next -n 2 --from 2096-01-01T00:00:00Z --tz=UTC '0 0 29 2 *')" "2096-02-29T00:00:00Z 2104-02-29T00:00:00Z"
is "FAULT 38: a day of every year that is one of leap years" \
    "$(next -n 3 --from 2020-02-28T12:00:00Z --tz=UTC '0 0 29 2 *')" "2020-02-29T00:00:00Z 2024-02-29T00:00:00Z 2028-02-29T00:00:00Z"
is "FAULT 38: second 60 is the first of the next minute, as the system's clock has it" \
    "$(next -n 2 --from 2016-12-31T23:59:60Z --tz=UTC '* * * * *')" "2017-01-01T00:01:00Z 2017-01-01T00:02:00Z"
is "FAULT 38: before it is before it" \
    "$(next -n 1 --from 2016-12-31T23:59:59Z --tz=UTC '0 0 1 1 *')" "2017-01-01T00:00:00Z"

# ---- a changed zone, and one that is not there

changed() { # Tokyo's file, replaced by another zone's
    # shellcheck disable=SC2016
    "${IN_NAMESPACE[@]}" sh -c 'mount --bind /usr/share/zoneinfo/Asia/Kolkata /usr/share/zoneinfo/Asia/Tokyo && exec "$@"' \
        mount "$BIN/taskdep" next -n 1 --from 2026-11-25T00:00:00Z --tz=Asia/Tokyo '0 12 * * *'
}
if "${IN_NAMESPACE[@]}" true 2>/dev/null; then
    is "FAULT 39: a zone's new file counts at the next look" "$(changed 2>&1)" "2026-11-25T12:00:00+05:30"
else
    skip "FAULT 39: a zone's new file counts at the next look" "no mount namespace can be had here"
fi
exits "FAULT 39: an unknown zone is refused" 2 taskdep next --tz=Mars/Olympus '0 0 * * *'
fresh zone
start_taskd "$SPOOL"
printf '[RunIf]\ncron=0 6 * * *\nTimeZone=Mars/Olympus\n[Command]\ncommand=true\n' >"$TMP/mars.task"
drop "$TMP/mars.task" mars.task
ok "FAULT 39: a unit in it is rejected, not run in UTC" wait_until 20 test -s "$SPOOL/rejected/mars.task.reason"
like "FAULT 39: and told why" "$(cat "$SPOOL/rejected/mars.task.reason")" 'Mars/Olympus'
stop_taskd

# ---- jumps

cc -std=gnu11 -O2 -o "$TMP/clock" "$HERE/clock.c"
echo 0 >"$TMP/offset"
if ! "$TMP/clock" "$TMP/offset" true; then
    for n in 20 21; do skip "FAULT $n: the clock jumps" "nothing can be traced here (ptrace)"; done
    done_testing
    exit 0
fi
set_clock() { echo "$1" >"$TMP/offset.new" && mv "$TMP/offset.new" "$TMP/offset"; }
printf '#!/bin/sh\nexec "%s" "%s" "%s" "$@"\n' "$TMP/clock" "$TMP/offset" "$BIN/taskrun" >"$TMP/taskrun"
chmod 755 "$TMP/taskrun"
start_shifted() {
    "$TMP/clock" "$TMP/offset" "$BIN/taskd" --spool="$SPOOL" "--taskrun=$TMP/taskrun" </dev/null >>"$TMP/taskd.out" 2>>"$TMP/taskd.err" &
    WATCHER=$!
    TEST_PIDS+=("$WATCHER")
    TEST_SPOOLS+=("$SPOOL")
    wait_until 20 is_up && TASKD=$(owner_pid)
}
stop_shifted() { # stop_shifted SIGNAL
    kill -s "$1" "$TASKD" 2>/dev/null || true
    wait_until 15 gone "$TASKD"
    wait "$WATCHER" 2>/dev/null || true
}

# jump N SECONDS: while one task runs, one waits for its next attempt and one for two seconds of stillness
jump() {
    local n=$1 seconds=$2 long flaky timed before
    set_clock 0
    fresh "$n"
    rm -f "$TMP/go"
    mkfifo "$TMP/go"
    unit long "cat <$TMP/go"
    unit flaky "test \$TASK_ATTEMPT -gt 1" Restart=2 RestartSec=1500ms
    unit timed "sleep 60" MaxTime=2s
    unit quick true
    start_shifted
    long=$(submit "$TMP/long.task") flaky=$(submit "$TMP/flaky.task") timed=$(submit "$TMP/timed.task")
    ok "FAULT $n: a task runs, one waits for its time" wait_until 20 test -e "$SPOOL/deferred/$flaky:2"
    ok "FAULT $n: and it runs" wait_until 20 has_event " start $long.0"
    ok "FAULT $n: so does the one with a limit of time" wait_until 20 has_event " start $timed.0"
    set_clock "$seconds"
    drop "$TMP/quick.task" "after$n.task"
    ok "FAULT $n: what is dropped then runs" wait_until 20 succeeded "after$n"
    ok "FAULT $n: the next attempt comes in its time, not in that of the jump" wait_until 10 succeeded "$flaky"
    ok "FAULT $n: MaxTime= is no time of day" wait_until 10 has_event " end $timed.0 .*reason=timeout"
    is "FAULT $n: it was not ended early" "$(events | awk -v id="$timed.0" '$6 == id && $5 == "start" {s = 1} $6 == id && $5 == "end" {print s}')" 1
    submit "$TMP/quick.task" "$TMP/quick.task" "$TMP/quick.task" >/dev/null
    is "FAULT $n: ids stay unique" "$(sort -u "$IDS" | wc -l)" "$(wc -l <"$IDS")"
    # A retry that was due by the clock before, at a start after it.
    before=$(submit "$TMP/flaky.task")
    ok "FAULT $n: another waits" wait_until 20 test -e "$SPOOL/deferred/$before:2"
    stop_shifted KILL
    set_clock 0
    start_shifted
    ok "FAULT $n: set right again, over a kill -9, it is due within its interval" wait_until 10 succeeded "$before"
    is "FAULT $n: the long task went on all the time" "$(starts "$long") $(events | grep -c " lost $long" || true)" "1 0"
    echo >"$TMP/go"
    holds "$n"
    stop_shifted TERM
}
jump 20 $((365 * 86400)) # "FAULT 20: …"
jump 21 -86400           # "FAULT 21: …"
done_testing
