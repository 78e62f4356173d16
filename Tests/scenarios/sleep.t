#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: a task that waits for its subtasks (.wait, task wait) has no slot and no time while it sleeps, and
# goes on when they have ended, whatever becomes of taskd and taskrun meanwhile.
# shellcheck disable=SC2016 source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs task taskd taskrun tasklog

SPOOL=$TMP/spool
export TASK_SPOOL=$SPOOL
journal() { cat "$SPOOL"/journal/*.sealed "$SPOOL"/journal/*.open 2>/dev/null || true; }
mkdir -m 0755 "$TMP/bin" "$TMP/gate"
cp "$BIN/task" "$TMP/bin"
libs=$(ldd "$BIN/task" | sed -nE 's,.*=> (/[^ ]+)/libswiftCore.so.*,\1,p') # of a build that is not static
unit() { # unit NAME SCRIPT [LINE…]
    local name=$1 script
    script=$(printf '%s\n' "$2" | base64 -w0)
    shift 2
    printf '%s\n' "$@" '[Jail]' "BindReadOnlyPaths=$TMP/bin $TMP/gate $libs" '[Environment]' \
        "PATH=$TMP/bin:/usr/bin:/bin" "LD_LIBRARY_PATH=$libs" "SCRIPT=$script" '[Command]' 'command=bash' '[Args]' \
        "args=\"-c 'eval \\\"\$(echo \$SCRIPT | base64 -d)\\\"'\"" >"$TMP/$name.task"
}
gate="until [ -e $TMP/gate/open ]; do sleep 0.02; done"
drop='drop() { printf "%s\n" "[Jail]" "BindReadOnlyPaths='"$TMP/gate"'" "[Command]" "command=sh" "[Args]" "args=\"-c '"'"'$2'"'"'\"" >$TASK_SUBMIT/.new; mv $TASK_SUBMIT/.new $TASK_SUBMIT/$1; }'
is_state() { task status "$1" -o jsonl 2>/dev/null | grep -q "\"state\":\"$2\""; }

start_taskd "$SPOOL" --slots=1

# ---- one slot

unit all "$drop"'
drop a.task "echo ran a"; drop b.task "echo ran b"
task wait; echo "waited $?"; cat $TASK_SUBMIT/a.task.end; ls -A $TASK_SUBMIT | sed "s/^/left /"' \
    '[Service]' 'MaxTime=10s'
all=$(task submit "$TMP/all.task")
exits "on one slot who waits for its subtasks ends" 0 timeout 60 task wait "$all"
task logs "$all" >"$TMP/logs"
like "task wait within it succeeds with them" "$(cat "$TMP/logs")" 'waited 0'
like "it reads how they ended" "$(cat "$TMP/logs")" 'state=success id='
is "nothing but the answers is left" "$(grep '^left' "$TMP/logs" | tr '\n' ' ')" \
    "left a.task.end left b.task.end "
is "its history says so" "$(journal | grep -aE " (start|wait|resume|end) $all\.0 " | awk '{ printf "%s ", $5 }')" \
    "start wait resume end "
like "so does its audit" "$(task audit "$all")" 'waiting'

unit fails "$drop"'
drop a.task "exit 0"; drop b.task "exit 7"
task wait a.task && echo "a 0"; task wait b.task; echo "b $?"; exit 0'
fails=$(task submit "$TMP/fails.task")
exits "of a subtask that fails it fails itself" 1 timeout 60 task wait "$fails"
like "but it was told" "$(task logs "$fails")" 'b [1-9]'
like "of each" "$(task logs "$fails")" 'a 0'

unit never 'task wait nobody.task; echo "status $?"; printf "a b\n" >$TASK_SUBMIT/.new
mv $TASK_SUBMIT/.new $TASK_SUBMIT/.wait; while [ -e $TASK_SUBMIT/.wait ]; do sleep 0.01; done
cat $TASK_SUBMIT/.wait.reason'
never=$(task submit "$TMP/never.task")
exits "who waits for what was never dropped goes on" 0 timeout 60 task wait "$never"
like "with a sentence" "$(task logs "$never")" 'nobody.task is no subtask of this attempt'
like "and a status" "$(task logs "$never")" 'status 125'
like "so does who writes no name" "$(task logs "$never")" 'a b is no name of a drop'

unit nothing 'task wait; echo "nothing $?"'
nothing=$(task submit "$TMP/nothing.task")
exits "who has dropped nothing does not wait" 0 timeout 60 task wait "$nothing"
like "and succeeds" "$(task logs "$nothing")" 'nothing 0'

# ---- the examples

for language in sh py pl c; do
    case $language in py) tool=python3 ;; pl) tool=perl ;; c) tool=cc ;; *) tool="sh" ;; esac
    if ! command -v "$tool" >/dev/null; then
        echo "# without $tool: no example in $language"
        continue
    fi
    example=$(task submit "$ROOT/Examples/subtasks/wait-$language.task")
    exits "the example in $language ends" 0 timeout 60 task wait "$example"
    is "it knows how its subtasks ended" "$(task logs "$example" | grep -c 'part[123].task state=success')" 3
done

# ---- its time stands still, its slot is another's

unit long "$drop"'
for k in 1 2 3; do drop $k.task "sleep 2"; done; task wait; echo "awake $?"' '[Service]' 'MaxTime=5s'
long=$(task submit "$TMP/long.task")
exits "who sleeps longer than its MaxTime ends well" 0 timeout 60 task wait "$long"
is "awake" "$(task logs "$long")" "awake 0"

# ---- kill -9 of taskd, SIGHUP of taskrun, and both connect again

unit held "$drop"'
drop slow.task "'"$gate"'"; task wait; echo "awake $?"'
long=$(task submit "$TMP/held.task")
ok "one sleeps" wait_until 60 is_state "$long" waiting
slow() { journal | grep -acE ' start [^ ]+ .*name=slow'; }
has_slow() { [ "$(slow)" -ge 1 ]; }
ok "its subtask has the only slot" wait_until 60 has_slow
stop_taskd KILL
start_taskd "$SPOOL" --slots=1
pool=$(pool_pid "$SPOOL")
kill -HUP "$pool"
resumed() { tr "\0" " " <"/proc/$pool/cmdline" | grep -q -e --resume=; }
ok "the pool becomes its next self meanwhile" wait_until 10 resumed
stop_taskd KILL
start_taskd "$SPOOL" --slots=1
ok "whatever is killed it sleeps on" is_state "$long" waiting
: >"$TMP/gate/open"
exits "and ends well" 0 timeout 60 task wait "$long"
is "of one attempt" "$(task logs "$long")" "awake 0"
is "and its subtask" "$(slow)" 1
rm "$TMP/gate/open"

# ---- cancel, and the pool's death

long=$(task submit "$TMP/held.task")
ok "another sleeps" wait_until 60 is_state "$long" waiting
task cancel "$long" >/dev/null
exits "a cancel ends it and what it waits for" 130 timeout 60 task wait "$long"
long=$(task submit "$TMP/held.task")
ok "a third sleeps" wait_until 60 is_state "$long" waiting
kill -KILL "$(pool_pid "$SPOOL")"
: >"$TMP/gate/open"
exits "after the death of its pool it is tried again" 0 timeout 60 task wait "$long"

# ---- deep

# A unit that drops itself: its lines travel in its environment.
unit deep '[ "${LEVEL:-0}" -lt '"${DEPTH:-100}"' ] || exit 0
{
    printf "%s\n" "[Environment]" "TAIL=$TAIL" "LEVEL=$((${LEVEL:-0} + 1))"
    echo "$TAIL" | base64 -d
} >$TASK_SUBMIT/.new
mv $TASK_SUBMIT/.new $TASK_SUBMIT/deep.task
task wait'
tail=$(base64 -w0 <"$TMP/deep.task")
sed -i "s,^\\[Environment\\]$,&\nTAIL=$tail," "$TMP/deep.task"
deep=$(task submit "$TMP/deep.task")
exits "a chain of those that wait ends on one slot" 0 timeout 300 task wait "$deep"
is "all of it" "$(journal | grep -acE ' resume [^ ]+ .*name=deep')" "${DEPTH:-100}"

# ---- as deep as descriptors allow

stop_taskd
SPOOL=$TMP/few
export TASK_SPOOL=$SPOOL
TASKD_UNDER=(prlimit --nofile=500:500)
start_taskd "$SPOOL" --slots=1
TASKD_UNDER=()
few=$(task submit "$TMP/deep.task")
exits "a deeper chain than there are descriptors for ends" 1 timeout 120 task wait "$few"
asleep=$(journal | grep -acE ' wait [^ ]+ .*name=deep')
ok "tasks wait while there are some ($asleep)" test "$asleep" -ge 10
like "then one is told why not" "$(grep -ah 'no file descriptors left' "$SPOOL"/log/* || true)" 'LimitNOFILE='
quick=$(task submit "$TMP/nothing.task")
exits "and the next task runs" 0 timeout 60 task wait "$quick"
# shellcheck disable=SC2016
printf '[Jail]\nJail=no\n[Command]\ncommand=sh\n[Args]\nargs="-c '"'ulimit -Sn; ulimit -Hn'"'"\n' >"$TMP/soft.task"
if is_root; then
    soft=$(task submit "$TMP/soft.task")
    exits "a task without a jail" 0 timeout 60 task wait "$soft"
    is "has its hard limit" "$(task logs "$soft" | tr '\n' ' ')" "500 500 "
fi

# ---- names

stop_taskd
SPOOL=$TMP/two
export TASK_SPOOL=$SPOOL
start_taskd "$SPOOL" --slots=2
rm "$TMP/gate/open"
unit file "$drop"'
drop a.task "exit 0"; drop b.task "'"$gate"'"
echo a.task >$TASK_SUBMIT/.new; mv $TASK_SUBMIT/.new $TASK_SUBMIT/.wait
while [ -e $TASK_SUBMIT/.wait ]; do sleep 0.01; done
ls $TASK_SUBMIT/*.end | sed "s,.*/,there ,"'
file=$(task submit "$TMP/file.task")
there() { task logs "$file" 2>/dev/null | grep -q '^there'; }
ok "a file .wait alone does it" wait_until 60 there
is "it waits for those that it names" "$(task logs "$file" | grep there)" "there a.task.end"
: >"$TMP/gate/open"
exits "and ends" 0 timeout 60 task wait "$file"


stop_taskd
done_testing
