#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: each state of task-spool(7) that a crash or a power failure leaves has its one recovery. Real
# work by the real programs; all is killed, then what had not reached the disk is taken away; taskd
# starts again on another boot id. Nothing acknowledged is lost, each generation ends once, the
# directories are as empty as they should be, each change has one record.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs task taskd taskrun tasklog unshare python3

# A boot id of one's own: in a mount namespace a file lies over the kernel's, and is written anew.
if [ -z "${BOOT-}" ]; then
    enter=(unshare -m --propagation private) leave=()
    is_root || enter+=(-r) leave=(unshare -U "--map-user=$(id -u)" "--map-group=$(id -g)")
    export BOOT=$TMP/boot
    cat /proc/sys/kernel/random/uuid >"$BOOT"
    # shellcheck disable=SC2016
    over=("${enter[@]}" bash -c 'mount --bind "$BOOT" /proc/sys/kernel/random/boot_id && exec "$@"'
        mount "${leave[@]}")
    "${over[@]}" true 2>/dev/null || skip_all "no boot id of one's own can be had in a namespace here"
    status=0
    "${over[@]}" bash "$0" || status=$?
    exit $status
fi

DISK=$ROOT/Tests/scenarios/powerfail/disk.py
disk() { python3 "$DISK" "$1" "$SPOOL" "${@:2}"; }
records() { disk records; }
new_boot() { cat /proc/sys/kernel/random/uuid >"$BOOT"; }

# ---- a spool a case

CASE=0
begin() { # begin WORDS: a new spool with a taskd
    echo "# $*"
    CASE=$((CASE + 1))
    SPOOL=$TMP/s$CASE
    export TASK_SPOOL=$SPOOL
    : >"$TMP/taskd.err"
    start_taskd "$SPOOL"
}
crash() { # both daemons, and the tasks with them
    local pool
    pool=$(pool_pid "$SPOOL" || true)
    stop_taskd KILL 2>/dev/null
    [ -z "$pool" ] || kill -s KILL "$pool" 2>/dev/null || true
    [ -z "$pool" ] || wait_until 10 gone "$pool"
}
restart() { start_taskd "$SPOOL"; } # the same boot
reboot() { new_boot && start_taskd "$SPOOL"; }
finish() { # what ran in this case is over
    crash
}

unit() { printf '[Service]\n%s\n[Jail]\nJail=no\n[Command]\ncommand="sh"\n[Args]\nargs="-c '"'%s'"'"\n' "${2-}" "$1"; }
# ran NAME writes a line in $TMP/ran.NAME; then it waits for $TMP/go.NAME where that is asked for.
ran() { echo "echo x >>$TMP/ran.$1"; }
runs_of() { [ -e "$TMP/ran.$1" ] && wc -l <"$TMP/ran.$1" || echo 0; }
waits() { echo "$(ran "$1"); until [ -e $TMP/go.$1 ]; do sleep 0.05; done"; }
go() { : >"$TMP/go.$1"; }
has_run() { [ "$(runs_of "$1")" -ge "${2-1}" ]; }
submit() { "$BIN/task" submit "$TMP/$1.task"; }

at() { [ -n "$(find "$SPOOL/$1" -name "$2" -print -quit)" ]; }
empty() { [ -z "$(find "$SPOOL"/{incoming,tmp,ready,active,deferred} -mindepth 1 -print -quit)" ]; }
recorded() { records | grep -qE "$1"; }
count() { records | grep -cE "$1" || true; }
# The one final end of a run's generation: its state, or what is wrong.
end_of() { records | awk -v id="$1" -v g="${2-0}" '$2 == "end" && $3 == id && / final=yes/ {
    own = 0; for (i = 4; i <= NF; i++) { if ($i ~ /^g=/) own = substr($i, 3); if ($i ~ /^state=/) s = substr($i, 7) }
    if (own == g) { n++; state = s } } END { print n == 1 ? state : n + 0 " ends" }'; }
