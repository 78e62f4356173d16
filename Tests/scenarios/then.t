#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: [Then] runs once, after a task and all that it dropped have succeeded, and sees its result; who
# depends on the unit comes after it, and whatever is killed or tried again it ends once.
# shellcheck disable=SC2016 source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs task taskd taskrun taskdep tasklog

SPOOL=$TMP/spool
export TASK_SPOOL=$SPOOL
mkdir -m 0755 "$TMP/gate"
journal() { cat "$SPOOL"/journal/*.sealed "$SPOOL"/journal/*.open 2>/dev/null || true; }
starts() { journal | grep -acE " start $1 "; } # starts ID
# ends ID: of its task, how often
ends() { journal | grep -aE " end $1 " | grep -ac ' final=yes'; }
is_state() { task status "$1" -o jsonl 2>/dev/null | grep -q "\"state\":\"$2\""; }
has_started() { [ "$(starts "$1")" -ge 1 ]; }
# unit NAME SCRIPT THEN [LINE…]: into units/
unit() {
    local name=$1 script sequel
    script=$(printf '%s\n' "$2" | base64 -w0)
    sequel=$(printf '%s\n' "$3" | base64 -w0)
    shift 3
    printf '%s\n' "$@" '[Jail]' "BindReadOnlyPaths=$TMP/gate" '[Environment]' "SCRIPT=$script" \
        "THEN=$sequel" '[Command]' 'command=bash' '[Args]' \
        "args=\"-c 'eval \\\"\$(echo \$SCRIPT | base64 -d)\\\"'\"" '[Then]' 'command=bash' \
        "args=\"-c 'eval \\\"\$(echo \$THEN | base64 -d)\\\"'\"" >"$SPOOL/units/$name.task"
}
# What a script that drops begins with: drop FILE SCRIPT.
drop='drop() { printf "%s\n" "[Jail]" "BindReadOnlyPaths='"$TMP/gate"'" "[Command]" "command=sh" "[Args]" "args=\"-c '"'"'$2'"'"'\"" >$TASK_SUBMIT/.new; mv $TASK_SUBMIT/.new $TASK_SUBMIT/$1; }'
gate() { echo "until [ -e $TMP/gate/$1 ]; do sleep 0.02; done"; }

start_taskd "$SPOOL" --slots=2

# ---- after all

unit tree "$drop"'
for k in 1 2 3; do drop part$k.task "sleep 0.$k; echo part $k"; done
echo a result >$TASK_RESULT' 'echo "then $TASK_NAME"; cat $TASK_INPUTS/tree; echo the last >$TASK_RESULT'
printf '%s\n' '[Dependencies]' 'Requires=tree' '[Command]' 'command=echo' >"$SPOOL/units/next.task"
next=$(task submit "$SPOOL/units/next.task")
exits "a unit that requires one with [Then] ends well" 0 timeout 60 task wait "$next"
order=$(journal | grep -aE ' (start|end) ' | awk '
    match($0, / name=[^ ]+/) { name = substr($0, RSTART + 6, RLENGTH - 6) }
    $5 == "start" { names[$6] = name; printf "%s ", name }
    $5 == "end" && / final=yes/ && $6 in names { printf "/%s ", names[$6] }')
like "its [Then] starts after all that was dropped" "$order" \
    '^tree part. .*/part. .*/part. .*/part. .*tree.then /tree.then next /next $'
logs=$(task logs "$next")
like "it sees the result" "$logs" $'then tree.then\n.*a result'
is "each has run once" "$(starts '[^ ]+')" 6

one=$(task submit "$SPOOL/units/tree.task")
exits "it is over with its [Then]" 0 timeout 60 task wait "$one"
is "whose result is the unit's" "$(task logs --result "$one")" "the last"
status=$(task status "$one")
like "the status is called as the unit is" "$status" '^.* tree success'
like "and names both" "$status" $'tree +success.*\n +tree.then +success'
is "the list has it by its name" "$(task list tree -o plain | wc -l)" 1
is "the graph shows the edge" "$(taskdep graph "$SPOOL/units/tree.task" | tr -s ' \n' ' ')" \
    "tree tree.then after success of tree "

# ---- failures

unit fails "$drop"'
drop good.task "exit 0"; drop bad.task "exit 7"' 'echo never'
fails=$(task submit "$SPOOL/units/fails.task")
exits "a subtask that fails fails the unit" 1 timeout 60 task wait "$fails"
is "its [Then] does not start" "$(starts "$fails.1")" 0
like "and the journal says why" "$(journal | grep -aE " end $fails\.1 ")" \
    'state=failure reason=dependency what=fails,%20which%20it%20requires,%20failed'
why=$(task explain "$fails")
like "so does task explain, of both" "$why" \
    $'fails: dependency: bad.task, which it dropped, failed\nfails.then: dependency: fails, '
task retry "$fails" >/dev/null
again() { [ "$(journal | grep -acE " end $fails ")" -eq 2 ]; }
ok "an operator's retry runs the unit again" wait_until 60 again
is "and no [Then]" "$(starts "$fails.1")" 0

unit three 'exit 3' 'echo never' '[Dependencies]' 'OnFailure=alarm'
unit alarm 'echo alarm' 'echo after the alarm'
three=$(task submit "$SPOOL/units/three.task")
exits "the status is the unit's own" 3 timeout 60 task wait "$three"
is "and its reason" "$(task list three -o jsonl | grep -oE '"(reason|exit)":[^,}]*' | tr '\n' ' ')" \
    '"reason":"exit" "exit":3 '
like "OnFailure= and its [Then] follow" "$(task logs "$three")" $'alarm\n.*after the alarm'
unit fine true 'exit 0' '[Dependencies]' 'OnFailure=alarm'
fine=$(task submit "$SPOOL/units/fine.task")
exits "where nothing fails" 0 timeout 60 task wait "$fine"
is "neither does" "$(task logs "$fine")" ""

unit late "echo result >\$TASK_RESULT; $drop; drop kid.task true" "cat \$TASK_INPUTS/late; [ -e $TMP/gate/late ]"
late=$(task submit "$SPOOL/units/late.task")
exits "a [Then] that fails fails the unit" 1 timeout 60 task wait "$late"
: >"$TMP/gate/late"
task retry late >/dev/null
ok "a retry by the unit's name succeeds" wait_until 60 is_state "$late" success
is "it runs the [Then] alone" "$(starts "$late.0") $(starts "$late.1") $(journal | grep -ac ' accept .*name=kid.task')" "1 2 1"
is "with the result of before" "$(task logs "$late" | grep -c result)" 2

unit twice "$drop"'
drop kid.task true; [ $TASK_ATTEMPT = 2 ]' 'echo then' '[Service]' 'Restart=1' 'RestartSec=10ms'
twice=$(task submit "$SPOOL/units/twice.task")
exits "a unit that is tried again ends well" 0 timeout 60 task wait "$twice"
is "its [Then] came after the second attempt" \
    "$(journal | grep -aE " (start|retry) $twice\.[01] " | awk '{ printf "%s %s ", $5, substr($6, 28) }')" \
    "start 0 retry 0 start 0 start 1 "

# ---- what an id of a stream, and of a run's task, is waited for

stream() { # stream UNIT…: their texts, divided
    local name first=yes
    for name; do
        [ -n "$first" ] || echo ---
        cat "$SPOOL/units/$name.task"
        first=
    done
}
unit slow true "$(gate slow); exit 4"
unit good true 'exit 0'
unit exit3 'exit 3' 'echo never'
mapfile -t ids < <(stream slow exit3 good | task submit --name=stream.task -)
is "a stream has an id a unit, its [Then]'s" "${#ids[@]} ${ids[*]//*./}" "3 1 3 5"
timeout 60 task wait "${ids[0]}" >"$TMP/slow.out" 2>&1 &
client=$!
TEST_PIDS+=("$client")
ok "its [Then] runs" wait_until 60 has_started "${ids[0]}"
ok "and is waited for" kill -0 "$client"
: >"$TMP/gate/slow"
status=0
wait "$client" || status=$?
is "its status is that of the [Then]" "$status" 4
exits "a unit that failed before: its own status" 3 timeout 60 task wait "${ids[1]}"
exits "both ended well" 0 timeout 60 task wait "${ids[2]}"
exits "as JSON" 4 timeout 60 task wait -o jsonl "${ids[@]}"
is "a row is the task's own" "$(grep -oE '"(name|state|reason|exit|status)":[^,}]*' "$TMP/out" | tr '\n' ' ')" \
    '"name":"stream-1.then" "state":"failure" "reason":"exit" "exit":4 "status":4 "name":"stream-2" "state":"failure" "reason":"exit" "exit":3 "status":3 "name":"stream-3.then" "state":"success" "exit":0 "status":0 '
exits "the [Then] of a single unit's run" 3 timeout 60 task wait "$three.1"
exits "and by its name" 3 timeout 60 task wait three.then

# ---- written out in a pipeline

cat >"$TMP/line.yaml" <<'END'
- name: made
  command: sh
  args: [-c, echo made >$TASK_RESULT]
  Then:
    command: sh -c
    args: ['read it <$TASK_INPUTS/made && echo then $it']
- {name: behind, command: echo behind}
END
sed 's/echo then/exit 6 #/' "$TMP/line.yaml" >"$TMP/bad.yaml"
written=$(task submit "$TMP/line.yaml")
exits "a member's Then: ends well" 0 timeout 60 task wait "$written"
is "it comes behind the member, and what follows behind it" \
    "$(journal | grep -aE " start $written\." | grep -oE 'name=[^ ]+' | tr '\n' ' ')" 'name=made name=made.then name=behind '
like "it has the member's result" "$(task logs "$written")" 'then made'
bad=$(task submit "$TMP/bad.yaml")
exits "one that fails fails the pipeline" 1 timeout 60 task wait "$bad"
is "what follows does not start" "$(starts "$bad.2")" 0

# ---- a subtask with one of its own

unit nested "printf '%s\\n' '[Command]' 'command=sh' '[Args]' \"args='-c \\\"sleep 0.2; echo inner\\\"'\" '[Then]' 'command=echo inner then' >\$TASK_SUBMIT/.k
mv \$TASK_SUBMIT/.k \$TASK_SUBMIT/kid.task" 'echo outer then'
nested=$(task submit "$SPOOL/units/nested.task")
exits "a subtask with a [Then] ends well" 0 timeout 60 task wait "$nested"
is "the outer one is the last" "$(journal | grep -aE ' start .* name=(nested|kid)' |
    awk '{ sub(/.* name=/, ""); print $1 }' | tail -n 4 | tr '\n' ' ')" "nested kid kid.then nested.then "

