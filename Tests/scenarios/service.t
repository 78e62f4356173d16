#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: one taskrun of root serves several owners: each runs tasks as himself, none sees, stops or
# starves another, and what one peer does wrong ends his own connection alone.
# shellcheck source=Tests/scenarios/lib.sh
if [ "$(id -u)" -eq 0 ] && [ -z "${SERVICE_NAMESPACE-}" ]; then
    # A /etc/task/run-as of its own.
    SERVICE_NAMESPACE=1 exec unshare --mount --propagation private bash "$0" "$@"
fi
. "$(dirname "$0")/lib.sh"
needs taskrun taskd task python3
is_root || skip_all "not root: a service for several owners is root's"

HERE=$ROOT/Tests/scenarios
A=$TEST_UID
RUN=01m88gw5xr1c3076pf4v8mtxa3
B=$((TEST_UID + 10000))
C=$((TEST_UID + 20000)) # has no taskd, as the next
D=$((TEST_UID + 30000))
E=$((TEST_UID + 40000))
mkdir -m 0711 "$TMP/run" "$TMP/a" "$TMP/b"
chown "$A:$A" "$TMP/a"
chown "$B:$B" "$TMP/b"
chmod 0700 "$TMP/a" "$TMP/b"
SOCKET=$TMP/run/run
as() { # as UID COMMAND…; in the background, with EXEC=exec, its pid is the command's
    local uid=$1
    shift
    ${EXEC-} setpriv "--reuid=$uid" "--regid=$uid" --clear-groups --inh-caps=-all env "HOME=$TMP/user" "$@"
}

# ---- /etc/task/run-as, of this mount namespace

mkdir "$TMP/etc" "$TMP/etc/upper" "$TMP/etc/work" "$TMP/etc/upper/task"
HAS_RULES=
if mount -t overlay -o "lowerdir=/etc,upperdir=$TMP/etc/upper,workdir=$TMP/etc/work" run-as /etc 2>/dev/null; then
    HAS_RULES=1
fi

# ---- the service