ended() { [[ $(end_of "$@") != *ends ]]; }

# ---- an accept without its plan

unit "$(waits one)" >"$TMP/one.task"
begin "the accept is durable, neither plan nor drop reached the disk (rule 8)"
id=$(submit one)
ok "a run is active" wait_until 20 has_run one
crash
rm "$SPOOL"/active/"$id"
reboot
ok "its plan is written again and runs" wait_until 20 has_run one 2
go one
ok "it ends" wait_until 20 ended "$id"
is "well, once" "$(end_of "$id") $(count " accept $id")" "success 1"
is "as it may have run, its start is on record" "$(count " start $id\.0")" 2
ok "nothing is left" wait_until 10 empty
finish

rm -f "$TMP"/{go,ran}.one
begin "the same in one boot: its owner removed the plan (rule 8)"
id=$(submit one)
ok "a run is active" wait_until 20 has_run one
crash
rm "$SPOOL"/active/"$id"
restart
ok "it ends" wait_until 20 ended "$id"
is "it is cancelled" "$(end_of "$id")" cancelled
like "so is its task" "$(records)" " end $id\.0 [^ ]*state=cancelled"
exits "task wait says so" 130 task wait --timeout=10s "$id"
is "it was not started again" "$(runs_of one)" 1
finish

rm -f "$TMP"/{go,ran}.one
begin "a kill in recovery does not make a boot a clean one (FAULTS 45)"
id=$(submit one)
other=$(submit one)
ok "two runs are active" wait_until 20 has_run one 2
crash
rm "$SPOOL/active/$id" "$SPOOL/active/$other"
new_boot
calls=renameat2,unlinkat,fsync,fdatasync,pwrite64,ftruncate,write
kills=0
if strace -qq -o /dev/null true 2>/dev/null; then
    for n in {1..40}; do
        strace -qq -o /dev/null -e "trace=$calls" -e "inject=$calls:signal=KILL:when=$((n * 2))" \
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
finish

# ---- drops

rm -f "$TMP"/{go,ran}.one
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
finish

rm -f "$TMP"/{go,ran}.one
begin "what task submit dropped is back in incoming/, its plan is gone (rules 3 and 8)"
id=$(submit one)
ok "a run is active" wait_until 20 has_run one
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
finish

rm -f "$TMP"/{go,ran}.one
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
finish

rm -f "$TMP"/{go,ran}.one
begin "a valid plan, its accept lost (rule 2)"
id=$(submit one)
ok "a run is active" wait_until 20 has_run one
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
finish

rm -f "$TMP"/{go,ran}.one
begin "a taken drop, no plan, no accept; another plan is unfinished"
id=$(submit one)
ok "a run is active" wait_until 20 has_run one
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
finish

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
finish

begin "two bad drops of one name at once"
printf 'x\n' >"$TMP/bad1" && printf '[Nope]\n' >"$TMP/bad2"
kill -s STOP "$TASKD"
mv "$TMP/bad1" "$SPOOL/incoming/bad.task"
kill -s CONT "$TASKD"
ok "the first is taken" wait_until 20 recorded ' reject .* name=bad.task'
mv "$TMP/bad2" "$SPOOL/incoming/bad.task"
ok "so is the second" wait_until 20 test "$(count ' reject ')" -le 2
two_of_each() { [ "$(find "$SPOOL/rejected" -name '*.reason' | wc -l)" = 2 ] && [ "$(find "$SPOOL/rejected" -type f | wc -l)" = 4 ]; }
ok "each has its own reason" wait_until 10 two_of_each
finish

# ---- ends

unit 'exit 3' >"$TMP/bad3.task"
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
finish