# ---- the example, an array, a script

example=$(task submit "$ROOT/Examples/subtasks/then-sh.task")
exits "the example ends well" 0 timeout 60 task wait "$example"
like "as it says" "$(task logs "$example")" 'all 3 parts are there$'

printf '%s\n' '[Array]' 'Items=a b c' '[Environment]' 'OF=%i' '[Command]' 'command=echo' '[Args]' \
    'args=item %i' '[Then]' 'command=sh' "args=\"-c 'echo all of it \$OF\$TASK_ITEM.'\"" >"$TMP/array.task"
array=$(task submit "$TMP/array.task")
exits "an array with a [Then] ends well" 0 timeout 60 task wait "$array"
is "it runs once behind all items" "$(task logs "$array" | grep -c 'item [abc]$') $(task logs "$array" | tail -n 1)" \
    "3 all of it ."
printf '%s\n' '#!/bin/sh' '#TASK [Then]' '#TASK command=./self.sh' '#TASK args=the end' 'echo "says ${*:-hello}"' \
    >"$TMP/self.sh"
mv "$TMP/self.sh" "$SPOOL/incoming/self.sh"
is_twice() { [ "$(task logs self.sh 2>/dev/null | wc -l)" -eq 2 ]; }
ok "a script that was dropped calls itself" wait_until 60 is_twice
is "as its [Then]" "$(task logs self.sh | tail -n 1)" "says the end"

