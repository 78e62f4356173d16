#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: rows 8, 9, 10, 11, 17 and 48 of task-faults(7): descriptors, processes, events and watches that run out, processes that would
# outlive their task, output without end.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs task taskd taskrun tasklog python3 cc prlimit
# shellcheck source=Tests/scenarios/faults/common.sh
. "$ROOT/Tests/scenarios/faults/common.sh"
unit quick true
printf '[Command]\ncommand="true"\n' >"$TMP/jailed.task"

# ---- descriptors

fresh 8
start_taskd "$SPOOL"
unit held "sleep 1000"
submit "$TMP/quick.task" >/dev/null
ok "FAULT 8: work is done" wait_until 20 at_rest
pool=$(pool_pid "$SPOOL")
held=$(submit "$TMP/held.task")
ok "FAULT 8: a task runs" wait_until 20 has_event " start $held.0"
used() { # the lowest number that is free: with it as limit not one more can be had
    local n=0
    while [ -e "/proc/$1/fd/$n" ]; do n=$((n + 1)); done
    echo "$n"
}
prlimit --pid "$TASKD" --nofile="$(used "$TASKD"):" # not one more
for i in 1 2 3 4 5; do drop "$TMP/quick.task" "few$i.task"; done
ok "FAULT 8: taskd without a descriptor lives, and says so" wait_until 10 said 'Too many open files'
mv "$SPOOL/active/$held" "$SPOOL/hold/$held" # seen by an event; where it is cannot be looked up now
ok "FAULT 8: it waits without turning in circles" idles
is "FAULT 8: what it can't see is not removed" "$(events | grep -c " cancel $held" || true)" 0
ok "FAULT 8: it says it in few lines" test "$(wc -l <"$TMP/taskd.err")" -le 20
prlimit --pid "$TASKD" --nofile=1024:
for i in 1 2 3 4 5; do ok "FAULT 8: with descriptors drop $i runs" wait_until 20 succeeded "few$i"; done
ok "FAULT 8: and the move is obeyed" wait_until 20 has_event " hold $held"
stop_taskd KILL
prlimit --pid "$pool" --nofile="$(used "$pool"):"
start_taskd "$SPOOL"
drop "$TMP/quick.task" late.task
ok "FAULT 8: a pool without a descriptor for its taskd does not turn in circles" idles "$pool"
ok "FAULT 8: it lives" kill -0 "$pool"
prlimit --pid "$pool" --nofile=1024:
ok "FAULT 8: with descriptors it serves" wait_until 20 succeeded late
task cancel "$held" >/dev/null
holds 8
stop_taskd

# ---- processes

fresh 9 "$TMP/user" # of an ordinary user: root has no such limit
RUN_AS=user start_taskd "$SPOOL"
as_user env "TASK_SPOOL=$SPOOL" "$BIN/task" submit --wait "$TMP/quick.task" >>"$IDS"
pool=$(pool_pid "$SPOOL")
as_user prlimit --pid "$pool" --nproc=1:
for i in 1 2 3; do as_user env "TASK_SPOOL=$SPOOL" "$BIN/task" submit "$TMP/quick.task" >>"$IDS"; done
as_user env "TASK_SPOOL=$SPOOL" "$BIN/task" submit "$TMP/jailed.task" >>"$IDS"
taken() { [ "$(events | grep -c ' accept ')" -ge 5 ]; }
ok "FAULT 9: without a process for them tasks are accepted" wait_until 20 taken
ok "FAULT 9: the pool tries again without turning in circles" idles "$pool"
is "FAULT 9: none has failed" "$(events | grep -c 'state=failure' || true)" 0
as_user prlimit --pid "$pool" --nproc="$(awk '/Max processes/ { print $4 }' "/proc/$pool/limits"):"
holds 9
is "FAULT 9: it counted no attempt" "$(events | grep -cE ' start .* a=2| retry | lost ' || true)" 0
is "FAULT 9: all succeeded" "$(events | awk '$5 == "end" && / final=yes/ && !/state=success/')" ""