unit "$(ran lib)" >"$TMP/lib.task"
begin "step 6 was under way: tmp/ID.full (rule 5)"
cp "$TMP/lib.task" "$SPOOL/units/lib.task"
{ printf '[Dependencies]\nRequires=lib.task\n' && unit 'exit 4'; } >"$TMP/top.task"
id=$(submit top)
ok "a run of two tasks fails" wait_until 20 at failed "$id+1"
is "its plan there is reduced" "$(grep -c '^task ' "$SPOOL/failed/$id+1")" 1
crash
rm "$SPOOL/failed/$id+1"
records | grep " accept $id" | grep -o ' plan=.*' | python3 -c '
import sys, urllib.parse
sys.stdout.write(urllib.parse.unquote(sys.stdin.read().split()[0][5:]))' >"$SPOOL/tmp/$id.full"
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
finish

# ---- plans

rm -f "$TMP"/{go,ran}.one
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
finish

rm -f "$TMP"/{go,ran}.one
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
finish

rm -f "$TMP"/{go,ran}.one
begin "one id in two directories"
id=$(submit one)
ok "a run is active" wait_until 20 has_run one
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
finish

# ---- attempts

rm -f "$TMP"/{go,ran}.one
begin "a start is on record, its rename did not reach the disk"
id=$(submit one)
ok "a run is active" wait_until 20 recorded " start $id\.0"
crash
mv "$SPOOL/active/$id" "$SPOOL/ready/$id"
reboot
ok "the attempt is lost, another follows" wait_until 20 has_run one 2
is "one record says so" "$(count " lost $id\.0 a=1")" 1
ok "as attempt 2" wait_until 10 recorded " start $id\.0 a=2"
go one
ok "it ends" wait_until 20 ended "$id"
finish

unit "$(ran flaky); test -e $TMP/go.flaky" $'Restart=2\nRestartSec=2s' >"$TMP/flaky.task"
begin "a retry is on record, its rename did not reach the disk"
id=$(submit flaky)
ok "a run waits for its second attempt" wait_until 20 at deferred "$id:2"
ok "on record" wait_until 10 recorded " retry $id\.0 a=2"
crash
mv "$SPOOL/deferred/$id:2" "$SPOOL/active/$id"
go flaky
reboot
ok "it ends" wait_until 20 ended "$id"
is "nothing was lost" "$(count ' lost ')" 0
is "two attempts" "$(runs_of flaky) $(count " retry $id")" "2 1"
finish

rm -f "$TMP"/{go,ran}.flaky
begin "a file in deferred/ whose retry is not on record"
id=$(submit flaky)
ok "a run waits for its second attempt" wait_until 20 at deferred "$id:2"
ok "on record" wait_until 10 recorded " retry $id\.0 a=2"
crash
disk cut " end $id\.0 a=1"
reboot
ok "it ends" wait_until 30 ended "$id"
is "its retry is on record again" "$(count " retry $id\.0 a=2 .*recovered=yes")" 1
is "what it may try again is still 2 times" "$(runs_of flaky)" 3
is "nothing was lost" "$(count ' lost ')" 0
finish

rm -f "$TMP"/{go,ran}.one
begin "a cancel is on record, its end is not"
unit "trap : TERM; $(waits one)" $'Restart=5\nTimeoutStopSec=30s' >"$TMP/stubborn.task"
id=$(submit stubborn)
ok "a run is active" wait_until 20 has_run one
: >"$SPOOL/incoming/$id.cancel"
ok "its cancel is on record" wait_until 10 recorded " cancel $id"
ok "and its command gone" wait_until 10 bash -c "! test -e '$SPOOL/incoming/$id.cancel'"
crash
reboot
ok "it ends" wait_until 20 ended "$id"
is "it is cancelled" "$(end_of "$id") $(runs_of one)" "cancelled 1"
is "cancelled once" "$(count " cancel $id")" 1
finish

# ---- moves of the owner while taskd was away (rule 9)

