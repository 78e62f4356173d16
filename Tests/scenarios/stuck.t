#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: what does not die when it is killed is an alarm, not a hang: a note names the processes, the slot
# stays taken, other slots go on, and its end comes when it does end. The freezer of cgroup v1, which
# holds back what was killed, stands in for a process that waits for a dead disk.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs taskd taskrun task
is_root || skip_all "not root: a freezer needs it"
FREEZER=/sys/fs/cgroup/freezer
[ -w "$FREEZER/cgroup.procs" ] || skip_all "no freezer of cgroup v1, and that of v2 holds back no kill"

SPOOL=$TMP/spool
export TASK_SPOOL=$SPOOL
ICE=$FREEZER/taskspool-test-$$
mkdir "$ICE"
thaw() {
    echo THAWED >"$ICE/freezer.state"
    ! [ -d "$ICE" ] || wait_until 10 rmdir "$ICE" 2>/dev/null || true
}
trap 'thaw; cleanup' EXIT

unit() { # unit NAME JAIL
    printf '#!/bin/sh\necho $$ >"%s"; exec sleep 97%s\n' "$TMP/$1.pid" "${#1}" >"$TMP/$1.sh"
    chmod 755 "$TMP/$1.sh"
    printf '%s\n' '[Service]' MaxTime=1s TimeoutStopSec=50ms '[Command]' "command=\"$TMP/$1.sh\"" \
        '[Jail]' "Jail=$2" "${@:3}" >"$TMP/$1.task"
}
touch "$TMP/jailed.pid"
unit jailed yes "BindPaths=$TMP"
unit direct no
printf '[Command]\ncommand=true\n' >"$TMP/noop.task"
start_taskd "$SPOOL" --slots=2

ice() { # ice NAME: runs it, and freezes all of it
    RUN=$(task submit "$TMP/$1.task") || return 1
    wait_until 20 pgrep -fx "sleep 97${#1}" || return 1
    for pid in $(pgrep -fx "sleep 97${#1}"); do echo "$pid" >"$ICE/cgroup.procs"; done
    echo FROZEN >"$ICE/freezer.state"
}
noted() { grep -aqs " note $RUN\.0 a=1 what=stuck pids=[0-9]" "$SPOOL"/journal/*; }
ended() { [ "$(task status -o jsonl "$RUN" | grep -c '"reason":"timeout"')" -gt 0 ]; }

for name in jailed direct; do
    ok "$name: it runs, and freezes" ice "$name"
    ok "$name: a note says that it is stuck" wait_until 40 noted
    like "$name: status shows it" "$(task status "$RUN")" 'Stuck: killed, and does not end: processes [0-9]'
    like "$name: explain shows it" "$(task explain "$RUN")" "$name: killed, and does not end: processes [0-9]"
    for i in 1 2 3; do exits "$name: the pool goes on ($i)" 0 task submit --wait "$TMP/noop.task"; done
    unlike "$name: its slot is still taken" "$(task status -o jsonl "$RUN")" '"state":"(failure|success)"'
    echo THAWED >"$ICE/freezer.state"
    ok "$name: its end comes with it" wait_until 20 ended
    unlike "$name: and status forgets it" "$(task status "$RUN")" 'Stuck:'
done
exits "the pool goes on with both slots" 0 task submit --wait "$TMP/noop.task" "$TMP/noop.task"
done_testing