# What sleeps waits for what can't start: one has to go.
mkdir -m 0755 "$TMP/gate9"
# shellcheck disable=SC2016 # all of it is the task's
printf '[Jail]\nBindReadOnlyPaths=%s\n[Environment]\nGATE=%s\nSCRIPT=%s\n[Command]\ncommand=bash\n[Args]\nargs="-c '\''eval \\"$(echo $SCRIPT | base64 -d)\\"'\''"\n' \
    "$TMP/gate9" "$TMP/gate9" "$(base64 -w0 <<'END'
printf "[Command]\ncommand=true\n" >$TASK_SUBMIT/.new; mv $TASK_SUBMIT/.new $TASK_SUBMIT/child.task
until [ -e $GATE/open ]; do sleep 0.02; done
: >$TASK_SUBMIT/.wait; while [ -e $TASK_SUBMIT/.wait ]; do sleep 0.02; done
END
)" >"$TMP/sleeper.task"
stop_taskd
wait_until 70 gone "$pool" || kill -KILL "$pool"
RUN_AS=user start_taskd "$SPOOL" --slots=1
as_user env "TASK_SPOOL=$SPOOL" "$BIN/task" submit "$TMP/sleeper.task" >>"$IDS"
sleeper=$(tail -n 1 "$IDS")
ok "FAULT 9: a task has dropped one" wait_until 20 has_event " accept .*parent=$sleeper.0"
pool=$(pool_pid "$SPOOL")
for pid in "$pool" $(pgrep -P "$pool"); do as_user prlimit --pid "$pid" --nproc=1:; done
: >"$TMP/gate9/open"
ok "FAULT 9: nothing can start beside one that waits for it: that is ended" wait_until 30 has_event " end $sleeper.0 .*state=failure.*reason=limit.*what=nothing%20could%20start"
for pid in "$pool" $(pgrep -P "$pool"); do as_user prlimit --pid "$pid" --nproc="$(awk '/Max processes/ { print $4 }' "/proc/$pid/limits"):"; done
as_user env "TASK_SPOOL=$SPOOL" "$BIN/task" submit "$TMP/quick.task" >>"$IDS"
holds 9
stop_taskd

# The kernel refuses each of the pool's first ten processes, for want of memory or of numbers.
if build_inject >/dev/null 2>&1; then
    for error in ENOMEM EAGAIN; do
        fresh "9$error"
        printf '#!/bin/sh\nexec "%s" -c clone3 -n 1 -m 10 -e %s "%s" "$@"\n' "$TMP/inject" $error "$BIN/taskrun" >"$TMP/taskrun9"
        chmod 755 "$TMP/taskrun9"
        start_taskd "$SPOOL" "--taskrun=$TMP/taskrun9"
        submit "$TMP/quick.task" "$TMP/quick.task" "$TMP/jailed.task" >/dev/null
        holds 9
        is "FAULT 9: $error counted no attempt" "$(events | grep -cE ' start .* a=2| retry | lost ' || true)" 0
        is "FAULT 9: after $error all succeeded" "$(events | awk '$5 == "end" && / final=yes/ && !/state=success/')" ""
        stop_taskd
    done
else
    skip "FAULT 9: a process is refused" "nothing can be traced here (ptrace)"
fi

# ---- the queue of events

fresh 10
start_taskd "$SPOOL"
submit "$TMP/held.task" >/dev/null
held=$(tail -n 1 "$IDS")
removed=$(submit "$TMP/held.task")
ok "FAULT 10: two run" wait_until 20 has_event " start $removed.0"
task hold "$held" "$removed" >/dev/null
ok "FAULT 10: two are parked" wait_until 20 has_event " hold $removed"
kill -s STOP "$TASKD"
python3 - "$SPOOL/incoming" "$(cat /proc/sys/fs/inotify/max_queued_events)" <<'PYTHON'
import os, sys
os.chdir(sys.argv[1])
open(".flood", "w").close()
for n in range(int(sys.argv[2]) + 2000):
    os.rename(f".flood{n - 1}" if n else ".flood", f".flood{n}")
os.unlink(f".flood{n}")
PYTHON
for i in 1 2 3 4 5 6 7 8; do drop "$TMP/quick.task" "unseen$i.task"; done
mv "$SPOOL/hold/$held" "$SPOOL/ready/$held"
rm "$SPOOL/hold/$removed"
kill -s CONT "$TASKD"
for i in 1 2 3 4 5 6 7 8; do ok "FAULT 10: drop $i behind the overflow runs" wait_until 20 succeeded "unseen$i"; done
ok "FAULT 10: a release behind it is obeyed" wait_until 20 has_event " start $held.0 a=2| release $held"
ok "FAULT 10: and a removal" wait_until 20 has_event " cancel $removed"
task cancel "$held" >/dev/null
holds 10
stop_taskd

# ---- watches

