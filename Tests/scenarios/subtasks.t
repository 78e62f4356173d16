#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: what a task drops runs as its subtask: the task holds no slot while it waits for them, ends after
# them and fails of them, tries again with those that it had, and takes them along when it is cancelled;
# whatever becomes of taskd. A script plays the pool.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs task taskd tasklog python3

SPOOL=$TMP/spool
export TASK_SPOOL=$SPOOL
mkdir -m 0700 "$SPOOL"
mkfifo "$TMP/commands"
: >"$TMP/pool"
python3 "$ROOT/Tests/scenarios/subtasks/pool.py" "$SPOOL" <"$TMP/commands" >>"$TMP/pool" 2>&1 &
TEST_PIDS+=($!)
exec 7>"$TMP/commands"
wait_until 10 test -S "$SPOOL/run.sock"

commands=0
has_done() { [ "$(grep -c '^done$' "$TMP/pool")" -ge "$1" ]; }
pool() { # pool COMMAND…: returns when it is done; what was said meanwhile: $SAID
    local before
    before=$(wc -l <"$TMP/pool")
    commands=$((commands + 1))
    echo "$*" >&7
    wait_until 60 has_done "$commands" || bail "the stand-in pool does not answer: $*"
    SAID=$(tail -n +$((before + 1)) "$TMP/pool")
    case $SAID in *timeout*) printf '%s\n' "$*" "$SAID" | diag && fail "in time: $*" ;; esac
}
unit() { printf '[Command]\\ncommand=%s\\n' "$1"; } # unit COMMAND: as `drop` takes it
root() { # root NAME [LINE…]: submits a unit of that name, its job has come when it returns
    local name=$1
    shift
    printf '%s\n' "$@" '[Command]' 'command=true' >"$TMP/$name.task"
    task submit "$TMP/$name.task" >"$TMP/id"
    pool job 30 "$name"
}
journal() { cat "$SPOOL"/journal/*.open "$SPOOL"/journal/*.sealed 2>/dev/null || true; }
is_state() { tasklog status "$1" -o jsonl 2>/dev/null | grep -q "\"state\":\"$2\""; }
failed_one() { tasklog status "$1" -o jsonl 2>/dev/null | grep -q '"state":"failure"' && [ -n "$(ls "$SPOOL/failed")" ]; }
held() { [ -n "$(ls "$SPOOL/hold")" ]; }

start_taskd "$SPOOL"
pool serve 2

root one
one=$(cat "$TMP/id")
pool drop one a.task "$(unit true)"
pool job 30 a
pool acked 30
pool end a success exit=0
pool expect 30 "^child $one.0 a=1 a.task.end state%3Dsuccess"
pass "the parent is told of its subtask's end"
pool end one success exit=0
exits "it has succeeded with it" 0 timeout 30 task wait "$one"

root two
two=$(cat "$TMP/id")
pool drop two b.task "$(unit true)"
pool job 30 b
pool end two success exit=0
ok "a task that has ended waits for its subtask" wait_until 30 is_state "$two" waiting
like "the subtask names its parent" "$(tasklog status b -o jsonl)" "\"parent\":\"$two.0\""
pool end b failure reason=exit exit=3
exits "it fails of it" 1 timeout 30 task wait "$two"
like "and says so" "$(tasklog status "$two" -o jsonl)" "b.task, which it dropped, failed"

root three
three=$(cat "$TMP/id")
pool drop three bad.task '[Command]\nkommand=x\n'
pool expect 30 "^child $three.0 a=1 bad.task.reason .*kommand"
pool drop three plan.task 'taskplan 1\n'
pool expect 30 "^child $three.0 a=1 plan.task.reason .*it%20is%20a%20plan"
pool end three success exit=0
exits "a bad drop fails the parent" 1 timeout 30 task wait "$three"

root limited '[Service]' 'LimitMem=64M'
pool drop limited more.task '[Service]\nLimitMem=1G\n[Command]\ncommand=x\n'
pool expect 30 '^child .* more.task.reason .*LimitMem'
pass "a subtask may not have more than its parent"
pool end limited success exit=0

root again '[Service]' 'Restart=2' 'RestartSec=10ms'
again=$(cat "$TMP/id")
pool drop again c.task "$(unit true)"
pool drop again d.task "$(unit true)"
pool job 30 c
pool job 30 d
pool end c success exit=0
pool end d failure reason=exit exit=1
pool end again success exit=0
pool job 30 again
pool drop again c.task "$(unit true)"
pool drop again d.task "$(unit true)"
pool expect 30 "^child $again.0 a=2 c.task.end state%3Dsuccess"
pass "a later attempt has what succeeded"
pool job 30 d
pool end d success exit=0
pool end again success exit=0
exits "and runs again what failed" 0 timeout 30 task wait "$again"
is "each as often as that" "$(journal | grep -ac " start [^ ]* a=1 name=[cd]$")" 3
like "the journal has both" "$(journal | grep -aE ' (adopt|retry) .*parent=')" \
    $' adopt .*name=c.task .*\n.* retry .* g=1 by=parent name=d.task'

root other '[Service]' 'Restart=1' 'RestartSec=10ms'
other=$(cat "$TMP/id")
pool drop other e.task "$(unit true)"
pool job 30 e
pool end e failure reason=exit exit=1
pool end other success exit=0
pool job 30 other
pool drop other e.task "$(unit false)"
pool expect 30 "^child $other.0 a=2 e.task.reason .*other%20content"
pool end other success exit=0
exits "a name stands for one subtask" 1 timeout 30 task wait "$other"

# What a failed subtask left in failed/ is gone, as after a power failure; once it ran with what had failed
# of two alone. It ends once a generation.
root gone '[Service]' 'Restart=3' 'RestartSec=10ms'
gone=$(cat "$TMP/id")
two_of='- name: l\n  command: x\n- name: m\n  command: y\n'
pool drop gone two.yaml "$two_of"
pool job 30 l
kid=$(journal | awk '$5 == "accept" && / name=two.yaml / { print $6 }')
pool end l success exit=0
pool job 30 m
for generation in 1 2; do
    pool end m failure reason=exit exit=1
    ok "its plan is in failed/" wait_until 30 test -e "$SPOOL/failed/$kid+$generation"
    rm "$SPOOL/failed/$kid+$generation"
    pool end gone success exit=0
    pool job 30 gone
    pool drop gone two.yaml "$two_of"
    pool job 30 m
    pass "it runs again, and what had succeeded does not"
done
pool end m success exit=0
pool end gone success exit=0
exits "as its next generation" 0 timeout 30 task wait "$gone"
is "each has one end" "$(journal | awk -v kid="$kid" '$5 == "end" && $6 == kid' | grep -aoE ' (state|g)=[a-z0-9]+' | tr -d '\n')" \
    ' state=failure state=failure g=1 state=success g=2'

# Once refused for other bytes it is still what it was.
root back '[Service]' 'Restart=2' 'RestartSec=10ms'
back=$(cat "$TMP/id")
pool drop back p.task "$(unit true)"
pool job 30 p
pool end p failure reason=exit exit=1
pool end back success exit=0
pool job 30 back
pool drop back p.task "$(unit false)"
pool expect 30 "^child $back.0 a=2 p.task.reason .*other%20content"
pool end back success exit=0
pool job 30 back
pool drop back p.task "$(unit true)"
pool job 30 p
pool end p success exit=0
pool end back success exit=0
exits "with the bytes of before it runs again" 0 timeout 30 task wait "$back"
is "and was accepted once" "$(journal | grep -ac ' accept .*name=p.task')" 1
is "to run as its next generation" "$(journal | grep -ac ' retry .* g=1 by=parent name=p.task')" 1

# While its parent lives its owner has a failed subtask run again; then the parent drops it, too.
root hand '[Service]' 'Restart=1' 'RestartSec=10ms'
hand=$(cat "$TMP/id")
pool drop hand h.task "$(unit true)"
pool job 30 h
pool end h failure reason=exit exit=1
ok "a failed subtask is at rest" wait_until 30 failed_one h
pool end hand success exit=0
pool job 30 hand
task retry h
pool job 30 h
pool drop hand h.task "$(unit true)"
pool acked 30
pass "what its owner retried is taken for the parent's own"
pool end hand success exit=0
ok "which waits for it" wait_until 30 is_state "$hand" waiting
pool end h success exit=0
exits "and ends with it" 0 timeout 30 task wait "$hand"
is "it ran once a generation" "$(journal | grep -ac " start [^ ]* a=1 name=h$")" 2
like "the journal has the adoption" "$(journal | grep -aE ' adopt .*name=h.task')" ' g=1 .*parent='
like "and the retry names the parent" "$(journal | grep -aE ' retry .*name=h.task')" " g=1 by=$(id -u) .*parent=$hand"

# It may have ended well before the parent is tried again.
root early '[Service]' 'Restart=1' 'RestartSec=10ms'
early=$(cat "$TMP/id")
pool drop early l.task "$(unit true)"
pool drop early m.task "$(unit true)"
pool job 30 l
pool job 30 m
pool end l failure reason=exit exit=1
ok "one of two failed" wait_until 30 failed_one l
pool end early success exit=0
ok "the other is waited for" wait_until 30 is_state "$early" waiting
exits "the one is retried" 0 task retry l
is "of which there is nothing to say" "$(cat "$TMP/err")" ""
pool job 30 l
pool end m success exit=0
ok "now it is waited for" is_state "$early" waiting
stop_taskd KILL
pool close
start_taskd "$SPOOL"
pool serve 2
ok "also after kill -9" wait_until 30 is_state "$early" waiting
pool end l success exit=0
exits "its parent succeeds with it, at the first attempt" 0 timeout 30 task wait "$early"
is "without another" "$(journal | grep -ac " start $early.0 ")" 1

# When its parent has ended it runs by itself.
root late
late=$(cat "$TMP/id")
pool drop late n.task "$(unit true)"
pool job 30 n
pool end n failure reason=exit exit=1
pool end late success exit=0
exits "a parent fails" 1 timeout 30 task wait "$late"
exits "its subtask is retried" 0 task retry n
like "it says what becomes of the parent" "$(cat "$TMP/err")" \
    "is a subtask of late .*, which has ended, failure: it runs by itself.*task retry $late"
pool job 30 n
stop_taskd KILL
pool close
start_taskd "$SPOOL"
pool serve 2
pool end n success exit=0
ok "it succeeds, whatever becomes of taskd" wait_until 30 is_state n success
ok "and its parent is as before" is_state "$late" failure
rm "$SPOOL/failed/$late+1"

# It may have ended again before the parent ends.
root fast '[Service]' 'Restart=1' 'RestartSec=10ms'
fast=$(cat "$TMP/id")
pool drop fast q.task "$(unit true)"
pool job 30 q
pool end q failure reason=exit exit=1
ok "a failed subtask is at rest again" wait_until 30 failed_one q
task retry q
pool job 30 q
pool end q success exit=0
ok "its owner's retry has succeeded" wait_until 30 is_state q success
stop_taskd KILL
pool close
start_taskd "$SPOOL"
pool serve 2
pool expect 30 "^child $fast.0 a=1 q.task.end state%3Dsuccess"
pass "a success by its owner's hand is the parent's, also after a restart"
pool end fast success exit=0
exits "which succeeds with it" 0 timeout 30 task wait "$fast"
is "at its first attempt" "$(journal | grep -ac " start $fast.0 ")" 1
is "q ran once a generation" "$(journal | grep -ac " start [^ ]* a=1 name=q$")" 2

root five
five=$(cat "$TMP/id")
pool drop five f.task "$(unit true)"
pool drop five g.task "$(unit true)"
pool job 30 f
pool job 30 g
stop_taskd KILL
pool close
pool end f success exit=0
pool end five success exit=0
start_taskd "$SPOOL"
pool serve 2
pool acked 30
ok "after kill -9 it waits for those that are left" wait_until 30 is_state "$five" waiting
stop_taskd KILL
pool close
start_taskd "$SPOOL"
pool serve 2
ok "and after another" wait_until 30 is_state "$five" waiting
pool end g success exit=0
exits "its last subtask ends it" 0 timeout 30 task wait "$five"
is "each ended once" "$(journal | grep -acE ' end [^ .]+ .*name=[fg] parent=')" 2

# An accept on record, and the plan not yet in its place: as a crash between the two leaves it.
root six
six=$(cat "$TMP/id")
pool drop six h.task "$(unit true)"
pool job 30 h
task hold h
pool expect 30 '^kill '
pool end h cancelled
wait_until 30 held
pool acked 30
stop_taskd KILL
pool close
file=$(ls "$SPOOL/hold")
mv "$SPOOL/hold/$file" "$SPOOL/tmp/${file%%:*}"
start_taskd "$SPOOL"
pool serve 2
pool job 30 h
pool end h success exit=0
pool end six success exit=0
exits "a subtask that was on its way goes on" 0 timeout 30 task wait "$six"

root seven
seven=$(cat "$TMP/id")
pool drop seven i.task "$(unit true)"
pool job 30 i
task cancel "$seven"
pool expect 30 "^kill $seven.0 "
pool expect 30 '^kill '
pool end seven cancelled
pool acked 30
pool end i cancelled
ok "a cancel takes the subtasks along" wait_until 30 is_state "$seven" cancelled
exits "and ends behind them" 130 timeout 30 task wait "$seven"
like "its end is the last" "$(journal | grep -aE " end ($seven|[^ .]*) .*(name=seven|name=i parent=$seven)")" \
    $'name=i parent=.*\n.* end '"$seven .*name=seven"

# Its plan is removed while no taskd lives.
root down
down=$(cat "$TMP/id")
pool drop down r.task "$(unit true)"
pool job 30 r
pool acked 30
stop_taskd KILL
pool close
rm "$SPOOL/active/$down"
start_taskd "$SPOOL"
pool serve 2
pool expect 30 "^kill $down.0 "
pool expect 30 '^kill '
pool end down cancelled
pool acked 30
ok "a parent that was removed meanwhile waits for its subtasks" wait_until 30 is_state "$down" waiting
pool end r cancelled
exits "and ends behind them" 130 timeout 30 task wait "$down"
like "its end is the last" "$(journal | grep -aE " end ($down|[^ .]*) .*(name=down|name=r parent=$down)")" \
    $'name=r parent=.*\n.* end '"$down .*name=down"

root eight
eight=$(cat "$TMP/id")
pool drop eight j.task "$(unit true)"
pool job 30 j
pool end j failure reason=exit exit=4
pool expect 30 "^child $eight.0 a=1 j.task.end state%3Dfailure"
pool close
pool serve 2
pool expect 30 "^child $eight.0 a=1 j.task.end state%3Dfailure%20reason%3Dexit"
pass "a new connection tells it again"
pool end eight success exit=0
exits "and it counts once" 1 timeout 30 task wait "$eight"

root nine
nine=$(cat "$TMP/id")
pool drop nine k.task "$(unit true)"
pool job 30 k
pool acked 30
pool die
pool serve 2
pool job 30 nine
pool job 30 k
pool drop nine k.task "$(unit true)"
pool acked 30
pool end nine success exit=0
pool end k success exit=0
exits "when the pool dies all are lost, and the parent has its subtask again" 0 \
    timeout 30 task wait "$nine"
is "which was accepted once" "$(journal | grep -ac ' accept .*name=k.task')" 1

stop_taskd
ok "nothing is left to do" task fsck
is "no run is left" "$(find "$SPOOL/ready" "$SPOOL/active" "$SPOOL/deferred" "$SPOOL/hold" -type f)" ""
done_testing
