#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: journal/, log/, failed/ and rejected/ stay within task.conf's limits, the oldest goes first, what is kept is whole, what went is
# said to have been removed, a death between the record and the removal is no damage, and a segment that somebody else removes still is.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs task taskd taskrun tasklog python3 cc
# shellcheck source=Tests/scenarios/faults/common.sh
. "$ROOT/Tests/scenarios/faults/common.sh"
[ ! -e /etc/task/task.conf ] || skip_all "this machine has a task.conf"

export XDG_CONFIG_HOME=$TMP/config
mkdir -p "$XDG_CONFIG_HOME/task"
limits() { # limits JOURNAL LOG FAILED REJECTED
    printf '[Retention]\nJournalMax=%s\nLogMax=%s\nFailedMax=%s\nRejectedMax=%s\n' "$@" >"$XDG_CONFIG_HOME/task/task.conf"
}
size() { find "$SPOOL/$1" -type f \( -name '*.open' -o -name '*.sealed' -o -name '*.log' -o -name '*.zst' \) -printf '%s\n' | awk '{ n += $1 } END { print n + 0 }'; }
files() { find "$SPOOL/$1" -type f -printf '%f\n' | sort; }
sealed() { find "$SPOOL/journal" -name '*-taskd-*.sealed' -size +50k | wc -l; }
all_sealed() { [ "$(sealed)" -eq 7 ]; }
journal_fits() { [ "$(size journal)" -le 921600 ]; }
log_fits() { [ "$(size log)" -le 256000 ]; }
failed_fits() { [ "$(files failed | wc -l)" -eq 2 ]; }
rejected_fits() { [ "$(files rejected | wc -l)" -eq 4 ]; }
settled() { journal_fits && log_fits && failed_fits && rejected_fits; }
emptied() { [ -z "$(files failed)$(files rejected)" ]; }
first_of_chain() { find "$SPOOL/journal" -name '*-taskd-*.sealed' | sort | head -n 1; }
history() { tasklog export runs | sort && tasklog query -o csv 'SELECT job_id, status, timestamp, verb, detail FROM event ORDER BY id'; }
# The index as it was kept, and one that is built from the journal.
same_index() {
    history >"$TMP/kept"
    rm -f "$SPOOL"/journal/index*
    history >"$TMP/built"
    cmp "$TMP/kept" "$TMP/built"
}

# Seven times taskd: each leaves a segment of 40 plans in the journal and one of 100 KB of output in the log, a failed plan, a bad file.
fresh keep
declare -a good failed
limits infinity infinity infinity infinity
for turn in 1 2 3 4 5 6 7; do
    start_taskd "$SPOOL"
    for n in $(seq 40); do
        unit "t$n" "true # $turn $n $(head -c 1100 /dev/urandom | base64 -w 0)"
    done
    submit "$TMP"/t?.task "$TMP"/t??.task >/dev/null
    unit loud "printf %%0100000d $turn"
    unit bad "echo bad; exit 7"
    good[turn]=$(submit "$TMP/loud.task")
    failed[turn]=$(submit "$TMP/bad.task")
    echo "[Nonsense]" >"$TMP/nonsense.task"
    drop "$TMP/nonsense.task" "nonsense$turn.task"
    turn_over() { at_rest && [ -e "$SPOOL/rejected/nonsense$turn.task" ]; }
    ok "forty tasks run, one fails, one is rejected ($turn)" wait_until 60 turn_over
    tasklog list -n 1 >/dev/null # the index follows
    stop_taskd
done
start_taskd "$SPOOL"
ok "the last seal" wait_until 20 all_sealed
whole=$(tasklog list -n 0 -o csv --no-headers | wc -l)
is "without limits all is there" "$(files failed | wc -l) $(files rejected | wc -l) $whole" "7 14 301"
exits "and is sound" 0 tasklog verify -q

# ---- each limit