fresh 11
outside=$(id -u)
# shellcheck disable=SC2016
if unshare -U -r sh -c 'echo 2 >/proc/sys/user/max_inotify_watches' 2>/dev/null; then
    # shellcheck disable=SC2016
    unshare -U -r sh -c 'echo 2 >/proc/sys/user/max_inotify_watches && exec "$@"' limit \
        "$BIN/taskd" --spool="$SPOOL" </dev/null >>"$TMP/taskd.out" 2>>"$TMP/taskd.err" &
    TASKD=$!
    TEST_PIDS+=("$TASKD")
    TEST_SPOOLS+=("$SPOOL")
    ok "FAULT 11: without watches taskd is up" wait_until 20 is_up
    ok "FAULT 11: and says so" wait_until 10 said 'unable to watch .*No space left on device.*looked through each second'
    drop "$TMP/quick.task" polled.task
    ok "FAULT 11: a drop is found" wait_until 20 succeeded polled
    submit "$TMP/held.task" >/dev/null
    held=$(tail -n 1 "$IDS")
    ok "FAULT 11: a task runs" wait_until 20 has_event " start $held.0"
    task cancel "$held" >/dev/null
    ok "FAULT 11: a move is found" wait_until 20 has_event " cancel $held"
    ok "FAULT 11: without turning in circles" idles
    is "FAULT 11: it is said once" "$(grep -c 'unable to watch' "$TMP/taskd.err")" 1
    echo 1000 | nsenter -U -t "$TASKD" --preserve-credentials tee /proc/sys/user/max_inotify_watches >/dev/null 2>&1 || true
    ok "FAULT 11: with watches again it uses them" wait_until 10 said 'is watched again'
    drop "$TMP/quick.task" watched.task
    ok "FAULT 11: and what is dropped runs" wait_until 20 succeeded watched
    holds 11
    stop_taskd
else
    skip "FAULT 11: no watches" "uid $outside may make no user namespace here"
fi

# ---- what would outlive its task

fresh 17
start_taskd "$SPOOL"
for jail in yes no; do
    tag=$((31000 + $$ % 1000))$([ $jail = yes ] && echo 1 || echo 2)
    cat >"$TMP/tree.sh" <<SCRIPT
#!/bin/sh
setsid sh -c 'sleep $tag & sleep $tag & wait' </dev/null >/dev/null 2>&1 &
(setsid sleep $tag </dev/null >/dev/null 2>&1 &) &
sleep $tag & kill -STOP \$!
(exit 0) &
exit 0
SCRIPT
    printf '[Jail]\nJail=%s\n[Command]\ncommand="sh"\n[Args]\nargs="-c '"'"'%s'"'"'"\n' "$jail" \
        "setsid sleep $tag >/dev/null 2>\&1 \& (setsid sleep $tag >/dev/null 2>\&1 \&) ; sleep $tag \& kill -STOP \\\$! ; exit 0" |
        sed 's/\\&/\&/g' >"$TMP/tree$jail.task"
    exits "FAULT 17: a task with children that hide succeeds (Jail=$jail)" 0 timeout 30 task submit --wait "$TMP/tree$jail.task"
    is "FAULT 17: when its end is told none of them is alive (Jail=$jail)" "$(pgrep -fx "sleep $tag" || true)" ""
done
holds 17

# ---- output without end

unit flood "exec cat /dev/zero" LogLimit=1M MaxTime=2s
flood=$(submit "$TMP/flood.task")
printf '[Service]\nLogLimit=64K\n[Jail]\nJail=no\n[Command]\ncommand="head"\n[Args]\nargs="-c 3000000 /dev/urandom"\n' >"$TMP/binary.task"
exits "FAULT 48: others run beside a flood" 0 task submit --wait "$TMP/quick.task"
binary=$(submit "$TMP/binary.task")
ok "FAULT 48: it ends" wait_until 20 has_event " end $flood "
ok "FAULT 48: so does binary output" wait_until 20 has_event " end $binary "
ok "FAULT 48: the log keeps LogLimit= of it" test "$(find "$SPOOL/log" -type f -exec cat {} + | wc -c)" -lt 4000000
is "FAULT 48: the journal has none of it" "$(events | LC_ALL=C grep -c '[^ -~]' || true)" 0
status=0
task logs "$flood" 2>/dev/null | head -c 10 >/dev/null || status=$?
ok "FAULT 48: a reader who goes away harms nobody" test $status -ne 139
ok "FAULT 48: taskd lives" kill -0 "$TASKD"
holds 48
stop_taskd
done_testing
