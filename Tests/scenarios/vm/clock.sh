#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: the kernel's clock is really set, forth and back, on a machine of its own: taskd notices at once, each slot
# of a unit runs once, what was passed over is made up for as Misfire= says, and a retry is not held up.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/../lib.sh"
needs task taskd taskrun
is_root || skip_all "not root: the clock is set"

# The machine's own time, whatever this leaves.
REAL=$(date +%s)
UP=$(cut -d. -f1 /proc/uptime)
put_right() {
    date -s "@$((REAL + $(cut -d. -f1 /proc/uptime) - UP))" >/dev/null
    cleanup
}
trap put_right EXIT
clock() { date -u -s "$1" >/dev/null; }
SPOOL=$TMP/spool
export TASK_SPOOL=$SPOOL
journal() { find "$SPOOL/journal" -type f -not -name '*.sqlite*' | sort | xargs cat | tr -d '\0'; }
# The slots of a unit that have run, in UTC, in the order of the journal.
ran() {
    journal | awk -v u=" unit=$1 " '$5 == "accept" && index($0 " ", u)' | sed -nE 's/.* cron=([0-9]+)000000.*/\1/p' |
        while read -r slot; do date -u -d "@$slot" +%F; done | paste -sd' '
}
is_run() { [ "$(ran "$1")" = "$2" ]; }
unit() { printf '[RunIf]\n%b\n[Command]\ncommand=true\n' "$1"; }
shows() { # shows WORDS UNIT DAYS
    wait_until 30 is_run "$2" "$3" || true
    is "$1" "$(ran "$2")" "$3"
}

clock '2027-05-30 12:00:00'
start_taskd "$SPOOL"
unit 'cron=30 3 * * *\nTimeZone=UTC' >"$SPOOL/units/daily.task"
unit 'cron=30 3 * * *\nTimeZone=UTC\nMisfire=skip' >"$SPOOL/units/strict.task"
armed() { task status daily 2>&1 | grep -q 'next: 2027-05-31T03:30:00'; }
ok "it says when" wait_until 30 armed
is "nothing has run" "$(ran daily)" ""

clock '2027-05-31 03:29:59'
shows "a clock that is set to just before a slot: it runs" daily '2027-05-31'
shows "the other one, too" strict '2027-05-31'

clock '2027-05-30 03:29:59'
shows "a day back: the slot of that day, which is none of those that ran" daily '2027-05-31 2027-05-30'
clock '2027-05-31 03:29:59'
printf '[Service]\nRestart=1\nRestartSec=2s\n[Jail]\nJail=no\n[Command]\ncommand=false\n' >"$TMP/again.task"
again=$(task submit "$TMP/again.task")
retried() { journal | grep -q " retry $again"; }
ok "a task has failed and waits for its retry" wait_until 30 retried
clock '2027-05-30 23:59:00'
ended() { journal | grep -q " end $again .*state=failure"; }
ok "a day back does not hold it up" wait_until 30 ended
clock '2027-05-31 12:00:00'
is "the slot that ran does not run again" "$(ran daily)" '2027-05-31 2027-05-30'

clock '2028-05-31 12:00:00'
shows "a year forth: the last slot runs, once" daily '2027-05-31 2027-05-30 2028-05-31'
missed() { journal | grep -qE ' accept .* unit=daily .*cron=[0-9]+ missed=36[0-9]'; }
ok "and says for how many" missed
like "with Misfire=skip none" "$(ran strict)" '^2027-05-31( 2027-05-30)?$'
skipped() { journal | grep -qE ' skip .* unit=strict .*missed=36[0-9]'; }
ok "which is on record" wait_until 30 skipped

clock '2027-06-01 03:29:59'
shows "back before it: a slot that nobody ran" daily '2027-05-31 2027-05-30 2028-05-31 2027-06-01'
stop_taskd
start_taskd "$SPOOL"
clock '2027-06-01 03:29:59'
ok "after a restart it says when" wait_until 30 sh -c 'task status daily >/dev/null'
clock '2027-06-01 03:31:00'
clock '2027-06-02 03:29:59'
shows "and the next one runs, that one not again" daily '2027-05-31 2027-05-30 2028-05-31 2027-06-01 2027-06-02'
stop_taskd
done_testing
