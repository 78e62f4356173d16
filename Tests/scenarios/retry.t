#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: `task retry RUN.K` runs one failed task, with --downstream what waits for it too; what was not asked for
# comes back to failed/ as it was and can be retried then, whatever becomes of taskd.
# shellcheck disable=SC2016 source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs task taskd taskrun tasklog

SPOOL=$TMP/spool
export TASK_SPOOL=$SPOOL
mkdir -m 0755 "$TMP/gate"
unit() { # unit NAME [REQUIRES…]: succeeds once gate/NAME is there
    local name=$1
    shift
    printf '%s\n' '[Dependencies]' ${1:+"Requires=$*"} '[Jail]' "BindReadOnlyPaths=$TMP/gate" \
        '[Command]' 'command=sh' '[Args]' \
        "args=\"-c '[ -e $TMP/gate/$name ] || exit 7; echo $name ran'\"" >"$SPOOL/units/$name.task"
}
journal() { cat "$SPOOL"/journal/*.sealed "$SPOOL"/journal/*.open 2>/dev/null || true; }
ended() { [ "$(journal | grep -acE " end $1 ")" -eq "$2" ]; } # ended RUN TIMES
failed() { [ -e "$SPOOL/failed/$1+$2" ]; }                      # failed RUN GENERATION
# The states by name, as in `a=success b=failure`.
states() { task query -o plain "select name || '=' || state from tasks where run = '$1' order by name" | paste -sd' '; }
starts() { # how often each has started, as in `a2 b1`
    journal | grep -aE " start $1\.[0-9.]+ " | grep -oE 'name=[^ ]+' | sort | uniq -c | awk '{ sub("name=", "", $2); printf "%s%s%s", s, $2, $1; s = " " }'
}

start_taskd "$SPOOL"

# a and b fail; mid hangs on a, top on mid and c; all on b, too.
unit a
unit b
unit c
unit mid a
unit top mid c
unit all top b
touch "$TMP/gate/c"
run=$(task submit "$SPOOL/units/all.task")
exits "a run fails" 1 timeout 60 task wait "$run"
ok "it is at rest" wait_until 20 failed "$run" 1
is "two have failed, and what hung on them" "$(states "$run")" \
    "a=failure all=failure b=failure c=success mid=failure top=failure"
k() { task query -o plain "select k from tasks where run = '$run' and name = '$1'" | tail -n 1; }
A=$(k a) MID=$(k mid) C=$(k c) B=$(k b)

exits "one that succeeded is not retried" 3 task retry "$run.$C"
like "it says so" "$(cat "$TMP/err")" "unable to retry $run.$C: it is none of the tasks that did not succeed, nothing was moved"
exits "nor one that a failed one must precede" 1 task retry "$run.$MID"
like "it names that, and what to type" "$(cat "$TMP/err")" \
    "unable to retry $run.$MID: mid requires a, which failed.*task retry $run.$A --downstream"
ok "nothing was moved" failed "$run" 1

# ---- one task alone

touch "$TMP/gate/a"
exits "one task is retried" 0 task retry "$run.$A"
ok "the run comes back" wait_until 30 failed "$run" 2
is "that ran and no other" "$(starts "$run")" "a2 b1 c1"
is "the others stand as before" "$(states "$run")" \
    "a=success all=failure b=failure c=success mid=failure top=failure"
like "with why they failed" "$(task query -o plain "select reason, exit from tasks where run = '$run' and name = 'b'" | tail -n 1)" 'exit.*7'
exits "the run has failed" 1 timeout 20 task wait "$run"
like "the journal says which were not asked for" "$(journal | grep -aE " end $run\.$B .*g=1")" 'state=failure reason=dependency rest=yes'
is "no plan on disk has that" "$(grep -c 'rest=yes' "$SPOOL/failed/$run+2")" 0

# ---- with what waits for it

touch "$TMP/gate/mid"
exits "a task with its dependents" 0 task retry --downstream "$run.$MID"
ok "the run comes back again" wait_until 30 failed "$run" 3
is "they ran as far as they could" "$(starts "$run")" "a2 b1 c1 mid1 top1"
is "and stand so" "$(states "$run")" \
    "a=success all=failure b=failure c=success mid=success top=failure"
like "what another failure stops says so" \
    "$(task query -o plain "select message from tasks where run = '$run' and name = 'all'" | tail -n 1)" \
    '(top|b), which it requires, failed'

# ---- taskd is killed between

touch "$TMP/gate/b"
slow=$(task submit "$SPOOL/units/all.task")
exits "another run fails" 1 timeout 60 task wait "$slow"
ok "and rests" wait_until 20 failed "$slow" 1
exits "its top is retried alone" 0 task retry "$slow.$(run=$slow k top)"
kill -KILL "$TASKD"
wait_until 15 gone "$TASKD"
start_taskd "$SPOOL"
ok "after kill -9 it comes back all the same" wait_until 30 failed "$slow" 2
is "and ran what was asked for" "$(starts "$slow")" "a1 b1 c1 mid1 top2"

# ---- all of it

touch "$TMP/gate/top" "$TMP/gate/all"
exits "the whole run" 0 task retry "$slow"
exits "ends well" 0 timeout 60 task wait "$slow"
is "nothing ran for nothing" "$(starts "$slow")" "a1 all1 b1 c1 mid1 top3"
is "nothing is at rest" "$(ls "$SPOOL/failed")" "$run+3"
mv "$SPOOL/failed/$run+3" "$SPOOL/ready/"
ok "mv of what was retried in part runs all of it" wait_until 60 ended "$run" 4

# ---- an array, and a unit's [Then]

printf '%s\n' '[Jail]' "BindReadOnlyPaths=$TMP/gate" '[Array]' 'Count=3' '[Command]' 'command=sh' '[Args]' \
    "args=\"-c '[ %i = 1 ] && exec test -e $TMP/gate/item; exit 0'\"" >"$SPOOL/units/many.task"
unit other
unit after many other
both=$(task submit "$SPOOL/units/after.task")
exits "an array and a task fail" 1 timeout 60 task wait "$both"
ok "they rest" wait_until 20 failed "$both" 1
touch "$TMP/gate/item" "$TMP/gate/other"
exits "the task alone" 0 task retry "$both.$(run=$both k other)"
ok "comes back" wait_until 30 failed "$both" 2
is "without the array" "$(starts "$both" | tr ' ' '\n' | grep -c many4)" 0
exits "the array with what waits for it" 0 task retry --downstream "$both.$(run=$both k many)"
ok "runs to the end of the run" wait_until 60 ended "$both" 3
like "which fails of what is not there" "$(starts "$both")" 'after1 many4 other2'

printf '%s\n' '[Jail]' "BindReadOnlyPaths=$TMP/gate" '[Command]' "command=test" '[Args]' "args=-e $TMP/gate/unit" \
    '[Then]' 'command=true' >"$SPOOL/units/unit.task"
printf '%s\n' '[Command]' 'command=false' >"$SPOOL/units/no.task"
printf '%s\n' '[Dependencies]' 'Requires=unit no' >"$SPOOL/units/group.task"
group=$(task submit "$SPOOL/units/group.task")
exits "a unit with [Then] fails" 1 timeout 60 task wait "$group"
ok "and rests" wait_until 20 failed "$group" 1
touch "$TMP/gate/unit"
exits "it is retried" 0 task retry "$group.$(run=$group k unit)"
ok "it comes back" wait_until 30 failed "$group" 2
like "and its [Then] ran with it" "$(states "$group")" 'unit=success unit.then=success'

stop_taskd
ok "nothing is left to do" task fsck
done_testing