SLOTS=4
HOLDER=
start_service() { # what systemd does: $SOCKET stays, $SERVICE is started by who connects
    python3 "$HERE/service/listen.py" "$SOCKET" "$TMP/run/pid" "$BIN/taskrun" --pool --slots=$SLOTS --idle=infinity \
        </dev/null >>"$TMP/service.out" 2>>"$TMP/service.err" &
    HOLDER=$!
    disown "$HOLDER"
    TEST_PIDS+=("$HOLDER")
    wait_until 10 test -S "$SOCKET"
}
service() { SERVICE=$(cat "$TMP/run/pid" 2>/dev/null) && [ "$(cat "/proc/$SERVICE/comm")" = taskrun ]; }
start_owner() { # start_owner UID NAME: a taskd on $TMP/NAME/spool
    EXEC='exec' as "$1" "$BIN/taskd" --spool="$TMP/$2/spool" --pool="$SOCKET" </dev/null >>"$TMP/taskd.out" 2>>"$TMP/taskd.err" &
    OWNER=$!
    disown "$OWNER"
    TEST_PIDS+=("$OWNER")
    wait_until 20 owned_by "$TMP/$2/spool" "$OWNER"
}
alive() { kill -0 "$SERVICE"; }
unit() { # unit UID NAME DIRECTIVES COMMAND: a unit file of the owner; its path on stdout
    local file
    file=$(mktemp -d "$TMP/unit.XXXXXX")
    chmod 0755 "$file"
    printf '[Service]\n%b\n[Command]\ncommand="%s"\n' "$3" "$4" >"$file/$2.task"
    echo "$file/$2.task"
}
submit() { # submit UID SPOOL NAME DIRECTIVES COMMAND: waits for its end
    as "$1" timeout 60 "$BIN/task" submit --spool="$TMP/$2/spool" --wait "$(unit "$1" "$3" "$4" "$5")"
}
logs() { as "$1" "$BIN/task" logs --spool="$TMP/$2/spool" "$3"; }
status() { as "$1" "$BIN/task" status --spool="$TMP/$2/spool" "$3"; }
# talk UID SPOOL: a script of client.py on stdin, what it printed in $TMP/talk
talk() {
    chown "$1" "$TMP/talks"
    POOL_SOCKET=$SOCKET as "$1" timeout -s KILL 60 python3 "$CLIENT" "$2" "$TMP/talks" >"$TMP/talk" 2>&1 || true
}
said() { grep -aE "$1" "$TMP/talk" || true; }
count() { grep -acE "$1" "$TMP/talk" || true; }
# Others must be able to read the scripts.
mkdir -m 0755 "$TMP/scripts"
cp "$HERE/pool/client.py" "$HERE/service/peer.py" "$HERE/service/fuzz.py" "$TMP/scripts"
chmod 0755 "$TMP/scripts"/*.py
CLIENT=$TMP/scripts/client.py
export PYTHONDONTWRITEBYTECODE=1

mkdir "$TMP/talks"
start_service
start_owner "$A" a
start_owner "$B" b
OWNER_B=$OWNER
ok "the service is started by who connects" wait_until 10 service

# ---- two owners

ok "a task of the first owner" submit "$A" a who '' 'id -u'
is "… ran as him" "$(logs "$A" a who)" "$A"
ok "a task of the second" submit "$B" b who '' 'id -u'
is "… ran as him" "$(logs "$B" b who)" "$B"
ok "no pool of their own was started" test ! -e "$TMP/a/spool/run.lock" -a ! -e "$TMP/b/spool/run.lock"
like "a task has no groups of root's" "$(submit "$A" a groups '' 'id -G' >/dev/null && logs "$A" a groups)" "^$A\$"
exits "User= of another is refused" 217 submit "$A" a other 'User=nobody' 'id -u'
like "… and says whose line is missing" "$(status "$A" a other)" "$A: nobody"
exits "Nice= below 0 is refused" 201 submit "$A" a nice 'Nice=-5' true
exits "Jail=no is refused" 217 submit "$A" a free '[Jail]\nJail=no' 'id -u'
like "… and says which line root could write" "$(status "$A" a free)" "$A: jail=no"
talk "$C" "$TMP" <<END
connect
expect 10 ^slots
log 00000001-taskd-000001
run $RUN.0 1 systemd:x Jail=no command=taskdep arg=await arg=x
expect 20 end $RUN.0
run $RUN.1 1 systemd:x Jail=no command=id
expect 20 end $RUN.1
run $RUN.2 1 systemd:x Jail=no command=taskdep arg=await arg=x env=LD_PRELOAD=/tmp/x.so
expect 20 end $RUN.2
ack 1000
END
unlike "what asks systemd needs no line" "$(said " end $RUN.0 ")" 'exit=217'
like "… but nothing else by its name" "$(said " end $RUN.1 ")" 'exit=217'
like "… nor with an environment" "$(said " end $RUN.2 ")" 'exit=217'
if [ -n "$HAS_RULES" ]; then
    echo "$A: jail=no nobody" >/etc/task/run-as
    ok "with that line it runs" submit "$A" a free '[Jail]\nJail=no' "grep -E '^(Uid|Gid|Groups|Cap|NoNew)' /proc/self/status"
    is "… as him, without a capability" "$(logs "$A" a free | tr -d ' ' | tr -s '\t' ' ')" "$(
        cat <<END
Uid: $A $A $A $A
Gid: $A $A $A $A
Groups: $A
CapInh: 0000000000000000
CapPrm: 0000000000000000
CapEff: 0000000000000000
CapBnd: 0000000000000000
CapAmb: 0000000000000000
NoNewPrivs: 1
END
    )"
    exits "… a command that is not there" 127 submit "$A" a missing '[Jail]\nJail=no' nowhere
    exits "… a directory of root's" 200 submit "$A" a closed 'WorkingDirectory=/root\n[Jail]\nJail=no' true
    exits "… a file of root's as its output" 209 submit "$A" a output "StandardOutput=file:$TMP/service.out\n[Jail]\nJail=no" 'echo x'
    ok "User= with its line" submit "$A" a other2 'User=nobody' 'id -un'
    is "… is that user" "$(logs "$A" a other2)" nobody
    exits "the line is the first owner's alone" 217 submit "$B" b free '[Jail]\nJail=no' 'id -u'
else
    skip "what run-as permits" "no overlay on /etc here"
fi

# ---- what is another's

as "$B" "$BIN/task" submit --spool="$TMP/b/spool" "$(unit "$B" long '' 'sleep 300')" >/dev/null
running() { as "$B" "$BIN/task" audit --spool="$TMP/b/spool" "${1:-long}" | grep -q ' start '; }
ok "a long task of the second owner" wait_until 20 running
LONG=$(as "$B" "$BIN/task" status --spool="$TMP/b/spool" -o json long | grep -o '"id": *"[^"]*"' | head -n 1 | cut -d '"' -f 4)
talk "$A" "$TMP/b/spool" <<END
connect
expect 10 ^slots
kill $LONG.0 1 0
raw run 1 $LONG.0 a=1 mine command=true\n
expect 1 never
END
is "one who names another's spool gets an empty one of his own" "$(count '^< (running|event)')" 0
unlike "… and cannot end the other's task" "$(status "$B" b long)" 'cancelled|failure'
ok "… which still runs" pgrep -u "$B" -f '^sleep 300'
is "the processes of the other are not to be seen" \
    "$(submit "$A" a sees '' 'ls /proc' >/dev/null && logs "$A" a sees | grep -c '^[0-9]')" 1

# ---- wrong peers: each ends his own connection

wrong() { # wrong NAME WHAT ANSWER [ARG…]
    local name=$1 what=$2 answer=$3
    shift 3
    mkdir -p "$TMP/$what.dir"
    chown "$C" "$TMP/$what.dir"
    like "$name" "$(as "$C" timeout -s KILL 100 python3 "$TMP/scripts/peer.py" "$SOCKET" "$TMP/$what.dir" "$what" "$@" 2>&1)" "^$answer\$"
}
descriptors() { find "/proc/$SERVICE/fd" | wc -l; }
DESCRIPTORS=$(descriptors)
for what in fifo null directory path read direct sync memory gone large none proc; do
    wrong "a log segment that is none: $what" "log-$what" closed
done
wrong "… another's file" log-other closed /etc/passwd
wrong "… a socket whose close waits" log-socket served
wrong "a descriptor that nobody receives, and whose close waits" unread-socket served
wrong "a third descriptor whose close waits" third-socket served
wrong "200 descriptors a message, 300 times" many-descriptors served
for what in not partly file none twice sparse short; do
    wrong "a sealed job that is none: $what" "sealed-$what" closed
done
for what in half long empty; do wrong "a message that is none: $what" "$what" closed; done
wrong "1,000 connections: 16 are kept" connections "kept 16"
wrong "200 spools one after another: those with ends to tell are kept, 16 at most" spools bounded
ok "the service lives" alive
few() { [ "$(descriptors)" -lt $((DESCRIPTORS + 100)) ]; }
ok "… with few descriptors" wait_until 10 few
ok "… and serves the second owner" submit "$B" b after '' true
is "… whose task runs on" "$(pgrep -c -u "$B" -f '^sleep 300')" 1

# ---- job lines that are nearly right

BEFORE=$SERVICE
seed=${FUZZ_SEED:-$(date +%s)}
echo "# FUZZ_SEED=$seed"
C=$E wrong "1,500 packets of jobs that are nearly right (seed $seed)" fuzz "# seed $seed
# [0-9]+ connections were closed
served" "$seed" 1500
service
is "… ended nothing but connections" "$SERVICE" "$BEFORE"
is "… and not the other's task" "$(pgrep -c -u "$B" -f '^sleep 300')" 1
ok "… who is served" submit "$B" b fuzzed '' true

# ---- floods: the other goes on, and taskrun's memory has a limit

memory() { awk '$1 == "VmRSS:" { print int($2 / 1024) }' "/proc/$SERVICE/status"; } # MiB
BEFORE=$(memory)
for what in deaf acks flood; do
    mkdir "$TMP/$what.dir" && chown "$D" "$TMP/$what.dir"
    as "$D" timeout -s KILL 100 python3 "$TMP/scripts/peer.py" "$SOCKET" "$TMP/$what.dir" "$what" >"$TMP/$what" 2>&1 &
    FLOOD=$!
    ok "a peer of a third owner floods: $what" wait_until 30 test -e "$TMP/$what.dir/under-way"
    ok "… and a task of the second ends beside it" submit "$B" b "beside-$what" '' true
    : >"$TMP/$what.dir/stop"
    wait "$FLOOD" || true
    like "… which goes on until it is told" "$(cat "$TMP/$what")" '^sent [0-9]{3,}'
done
C=$D wrong "jobs of 4 MiB until the limit" large closed
AFTER=$(memory)
echo "# memory: $BEFORE MiB, then $AFTER MiB"
ok "memory is bounded" test $((AFTER - BEFORE)) -lt 400

# ---- slots

tasks() { # tasks UID SPOOL COUNT NAME COMMAND: COUNT runs by one submit
    local file
    file=$(unit "$1" "$4" '' "$5")
    seq "$3" | sed "s|.*|$file|" | as "$1" xargs "$BIN/task" submit --spool="$TMP/$2/spool" >/dev/null
}
ended() { # ended UID SPOOL NAME COUNT: so many runs of that name were successes
    [ "$(as "$1" "$BIN/task" list --spool="$TMP/$2/spool" --no-headers -n 0 -s success "$3" | wc -l)" -ge "$4" ]
}
start=$(date +%s%N)
tasks "$A" a 120 many 'sleep 0.3'
tasks "$B" b 8 few 'sleep 0.3'
ok "eight short tasks beside 120 of another owner who came first" wait_until 30 ended "$B" b few 8
took=$((($(date +%s%N) - start) / 1000000))
if ended "$A" a many 90; then fail "… have their share of the slots ($took ms)"; else pass "… have their share of the slots ($took ms)"; fi
ok "the 120 end, too" wait_until 60 ended "$A" a many 120

as "$B" "$BIN/task" cancel --spool="$TMP/b/spool" long >/dev/null
tasks "$A" a 12 endless 'sleep 4713'
sleepers() { [ "$(pgrep -c -f '^sleep 4713')" -ge "$1" ]; }
ok "tasks without end of one owner" wait_until 20 sleepers 2
ok "… leave the other a slot" submit "$B" b little '' true

# ---- SIGHUP: it becomes its new self, and nothing is interrupted

as "$A" "$BIN/task" list --spool="$TMP/a/spool" --live -o plain --no-headers -n 0 | awk '{ print $1 }' |
    as "$A" xargs -r "$BIN/task" cancel --spool="$TMP/a/spool" >/dev/null
upgraded() { [ "$(find /proc/"$SERVICE"/fd -lname '*taskrun-table*' | wc -l)" = 0 ] && grep -qz -- --resume= "/proc/$SERVICE/cmdline"; }
as "$A" "$BIN/task" submit --spool="$TMP/a/spool" \
    "$(unit "$A" counts '' "sh -c 'for i in \$(seq 1 60); do echo \$i; sleep 0.1; done'")" >/dev/null
BEFORE_HUP=$SERVICE
as "$B" "$BIN/task" submit --spool="$TMP/b/spool" "$(unit "$B" limited 'MaxTime=4s' 'sleep 60')" >/dev/null
tasks "$A" a 250 short true
tasks "$B" b 250 short true
for i in 1 2 3; do
    sleep 0.7
    kill -s HUP "$SERVICE"
    ok "SIGHUP $i: the service becomes its next self" wait_until 10 upgraded
done
ok "500 short tasks of two owners end" wait_until 90 ended "$A" a short 250
ok "… all of them" wait_until 60 ended "$B" b short 250
times() { # times UID SPOOL NAME VERB: how often that is in the history of all runs of a name
    as "$1" "$BIN/tasklog" query --spool="$TMP/$2/spool" --no-headers -o plain \
        "select count(*) from event e join task t on e.job_id = t.id where t.name = '$3' and e.verb = '$4'"
}
for who in "$A a" "$B b"; do
    as "${who% *}" "$BIN/task" list --spool="$TMP/${who#* }/spool" --no-headers -n 0 short | awk '{ print $3, $4, $5, $6 }' | sort | uniq -c | diag
done
as "$B" "$BIN/task" list --spool="$TMP/b/spool" --no-headers -n 5 -s failure short | diag
for verb in start end; do
    is "… each with one $verb" "$(times "$A" a short $verb) $(times "$B" b short $verb)" "250 250"
done
ok "a task that counts comes to its end" wait_until 20 ended "$A" a counts 1
is "… and its output is whole" "$(logs "$A" a counts | tr '\n' ' ')" "$(seq -s ' ' 1 60) "
like "MaxTime goes on" "$(as "$B" "$BIN/task" status --spool="$TMP/b/spool" limited)" timeout
service
is "… all in one process" "$SERVICE" "$BEFORE_HUP"

# ---- kill -9 of the service

as "$B" "$BIN/task" submit --spool="$TMP/b/spool" "$(unit "$B" long '' 'sleep 300')" >/dev/null
ok "a long task again" wait_until 20 running
if [ -n "$HAS_RULES" ]; then
    as "$A" "$BIN/task" submit --spool="$TMP/a/spool" \
        "$(unit "$A" strays '[Jail]\nJail=no' "sh -c 'setsid sleep 4714 & exec sleep 4714'")" >/dev/null
fi
strays() { pgrep -f '^sleep 4714' | sort; }

groups_of() { find /sys/fs/cgroup -type d -name "taskrun-$1-*" 2>/dev/null; }
mounts() { wc -l </proc/self/mountinfo; }
MOUNTS=$(mounts)
FIRST=$SERVICE
straying() { [ "$(strays | wc -l)" = 2 ]; }
[ -z "$HAS_RULES" ] || wait_until 20 straying || true
strays >"$TMP/strays"
kill -s KILL "$SERVICE"
again() { service && [ "$SERVICE" != "$FIRST" ]; }
ok "kill -9 of the service: the next one is started" wait_until 20 again
lost() { [ "$(as "$B" "$BIN/task" audit --spool="$TMP/b/spool" long | grep -c ' start ')" = 2 ]; }
ok "what ran is lost, and runs again" wait_until 20 lost
like "… so says the history" "$(as "$B" "$BIN/task" audit --spool="$TMP/b/spool" long)" ' lost '
one() { [ "$(pgrep -c -u "$B" -f '^sleep 300')" = 1 ]; }
ok "… once" wait_until 10 one
if [ -n "$HAS_RULES" ]; then
    swept() { [ -z "$(comm -12 "$TMP/strays" <(strays))" ]; }
    ok "an unjailed task left nothing either" wait_until 10 swept
else
    skip "an unjailed task left nothing either" "no overlay on /etc here"
fi
is "no cgroup of the old one is left" "$(groups_of "$FIRST")" ""
is "no mount is left" "$(mounts)" "$MOUNTS"

# ---- taskd's death and restart

kill -s KILL "$OWNER_B"
wait_until 10 gone "$OWNER_B"
start_owner "$B" b
OWNER_B=$OWNER
reconnected() { as "$B" "$BIN/task" submit --spool="$TMP/b/spool" --wait "$(unit "$B" back '' true)"; }
ok "kill -9 of a taskd, and another" reconnected
is "… interrupts no task" "$(as "$B" "$BIN/task" audit --spool="$TMP/b/spool" long | grep -c ' start ')" 2
kill -s TERM "$OWNER_B"
wait_until 10 gone "$OWNER_B"
as "$B" "$BIN/task" submit --spool="$TMP/b/spool" "$(unit "$B" absent '' true)" >/dev/null
start_owner "$B" b
ok "an end while no taskd was there" wait_until 20 ended "$B" b absent 1

done_testing