# Killed before it removes anything that is on record as removed.
stop_taskd
cp -a "$SPOOL" "$TMP/whole"
limits 900K 250K 2 2
if build_inject >/dev/null 2>&1; then
    deaths=0
    for n in 1 2 3 4 5 6; do
        rm -rf "$SPOOL"
        cp -a "$TMP/whole" "$SPOOL"
        with_faults -c unlinkat -n $n -k -- --tasklog=none
        ok "taskd dies at its unlink $n" wait_until 60 gone "$WATCHER"
        last=$(events | awk '$5 == "note" && / what=journal.retired / { sub(/.* segment=/, ""); print $1 }' | sort | tail -n 1)
        [ -z "$last" ] || [ ! -e "$SPOOL/journal/$last.sealed" ] || deaths=$((deaths + 1))
        exits "nothing is damaged then ($n)" 0 tasklog verify -q
        exits "nor for fsck ($n)" 0 task fsck -q
        ok "the index is that of what is left ($n)" same_index
        start_taskd "$SPOOL"
        ok "the next one goes on ($n)" wait_until 30 settled
        unlike "and misses nothing ($n)" "$(cat "$TMP/taskd.err")" 'missing'
        exits "verify is content ($n)" 0 tasklog verify -q
        stop_taskd
    done
    ok "some deaths were between the record and the removal" test "$deaths" -ge 1
    rm -rf "$SPOOL"
    cp -a "$TMP/whole" "$SPOOL"
else
    skip "deaths between the record and the removal" "nothing can be traced here (ptrace)"
fi

: >"$TMP/taskd.err"
start_taskd "$SPOOL"
ok "the journal fits" wait_until 30 journal_fits
ok "the log fits" wait_until 30 log_fits
ok "failed/ fits" wait_until 30 failed_fits
is "the last ones are kept" "$(files failed)" "$(printf '%s+1\n' "${failed[@]:6:2}" | sort)"
ok "rejected/ fits" wait_until 30 rejected_fits
is "the last ones, with their reasons" "$(files rejected | xargs)" "nonsense6.task nonsense6.task.reason nonsense7.task nonsense7.task.reason"
ok "no more than needed goes" test "$(size journal)" -ge 600000 -a "$(size log)" -ge 150000
is "nothing is said to be wrong" "$(cat "$TMP/taskd.err")" ""
exits "verify is content" 0 tasklog verify
exits "fsck, too" 0 task fsck -q
ok "each removal is on record" has_event ' note - what=log.retired segment=.* bytes=[0-9]'
ok "of a plan with its run" has_event " note ${failed[4]} what=plan.retired g=1"
ok "of a rejected file, too" has_event ' note - what=rejected.retired file=rejected/nonsense5.task'

# ---- who asks

ok "the index is that of what is left" same_index
exits "a run of the kept part answers" 0 task status --check "${good[7]}"
is "with all of its output" "$(task logs "${good[7]}" | tr -d 0) $(task logs "${good[7]}" | wc -c)" "7 100000"
is "and each of its turn ended once" "$(tasklog query -o plain --no-headers "SELECT count(*) FROM event WHERE verb = 'end' AND job_id LIKE '%.0' AND timestamp > (SELECT min(timestamp) FROM event WHERE job_id = '${good[7]}') - 60000000 AND job_id IN (SELECT id FROM task WHERE name LIKE 't%')" | awk '{ print ($1 >= 40) }')" 1
exits "a run of the removed part is unknown" 3 task status "${good[1]}"
kept=$(tasklog query -o plain --no-headers "SELECT id FROM run WHERE name = 'loud' ORDER BY id LIMIT 1")
exits "of one whose output went" 0 task logs "$kept"
is "none is printed" "$(wc -c <"$TMP/out")" 0
is "and it is said, in a sentence" "$(sed 's/0[0-9a-z]*-taskd-[0-9]*/SEGMENT/' "$TMP/err")" \
    "tasklog: notice: the output of loud was removed with log/SEGMENT.log: LogMax= bounds how much is kept"