rm -f "$TMP"/{go,ran}.one
begin "mv to failed/ cancels, to hold/ parks, to ready/ releases"
id=$(submit one)
held=$(submit one)
ok "runs are active" wait_until 20 has_run one 2
crash
mv "$SPOOL/active/$id" "$SPOOL/failed/"
mv "$SPOOL/active/$held" "$SPOOL/hold/"
reboot
ok "the one ends" wait_until 20 ended "$id"
is "it is cancelled" "$(end_of "$id")" cancelled
ok "its plan is at rest as the next generation" wait_until 10 at failed "$id+1"
ok "the other is parked, on record" wait_until 10 recorded " hold $held .*recovered=yes"
is "nothing ran" "$(runs_of one)" 2
crash
mv "$SPOOL"/hold/"$held"* "$SPOOL/ready/"
reboot
ok "it is released" wait_until 20 has_run one 3
is "on record" "$(count " release $held .*recovered=yes")" 1
is "the cancelled one stays at rest" "$(find "$SPOOL/failed" -type f -printf %f)" "$id+1"
crash
mv "$SPOOL/failed/$id+1" "$SPOOL/ready/"
restart
ok "a retry runs as that generation" wait_until 20 has_run one 5
is "on record once" "$(count " retry $id g=1")" 1
crash
mv "$SPOOL"/active/"$id"* "$SPOOL/failed/$id+1"
reboot
ok "back in failed/ after that it is a cancel" wait_until 20 ended "$id" 1
is "cancelled" "$(end_of "$id" 1)" cancelled
ok "at rest as the next" wait_until 10 at failed "$id+2"
go one
ok "the other ends" wait_until 20 ended "$held"
is "once" "$(end_of "$held") $(end_of "$id")" "success cancelled"
finish

rm -f "$TMP"/{go,ran}.one
begin "rm of a retried plan while taskd was away"
id=$(submit bad3)
ok "a run fails" wait_until 20 at failed "$id+1"
crash
mv "$SPOOL/failed/$id+1" "$SPOOL/hold/"
restart
ok "its retry is on record" wait_until 10 recorded " retry $id g=1"
crash
rm "$SPOOL/hold/$id+1"
restart
ok "that generation ends" wait_until 10 ended "$id" 1
is "it is cancelled" "$(end_of "$id" 1)" cancelled
finish

# ---- the journal

rm -f "$TMP"/{go,ran}.one
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
finish

rm -f "$TMP"/{go,ran}.one
begin "the journal is gone: the directories remain the truth (FAULTS 3)"
id=$(submit one)
ok "a run is active" wait_until 20 has_run one
crash
rm "$SPOOL"/journal/*
reboot
ok "it runs" wait_until 20 has_run one 2
go one
ok "and ends" wait_until 20 ended "$id"
is "its accept is written again" "$(count " accept $id .*recovered=yes")" 1
finish

# ---- a checkpoint (rule 7)

rm -f "$TMP"/{go,ran}.{one,lib,flaky}
begin "a start from a checkpoint"
cp "$TMP/lib.task" "$SPOOL/units/lib.task"
{ printf '[Dependencies]\nRequires=lib.task\n' && unit "$(ran flaky); test -e $TMP/go.flaky" $'Restart=3\nRestartSec=4s'; } >"$TMP/two.task"
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
like "and what is parked" "$(cat "$SPOOL/checkpoint")" "run $held [^
]* held=yes"
kill -s KILL "$pool"
wait_until 10 gone "$pool"
cp -a "$SPOOL" "$TMP/kept"
reboot
go flaky
ok "it ends" wait_until 20 ended "$id"
is "with what had ended before" "$(end_of "$id") $(runs_of lib) $(runs_of flaky)" "success 1 2"
is "what is parked stays so" "$(find "$SPOOL/hold" -type f | wc -l) $(count " hold $held")" "1 1"
is "no accept is written again" "$(count 'recovered=yes')" 0
crash
rm -rf "$SPOOL" && mv "$TMP/kept" "$SPOOL"
sed -i '2s/pos/pox/' "$SPOOL/checkpoint"
reboot
ok "with a bad checkpoint the whole journal is read" wait_until 20 ended "$id"
is "to the same end" "$(end_of "$id") $(runs_of lib) $(runs_of flaky)" "success 1 3"
finish
done_testing
