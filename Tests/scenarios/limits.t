#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: limits are limits. Each breach names its directive, its value and the figure reached. As root
# and as an ordinary user; what a user without a cgroup cannot have is skipped by name.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs taskrun task

mkdir -p "$TMP/user/units" && cd "$TMP/user/units"
unit() { # unit NAME LINES…
    local name=$1
    shift
    printf '%s\n' "$@" >"$name.task"
    chmod a+r "$name.task"
}
# script NAME SERVICE-LINES… -- SHELL: a unit whose command is a shell script of one line
script() {
    local name=$1 lines=('[Service]')
    shift
    while [ "$1" != -- ]; do
        lines+=("$1")
        shift
    done
    printf '#!/bin/sh\n%s\n' "$2" >"$name.sh"
    chmod a+rx "$name.sh"
    unit "$name" "${lines[@]}" '[Command]' "command=\"./$name.sh\""
}
script child LimitMem=48M -- "python3 -c 'x=bytearray(300<<20)'; sleep 30; echo survived"
script many LimitMem=64M -- "for i in 1 2 3 4; do python3 -c 'import time; x=bytearray(30<<20); time.sleep(30)' & done; wait; echo survived"
script few LimitMem=64M -- "python3 -c 'import os, time
x = bytearray(40 << 20)
for i in range(4):
    if os.fork() == 0: break
time.sleep(0.5)'"
script forks LimitTasks=8 -- 'for i in 1 2 3 4 5 6 7 8 9 10; do sleep 9 & done; exit 3'
script calm LimitTasks=8 -- 'for i in 1 2 3 4 5 6 7 8 9 10; do (sleep 0.2 &) 2>/dev/null; done; true'
script bytes LimitDisk=4M -- "head -c 9000000 /dev/zero >\$TASK_SCRATCH/x"
script inodes LimitDisk=4M -- "seq 3000 | (cd /tmp && xargs touch)"
script slow MaxTime=300ms -- 'sleep 20'
script busy MaxCPUTime=1s -- 'while :; do :; done'
script deaf MaxCPUTime=1s '[Jail]' Jail=no -- "trap '' XCPU; while :; do :; done"
script loud LogLimit=1K -- 'seq 20000'
script flood LogLimit=1K:fail -- 'seq 20000; sleep 30'
script share LimitCPU=20% -- "python3 -c 'import time
while time.process_time() < 0.2: pass'"
script high MemoryHigh=24M -- "python3 -c 'x=bytearray(48<<20)'"

# run WHO NAME STATUS: the run's events are in $events, its end's sentence in $said
run() {
    local who=$1 name=$2 as=()
    [ "$who" = root ] || as=(as_user)
    events=$TMP/user/$who-$name.events
    rm -f "$events"
    exits "$who, $name: status $3" "$3" "${as[@]}" timeout -s KILL 60 \
        "$BIN/taskrun" --events="$events" "$PWD/$name.task"
    said=$(grep -a ' end [^ ]*\.0 ' "$events" | tail -n 1 | sed 's/%20/ /g; s/%3D/=/g')
}
note() { grep -a " note .*what=$1 " "$events" | sed 's/%20/ /g; s/%3D/=/g' || true; }
has() { # has WHO DIRECTIVE: it is held in full
    local as=()
    [ "$1" = root ] || as=(as_user)
    unit asked '[Service]' "$2" '[Command]' 'command="true"'
    ! "${as[@]}" "$BIN/taskrun" --plan "$PWD/asked.task" | grep -q "^weak: .*${2%%=*}"
}

