#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: nothing of a task is left when its attempt ends, whatever session, parent and state it has given
# itself: in a jail and without one, as root and as an ordinary user, and where only cgroup v1 is there.
# What belongs to another attempt goes on.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs taskrun python3

mkdir "$TMP/user/units" && cd "$TMP/user/units" && chmod 755 .
MARK=descendant-$$
cat >breed.py <<'END'
#!/usr/bin/python3
# Leaves behind what is hard to find or to end, and says how many live.
import os, signal, sys, time, ctypes
mark, how = sys.argv[1:3]
out = os.pipe()
def live(name, env=True, body=None):
    os.write(out[1], b"x")
    if body: body()
    os.execve("/bin/sleep", [mark + "-" + name, "977"], dict(os.environ) if env else {})
def detach(name, env=True, body=None):
    if os.fork(): return
    os.setsid()
    if os.fork(): os._exit(0)
    live(name, env, body)
def deaf():
    for s in range(1, 65):
        try: signal.signal(s, signal.SIG_IGN)
        except (OSError, ValueError): pass
def stopped():
    if os.fork() == 0:
        os.kill(os.getppid(), signal.SIGSTOP); os._exit(0)
def zombies():
    for i in range(20):
        if os.fork() == 0: os._exit(0)
def traced():
    child = os.fork()
    if child == 0: os.execv("/bin/sleep", [mark + "-tracee", "977"])
    ctypes.CDLL(None).ptrace(16, child, 0, 0)
kinds = {"plain": None, "deaf": deaf, "zombies": zombies, "traced": traced, "stopped": stopped}
for name, body in kinds.items(): detach(name, True, body)
detach("bare", False)
n = 0
while n < len(kinds) + 1: n += len(os.read(out[0], 64))
time.sleep(0.1)
print("bred", n, flush=True)
if how == "wait":
    print("." * 2000, flush=True)  # above LogLimit=: so it is ended now, however slow the machine
    time.sleep(300)
END
chmod 755 breed.py
unit() { # unit NAME HOW JAIL-LINES…
    printf '%s\n' '[Service]' 'LogLimit=1K:fail' 'TimeoutStopSec=100ms' '[Command]' 'command="./breed.py"' '[Args]' \
        "args=\"$MARK-$1 $2\"" '[Jail]' "${@:3}" >"$1.task"
    chmod 644 "$1.task"
}
unit jailed go Jail=yes
unit debug wait SystemCallFilter=@debug
unit direct go Jail=no
unit waits wait Jail=no
# A check that leaves the same behind, and a command after it.
cat >after.task <<END
[Checks]
leaves="./breed.py $MARK-after go"
[Command]
command="echo"
[Args]
args="and on"
[Jail]
Jail=no
END
chmod 644 after.task
alive() { grep -lsa -- "[d]${MARK#d}-$1" /proc/[0-9]*/cmdline || true; }

# ends WHO UNIT STATUS COMMAND…: it bred, and none of it is left
ends() {
    local who=$1 name=$2 status=$3
    shift 3
    exits "$who, $name: status $status" "$status" timeout -s KILL 60 "$@" "$PWD/$name.task"
    like "$who, $name: it had six descendants" "$(cat "$TMP/out" "$TMP/err")" 'bred 6'
    is "$who, $name: none is left" "$(alive "$name-")" ""
}
all() { # all WHO COMMAND…
    ends "$1" jailed 0 "${@:2}"
    ends "$1" debug 1 "${@:2}"
    ends "$1" direct 0 "${@:2}"
    ends "$1" waits 1 "${@:2}"
    ends "$1" after 0 "${@:2}"
    is "$1, after: the command follows" "$(tail -n 1 "$TMP/out")" "and on"
}

# Two at once: the first ends while the second has a daemon, which must go on until the second ends.
plan_of() {
    printf 'taskplan 1\n%s\n' "$(cat)" >"$TMP/body"
    cat "$TMP/body"
    echo "digest $(sha256sum <"$TMP/body" | cut -d ' ' -f 1)"
}
beside() { # beside WHO COMMAND…
    local who=$1 place=$TMP/user/$1.beside
    shift
    mkdir "$place" && chmod 777 "$place"
    cat >"$place/second" <<END
#!/bin/sh
(setsid sh -c 'echo \$\$ >$place/pid; exec sleep 966' &) </dev/null >/dev/null 2>&1
: >$place/second.runs
until [ -e $place/first.ended ]; do sleep 0.05; done
kill -0 "\$(cat $place/pid)"
END
    cat >"$place/first" <<END
#!/bin/sh
until [ -s $place/pid ]; do sleep 0.05; done
(setsid sh -c 'echo \$\$ >$place/other; exec sleep 955' &) </dev/null >/dev/null 2>&1
until [ -s $place/other ]; do sleep 0.05; done
END
    # Its dependent runs when its end is told: that is when nothing of it may be left.
    cat >"$place/after" <<END
#!/bin/sh
! grep -q '^State:.[^ZX]' "/proc/\$(cat $place/other)/status" 2>/dev/null || status=1
: >$place/first.ended
exit \${status-0}
END
    chmod 755 "$place"/{first,second,after}
    plan_of >"$place/plan" <<END
task 0 first Jail=no MaxTime=30s command=$place/first
task 1 second Jail=no MaxTime=30s command=$place/second
task 2 after Jail=no MaxTime=30s command=$place/after
edge 0 2 ok
END
    local got=0
    timeout -s KILL 60 "$@" --slots=3 - <"$place/plan" >"$TMP/out" 2>"$TMP/err" || got=$?
    is "$who: two at once, each with a daemon: status 0" "$got" 0
    [ "$got" -eq 0 ] || grep -a ' end ' "$TMP/out" | diag
    ok "$who: the second's daemon ended with it" gone "$(cat "$place/pid")"
}

if is_root; then
    all root "$BIN/taskrun"
    beside root "$BIN/taskrun"
    if [ -d /sys/fs/cgroup/unified ] && [ -d /sys/fs/cgroup/pids ]; then
        v1=(unshare --mount sh -c 'umount /sys/fs/cgroup/unified && exec "$@"' sh "$BIN/taskrun")
        like "without cgroup v2, the plan says v1" "$("${v1[@]}" --plan "$PWD/jailed.task" | head -n 1)" 'cgroup=v1'
        all v1 "${v1[@]}"
        beside v1 "${v1[@]}"
    else skip "v1 alone" "this machine has no hybrid cgroups"; fi
fi
# Not below $TMP/user: taskrun's own directory must not matter.
all user "${AS_USER[@]}" "$BIN/taskrun"
beside user "${AS_USER[@]}" "$BIN/taskrun"
done_testing