# ---- what is killed

stop_taskd
SPOOL=$TMP/one
export TASK_SPOOL=$SPOOL
start_taskd "$SPOOL" --slots=1
unit held "$drop"'
drop kid.task "'"$(gate kid)"'"; echo kept >$TASK_RESULT' \
    "cat \$TASK_INPUTS/held; echo \$TASK_ATTEMPT >\$TASK_RESULT; $(gate last)"
unit busy "$(gate busy)" true '[Service]' 'Priority=5'
held=$(task submit "$SPOOL/units/held.task")
kid_runs() { journal | grep -aqE ' start .* name=kid( |$)'; }
ok "a subtask runs" wait_until 60 kid_runs
like "the unit waits for it" "$(task explain "$held")" 'held'
busy=$(task submit "$SPOOL/units/busy.task")
stop_taskd KILL
: >"$TMP/gate/kid"
start_taskd "$SPOOL" --slots=1
ok "killed and started again taskd has its end" wait_until 60 has_started "$busy.0"
is "and the unit's" "$(ends "$held.0")" 1
is "the slot is another's" "$(starts "$held.1")" 0
stop_taskd KILL
start_taskd "$SPOOL" --slots=1
like "killed between the two it knows what is left" "$(task status "$held")" $'held +success.*\n +held.then +[a-z]+'
is "which still waits" "$(starts "$held.1")" 0
: >"$TMP/gate/busy"
ok "the [Then] starts" wait_until 60 has_started "$held.1"
kill -KILL "$(pool_pid "$SPOOL")"
second() { [ "$(starts "$held.1")" -eq 2 ]; }
ok "killed with the pool it starts again" wait_until 60 second
stop_taskd KILL
: >"$TMP/gate/last"
start_taskd "$SPOOL" --slots=1
exits "and ends well" 0 timeout 60 task wait "$held"
is "once, as the unit did" "$(ends "$held.0") $(ends "$held.1") $(journal | grep -acE " end $held ")" "1 1 1"
is "with one result, of the last attempt" "$(task logs --result "$held")" 2
like "and what the unit left" "$(task logs "$held")" kept

