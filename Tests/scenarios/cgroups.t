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
done_testing
