#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: whenever the owner's mv, hold, release and cancel come, also while taskd dies and comes back,
# what he wants last is what happens, and soon.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs task taskd taskrun tasklog python3

export TASK_SPOOL=$TMP/spool
SEED=${SEED:-$RANDOM}
diag <<<"SEED=$SEED"
# Nobody is to see these end by themselves.
printf '[Command]\ncommand="sleep"\n[Args]\nargs=1000\n' >"$TMP/long.task"
owner() { timeout -s KILL 200 python3 "$ROOT/Tests/scenarios/races/owner.py" "$TASK_SPOOL" "$TMP/long.task" "$@" 2>&1; }
left() { find "$TASK_SPOOL"/{incoming,ready,active,deferred,hold,tmp} -mindepth 1; }
empty() { [ -z "$(left)" ]; }

start_taskd "$TASK_SPOOL"
is "moves and commands at any moment" "$(owner "$SEED" 6 25)" "150 of 150 cancelled"
ok "nothing is left" wait_until 10 empty

owner "$((SEED + 1))" 4 30 >"$TMP/owner" &
OWNER=$!
disown "$OWNER"
TEST_PIDS+=("$OWNER")
kills=0
until gone "$OWNER"; do
    timeout "0.$((RANDOM % 4 + 1))" tail -s 0.05 -f --pid="$OWNER" /dev/null && break
    stop_taskd KILL
    start_taskd "$TASK_SPOOL"
    kills=$((kills + 1))
done
diag <<<"taskd was killed $kills times"
is "the same while taskd is killed again and again" "$(cat "$TMP/owner")" "120 of 120 cancelled"
ok "nothing is left" wait_until 10 empty
stop_taskd
done_testing
