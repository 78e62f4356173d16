#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: `task run` beside a taskd hands the unit over, follows it and returns its status; leaving it
# leaves the task running. Without a spool it leaves a history all the same.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs task taskd taskrun tasklog

SPOOL=$TMP/spool
export TASK_SPOOL=$SPOOL
cd "$TMP/home"
printf '[Command]\ncommand="/bin/sh -c '"'echo out; echo err >&2; exit 3'"'"\n' >fails.task
printf '[Dependencies]\nRequires=fails.task\n[Command]\ncommand=/bin/true\n' >needs.task
printf '[Command]\ncommand="sleep 60"\n' >long.task

accepted() { [ -z "$(find "$SPOOL/incoming" -name "*@$1.task")" ]; }

start_taskd "$SPOOL"
exits "the task's own status" 3 task run fails.task
is "its output, as it wrote it" "$(cat "$TMP/out")" out
like "its other output, and how it ended" "$(cat "$TMP/err")" $'err\ntask: error: fails: failure \\(exit 3\\)$'
like "taskd accepted it" "$(tasklog audit fails -o plain)" 'accept'
exits "a dependency's failure" 1 task run needs.task
like "names the one that failed" "$(cat "$TMP/err")" $'\ntask: error: fails: failure \\(exit 3\\)\n'
exits "as JSON" 3 task run -o json fails.task
like "is one document" "$(cat "$TMP/out")" '^\{"schema":"task/1","items":\['
printf '[Dependencies]\nRequires=says.task\n[Command]\ncommand=/bin/true\n' >chain.task
printf '[Command]\ncommand="/bin/echo from below"\n' >says.task
exits "a run of two" 0 task run chain.task
is "what a dependency writes is not the task's" "$(cat "$TMP/out")" ""
is "it comes with its name" "$(cat "$TMP/err")" 'says: from below'
printf '[Command]\ncommand="seq 200000"\n' >many.task
exits "much output" 0 task run many.task
is "is complete, and in order" "$(sha256sum <"$TMP/out")" "$(seq 200000 | sha256sum)"
printf '[Command]\ncommand=./raw\n' >raw.task
printf '#!/bin/sh\nprintf "\\377\\000x"\n' >raw
chmod +x raw
task run raw.task >"$TMP/out" 2>"$TMP/err"
is "bytes that are no text" "$(od -An -tx1 <"$TMP/out")" ' ff 00 78'
printf '[Command]\ncommand="/bin/sh -c '"'sleep 1; echo late'"'"\n' >late.task
touch -d '1 hour ago' "$SPOOL"/log/*.log
is "output that comes late" "$(task run late.task)" late
touch -d '1 hour ago' "$SPOOL"/log/*.log
is "tasklog follows it too" "$(task logs -f "$(task submit late.task && wait_until 5 accepted late)")" late

# A plan above 4 KiB is not in the journal: its tasks are known all the same.
{
    printf '[Dependencies]\nRequires=long.task\n[Command]\ncommand=/bin/true\n[Environment]\n'
    for i in {1..100}; do echo "VARIABLE_$i=a value that takes some room, $i times"; done
} >large.task
large=$(task submit large.task)
running() { [ "$(tasklog list "$1" -o jsonl | grep -c '"state":"running"')" -eq 1 ]; }
ok "a large plan runs" wait_until 10 running large
like "what waits in it has a name" "$(tasklog status "$large" -o plain)" $'large\t-\t-\tpending'
task cancel "$large"
exits "it ends" 130 timeout 20 task wait "$large"
printf '[Dependencies]\nRequires=fails.task\n' | cat - <(tail -n +3 large.task) >large2.task
TASK_SPOOL=$TMP/alone exits "without a daemon" 1 task run large2.task
is "a task that never began has its own name" \
    "$(tasklog query --spool="$TMP/alone" -o plain 'select name from tasks order by k')" $'fails\nlarge2'

# Job control gives it back the SIGINT that a background job of a script ignores.
set -m
task run long.task >/dev/null 2>&1 &
client=$!
set +m
TEST_PIDS+=("$client")
ok "it runs" wait_until 10 running long
kill -INT "$client"
status=0
wait "$client" || status=$?
is "Ctrl-C ends the client" "$status" 130
ok "and not the task" running long
task cancel long
exits "which was cancelled later" 130 timeout 20 task wait long
stop_taskd

# Between the last look at what a jail reports and the look whether its init has ended, init may
# report and end: stretched here to 30 ms.
if command -v strace >/dev/null && strace -f -e trace=none true 2>/dev/null; then
    printf '[Command]\ncommand=true\n' >quick.task
    exits "an end right between two looks" 0 timeout 60 strace -f -o "$TMP/trace" \
        -e trace=waitid -e inject=waitid:delay_enter=30000 taskrun quick.task
    ok "there were looks" grep -q waitid "$TMP/trace"
else
    skip "an end right between two looks" "strace is not to be had here"
fi

# One slot is taken; what waits for it is begun by priority, then by age.
start_taskd "$TMP/one" --slots=1
(
    export TASK_SPOOL=$TMP/one
    printf '[Command]\ncommand="sleep 1"\n' >block.task
    for unit in low:-5 mid:0 mid2:0 high:10; do
        printf '[Service]\nPriority=%s\n[Command]\ncommand=true\n' "${unit#*:}" >"${unit%:*}.task"
    done
    block=$(task submit block.task)
    wait_until 10 running block
    task submit low.task mid.task mid2.task high.task >/dev/null
    task wait "$block" low mid mid2 high
) >"$TMP/prio" 2>&1 || true
is "the slot goes by priority" "$(tasklog query --spool="$TMP/one" -o plain \
    "select group_concat(name, ' ') from (select name from run where name <> 'block' order by started)")" \
    "high mid mid2 low"
printf '[Args]\nargs=-c "exit 75"\n[Command]\ncommand=sh\n' >later.task
TASK_SPOOL=$TMP/one exits "a task's own 75" 75 timeout 20 task run later.task
unlike "is not called parked" "$(cat "$TMP/err")" 'parked'
stop_taskd

TASK_SPOOL=$TMP/fresh exits "without a spool" 3 task run fails.task
like "there is a history all the same" "$(tasklog list --spool="$TMP/fresh" -o plain)" 'fails'
done_testing
