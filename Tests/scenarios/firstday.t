#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: whoever asks about something that is not as he thinks gets an answer that helps: no taskd,
# a drop that nobody took, a run that ended, a task that is none.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs task taskd taskrun tasklog

export TASK_SPOOL=$TMP/spool
cd "$TMP/home"
printf '[Command]\ncommand=true\n' >ok.task
printf '[Command]\ncommand=/etc/passwd\n' >noexec.task
printf '[RunIf]\ncron="17 4 29 2 *" # leap days\n[Command]\ncommand=true\n' >beat.task
printf '[Dependencies]\nRequires=sick.task\n[Command]\ncommand=true\n' >well.task
printf '[Service]\nWorkingDirectory=/nowhere\n[Command]\ncommand=true\n' >sick.task
printf '[Comand]\n' >bad.task

start_taskd "$TASK_SPOOL"
exits "a first run" 0 task run ok.task

# ---- what has ended, or is none

exits "cancel what has ended" 3 task cancel ok
like "it says how it ended" "$(cat "$TMP/err")" 'ok \(.*\) to failed/: it ended, success: there is nothing to'
exits "retry what succeeded" 3 task retry ok
like "it says what to do" "$(cat "$TMP/err")" 'it ended, success: .*submit it again'
for command in status logs audit; do
    exits "$command of a task that is none" 3 task "$command" ok.7
    like "it says which there are" "$(cat "$TMP/err")" 'has no task 7: its only one is 0'
done
exits "a program that cannot be executed" 126 task run noexec.task
like "the message has the same status" "$(cat "$TMP/err")" 'exit 126'

cp bad.task 'bad name.task'
cp bad.task 'bad name.task' "$TASK_SPOOL/incoming"
wait_until 10 test -e "$TASK_SPOOL/rejected/bad.task.reason" -a -e "$TASK_SPOOL/rejected/bad_name.task.reason"
exits "retry what was rejected" 3 task retry bad
like "it says why" "$(cat "$TMP/err")" 'it was rejected: .task explain bad. says why'
exits "explain a drop whose name was changed" 0 task explain 'bad name'
like "has its reason" "$(cat "$TMP/out")" 'its name has bytes that are not allowed'

long=$(printf 'x%.0s' {1..140})
cp bad.task "$long.task"
mv "$long.task" "$TASK_SPOOL/incoming"
reason() { grep -rqs "its name has 145 bytes: 128 are allowed" "$TASK_SPOOL/rejected"; }
ok "a name that is too long is said to be that" wait_until 10 reason
for program in task taskd taskrun taskdep tasklog; do
    is "$program --version" "$("$BIN/$program" --version)" "$program (taskspool) 0.1.0"
done
exits "options after the unit of --plan" 0 "$BIN/taskrun" --plan ok.task -o json
ok "… count" python3 -m json.tool "$TMP/out"

# ---- what a run of several says

exits "a dependency's jail" 1 task run well.task
exits "status of it" 0 task status well
like "has the sentence of the task that failed" "$(cat "$TMP/out")" \
    $'sick +failure \(jail, exit 200\).*: unable to open /nowhere: .*mkdir'
exits "status of one task" 0 task status well.0
like "is that task's" "$(cat "$TMP/out")" $'sick.*failure\n +Task: .*\\.0\n'
unlike "and no other's" "$(cat "$TMP/out")" 'Tasks:'

# ---- what runs, and what a plain drop leaves behind

printf '[Args]\nargs=-c "echo begun; sleep 100"\n[Command]\ncommand=sh\n' >long.task
id=$(task submit long.task)
has_output() { task status "$1" | grep -q '^ *begun$'; }
ok "status of what runs shows what it wrote" wait_until 10 has_output "$id"
task cancel "$id"
exits "it is cancelled" 130 timeout 20 task wait "$id"
printf '[Command]\ncommand=./script\n' >script.task
printf '#!/bin/sh\necho it ran\n' >script
chmod +x script
cp script.task "$TASK_SPOOL/incoming"
exits "a plain drop has no files" 127 timeout 20 task wait script
like "it is said where they are looked for, and what takes them along" "$(task explain script)" \
    "no such file in the unit's directory, $TASK_SPOOL/units; .*.task submit. does"
