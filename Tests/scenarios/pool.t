#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: the pool keeps what a taskd was not yet told for the next one, whatever becomes of taskd; a
# hostile client harms only its own connection. A script plays taskd's side of the protocol.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs taskrun python3

CLIENT=$ROOT/Tests/scenarios/pool/client.py
RUN=01m88gw5xr1c3076pf4v8mtxa3
SPOOL=$TMP/spool
mkdir -m 0700 "$SPOOL"

start_pool() {
    "$BIN/taskrun" --pool --spool="$SPOOL" --slots=2 "$@" </dev/null >/dev/null 2>>"$TMP/pool.err" &
    POOL=$!
    disown "$POOL"
    TEST_PIDS+=("$POOL")
    wait_until 10 test -S "$SPOOL/run.sock"
}
talk() { timeout -s KILL 60 python3 "$CLIENT" "$SPOOL" >"$TMP/talk" 2>&1; }
said() { grep -aE "$1" "$TMP/talk" || true; }
count() { grep -acE "$1" "$TMP/talk" || true; }

start_pool
exits "a second pool of the spool ends" 75 timeout 10 "$BIN/taskrun" --pool --spool="$SPOOL"

talk <<END
connect
expect 10 ^slots
log 00000001-taskd-000001
run $RUN.0 1 hello Jail=no command=echo arg=hi
expect 10 end .*state=
END
is "hello and the number of slots, before anything else" \
    "$(head -n 2 "$TMP/talk")" $'< hello 1\n< slots 2'
like "events are numbered, the end names its output" "$(said ' end ')" \
    "^< event 2 [0-9]+ end $RUN.0 a=1 state=success exit=0 .*log=00000001-taskd-000001:0\\+[0-9]+"
like "the output is in the segment" "$(cat "$SPOOL/00000001-taskd-000001.log")" \
    "^$RUN.0:1 0 1 [0-9]+ 3 [0-9a-f]{8}"$'\n'hi

talk <<END
connect
expect 10 ^slots
close
END
is "an end is told again until it is acknowledged" "$(count "event 1 .* end $RUN.0 ")" 1
is "a start that was told is not told again" "$(count ' start ')" 0
talk <<END
connect
expect 10 ^slots
ack 1
run $RUN.1 1 long Jail=no command=sleep arg=600
expect 10 start .*$RUN.1
END
talk <<END
connect
expect 10 ^slots
END
is "acknowledged: it is gone" "$(count "$RUN.0")" 0
is "the table names what runs, before slots" "$(sed -n 2,3p "$TMP/talk")" \
    "< running $RUN.1 a=1"$'\n''< slots 2'

# kill -9 of the client in the middle: nothing is interrupted, a job is run once.
mkfifo "$TMP/orders"
python3 "$CLIENT" "$SPOOL" <"$TMP/orders" >"$TMP/first" 2>&1 &
FIRST=$!
disown "$FIRST"
TEST_PIDS+=("$FIRST")
exec 7>"$TMP/orders"
printf '%s\n' connect 'expect 10 ^slots' "run $RUN.2 1 two Jail=no command=sh arg=-c arg=sleep%201;echo%20two" \
    "expect 10 start .*$RUN.2" "run $RUN.3 1 queued Jail=no command=true" >&7
wait_until 10 grep -q "start $RUN.2" "$TMP/first"
kill -s KILL "$FIRST"
exec 7>&-
talk <<END
connect
expect 10 ^slots
run $RUN.2 1 two Jail=no command=sh arg=-c arg=sleep%201;echo%20two
expect 10 end $RUN.2
END
is "the killed client's task went on, and ran once" "$(count " end $RUN.2 .*state=success")" 1
is "it wrote once" "$(grep -ac '^two$' "$SPOOL/00000001-taskd-000001.log")" 1

# The first is taken over: read to its end, then closed.
mkfifo "$TMP/again"
timeout -s KILL 60 python3 "$CLIENT" "$SPOOL" <"$TMP/again" >"$TMP/first" 2>&1 &
TEST_PIDS+=("$!")
exec 7>"$TMP/again"
printf '%s\n' connect 'expect 10 ^slots' "run $RUN.4 1 four Jail=no command=true" 'say sent' >&7
wait_until 10 grep -q '^sent' "$TMP/first"
talk <<END
connect
expect 10 ^slots
expect 10 end $RUN.4
END
is "a job of the old client is not lost" "$(count " end $RUN.4 ")" 1
echo 'closed 10' >&7
exec 7>&-
ok "the old client is closed" wait_until 10 grep -q '^closed' "$TMP/first"

# Hostile or wrong lines.
talk <<END
connect
expect 10 ^slots
kill $RUN.1 1 0
expect 10 end $RUN.1
ack 100
run $RUN.5 1 five Nonsense=1
expect 10 end $RUN.5
run $RUN.6 1 six Jail=no MaxTime=soon command=true
expect 10 end $RUN.6
run $RUN.7 1 seven Jail=no file=x:755:$(printf '0%.0s' {1..64}) command=./x
expect 10 end $RUN.7
sealed $RUN.8 1 large 100000
expect 10 end $RUN.8
ack 1000
raw nonsense\n
closed 10
END
like "kill ends an attempt" "$(said " end $RUN.1 ")" "state=cancelled"
for task in 5 6 7; do
    like "a job that makes no sense ends as refused ($task)" "$(said " end $RUN.$task ")" \
        "state=failure reason=jail exit=202 what="
