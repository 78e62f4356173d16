#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: a pool's cgroups are its own while it lives, also for a taskrun of another pid namespace that
# shares the tree of cgroups; after a kill -9 the next taskrun removes them.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs taskd taskrun task unshare
is_root || skip_all "not root: cgroups for pools, and another pid namespace, need it"

SPOOL=$TMP/spool
export TASK_SPOOL=$SPOOL
printf '[Command]\ncommand=true\n' >"$TMP/noop.task"
# Only whole directories: a slot's are below.
cgroups_of() { find /sys/fs/cgroup -maxdepth 2 \( -name "taskrun-$1" -o -name "taskrun-$1-*" \) 2>/dev/null | sort; }

start_taskd "$SPOOL" --slots=1
task submit --wait "$TMP/noop.task" >/dev/null || bail "no task runs here"
POOL=$(pool_pid "$SPOOL")
before=$(cgroups_of "$POOL")
[ -n "$before" ] || skip_all "no cgroup can be written here"

exits "a taskrun in another pid namespace" 0 unshare --pid --fork --kill-child \
    "$BIN/taskrun" "$TMP/noop.task"
is "leaves the pool's cgroups" "$(cgroups_of "$POOL")" "$before"
exits "the pool goes on with them" 0 task submit --wait "$TMP/noop.task"

stop_taskd
kill -s KILL "$POOL"
wait_until 10 gone "$POOL"
exits "a taskrun after a kill -9 of the pool" 0 "$BIN/taskrun" "$TMP/noop.task"
is "removes what the dead left" "$(cgroups_of "$POOL")" ""

# ---- a task without a jail, whose descendants a kill -9 of its taskrun leaves alive

TREE=/sys/fs/cgroup/unified
[ -d "$TREE" ] || TREE=/sys/fs/cgroup
printf '#!/bin/sh\n(setsid sleep 9331 &)\nexec sleep 9332\n' >"$TMP/leaves.sh"
chmod 755 "$TMP/leaves.sh"
printf '%s\n' '[Command]' "command=\"$TMP/leaves.sh\"" '[Jail]' Jail=no >"$TMP/leaves.task"
"$BIN/taskrun" "$TMP/leaves.task" &
DEAD=$!
TEST_PIDS+=("$DEAD")
disown "$DEAD"
wait_until 10 pgrep -fx 'sleep 9331' >/dev/null || bail "no task runs without a jail"
LEFT=$(pgrep -fx 'sleep 9331')
kill -s KILL "$DEAD"
wait_until 10 gone "$DEAD"
ok "its daemon outlives a kill -9 of taskrun" test -d "/proc/$LEFT"
# What looks like a pool's and is not: another user's, one that lives, one with another name.
mkdir "$TREE/taskrun-1-2" "$TREE/taskrun-other" "$TREE/taskrun-other/slot-0"
chown nobody "$TREE/taskrun-1-2"
locked() { # a taskrun elsewhere may take it before it is locked
    mkdir -p "$TREE/taskrun-1-3"
    exec 8<"$TREE/taskrun-1-3"
    flock -n 8 && [ -d "$TREE/taskrun-1-3" ]
}
wait_until 5 locked
sleep 9333 &
OTHER=$!
TEST_PIDS+=("$OTHER")
disown "$OTHER"
echo "$OTHER" >"$TREE/taskrun-other/slot-0/cgroup.procs"
exits "the next taskrun" 0 "$BIN/taskrun" "$TMP/noop.task"
ok "ends what was left" wait_until 5 gone "$LEFT"
is "and removes its cgroups" "$(cgroups_of "$DEAD")" ""
ok "but not another user's directory" rmdir "$TREE/taskrun-1-2"
ok "nor one that is locked" rmdir "$TREE/taskrun-1-3"
exec 8<&-
ok "nor one of another name, and who is in it" test -d "/proc/$OTHER"

# ---- somebody in a slot's cgroup: the slot gets another

start_taskd "$SPOOL" --slots=1
task submit --wait "$TMP/noop.task" >/dev/null || bail "no task runs here"
POOL=$(pool_pid "$SPOOL")
SLOT=$(find "$TREE" -maxdepth 2 -path "*/taskrun-$POOL-*/slot-0")
ok "a slot has a cgroup" test -d "$SLOT"
echo "$OTHER" >"$SLOT/cgroup.procs"
for i in 1 2; do
    exits "a task in the slot, with a stranger in its cgroup ($i)" 0 task submit --wait "$TMP/noop.task"
done
ok "the stranger lives" test -d "/proc/$OTHER"
ok "the slot has another cgroup" test -d "$SLOT.1"
ok "and no more than that" test ! -d "$SLOT.2"
kill "$OTHER"
wait_until 5 gone "$OTHER"
rmdir "$TREE/taskrun-other/slot-0" "$TREE/taskrun-other"
stop_taskd
kill "$POOL"
wait_until 15 gone "$POOL"
exits "a taskrun after all" 0 "$BIN/taskrun" "$TMP/noop.task"
is "leaves nothing" "$(cgroups_of "$POOL")" ""
done_testing