older=$(tasklog query -o plain --no-headers "SELECT r.id FROM run r, event e WHERE r.name = 'bad' AND e.job_id = r.id AND e.detail LIKE 'what=plan.retired%' ORDER BY r.id DESC LIMIT 1")
exits "a plan that went is not retried" 3 task retry "$older"
like "which says why" "$(cat "$TMP/err")" 'its plan was removed from failed/: FailedMax= bounds how many are kept.*submit it again'
exits "one that is kept is" 0 task retry "${failed[7]}"
ok "and runs" wait_until 20 has_event " end ${failed[7]} .*g=1"

# ---- a live run keeps what it needs

unit parked "sleep 1000"
parked=$(submit "$TMP/parked.task")
ok "one runs" wait_until 20 has_event " start $parked.0"
task hold "$parked" >/dev/null
unit left "printf 42 >\$TASK_RESULT"
unit needs "[ \$TASK_ATTEMPT = 2 ] || exec sleep 1000; grep -q 42 \$TASK_INPUTS/left"
sed -i '1i [Dependencies]\nRequires=left.task' "$TMP/needs.task"
sed -i '/Jail/d' "$TMP/left.task" "$TMP/needs.task" # a result is the jail's
given=$(submit "$TMP/needs.task")
ok "one that was given a result runs" wait_until 20 has_event " start $given.1"
task hold "$given" >/dev/null
ok "and is parked" wait_until 20 has_event " hold $given"
stop_taskd
limits 0 0 0 0
: >"$TMP/taskd.err"
start_taskd "$SPOOL"
ok "all else goes" wait_until 30 emptied
for _ in 1 2; do
    stop_taskd
    start_taskd "$SPOOL"
done
ok "that it keeps more than is allowed is said" wait_until 30 said "journal/ has more than JournalMax=0: the run $parked \(parked\) has not ended"
exits "its history is there" 0 task status "$parked"
two_logs() { [ "$(find "$SPOOL/log" -type f | wc -l)" -eq 2 ]; }
ok "of the log what a live run may be given is kept, and what is written" wait_until 20 two_logs
exits "verify is content with that" 0 tasklog verify -q
rm "$SPOOL/checkpoint"
stop_taskd KILL
start_taskd "$SPOOL"
task release "$parked" >/dev/null
ok "and it goes on, without a checkpoint" wait_until 20 has_event " start $parked.0 a=2"
task release "$given" >/dev/null
exits "another finds the result that it was given" 0 task wait --timeout=30s "$given"
task cancel "$parked" >/dev/null
ok "until its end" wait_until 20 has_event " end $parked "
for _ in 1 2; do
    stop_taskd
    start_taskd "$SPOOL"
done
one_log() { [ "$(find "$SPOOL/log" -type f | wc -l)" -eq 1 ]; }
ok "of the log no more than what is written is left" wait_until 30 one_log
parked_gone() { ! has_event " accept $parked "; }
ok "then it goes as well" wait_until 30 parked_gone
exits "what is left is sound" 0 tasklog verify -q
ok "and so is the index" same_index

# ---- at SIGHUP, and what somebody else removes

limits infinity infinity infinity infinity
kill -s HUP "$TASKD"
ok "limits can be lifted" wait_until 10 said 'the configuration was read again'
for _ in 1 2 3; do
    stop_taskd
    start_taskd "$SPOOL"
done
stop_taskd
rm "$(find "$SPOOL/journal" -name '*-taskd-*.sealed' | sort | sed -n 2p)"
exits "a hole is damage" 1 tasklog verify
like "and is named" "$(cat "$TMP/err")" 'something is missing before it'
rm "$(first_of_chain)"
exits "so is the loss of the beginning" 1 tasklog verify
like "which is named" "$(cat "$TMP/err")" 'something is missing before it'
rm -f "$SPOOL/checkpoint"
start_taskd "$SPOOL"
ok "it is on record at the next start" wait_until 10 has_event ' note - what=journal.gap'
done_testing