rm "$TMP/gate/"*
cancel=$(task submit "$SPOOL/units/held.task")
wait_until 60 has_started "$cancel.0"
ok "it is cancelled by the unit's name" task cancel held
exits "both are" 130 timeout 60 task wait "$cancel"
is "the [Then] unstarted" "$(starts "$cancel.1")" 0
stop_taskd
ok "nothing is left to do" task fsck
is "no run is left" "$(find "$SPOOL/ready" "$SPOOL/active" "$SPOOL/deferred" -type f)" ""

# ---- without a daemon

printf '%s\n' '[Command]' 'command=echo first' '[Then]' 'command=echo then' >"$TMP/plain.task"
printf '%s\n' '[Command]' 'command=sh' '[Args]' "args=-c 'exit 3'" '[Then]' 'command=echo then' >"$TMP/fail.task"
export TASK_SPOOL=$TMP/none
is "task run without a taskd runs both" "$(task run "$TMP/plain.task" 2>/dev/null | tr '\n' ' ')" \
    "first then "
exits "its status is the unit's" 3 task run "$TMP/fail.task"
like "with both names" "$(cat "$TMP/err")" $'fail: failure .exit 3.\n.*fail.then: failure .dependency.'
exits "and taskrun's" 3 taskrun "$TMP/fail.task"
exits "a plan of its jail shows the unit" 0 taskrun --plan "$TMP/fail.task"
sed -i "s/exit 3/exit 0/; s/echo then/sh -c 'exit 4'/" "$TMP/fail.task"
exits "where its [Then] fails taskrun returns that" 4 taskrun "$TMP/fail.task"
exits "and task run" 4 task run "$TMP/fail.task"
taskdep plan "$TMP/plain.task" | taskrun - >"$TMP/events"
is "a plan by pipe runs both" "$(grep -aE ' start ' "$TMP/events" | grep -oE 'name=.*' | tr '\n' ' ')" \
    "name=plain name=plain.then "
done_testing