exits "submit takes them along" 0 timeout 20 task submit --wait script.task

if is_root; then
    printf '[Service]\nUser=nobody\n[Command]\ncommand=id\n' >other.task
    exits "as another user" 0 task run other.task
    like "status says as whom" "$(task status other)" ' User: nobody'
    is "and the rows" "$(task list other -o csv | cut -d, -f12)" $'user\nnobody'
fi

# ---- whose spool, and which

exits "the spool before the command" 0 env -u TASK_SPOOL task --spool "$TASK_SPOOL" status ok
exits "and with =" 0 env -u TASK_SPOOL task "--spool=$TASK_SPOOL" status ok
mkdir -m 0777 "$TMP/open"
exits "a directory that others may write is made no spool" 77 timeout 10 taskd --spool="$TMP/open"
is "and is left as it was" "$(ls -A "$TMP/open")" ""
if is_root; then
    mkdir "$TMP/user/theirs"
    chown "$TEST_UID:$TEST_UID" "$TMP/user/theirs"
    exits "a directory of another is made no spool" 77 timeout 10 taskd --spool="$TMP/user/theirs"
    is "and is left, too" "$(ls -A "$TMP/user/theirs")" ""
    (RUN_AS=user start_taskd "$TMP/user/spool" && stop_taskd)
    TASK_SPOOL=$TMP/user/spool exits "root in another's spool" 0 task run ok.task
    TASK_SPOOL=$TMP/user/spool exits "and again" 0 task submit ok.task
    TASK_SPOOL=$TMP/user/spool exits "and asks" 0 task list
    is "leaves nothing that is not its owner's" "$(find "$TMP/user/spool" ! -uid "$TEST_UID")" ""

    (RUN_AS=user start_taskd "$TMP/user/spool" && stop_taskd)
    rm -f "$TMP/user/spool/checkpoint" # none where its end came during its start
    chown root "$(find "$TMP/user/spool/journal" -name '*-taskd-*' | sort | head -n 1)"
    exits "a taskd that may not read its journal does not start without it" 74 \
        as_user timeout 10 "$BIN/taskd" --spool="$TMP/user/spool"
    like "it says what it may not read" "$(cat "$TMP/err")" 'Permission denied, taskd does not start'
fi

# ---- the latest is the one that was just dropped

# A taskd that is stopped for a moment is about to take it.
drop_again() { # drop_again NUMBER: prints it and exits with it
    printf '[Args]\nargs=-c "echo %s; exit %s"\n[Command]\ncommand=sh\n' "$1" "$1" \
        >"$TASK_SPOOL/tmp/.again"
    mv "$TASK_SPOOL/tmp/.again" "$TASK_SPOOL/incoming/again.task" 2>/dev/null || true
}
drop_again 7
exits "an older run" 7 timeout 20 task wait again
waits() { grep -qs inotify "/proc/$client/fdinfo/"*; }
for word in again last; do
    kill -STOP "$TASKD"
    drop_again 9
    task wait "$word" &
    client=$!
    ok "wait $word waits" wait_until 10 waits
    kill -CONT "$TASKD"
    status=0
    wait "$client" || status=$?
    is "for the one that was just dropped" "$status" 9
    drop_again 7
    task wait again || true
done
kill -STOP "$TASKD"
drop_again 8
exits "logs, where it is not taken in a second" 0 task logs again
is "show an older one" "$(cat "$TMP/out")" 7
like "and say so" "$(cat "$TMP/err")" 'again.task lies in incoming/, not accepted yet: this is an older run'
kill -CONT "$TASKD"
exits "then it is the latest" 8 timeout 20 task wait again

# ---- the last lines

printf '[Args]\nargs=-c "seq 100000; printf open"\n[Command]\ncommand=sh\n' >lines.task
task run lines.task >/dev/null
is "the last lines" "$(task logs -n 3 lines)" $'99999\n100000\nopen'
is "all, where there are less" "$(task logs -n 200000 lines | wc -l)" 100000
is "none" "$(task logs -n 0 lines)" ""
exits "help of a command that another program answers" 0 task help logs
like "has its options" "$(cat "$TMP/out")" '--lines'
like "and its name" "$(cat "$TMP/out")" 'USAGE: tasklog logs '
like "as --help has" "$(task run --help)" 'USAGE: task run '

