#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: what a task writes to $TASK_RESULT is kept with its end, `task logs --result` prints it, and those
# that depend on it find it in $TASK_INPUTS: byte for byte, also after taskd or taskrun was killed, and in a
# retry of what hung on it; too much of it, or what is no file, is a failure that says so.
# shellcheck disable=SC2016 source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs task taskd taskrun tasklog

SPOOL=$TMP/spool
export TASK_SPOOL=$SPOOL
journal() { cat "$SPOOL"/journal/*.sealed "$SPOOL"/journal/*.open 2>/dev/null || true; }
unit() { # unit NAME SCRIPT [LINE…]: into units/
    local name=$1 script
    script=$(printf '%s\n' "$2" | base64 -w0)
    shift 2
    printf '%s\n' "$@" '[Environment]' "SCRIPT=$script" '[Command]' 'command=bash' '[Args]' \
        "args=\"-c 'eval \\\"\$(echo \$SCRIPT | base64 -d)\\\"'\"" >"$SPOOL/units/$name.task"
}
kill_taskd() {
    kill -KILL "$TASKD"
    wait_until 15 gone "$TASKD"
}

start_taskd "$SPOOL" --slots=2

# ---- from one to those that depend on it

unit first 'printf "one\0\nand %s" "$TASK_NAME" >"$TASK_RESULT"; echo said'
unit none 'ls -A "$(dirname "$TASK_RESULT")" | sed "s/^/there /"'
unit last 'od -An -c "$TASK_INPUTS/first"; ls -A "$TASK_INPUTS" | sed "s/^/has /"
echo x 2>/dev/null >"$TASK_INPUTS/first" || echo cannot write; : 2>/dev/null >"$TASK_INPUTS/x" || echo cannot add' \
    '[Dependencies]' 'Requires=first.task none.task'
last=$(task submit "$SPOOL/units/last.task")
exits "a task with a result's dependent ends well" 0 timeout 60 task wait "$last"
task logs "$last" >"$TMP/logs"
like "it finds the bytes" "$(tr -s ' \n' ' ' <"$TMP/logs")" 'o n e \\0 \\n a n d f i r s t'
is "of those that left some" "$(grep '^has' "$TMP/logs")" "has first"
is "and only to read" "$(grep -c cannot "$TMP/logs")" 2
is "which its dependency has not of itself" "$(grep -c there "$TMP/logs")" 0
end=$(journal | grep -aE ' end [^ ]+ .* result=')
like "its end says where it lies" "$end" ' result=[^ ]+:[0-9]+\+[0-9]+ digest=[0-9a-f]{64}( |$)'
first=$(echo "$end" | cut -d ' ' -f 6)
none=$(task query -o plain "select id from task where name = 'none'" | tail -n 1)
is "task logs --result prints it" "$(task logs --result "$first" | od -An -c | tr -s ' \n' ' ')" \
    ' o n e \0 \n a n d f i r s t '
is "it is no output" "$(task logs "$first")" said
like "the status names it" "$(task status "$first")" 'a result of 14 bytes'
like "so does the audit" "$(task audit "$first")" 'result'
exits "of a task without one it says so" 1 task logs --result "$none"
like "by name" "$(cat "$TMP/err")" 'none.*left no result'

# ---- to one that runs because another failed

unit facts 'printf facts >"$TASK_RESULT"'
unit handler 'cat "$TASK_INPUTS/facts"; ls "$TASK_INPUTS" | sed "s/^/ has /"' '[Dependencies]' 'Requires=facts.task'
unit breaks 'exit 3' '[Dependencies]' 'OnFailure=handler.task'
breaks=$(task submit "$SPOOL/units/breaks.task")
exits "a task that has a handler fails" 3 timeout 60 task wait "$breaks"
handled() { [ -e "$SPOOL/failed/$breaks+1" ]; }
ok "its run ends" wait_until 60 handled
is "the handler finds what it requires" "$(task logs "$breaks")" "facts has facts"

# ---- what is none

unit large 'head -c 70000 /dev/zero >"$TASK_RESULT"'
large=$(task submit "$SPOOL/units/large.task")
exits "too large a result is a failure" 1 timeout 60 task wait "$large"
like "with name and figure" "$(task status "$large" -o jsonl)" '"reason":"limit".*70000 bytes.*65536'
unit link 'ln -s /etc/passwd "$TASK_RESULT"'
link=$(task submit "$SPOOL/units/link.task")
exits "so is what is no file" 1 timeout 60 task wait "$link"
like "and it says what it is" "$(task status "$link" -o jsonl)" '"reason":"limit".*a symbolic link'
unit bad 'echo x >"$TASK_RESULT"; exit 3'
bad=$(task submit "$SPOOL/units/bad.task")
exits "who fails leaves none" 3 timeout 60 task wait "$bad"
exits "as its log says" 1 task logs --result "$bad"
unit full 'head -c 65536 /dev/urandom >"$TASK_RESULT"; sha256sum <"$TASK_RESULT"'
unit reads 'sha256sum <"$TASK_INPUTS/full"' '[Dependencies]' 'Requires=full.task'
reads=$(task submit "$SPOOL/units/reads.task")
exits "64 KiB pass" 0 timeout 60 task wait "$reads"
is "and are the same" "$(task logs "$reads" | sort -u | wc -l)" 1

# ---- whatever is killed

unit gate 'until [ -e '"$TMP"'/gate/open ]; do sleep 0.01; done' '[Jail]' "BindReadOnlyPaths=$TMP/gate"
unit joins 'cat "$TASK_INPUTS/first" | tr -d "\0"; echo' '[Dependencies]' \
    'Requires=first.task gate.task'
mkdir -m 0755 "$TMP/gate"
has_result() { journal | grep -aE " end $1\.[0-9]+ .* result=" >/dev/null; }
joins=$(task submit "$SPOOL/units/joins.task")
ok "its dependency has ended" wait_until 60 has_result "$joins"
kill_taskd
start_taskd "$SPOOL" --slots=2
stop_taskd # writes a checkpoint
kill -KILL "$(pool_pid "$SPOOL")"
start_taskd "$SPOOL" --slots=2
: >"$TMP/gate/open"
exits "a task whose dependency ended before all was killed ends well" 0 timeout 60 task wait "$joins"
like "with its bytes" "$(task logs "$joins")" 'and first'

# ---- a retry of what hung on it

rm "$TMP/gate/open"
unit fails 'cat "$TASK_INPUTS/first" | tr -d "\0"; echo; [ -e '"$TMP"'/gate/open ]' \
    '[Dependencies]' 'Requires=first.task' '[Jail]' "BindReadOnlyPaths=$TMP/gate"
fails=$(task submit "$SPOOL/units/fails.task")
exits "its dependent fails" 1 timeout 60 task wait "$fails"
: >"$TMP/gate/open"
task retry "$fails" >/dev/null
is_success() { task status "$1" -o jsonl | grep -q '"state":"success"'; }
ok "a retry of it alone succeeds" wait_until 60 is_success "$fails"
is "with the result of before" "$(task logs "$fails" | grep -c 'and first')" 2

# ---- a result that is gone

rm "$TMP/gate/open"
lost=$(task submit "$SPOOL/units/joins.task")
ok "a result lies in the log" wait_until 60 has_result "$lost"
rm "$SPOOL"/log/*
: >"$TMP/gate/open"
exits "without its log its dependent fails" 1 timeout 60 task wait "$lost"
like "and says of what" "$(task status "$lost" -o jsonl)" '"reason":"dependency".*result of first'

stop_taskd
done_testing