done
like "a job longer than a packet comes in sealed memory" "$(said " end $RUN.8 ")" "state=(success|failure)"
is "garbage closes the connection" "$(tail -n 1 "$TMP/talk")" closed
for line in 'hello 2 x' 'run 1 x' 'slots 3' 'ack'; do
    talk <<END
connect NOHELLO
raw $line\n
closed 10
END
    is "closed after '$line'" "$(tail -n 1 "$TMP/talk")" closed
done
ok "the pool is still there" kill -0 "$POOL"

# Death and rest.
talk <<END
connect
expect 10 ^slots
ack 1000
run $RUN.9 1 nine Jail=no command=sleep arg=4711
expect 10 start .*$RUN.9
run $RUN.10 1 ten command=sleep arg=4711
expect 10 start .*$RUN.10
END
sleepers() { pgrep -f '^sleep 4711$' | wc -l; }
both() { [ "$(sleepers)" = 2 ]; }
ok "two tasks run" wait_until 10 both # a start is told before the exec
kill -s KILL "$POOL"
none() { [ "$(sleepers)" = 0 ]; }
ok "kill -9 of the pool ends its tasks" wait_until 10 none
start_pool
talk <<END
connect
expect 10 ^slots
drain
closed 10
END
is "the next pool knows nothing of them" "$(count running)" 0
ok "a drained pool ends" wait_until 10 gone "$POOL"

start_pool --idle=300ms
ok "a pool with nothing to do ends" wait_until 10 gone "$POOL"
start_pool --idle=4s
talk <<END
connect
expect 10 ^slots
log 00000002-taskd-000001
run $RUN.11 1 eleven Jail=no command=sleep arg=0
expect 10 end $RUN.11
END
exits "not before its events are acknowledged" 124 timeout 6 tail -s 0.1 -f --pid="$POOL" /dev/null
talk <<END
connect
expect 10 ^slots
ack 1000
END
ok "then it ends" wait_until 10 gone "$POOL"
exits "an idle time that is none" 2 "$BIN/taskrun" --pool --spool="$SPOOL" --idle=soon

# A service manager's socket.
mkdir -m 0700 "$TMP/passed"
python3 - "$TMP/passed/run.sock" "$BIN/taskrun" --pool --slots=3 --idle=4s >>"$TMP/pool.err" 2>&1 <<'END' &
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.bind(sys.argv[1] + "~")
s.listen()
os.rename(sys.argv[1] + "~", sys.argv[1])
if s.fileno() == 3:
    os.set_inheritable(3, True)
else:
    os.dup2(s.fileno(), 3)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])
END
POOL=$!
disown "$POOL"
TEST_PIDS+=("$POOL")
wait_until 10 test -S "$TMP/passed/run.sock"
timeout -s KILL 60 python3 "$CLIENT" "$TMP/passed" >"$TMP/talk" 2>&1 <<END
connect
expect 10 ^slots
log 00000001-taskd-000001
run $RUN.12 1 twelve Jail=no command=true
expect 10 end $RUN.12
ack 1000
END
like "a socket that was passed is served" "$(said " end $RUN.12 ")" state=success
ok "without a lock or another socket" test ! -e "$TMP/passed/run.lock"
ok "its pool ends, too" wait_until 10 gone "$POOL"
ok "the socket stays: it is the service manager's" test -S "$TMP/passed/run.sock"
# shellcheck disable=SC2016
exits "what was passed must listen" 73 env LISTEN_FDS=1 BIN="$BIN" timeout 10 \
    sh -c 'exec 3</dev/null; LISTEN_PID=$$ exec "$BIN/taskrun" --pool'
like "… and the message says so" "$(cat "$TMP/err")" 'unable to listen in descriptor 3: Socket operation on non-socket'

# ---- taskd starts one that died: at once where it had served for two seconds, else after a pause

cat >"$TMP/starter" <<END
#!/bin/sh
date +%s%N >>"$TMP/starts"
exec "$BIN/taskrun" "\$@"
END
chmod +x "$TMP/starter"
OTHER=$TMP/other
start_taskd "$OTHER" --pool=none --taskrun="$TMP/starter"
starts() { [ "$(wc -l <"$TMP/starts")" -ge "$1" ]; }
is_old() { [ $(($(date +%s%N) - $(tail -n 1 "$TMP/starts"))) -ge "$1" ]; }
waited() { # waited N AGE: milliseconds from the death of the N-th, so many of them old, to the next start
    wait_until 20 starts "$1" && wait_until 20 pool_pid "$OTHER" && wait_until 20 is_old $(($2 * 1000000)) || return 1
    local killed
    killed=$(date +%s%N)
    kill -KILL "$(pool_pid "$OTHER")"
    wait_until 20 starts $(($1 + 1)) || return 1
    echo $((($(tail -n 1 "$TMP/starts") - killed) / 1000000))
}
for n in 1 2 3; do
    pause=$(waited $n 2050)
    ok "death $n of a pool that served: the next is there at once ($pause ms)" test "$pause" -lt 1000
done
pause=$(waited 4 0)
ok "one that dies young is forgiven once ($pause ms)" test "$pause" -lt 1000
pause=$(waited 5 0)
ok "and then waited for ($pause ms)" test "$pause" -ge 1000
pause=$(waited 6 2050)
ok "one that served is started at once again ($pause ms)" test "$pause" -lt 1000
stop_taskd
done_testing
