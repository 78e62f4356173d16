#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: a task in its jail drops subtasks that drop subtasks, and reads how they ended; on one slot the tree
# ends as a whole, each parent behind its children.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs task taskd taskrun tasklog

SPOOL=$TMP/spool
export TASK_SPOOL=$SPOOL
journal() { cat "$SPOOL"/journal/*.sealed "$SPOOL"/journal/*.open 2>/dev/null || true; }

# A unit of one level drops two of the next: its script and its last lines travel in its environment.
# shellcheck disable=SC2016
script=$(base64 -w0 <<'END'
[ "$LEVEL" -gt 0 ] || exit 0
cd "$TASK_SUBMIT" || exit 9
for k in 1 2; do
    printf '[Environment]\nRUN=%s\nTAIL=%s\nLEVEL=%s\n' "$RUN" "$TAIL" $((LEVEL - 1)) >.new
    echo "$TAIL" | base64 -d >>.new
    mv .new "kid$k.task"
done
END
)
# shellcheck disable=SC2016
tail='[Command]
command=sh
[Args]
args="-c '"'"'echo $RUN | base64 -d | sh'"'"'"
'
{
    printf '[Environment]\nRUN=%s\nTAIL=%s\nLEVEL=%s\n' "$script" "$(printf %s "$tail" | base64 -w0)" 3
    printf %s "$tail"
} >"$TMP/tree.task"

start_taskd "$SPOOL" --slots=1
root=$(task submit "$TMP/tree.task")
exits "a tree ends well" 0 timeout 120 task wait "$root"
is "each was accepted" "$(journal | grep -ac ' accept ')" 15
is "and has succeeded" "$(journal | grep -acE ' end [^ .]+ state=success .*final=yes')" 15
like "the root is the last" "$(journal | grep -aE ' end [^ .]+ state=' | tail -n 1)" " end $root "

cat >"$TMP/reader.task" <<'END'
[Command]
command=sh
[Args]
args="-c 'cd /run/task/submit; printf \"[Command]\\ncommand=false\\n\" >.a; mv .a a.task; until cat a.task.end 2>/dev/null; do sleep 0.01; done'"
END
stop_taskd
SPOOL=$TMP/two
export TASK_SPOOL=$SPOOL
start_taskd "$SPOOL" --slots=2
reader=$(task submit "$TMP/reader.task")
exits "it fails of what it dropped" 1 timeout 120 task wait "$reader"
like "it was told" "$(tasklog logs "$reader")" "^state=failure reason=exit id="

# Each script drops the next: what was dropped is what runs.
cat >"$TMP/chain.task" <<'END'
[Environment]
LEVEL=30
[Command]
command=sh
[Args]
args="-c 'printf \"#!/bin/sh\\nL=30\\n[ \\$L = 0 ] && exec echo the last\\nsed \\\"s/^L=.*/L=\\$((L - 1))/\\\" \\$0 >\\$TASK_SUBMIT/.k && mv \\$TASK_SUBMIT/.k \\$TASK_SUBMIT/k\\n\" >$TASK_SUBMIT/.k; mv $TASK_SUBMIT/.k $TASK_SUBMIT/k'"
END
chain=$(task submit "$TMP/chain.task")
exits "a chain of 31 scripts ends well" 0 timeout 120 task wait "$chain"
is "the last of them has run" "$(journal | grep -ac ' start .* name=k')" 31
last=$(journal | awk '$5 == "start" && / name=k( |$)/ { id = $6 } END { print id }')
like "and said so" "$(tasklog logs "$last")" '^the last$'

# What taskd can read is not what the task may: nothing of units/ travels with what it drops.
echo 'a secret of the owner' >"$SPOOL/units/secret"
cat >"$TMP/thief.task" <<'END'
[Command]
command=sh
[Args]
args="-c 'printf \"[Array]\\nItems=@secret\\n[Command]\\ncommand=echo\\n[Args]\\nargs=%%i\\n\" >$TASK_SUBMIT/.a; mv $TASK_SUBMIT/.a $TASK_SUBMIT/a.task; printf \"[Service]\\nFiles=secret\\n[Command]\\ncommand=cat\\n\" >$TASK_SUBMIT/.b; mv $TASK_SUBMIT/.b $TASK_SUBMIT/b.task; until cat $TASK_SUBMIT/a.task.reason $TASK_SUBMIT/b.task.reason 2>/dev/null; do sleep 0.01; done'"
END
thief=$(task submit "$TMP/thief.task")
exits "a task whose drops are refused fails" 1 timeout 120 task wait "$thief"
said=$(tasklog logs "$thief")
like "of items from a file of the owner's" "$said" 'a.task:2:.*Items=@secret.*is not read'
like "and of such a file" "$said" 'b.task:2:.*Files=.*secret.*is not read'
is "none of it was read" "$(journal | grep -ac 'a%20secret')" 0
stop_taskd
is "no run is left" "$(find "$SPOOL/ready" "$SPOOL/active" -type f)" ""
done_testing
