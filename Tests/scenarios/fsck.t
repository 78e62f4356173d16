#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: `task fsck` names everything in a spool that task-spool(7) does not have; --repair mends it and deletes nothing; then taskd
# ends all that was acknowledged. It reads beside a running taskd without a false word. A fuzzer spoils a spool, seeded.
# TASKSPOOL_FSCK=ROUNDS (30), SEED=N.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs task taskd taskrun python3

SPOOL=$TMP/spool
export TASK_SPOOL=$SPOOL
SEED=${SEED:-$RANDOM}
diag <<<"SEED=$SEED"
unit() { printf '[Service]\n%s\n[Jail]\nJail=no\n[Command]\ncommand="sh"\n[Args]\nargs="-c '"'%s'"'"\n' "${2-}" "$1"; }
submit() { "$BIN/task" submit "$TMP/$1.task"; }
at() { [ -n "$(find "$SPOOL/$1" -name "$2" -print -quit)" ]; }
unit "test -e $TMP/go" $'Restart=9\nRestartSec=1h' >"$TMP/later.task"
unit 'exit 3' >"$TMP/bad.task"
unit 'true' >"$TMP/good.task"
unit 'sleep 0.1' >"$TMP/short.task"
unit "until [ -e $TMP/go ]; do sleep 0.05; done" >"$TMP/long.task"
printf '[Servic]\n' >"$TMP/wrong.task"

# ---- a spool with something in every directory, and beside a taskd that works

exits "no spool" 69 task fsck
start_taskd "$SPOOL"
{ printf '[Dependencies]\nRequires=lib.task\n' && unit 'exit 4'; } >"$TMP/two.task"
cp "$TMP/good.task" "$SPOOL/units/lib.task"
one=$(submit bad) two=$(submit two) parked=$(submit long)
ok "one run is active" wait_until 20 at active "$parked"
mv "$SPOOL/active/$parked" "$SPOOL/hold/"
later=$(submit later)
ok "one waits" wait_until 20 at deferred "$later*"
ok "two have failed" wait_until 20 at failed "$one+1"
ok "both" wait_until 20 at failed "$two+1"
mv "$TMP/wrong.task" "$SPOOL/incoming/"
ok "one is rejected" wait_until 20 at rejected wrong.task.reason
exits "a spool at work is clean" 0 task fsck
like "and says so" "$(cat "$TMP/out")" "no damage, 0 unfinished"
for ((i = 0; i < 150; i++)); do cp "$TMP/short.task" "$SPOOL/tmp/.d$i" && mv "$SPOOL/tmp/.d$i" "$SPOOL/incoming/d$i.task"; done
for _ in 1 2 3; do exits "no false word while 150 runs move" 0 task fsck -q; done
is "none" "$(cat "$TMP/out")" ""
exits "--repair is refused meanwhile" 75 task fsck --repair
like "and says who holds it" "$(cat "$TMP/err")" "unable to repair .*: pid $TASKD holds it, nothing was changed"
settled() { [ -z "$(find "$SPOOL"/{incoming,ready,active,tmp} -type f -print -quit)" ]; }
ok "they end" wait_until 60 settled
stop_taskd
exits "a spool at rest is clean" 0 task fsck
like "and says so" "$(cat "$TMP/out")" "no damage, 0 unfinished"

# ---- what a kill leaves is unfinished, not damaged

start_taskd "$SPOOL"
cp "$SPOOL/hold/$parked" "$TMP/plan"
stop_taskd KILL
cp "$TMP/short.task" "$SPOOL/tmp/01m89dfvk10dxgmb54evy1fm2r@short.task"
exits "a drop that was taken" 0 task fsck
like "is compiled" "$(cat "$TMP/out")" "tmp/01m89dfvk10dxgmb54evy1fm2r@short.task: unfinished: .*compiles it at its next start"
rm "$SPOOL/tmp/01m89dfvk10dxgmb54evy1fm2r@short.task"
cp "$TMP/plan" "$SPOOL/ready/$parked"
exits "a copy" 1 task fsck
like "is named" "$(cat "$TMP/out")" "ready/$parked: damaged: the same run is in hold/$parked: --repair moves it to rejected/"
exits "and mended" 0 task fsck --repair
ok "to rejected/" at rejected "$parked.reason"
exits "then all is clean" 0 task fsck -q
stop_taskd
rm "$SPOOL/rejected/$parked" "$SPOOL/rejected/$parked.reason"

# ---- the fuzzer

start_taskd "$SPOOL"
stop_taskd
mkdir "$TMP/fuzz"
: >"$TMP/go" # now they would end
status=0
python3 "$ROOT/Tests/scenarios/fsck/fuzz.py" "$BIN" "$SPOOL" "$TMP/fuzz" "$SEED" "${TASKSPOOL_FSCK:-30}" >"$TMP/told" 2>&1 || status=$?
diag <"$TMP/told"
result "$status" "$(tail -n 1 "$TMP/told")"
done_testing
