#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: contrib/cluster makes a cluster of three nodes and three databases, and takes nothing of anybody else's away;
# on it, under load, everything of task-cluster(7) happens: the primary dies, a node is cut off, stopped, killed, has its
# clock set, shares its name. At the end what was acknowledged is in the ledger, once, as the nodes themselves have it.
# cluster/judge decides that; first it is shown histories that are wrong.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs task taskd taskrun tasklog tasklink
JUDGE=$(cd "$(dirname "$0")" && pwd)/cluster
[ ! -e /etc/task/task.conf ] || skip_all "this machine has a task.conf"
# ---- the judge: a history as it should be, then one thing wrong with it

# shellcheck source=Tests/scenarios/ledger/common.sh
. "$ROOT/Tests/scenarios/ledger/common.sh"
psql -XAtq -d postgres -c "CREATE ROLE n1 LOGIN" -c "CREATE ROLE n2 LOGIN"
make_ledger ledger
psql -XAtq -d ledger -c "GRANT ledger_node TO n1, n2" -c "SELECT ledger.add_node('n1'), ledger.add_node('n2')" >/dev/null
ok "a history as it should be" psql -XAtq -d ledger -f "$JUDGE/honest.sql"
mkdir "$TMP/said"
ulids() { psql -XAtq -d ledger -c "SELECT ledger.ulid(said.id($1))"; }
ONE=$(ulids 1) THREE=$(ulids 3)
printf 'n1 %s\n' "$ONE" "$(ulids 2)" "$THREE" >"$TMP/said/acks"
for NODE in n1 n2; do
    psql -XAt -q --csv -d ledger -c "SELECT id, status, reason, exit, signal, n, generation, ended FROM ledger.attempt WHERE node = '$NODE'" >"$TMP/said/ends.$NODE"
done
printf '%s\n' "n2 $THREE 0 1" "n1 $THREE 0 2" >"$TMP/said/claims"
cp "$TMP/said/claims" "$TMP/said/commits"
judge() { "$JUDGE/judge" "$TMP/said" "$@"; }
exits "is judged sound" 0 judge -d ledger
is "    and counted" "$(cat "$TMP/out")" "acknowledged 3, in the ledger 3, lost 0, doubled 0, other breaches 0; tasks: on nodes 6, in the ledger 6; commits 2"
wrongs() { # what the judge must say, and the SQL that makes it so
    cat <<'END'
lost|DELETE FROM ledger.hist WHERE run[1] = said.id(1)
lost end|UPDATE ledger.hist SET code = '{9}' WHERE run[1] = said.id(2)
lost end|UPDATE ledger.hist SET k = '{-1,-1}', kind = '{1,1}' WHERE run[1] = said.id(1)
invented|INSERT INTO ledger.hist SELECT said.id(7), said.id(7), node, spool, 's9', seq, total, base, step, k, first, name, unit, status, reason, code, final, late, n, again, us_sum, us_max, kind, ARRAY[said.id(7)], parent, generation, item, gen, attempt, ended, us, cpu_us, mem FROM ledger.hist WHERE run[1] = said.id(1)
shipped twice|INSERT INTO ledger.hist SELECT * FROM ledger.hist WHERE run[1] = said.id(2)
two results|INSERT INTO ledger.hist SELECT id, last, 'n2', spool, segment, seq, total, base, step, k, first, name, unit, status, reason, code, final, late, n, again, us_sum, us_max, kind, run, parent, generation, item, gen, attempt, ended, us, cpu_us, mem FROM ledger.hist WHERE run[1] = said.id(1)
committed twice|INSERT INTO ledger.part SELECT id, generation, 2, '1000', failed, 'n1', at + 1 FROM ledger.part WHERE gen = 1
two holders|UPDATE ledger.done SET node = 'n2'
two holders|UPDATE ledger.held SET gen = 2, id = said.id(3), node = 'n2'
gen fell|UPDATE ledger.part SET at = at + 1000000000 WHERE gen = 1
gen behind|UPDATE ledger.done SET gen = 1, node = 'n2'
fenced|UPDATE ledger.part SET at = at + 1000000000 WHERE gen = 1
fenced|INSERT INTO ledger.audit VALUES (said.id(3), 0, 'n1', 'reclaim', 0, 2, 'n1')
places|INSERT INTO ledger.ready SELECT id, generation, gen, 0, 0, '1111' FROM ledger.done
places|DELETE FROM ledger.later
half done|DELETE FROM ledger.part WHERE gen = 1
no history|UPDATE ledger.hist SET late = array_fill(true, ARRAY[cardinality(late)]) WHERE run[1] = said.id(3) AND node = 'n2'
lost commit|DELETE FROM ledger.part WHERE node = 'n2'
END
}
while IFS='|' read -r RULE SQL; do
    psql -XAtq -v ON_ERROR_STOP=1 -c "DROP DATABASE IF EXISTS wrong" -c "CREATE DATABASE wrong TEMPLATE ledger"
    ok "it is made wrong: ${SQL:0:60}" psql -XAtq -v ON_ERROR_STOP=1 -d wrong -c "$SQL"
    exits "    the judge sees it" 1 judge -d wrong
    like "    and what it is" "$(cat "$TMP/out")" "(^|"$'\n'")$RULE: "
