#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: what subtasks leave in $TASK_RESULT the task that dropped them finds when it goes on, and its [Then] in
# $TASK_INPUTS: byte for byte, of the last attempt alone, also after taskd was killed and in a retry.
# shellcheck disable=SC2016 source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs task taskd taskrun tasklog

SPOOL=$TMP/spool
export TASK_SPOOL=$SPOOL
mkdir -m 0755 "$TMP/gate"
journal() { cat "$SPOOL"/journal/*.sealed "$SPOOL"/journal/*.open 2>/dev/null || true; }
# What a unit's script and that of its [Then] may call: `drop NAME SCRIPT` drops a subtask, `wait_for` sleeps until
# all have ended.
help=$(
    cat <<'END'
drop() {
    { printf '[Jail]\nBindReadOnlyPaths=%s\n[Environment]\nSCRIPT=%s\n' $GATE "$(printf %s "$2" | base64 -w0)"; cat <<'E'; } >$TASK_SUBMIT/.new
[Command]
command=bash
[Args]
args="-c 'eval \"$(echo $SCRIPT | base64 -d)\"'"
E
    mv $TASK_SUBMIT/.new $TASK_SUBMIT/$1
}
wait_for() { : >$TASK_SUBMIT/.wait; while [ -e $TASK_SUBMIT/.wait ]; do sleep 0.01; done; }
END
)
unit() { # unit NAME SCRIPT THEN [LINE…]: into units/
    local name=$1 script then=$3
    script=$(printf '%s\n%s' "$help" "$2" | base64 -w0)
    then=$(printf '%s' "$3" | base64 -w0)
    shift 3
    printf '%s\n' "$@" '[Environment]' "SCRIPT=$script" "THEN=$then" "GATE=$TMP/gate" '[Jail]' "BindReadOnlyPaths=$TMP/gate" '[Command]' 'command=bash' \
        '[Args]' "args=\"-c 'eval \\\"\$(echo \$SCRIPT | base64 -d)\\\"'\"" \
        '[Then]' 'command=bash' "args=\"-c 'eval \\\"\$(echo \$THEN | base64 -d)\\\"'\"" >"$SPOOL/units/$name.task"
}

start_taskd "$SPOOL" --slots=2

# ---- a task that goes on

unit waits 'drop one.task "printf \"a\\0b\\nc\" >\$TASK_RESULT"; drop none.task true; drop empty.task ": >\$TASK_RESULT"
drop full.task "head -c 65536 /dev/urandom >\$TASK_RESULT; sha256sum <\$TASK_RESULT"
wait_for; cd $TASK_SUBMIT; od -An -c one.task.result; ls -A | sed "s/^/has /"; cat one.task.end; sha256sum <full.task.result' true
waits=$(task submit "$SPOOL/units/waits.task")
exits "a task that waits for subtasks with results ends well" 0 timeout 60 task wait "$waits"
task logs "$waits" >"$TMP/logs"
like "it has the bytes of one" "$(tr -s ' \n' ' ' <"$TMP/logs")" ' a \\0 b \\n c '
is "of each that left some" "$(grep -a '^has.*result' "$TMP/logs" | paste -sd' ')" \
    "has empty.task.result has full.task.result has one.task.result"
like "the end says how many" "$(grep -a '^state=success' "$TMP/logs")" 'id=[^ ]+ exit=0 result=5$'
is "64 KiB are the same" "$(task logs "$(task query -o plain "select id from task where name = 'full'" | tail -n 1)")" \
    "$(grep -a ' -$' "$TMP/logs")"
unit fails 'drop bad.task "exit 5"; wait_for; cat $TASK_SUBMIT/bad.task.end' true
fails=$(task submit "$SPOOL/units/fails.task")
exits "one that fails" 1 timeout 60 task wait "$fails"
like "its status is in the end" "$(task logs "$fails")" '^state=failure reason=exit id=[^ ]+ exit=5$'

# ---- [Then]

unit both 'echo mine >$TASK_RESULT; drop a.task "echo of a >\$TASK_RESULT"; drop b.task "echo of b >\$TASK_RESULT"; drop c.task true' \
    'cd $TASK_INPUTS; for name in *; do echo "$name: $(cat $name)"; done'
both=$(task submit "$SPOOL/units/both.task")
exits "[Then] of a task with subtasks ends well" 0 timeout 60 task wait "$both"
is "it finds what they left, and its own" "$(task logs "$both" | paste -sd' ')" "a.task: of a b.task: of b both: mine"

sum=$(task submit "$ROOT/Examples/subtasks/sum-sh.task")
exits "the example ends well" 0 timeout 60 task wait "$sum"
is "and adds up what its subtasks left" "$(task logs "$sum")" "the sum is 14"

unit twice 'drop always.task "echo always >\$TASK_RESULT"; [ $TASK_ATTEMPT = 2 ] || { drop first.task "echo first >\$TASK_RESULT"; wait_for; exit 1; }' \
    'cd $TASK_INPUTS; for name in *; do echo "$name: $(cat $name)"; done' '[Service]' 'Restart=1' 'RestartSec=10ms'
twice=$(task submit "$SPOOL/units/twice.task")
exits "a second attempt ends well" 0 timeout 60 task wait "$twice"
is "of what an earlier one dropped only what was dropped again counts" "$(task logs "$twice")" "always.task: always"
is "which ran once" "$(journal | grep -ac ' start .* name=always')" 1

# ---- whatever is killed, and in a retry

unit late 'drop kid.task "echo kid >\$TASK_RESULT"; drop slow.task "until [ -e '"$TMP"'/gate/slow ]; do sleep 0.01; done; echo slow >\$TASK_RESULT"' \
    'cd $TASK_INPUTS; cat kid.task slow.task; [ -e '"$TMP"'/gate/then ]'
late=$(task submit "$SPOOL/units/late.task")
has_ended() { journal | grep -aE " end [^ .]+ .*parent=$late\.0 .*" | grep -a result= >/dev/null; }
ok "the first of two subtasks ends, and says where its result lies" wait_until 60 has_ended
kill -KILL "$TASKD"
wait_until 15 gone "$TASKD"
start_taskd "$SPOOL" --slots=2
stop_taskd # writes a checkpoint
start_taskd "$SPOOL" --slots=2
: >"$TMP/gate/slow"
exits "[Then] fails" 1 timeout 60 task wait "$late"
is "with both results" "$(task logs "$late" | paste -sd' ')" "kid slow"
: >"$TMP/gate/then"
wait_until 20 test -e "$SPOOL/failed/$late+1"
task retry "$late" >/dev/null
exits "its retry succeeds" 0 timeout 60 task wait "$late"
is "with the same" "$(task logs "$late" | paste -sd' ')" "kid slow kid slow"
is "no subtask ran again" "$(journal | grep -acE ' start .* name=(kid|slow)$')" 2

stop_taskd
ok "nothing is left to do" task fsck
done_testing