# ---- a plan is as good as a unit

taskdep plan ok.task >ok.plan
exits "submit a plan" 0 timeout 20 task submit --wait ok.plan
exits "run a plan" 0 timeout 20 task run ok.plan
exits "from standard input" 0 bash -c 'taskdep plan ok.task | timeout 20 task submit --wait -'
sed 's/true/false/' ok.plan >changed.plan
exits "one that was changed" 2 task submit changed.plan
like "is refused" "$(cat "$TMP/err")" '^changed.plan:1:1: the digest is another'
printf '[Service]\nStandardOutput=journal\n[Command]\ncommand=true\n' >journal.task
exits "what this release does not carry out" 2 task run journal.task
like "is said before anything runs" "$(cat "$TMP/err")" 'StandardOutput=journal is not carried out by this release'

# ---- JSON has the keys of its schema, whoever prints it

printf '[Args]\nargs=-c "kill -9 $$"\n[Command]\ncommand=sh\n' >killed.task
for command in 'run killed.task' 'status killed' 'list killed' 'audit killed' 'logs lines -n 1' 'wait killed'; do
    # shellcheck disable=SC2086
    timeout 20 task $command -o json >"$TMP/json" 2>/dev/null || true
    # shellcheck disable=SC2016
    ok "task $command -o json" python3 -c '
import json, sys
rows = json.load(open(sys.argv[1]))["items"]
known = json.load(open(sys.argv[2]))["$defs"]["item"]["properties"]
assert rows, "no rows"
for row in rows:
    for key, value in row.items():
        want = known[key].get("type", "string")
        assert want == {str: "string", int: "integer"}[type(value)], (key, value)
' "$TMP/json" "$ROOT/contrib/schema/task.schema.json"
done
TASK_SPOOL=$TMP/alone exits "a failure without a taskd" 137 task run killed.task
like "can't be retried by its plan" "$(TASK_SPOOL=$TMP/alone task explain killed)" 'Next: .*run or submit it again'

# ---- times before now, with and without =

exits "since a span" 0 task list --since -1h --until now -o plain
is "has what ran" "$(grep -c ok.task "$TMP/out")" 1
exits "until a span" 0 task list --until -1h -o plain
is "has nothing" "$(cat "$TMP/out")" ""

# ---- installed, not run

cp beat.task "$TASK_SPOOL/incoming"
wait_until 10 test -e "$TASK_SPOOL/units/beat.task"
for command in status explain; do
    exits "$command of what is installed" 0 task "$command" beat
    like "what will fire it, without its comment" "$(cat "$TMP/out")" $'fires: cron=17 4 29 2 \\*\n    next: 20[0-9]{2}-02-29T'
done

# ---- no taskd

stop_taskd
cp ok.task "$TASK_SPOOL/incoming/waits.task"
exits "status of a drop that nobody took" 0 task status waits
like "it says so" "$(cat "$TMP/out")" '^waits: lies in incoming/, not accepted yet'
exits "waiting for it" 124 task wait --timeout=2s waits
like "it says what is missing" "$(cat "$TMP/err")" "no taskd holds .*: taskd --spool=$TASK_SPOOL"
exits "without one a unit is run here" 0 task run ok.task

# A taskd whose parent never asks for its end, as the first process of many a container.
python3 -c 'import subprocess, sys, time
p = subprocess.Popen(sys.argv[1:]); print(p.pid, flush=True); time.sleep(100)' \
    "$BIN/taskd" --spool="$TASK_SPOOL" >"$TMP/pid" 2>/dev/null </dev/null &
TEST_PIDS+=($!)
disown $!
wait_until 10 test -s "$TMP/pid"
TASKD=$(cat "$TMP/pid")
TEST_SPOOLS+=("$TASK_SPOOL")
wait_until 10 owned_by "$TASK_SPOOL" "$TASKD"
kill "$TASKD"
wait_until 10 grep -q '^State:.Z' "/proc/$TASKD/status"
exits "a taskd that ended and was not waited for is none" 0 timeout 20 task run ok.task

done_testing