all() {
    local who=$1
    if has "$who" LimitMem=48M; then
        run "$who" child 137
        like "$who: memory names value, victim and figure" "$said" \
            'reason=oom .*LimitMem=48M: the kernel killed (python3 \(pid [0-9]+\)|a process of the task) at 4[0-9.]+M'
        unlike "$who: one victim, and all are gone" "$(cat "$TMP/out")" survived
        local us=${said##* us=}
        ok "$who: at once" test "${us%% *}" -lt 20000000
    else
        run "$who" many 137
        like "$who: memory is summed up without a cgroup, and named weak" "$said" \
            'reason=oom .*LimitMem=64M: its processes had [0-9.]+M together .*weak=LimitMem'
        unlike "$who: and all are gone" "$(cat "$TMP/out")" survived
    fi
    run "$who" few 0
    like "$who: shared pages count once" "$said" 'state=success'
    if "${AS[@]}" "$BIN/taskrun" --plan "$PWD/forks.task" | grep -q 'pids:v'; then
        run "$who" forks 1
        like "$who: processes name value and figures" "$said" \
            'reason=limit .*LimitTasks=8: [0-9]+ forks? (was|were) refused with 8 processes'
        run "$who" calm 0
        like "$who: a success has a note" "$(note limit.tasks)" 'text=LimitTasks=8: [0-9]+ fork'
    else skip "$who: processes" "RLIMIT_NPROC counts no refused fork"; fi
    run "$who" bytes 1
    like "$who: storage names value and bytes" "$said" 'reason=disk .*LimitDisk=4M: .* were full \((4M|3.9M)\)'
    run "$who" inodes 1
    like "$who: storage names value and files" "$said" 'reason=disk .*LimitDisk=4M: .* \(all 1024 inodes\)'
    run "$who" slow 124
    like "$who: time names value and figure" "$said" 'reason=timeout .*MaxTime=300ms: it ran for ([3-9][0-9]{2}ms|[0-9]+\.[0-9]+s)'
    run "$who" busy 1
    like "$who: CPU time names value and figure" "$said" 'reason=limit .*MaxCPUTime=1s: a process used it up \(all: [0-9.]+m?s\)'
    run "$who" deaf 1
    like "$who: … also where SIGXCPU is ignored, without a jail" "$said" 'reason=limit .*signal=KILL .*MaxCPUTime=1s: '
    run "$who" loud 0
    like "$who: output names value and figures" "$(note log.limit)" 'limit=1K kept=1024 dropped=107870'
    run "$who" flood 1
    like "$who: :fail makes it a failure" "$said" 'reason=limit .*LogLimit=1K:fail: it wrote [0-9]+ bytes'
    if has "$who" LimitCPU=20%; then
        run "$who" share 0
        like "$who: a share of CPUs is a note" "$(note limit.cpu)" 'text=LimitCPU=20%25: held back [0-9]+ times, for [0-9]'
    else skip "$who: share of CPUs" "no cgroup is delegated to this user"; fi
    if "${AS[@]}" "$BIN/taskrun" --plan "$PWD/high.task" | grep -q 'memory:v2'; then
        run "$who" high 0
        like "$who: MemoryHigh= is a note" "$(note limit.memoryhigh)" 'text=MemoryHigh=24M: slowed down [0-9]+ times'
    else skip "$who: MemoryHigh=" "no cgroup v2 holds it"; fi
}

# told WHO: the front's answers have the same words
told() {
    local who=$1
    export TASK_SPOOL=$TMP/user/$who-spool
    exits "$who: task run of a full disk" 1 "${AS[@]}" env "TASK_SPOOL=$TASK_SPOOL" task run "$PWD/bytes.task"
    like "$who: explain names value and figure" "$("${AS[@]}" env "TASK_SPOOL=$TASK_SPOOL" task explain bytes)" \
        'bytes: disk, .*LimitDisk=4M: .* were full \((4M|3.9M)\)'
    like "$who: so does status" "$("${AS[@]}" env "TASK_SPOOL=$TASK_SPOOL" task status bytes 2>&1)" \
        'Message: LimitDisk=4M: .* were full'
    like "$who: and logs" "$("${AS[@]}" env "TASK_SPOOL=$TASK_SPOOL" task logs bytes 2>&1)" \
        'bytes: LimitDisk=4M: .* were full'
    if ! "${AS[@]}" "$BIN/taskrun" --plan "$PWD/forks.task" | grep -q 'pids:v'; then return 0; fi
    exits "$who: task run of what meets LimitTasks= and succeeds" 0 "${AS[@]}" env "TASK_SPOOL=$TASK_SPOOL" \
        task run "$PWD/calm.task"
    like "$who: explain tells of it" "$("${AS[@]}" env "TASK_SPOOL=$TASK_SPOOL" task explain calm)" \
        'success.*calm: LimitTasks=8: [0-9]+ fork'
}

AS=()
if is_root; then
    all root
    told root
fi
AS=(as_user)
all user
told user
done_testing