done < <(wrongs)
echo "n1 $(ulids 8)" >>"$TMP/said/acks"
exits "a run that was acknowledged and is nowhere" 1 judge -d ledger
like "    is lost" "$(cat "$TMP/out")" "^lost: $(ulids 8), acknowledged by n1"$'\n'"acknowledged 4, in the ledger 3, lost 1,"
stop_postgres
unset PGHOST PGUSER PGDATABASE

# ---- a cluster

export TASKSPOOL_BIN=$BIN
DIR=$TMP/c
cluster() { "$ROOT/contrib/cluster" "--dir=$DIR" "$@"; }
left_out() {
    skip "a cluster" "$1"
    done_testing
    exit 0
}
if ! is_root; then
    exits "an ordinary user can have none" 77 cluster up 1
    like "    and is told" "$(cat "$TMP/err")" 'network namespaces on a switch take root'
    left_out "only root can make network namespaces"
fi
[ -z "$(missing_packages iproute2 hostname)" ] || left_out "iproute2 or hostname is not installed"
OWN=taskspool-test-$$
{ ip netns add "$OWN" && ip -n "$OWN" link add br0 type bridge && ip -n "$OWN" link add v0 type veth peer name v1; } 2>"$TMP/err" ||
    left_out "no network namespace with a switch can be had here: $(tail -n 1 "$TMP/err")"
finish() {
    local status=$?
    set +e
    touch "$TMP/stop"
    for DIR in "$TMP/c" "$TMP/d"; do cluster down >/dev/null 2>&1; done
    ip netns del "$OWN"
    (exit $status)
    cleanup
}
trap finish EXIT

