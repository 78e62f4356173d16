#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: what a task drops for subtasks reaches taskd whole, once it is closed, before the end of its
# attempt, and again until it is acknowledged; what is no drop is refused by a sentence; the answers reach
# the task. A script plays taskd's side of the protocol.
# shellcheck disable=SC2016 source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs taskrun task python3

CLIENT=$ROOT/Tests/scenarios/pool/client.py
RUN=01m88gw5xr1c3076pf4v8mtxa3
SPOOL=$TMP/spool
mkdir -m 0700 "$SPOOL"

# The pool becomes the program at its place: a copy, so that this may be any build.
cp "$BIN/taskrun" "$TMP/taskrun"
"$TMP/taskrun" --pool --spool="$SPOOL" --slots=4 </dev/null >/dev/null 2>"$TMP/pool.err" &
POOL=$!
disown "$POOL"
TEST_PIDS+=("$POOL")
wait_until 10 test -S "$SPOOL/run.sock"

talk() { timeout -s KILL 90 python3 "$CLIENT" "$SPOOL" >"$TMP/talk" 2>&1; }
said() { grep -aE "$1" "$TMP/talk" || true; }
count() { grep -acE "$1" "$TMP/talk" || true; }
output() { cat "$SPOOL"/*.log; }
# job K FIELDS SCRIPT: a run message whose program is a shell in its directory. A value has one line.
job() {
    local script
    script=$(printf 'cd "${TASK_SUBMIT:?}" || exit 9; wait_for() { while [ ! -e $1 ]; do sleep 0.01; done; }\n%s\n' \
        "$3" | base64 -w0)
    echo "run $RUN.$1 1 job$1${2:+ $2} command=bash arg=-c arg=eval%20\"\$(echo%20${script//=/%3D}|base64%20-d)\""
}
UNIT='[Command]%0Acommand%3Dtrue%0A'

# ---- while it runs, and the answer

talk <<END
connect
log 00000001-taskd-000001
expect 10 ^slots
$(job 0 '' 'printf "[Command]\ncommand=true\n" >.a; mv .a a.task; wait_for a.task.end; cat a.task.end
stat -c %a:%u . | sed "s/^/mode /"; ls -A | sed "s/^/left /"')
expect 20 what=submit
child $RUN.0 1 a.task.end state=success%20id=x%0A
expect 20 end $RUN.0
END
is "a drop is told while its task runs" "$(said what=submit | cut -d ' ' -f 5-)" \
    "note $RUN.0 a=1 what=submit name=a.task unit=$UNIT"
like "the task ends well" "$(said " end $RUN.0")" "state=success"
like "it read the answer" "$(output)" $'\n''state=success id=x'
like "its directory is its own" "$(output)" $'\n'"mode 700:$(id -u)"
is "nothing but the answer lies in it" "$(output | grep -a '^left')" "left a.task.end"

# ---- what is left when it ends; what is still written

talk <<END
connect
expect 10 ^slots
ack 100
$(job 1 '' 'for i in 1 2 3; do echo "unit $i" >$i.task; done; echo kept >.hidden; echo kept >x~')
expect 20 end $RUN.1
$(job 2 '' 'exec 5>late.task; echo one >&5; echo x >first.task
while [ -e first.task ]; do sleep 0.01; done; echo two >&5; exec 5>&-; wait_for late.task.end')
expect 20 name=late.task
child $RUN.2 1 late.task.end x
expect 20 end $RUN.2
END
is "all that is left is told before the end" \
    "$(said " $RUN.1 " | grep -aoE 'start|name=[123].task|end ' | LC_ALL=C sort | tr '\n' ' ')" \
    "end  name=1.task name=2.task name=3.task start "
like "… which comes last" "$(said " $RUN.1 " | tail -n 1)" " end $RUN.1"
is "hidden names and NAME~ are not" "$(count 'hidden|x~')" 0
like "what is still written is told when it is closed" "$(said name=late.task)" "unit=one%0Atwo%0A"
ok "… after what came later and was whole" \
    python3 -c 'import sys; t = open(sys.argv[1]).read(); sys.exit(t.index("first.task") > t.index("late.task"))' \
    "$TMP/talk"

# ---- refusals

talk <<END
connect
expect 10 ^slots
ack 100
$(job 3 'LimitDisk=64M' 'ln -s /etc/passwd link.task; mkfifo fifo.task; mkdir directory.task; echo x >directory.task/x
truncate -s 10G large.task; head -c 10241 /dev/zero >zeros.task; printf "a\0b" >nul.task
printf "\377" >latin.task; head -c 9000 /dev/zero | tr "\0" "%" >wide.task; echo x >"odd name"
head -c 10240 /dev/zero | tr "\0" x >exact.task
for i in link fifo directory large zeros nul latin wide; do
wait_for $i.task.reason; echo "$i: $(cat $i.task.reason)"; done; wait_for names.reason; cat names.reason; ls -d *~')
expect 20 end $RUN.3
END
for line in 'link: it is a symbolic link' 'fifo: it is a FIFO' 'directory: it is a directory' \
    'large: it has 10737418240 bytes: 10240 at most' 'zeros: it has 10241 bytes' \
    'nul: it is not text' 'latin: it is not text' 'wide: percent-encoded it has 27000 bytes' \
    'odd name: its name may hold'; do
    like "refused: $line" "$(output | tr -d '\000')" $'\n'"$line"
done
like "… set aside with their bytes" "$(output | grep -aE '~$')" "large.task~"
is "each is a note" "$(count 'what=submit.refused')" 9
like "the longest that fits" "$(said name=exact.task)" "unit=x{10240}\$"
is "nothing else was taken" "$(count " $RUN.3 .*what=submit ")" 1

# ---- the tool, outside of a jail: the directory is all that it knows

mkdir "$TMP/place"
printf '[Command]\ncommand=true\n' >"$TMP/one.task"
exits "task submit drops a subtask" 0 env TASK_SUBMIT="$TMP/place" "$BIN/task" submit "$TMP/one.task"
is "… prints its name" "$(cat "$TMP/out")" one.task
is "… whole, and nothing else" "$(cd "$TMP/place" && ls -A && cat one.task)" $'one.task\n[Command]\ncommand=true'
head -c 10241 /dev/zero >"$TMP/large.task"
exits "one that is too large drops nothing" 2 \
    env TASK_SUBMIT="$TMP/place" "$BIN/task" submit "$TMP/large.task"
exits "nor does --wait" 2 env TASK_SUBMIT="$TMP/place" "$BIN/task" submit --wait "$TMP/one.task"

# ---- until it is acknowledged

talk <<END
connect
expect 10 ^slots
ack 100
$(job 4 '' 'echo kept >k.task; wait_for go.end; echo later >l.task')
expect 20 name=k.task
END
talk <<END
connect
expect 10 ^slots
END
is "an unacknowledged drop is told again" "$(count 'event 1 .*name=k.task unit=kept')" 1
kill -s HUP "$POOL"
again() {
    talk <<<$'connect\nexpect 10 ^slots'
    [ "$(count 'event 1 .*name=k.task unit=kept')" = 1 ] && [ "$(count "running $RUN.4")" = 1 ]
}
ok "… by the pool's next self too" wait_until 10 again
talk <<END
connect
expect 10 ^slots
ack 1
child $RUN.4 1 go.end x
child $RUN.99 1 nobody.end x
expect 20 end $RUN.4
END
is "an attempt that outlived it is read on" "$(count ' name=l.task unit=later')" 1
like "… and ends" "$(said " end $RUN.4 ")" "state=success"

# ---- very many

talk <<END
connect
expect 10 ^slots
ack 100
$(job 5 '' 'seq 3000 | while read -r i; do echo "a unit of some bytes, number $i" >n$i.task; done')
expect 20 name=n
expect 5 end $RUN.5
END
like "without acknowledgements not all are taken" "$(count name=n)" '^[1-9][0-9]{2}$'
is "… and the end waits" "$(count " end $RUN.5 ")" 0
talk <<END
connect
acking 60 end $RUN.5
END
is "acknowledged, all come, each once and before the end" \
    "$(said name=n | grep -aoE 'name=n[0-9]+' | LC_ALL=C sort -u | wc -l)" 3000

# ---- cancelled; not asked for

talk <<END
connect
expect 10 ^slots
ack 100000
$(job 6 '' 'trap "" TERM; for i in 1 2 3; do echo x >$i.task; done; wait_for never')
expect 20 name=3.task
kill $RUN.6 1 0
expect 20 end $RUN.6
$(job 7 'Jail=no' 'echo')
expect 20 end $RUN.7
END
like "cancel ends it" "$(said " end $RUN.6 ")" "state=cancelled"
like "without a jail there is none" "$(said " end $RUN.7 ")" "exit=127"
printf '[Args]\nargs=-c "test -z $TASK_SUBMIT"\n[Command]\ncommand=sh\n' >"$TMP/direct.task"
exits "nor where nobody takes them" 0 "$BIN/taskrun" "$TMP/direct.task"
is "the pool said nothing" "$(cat "$TMP/pool.err")" ""
done_testing