psql_() { psql -XAtq -v ON_ERROR_STOP=1 -h "$DIR/$(cat "$DIR/primary")" -U postgres -d ledger -c "$1"; }
namespaces() { ip netns list | sed 's/ .*//' | sort; }
namespaces >"$TMP/before"
exits "up 0: three databases, no node" 0 cluster up 0
BEGIN=$EPOCHREALTIME
exits "up 3" 0 cluster up 3
like "    says what to do next" "$(cat "$TMP/out")" 'Next:.*status.*promote'
like "    in $(awk -v a="$BEGIN" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }') s" "$(cat "$TMP/err")" '3 nodes, db1 and two standbys are up'
everybody() { cluster pids n1 && cluster pids n2 && cluster pids n3 && cluster pids db1 taskd && cat "$DIR"/*/*.pid; }
everybody >"$TMP/all"
exits "up 3 again" 0 cluster up 3
is "    changes nothing" "$(diff <(everybody) "$TMP/all")" ""
exits "a word that it does not know" 2 cluster frobnicate
exits "a number of nodes that is none" 2 cluster up many
exits "a host that is not there" 2 cluster exec n9 true
like "    it says which are" "$(cat "$TMP/err")" 'no host n9: sw db1 db2 db3 n1 n2 n3'
cluster status >"$TMP/status"
like "status: a primary and two standbys in a quorum" "$(sed -n 2,4p "$TMP/status" | tr '\n' ' ')" 'db1   primary .*db2   standby   of db1, quorum, [0-9]+ bytes behind db3   standby   of db1, quorum'
is "    and three nodes that the ledger hears" "$(grep -cE '^n[123]   *up  *taskd [0-9]+, taskrun [0-9]+, tasklink [0-9]+, heard [0-9.]+ s ago' "$TMP/status")" 3
is "each host has a name, an address and a boot of its own" "$(for H in n1 n3 db2; do cluster exec $H sh -c 'hostname; hostname -I; cat /proc/sys/kernel/random/boot_id' | head -c 20 | tr '\n' ' '; done | sed 's/[0-9a-f]*$//' | cut -d ' ' -f 1,2)" "n1 10.77.0.11"
is "nobody comes in from outside" "$(cluster exec n1 ip route show default)$(cluster exec n1 psql -h db1 -U postgres -d ledger -c 'SELECT 1' 2>&1 | grep -c 'rejects connection')" 1

mkdir "$TMP/a" && DIR=$TMP/d
exits "a second cluster stands beside it" 0 cluster up 1
is "    with a history of its own" "$(psql_ "SELECT string_agg(role, ' ') FROM ledger.node")" n1
touch "$DIR/keep"
exits "    and goes" 0 cluster down
is "    but for what it did not make" "$(ls -A "$DIR")" keep
exits "down once more has nothing to do" 0 cluster down
exits "a directory that is no cluster's is left alone" 1 cluster up 1
DIR=$TMP/c
is "the first one stands" "$(cluster status | grep -cE ' (up|primary|standby) ')" 6

# ---- load: every acknowledgement is written down

unit() { # unit NAME SCRIPT [LINE…]
    printf '%s\n' '[Service]' "${@:3}" '[Jail]' 'Jail=no' '[Command]' 'command="sh"' '[Args]' "args=\"-c '$2'\"" >"$TMP/$1.task"
}
SAID=$TMP/history
mkdir "$SAID"
: >"$SAID/acks"
submit() { # submit NODE FILE…
    local ids
    ids=$(cluster exec "$1" task submit "${@:2}") && awk -v node="$1" '{ print node, $1 }' <<<"$ids" >>"$SAID/acks"
}
unit good true
unit bad 'exit 5'
# shellcheck disable=SC2016
unit again 'test "$TASK_ATTEMPT" -gt 1' Restart=1 RestartSec=0s
unit many true
printf '[Array]\nCount=100\n' >>"$TMP/many.task"
unit long 'sleep 3'
for NODE in n1 n2 n3; do
    ok "tasks on $NODE" submit "$NODE" "$TMP"/{good,bad,again,many,good,good}.task
done
(
    trap - EXIT
    while [ ! -e "$TMP/stop" ]; do
        for NODE in n1 n2 n3; do submit "$NODE" "$TMP"/{good,good,bad,again}.task || true; done
        timeout 0.5 tail -f /dev/null || true
    done
) >/dev/null 2>&1 &
LOAD=$!
TEST_PIDS+=("$LOAD")
shown() { psql_ "SELECT count(*) FROM ledger.task"; }
grows() { # grows NAME: more is in the ledger than now, soon
    GROWN=$(shown)
    ok "$1" wait_until "${2-30}" more
}
more() { [ "$(shown)" -gt "$GROWN" ]; }
knows() { [ "$(psql_ "$1")" = "$2" ]; } # knows SQL WANT
grows "the history of all nodes comes in"

# ---- the primary dies

exits "promote while the primary lives is refused" 75 cluster promote
like "    and says what to do" "$(cat "$TMP/err")" 'db1 answers db2: end it first'
# shellcheck disable=SC2046
kill -9 $(cluster pids db1)
DIED=$EPOCHREALTIME
# shellcheck disable=SC2046
kill -STOP $(cluster pids db3)
exits "promote while the other standby is silent is refused" 75 cluster promote
like "    as it may have what nobody else has" "$(cat "$TMP/err")" 'db3 does not answer, and may be the only one'
# shellcheck disable=SC2046
kill -CONT $(cluster pids db3)
ACKS=$(wc -l <"$SAID/acks")
exits "promote" 0 cluster promote
like "    takes one of them" "$(cat "$TMP/err")" 'db[23] is the primary'
grows "shipping goes on" 60
diag <<<"the primary was dead for, until the next end came in: $(awk -v a="$DIED" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f s", b - a }')"
ok "tasks were taken meanwhile" test "$(wc -l <"$SAID/acks")" -gt "$ACKS"
is "nobody was thought dead" "$(psql_ "SELECT count(*) FROM ledger.audit WHERE verb = 'reclaim'")" 0
like "status: who was primary is down" "$(cluster status)" 'db1   down'
exits "up makes it a standby" 0 cluster up 3
like "    of the new one" "$(cluster status)" 'db1   standby   of db[23], quorum'
grows "shipping goes on"

# ---- no standby: nothing is acknowledged, tasks run

PRIMARY=$(cat "$DIR/primary")
for DB in db1 db2 db3; do
    # shellcheck disable=SC2046
    [ $DB = "$PRIMARY" ] || kill -9 $(cluster pids $DB)
done
waits_for_standby() { knows "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'SyncRep'" t; }
ok "both standbys gone: rounds wait" wait_until 20 waits_for_standby
ACKS=$(wc -l <"$SAID/acks")
taken() { [ "$(wc -l <"$SAID/acks")" -gt "$ACKS" ]; }
ok "    tasks are taken all the same" wait_until 30 taken
exits "    up heals" 0 cluster up 3
grows "    and what was kept is shipped"

# ---- a node is cut off, another one's tasklink stands still for longer than its lease

silent() { knows "SELECT live FROM ledger.node WHERE role = '$1'" f; }
live() { knows "SELECT live AND expires > ledger.now_us() FROM ledger.node WHERE role = '$1'" t; }
of() { psql_ "SELECT count(*) FROM ledger.task WHERE node = '$1'"; } # of NODE
LOGGED=$(wc -l <"$DIR/n2/tasklink.log")
cluster exec n2 ip link set eth0 down
# shellcheck disable=SC2046
kill -STOP $(cluster pids n3 tasklink)
ok "a node is cut off: its lease ends" wait_until 60 silent n2
ok "a tasklink that stands still loses its lease" wait_until 30 silent n3
is "    the third one has its own" "$(psql_ "SELECT live FROM ledger.node WHERE role = 'n1'")" t
CUT=$(of n2) STILL=$(of n3) EPOCH=$(psql_ "SELECT epoch FROM ledger.node WHERE role = 'n3'")
busy() { # busy NODE: it was given and ended more than eight since
    [ "$(cluster exec "$1" tasklog query -o csv --no-headers "SELECT count(*) FROM task WHERE status > 4")" -gt $((HAD + 8)) ]
}
HAD=$CUT
ok "who is cut off goes on with its own work" wait_until 30 busy n2
says_so() { tail -n +$((LOGGED + 1)) "$DIR/n2/tasklink.log" | grep "warning: unable to reach the ledger: " >/dev/null; }
ok "    and says so, within the minute that it keeps between two such lines" wait_until 70 says_so
HAD=$STILL
ok "so does the other" wait_until 30 busy n3
cluster exec n2 ip link set eth0 up
# shellcheck disable=SC2046
kill -CONT $(cluster pids n3 tasklink)
caught_up() { [ "$(of "$1")" -gt $((HAD + 8)) ]; }
ok "healed: it lives" wait_until 60 live n2
HAD=$CUT
ok "    and ships what it did" wait_until 30 caught_up n2
ok "continued: it is under another session" wait_until 30 knows "SELECT live AND epoch > $EPOCH FROM ledger.node WHERE role = 'n3'" t
HAD=$STILL
ok "    and ships what it did" wait_until 30 caught_up n3

# ---- a whole node dies

submit n1 "$TMP/long.task"
LONG=$(tail -n 1 "$SAID/acks" | cut -d ' ' -f 2)
runs() { cluster exec n1 task status -o json "$LONG" | grep -q '"state": *"running"'; }
ok "something runs" wait_until 20 runs
HOST_BOOT=$(cat "$DIR/n1/boot_id")
# shellcheck disable=SC2046
kill -9 $(cluster pids n1)
ok "a node dies" wait_until 60 silent n1
like "    which status shows" "$(cluster status)" 'n1    broken    taskd down, taskrun down, tasklink down, silent, heard [0-9.]+ s ago'
submit n1 "$TMP/good.task"
exits "    up starts it" 0 cluster up 3
ok "    as another boot" test "$HOST_BOOT" != "$(cat "$DIR/n1/boot_id")"
ok "    the ledger hears it" wait_until 30 live n1
ended() { knows "SELECT state FROM ledger.runs WHERE id = '$LONG'" success; }
ok "    what ran then has run again" wait_until 60 ended
is "    as its second attempt, the first is lost" "$(cluster exec n1 tasklog query -o csv --no-headers "SELECT n, status FROM attempt WHERE id = '$LONG.0' ORDER BY n" | tr '\n' ' ')" "1,10 2,5 "

# ---- two under one name

# shellcheck disable=SC2016
cluster exec n2 timeout 20 env "TASK_SPOOL=$TMP/other" sh -c 'taskd --tasklog=none & i=0; until [ -e "$TASK_SPOOL/journal" ] || [ $((i += 1)) -gt 200 ]; do sleep 0.05; done; kill $!; wait' >"$TMP/out" 2>&1 || true
AS_N1="host=db1,db2,db3 dbname=ledger user=n1 connect_timeout=2"
EPOCH=$(psql_ "SELECT epoch FROM ledger.node WHERE role = 'n1'")
exits "another machine under a name that is in use is kept out" 75 cluster exec n2 tasklink --once --spool="$TMP/other" --ledger="$AS_N1"
like "    and told" "$(cat "$TMP/err")" 'another boot has a lease under this name \(TL005\)'
is "    whose it is does not notice" "$(psql_ "SELECT epoch FROM ledger.node WHERE role = 'n1'")" "$EPOCH"
LINK=$(cluster pids n1 tasklink)
timeout 120 "$ROOT/contrib/cluster" "--dir=$DIR" exec n1 tasklink --spool="$TMP/other" --ledger="$AS_N1" >"$TMP/second.out" 2>"$TMP/second.err" </dev/null &
SECOND=$!
TEST_PIDS+=("$SECOND")
one_left() { gone "$LINK" || gone "$SECOND"; }
ok "two on one machine under one name: one of them gives up" wait_until 60 one_left
like "    and says why" "$(cat "$TMP/second.err" "$DIR/n1/tasklink.log")" 'error: unable to keep a session: another tasklink logs in under this name'
kill "$SECOND" 2>/dev/null || true
ok "    the other one is ended" wait_until 20 gone "$SECOND"
exits "    up starts what gave up" 0 cluster up 3
ok "    and the ledger hears it" wait_until 40 live n1

# ---- a clock

cc -std=gnu11 -O2 -o "$TMP/clock" "$ROOT/Tests/scenarios/faults/clock.c" 2>/dev/null || true
echo 0 >"$TMP/offset"
if "$TMP/clock" "$TMP/offset" true 2>/dev/null; then
    # shellcheck disable=SC2046
    kill $(cluster pids n2 taskd)
    no_taskd() { [ -z "$(cluster pids n2 taskd)" ]; }
    wait_until 20 no_taskd
    cluster exec n2 "$TMP/clock" "$TMP/offset" "$BIN/taskd" </dev/null >>"$DIR/n2/taskd.log" 2>&1 &
    CLOCKED=$!
    TEST_PIDS+=("$CLOCKED")
    back() { cluster exec n2 task status | grep -q . && [ -n "$(cluster pids n2 taskd)" ]; }
    ok "a node under another clock" wait_until 20 back
    for STEP in 86400 -86400; do
        echo "$STEP" >"$TMP/offset.new" && mv "$TMP/offset.new" "$TMP/offset"
        HAD=$(of n2)
        ok "its clock is set by $STEP s: it ships on" wait_until 40 caught_up n2
        cp "$TMP/good.task" "$DIR/n2/spool/incoming/.drop" && mv "$DIR/n2/spool/incoming/.drop" "$DIR/n2/spool/incoming/drop$STEP.task"
        ok "    what it took then, too" wait_until 40 knows "SELECT count(*) FROM ledger.task WHERE name = 'drop$STEP' AND status = 5" 1
    done
    ok "    nobody else noticed" knows "SELECT count(*) FROM ledger.node WHERE live" 3
    # shellcheck disable=SC2046
    kill $(cluster pids n2 taskd)
    wait_until 20 no_taskd
    exits "    and back by a restart" 0 cluster up 3
else
    skip "a node's clock is set" "nothing can be traced here (ptrace)"
fi

# ---- the end: all that was acknowledged

touch "$TMP/stop"
ok "the load ends" wait_until 40 gone "$LOAD"
at_rest() { [ -z "$(find "$DIR"/n?/spool/{incoming,tmp,ready,active,deferred} -mindepth 1 -not -name '.*' -print -quit)" ]; }
ok "all work ends" wait_until 90 at_rest
look() { # look: is the history sound? What is wrong with it is left in $TMP/verdict
    local node
    for node in n1 n2 n3; do cluster exec $node "$JUDGE/judge" --ends >"$SAID/ends.$node" || return 1; done
    "$JUDGE/judge" "$SAID" -h "$DIR/$(cat "$DIR/primary")" -U postgres -d ledger >"$TMP/verdict" &&
        grep -E 'on nodes ([0-9]+), in the ledger \1;' "$TMP/verdict" >/dev/null # what ended last is shipped, too
}
ok "after all that the history is sound" wait_until 90 look
diag <"$TMP/verdict"
like "    nothing lost, nothing doubled, as the nodes have it" "$(cat "$TMP/verdict")" '^acknowledged ([0-9]+), in the ledger \1, lost 0, doubled 0, other breaches 0; tasks: on nodes ([0-9]+), in the ledger \2; commits [0-9]+$'
ok "    and it is not a small one" test "$(wc -l <"$SAID/acks")" -ge 100
exits "queries.sql answers, too" 0 cluster psql -q -v ON_ERROR_STOP=1 -f "$ROOT/contrib/sql/queries.sql"

# ---- down

cluster exec n1 sleep 1000 &
SLEEP=$!
disown "$SLEEP"
everybody >"$TMP/all.2"
exits "down" 0 cluster down
ok "    ends what runs on its hosts" wait_until 5 gone "$SLEEP"
is "    leaves no namespace but those of before" "$(namespaces)" "$(cat "$TMP/before")"
ok "    and no directory" test ! -e "$DIR"
left() { # of those that were recorded, by pid and start
    local pid born
    grep -hE '^[0-9]+ [0-9]+ ' "$TMP/all" "$TMP/all.2" | while read -r pid born _; do
        gone "$pid" || [ "$(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null | cut -d ' ' -f 20)" != "$born" ] || echo "$pid"
    done
}
none_left() { [ -z "$(left)" ]; }
ok "    nor a process" wait_until 10 none_left
exits "down again" 0 cluster down
done_testing
