#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: what a node will not start soon runs on whatever node claims it, and has one result: with kill -9
# at each word of a tasklink, a node that dies, one that is fenced, and an outage of the ledger. A
# PostgreSQL of its own, by unix socket.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs task taskd taskrun tasklog tasklink
# shellcheck source=Tests/scenarios/faults/common.sh
. "$ROOT/Tests/scenarios/faults/common.sh"
[ ! -e /etc/task/task.conf ] || skip_all "this machine has a task.conf"
export XDG_CONFIG_HOME=$TMP/config
# shellcheck source=Tests/scenarios/ledger/common.sh
. "$ROOT/Tests/scenarios/ledger/common.sh"
export PGOPTIONS='-c client_min_messages=warning -c statement_timeout=30s'
sql() { psql -XAtq -v ON_ERROR_STOP=1 -d ledger "$@"; }
make_ledger ledger
# A lease of nine seconds: what a dead node held is free again after that. (Nodes reap every one to three seconds, and
# none is reaped after a gap of more than a third of it.)
sql -c "UPDATE ledger.meta SET ttl_us = 9000000"
for NODE in n1 n2; do
    sql -c "CREATE ROLE $NODE LOGIN IN ROLE ledger_node" -c "SELECT ledger.add_node('$NODE')" >/dev/null
done

# ---- two nodes

declare -A TASKDS LINKS
on() { # on NODE: what follows is said of its spool
    NODE=$1 SPOOL=$TMP/s$1 IDS=$TMP/ids.$1 TASKD=${TASKDS[$1]-}
    export TASK_SPOOL=$SPOOL
}
start_link() { # start_link: of the node that is on
    tasklink --spool="$SPOOL" --interval=100ms --ledger="host=$PGHOST dbname=ledger user=$NODE" </dev/null >>"$TMP/out" 2>>"$TMP/$NODE.err" &
    LINKS[$NODE]=$!
    TEST_PIDS+=("$!")
    disown "$!"
}
start_node() { # start_node NODE SLOTS
    on "$1"
    : >"$IDS"
    start_taskd "$SPOOL" --slots="$2"
    TASKDS[$NODE]=$TASKD
    start_link
}
leased() { [ -s "$SPOOL/outgoing/lease" ] && grep -q "^nodes $1\$" "$SPOOL/outgoing/lease"; }
# unit_at NAME SECONDS [COMMAND]: one that says where it ran
unit_at() {
    unit "$1" "echo \$TASK_RUN \$\$ >>$TMP/ran; sleep $2; ${3-true}"
}
# ends ID: how often its run has come to its end, as the spool that is on says
ends() { events | awk -v id="$1" '$5 == "end" && $6 == id && / final=yes/' | wc -l; }
settled() { # settled: each run that was submitted here has its end, and nothing is away
    local id
    [ -z "$(find "$SPOOL"/{incoming,tmp,ready,active,deferred} -mindepth 1 -not -name '.*' -print -quit)" ] || return 1
    [ -z "$(find "$SPOOL/outgoing" -name '*.*' -not -name '.*' -print -quit)" ] || return 1
    events | awk '$5 == "end" && / final=yes/ { print $6 }' | sort >"$TMP/ended"
    while read -r id; do grep -q "^$id\$" "$TMP/ended" || return 1; done <"$IDS"
}
twice() { # twice: which of them have more than one end here in one generation
    events | awk '$5 == "end" && / final=yes/ && $6 !~ /\./ { print $6, match($0, / g=[0-9]+/) ? substr($0, RSTART, RLENGTH) : "" }' |
        sort | uniq -d
}
# Nothing is lost and nothing has two results: at home one end each, in the ledger one row each, all closed.
one_result() { # one_result WHAT
    is "$1: each run has one end at home" "$(twice)" ""
    is "$1: each has one result in the ledger" "$(sql -c "SELECT id FROM ledger.part GROUP BY id, generation HAVING count(*) > 1" \
        -c "SELECT id FROM ledger.attempt WHERE result AND n > 0 GROUP BY id, generation HAVING count(DISTINCT gen) > 1")" ""
    is "$1: all that was pushed is closed" "$(sql -c "SELECT count(*) FROM ledger.bundle b LEFT JOIN ledger.done d USING (id, generation) WHERE d.id IS NULL")" 0
    is "$1: spool and journal are sound" "$(tasklog verify -q 2>&1; task fsck -q || task fsck 2>&1)" ""
}
submitted() { local i list=(); for ((i = 0; i < $2; i++)); do list+=("$TMP/$1.task"); done; submit "${list[@]}"; }
shipped() { # shipped: the ledger has an end of each run of this spool (of one that was cancelled the run's alone)
    local there
    there=$(sql -c "SELECT count(*) FROM (SELECT run FROM ledger.task WHERE status > 4 UNION SELECT ledger.ulid(id) FROM ledger.done) x
        WHERE run IN ($(sed "s/.*/'&'/" "$IDS" | sort -u | paste -sd,))")
    [ "$there" -eq "$(sort -u "$IDS" | wc -l)" ]
}

: >"$TMP/ran"
start_node n1 8
start_node n2 2
ok "the second node has a lease" wait_until 20 leased 2
on n1
ok "so has the first" wait_until 20 leased 2

# ---- a backlog spreads

unit_at work 0.2
submitted work 250 >/dev/null
ok "all end" wait_until 60 settled
is "each ran once" "$(cut -d ' ' -f 1 "$TMP/ran" | sort | uniq -c | awk '$1 != 1' | wc -l) $(wc -l <"$TMP/ran")" "0 250"
ok "all ends are shipped" wait_until 20 shipped
is "both nodes have run some" "$(sql -c "SELECT string_agg(DISTINCT node, ' ' ORDER BY node) FROM ledger.task")" "n1 n2"
one_result "a backlog"
AWAY=$(sql -c "SELECT ledger.ulid(id) FROM ledger.done WHERE node = 'n2' LIMIT 1")
like "the journal says that it went" "$(events | grep -a " $AWAY ")" " note $AWAY what=exported"
like "… and that the ledger says how it ended" "$(events | grep -a " end $AWAY ")" "state=success name=work from=ledger final=yes"
on n2
like "where it ran all of it carries the token" "$(events | grep -a " end $AWAY.0 ")" " gen=1"
on n1

# ---- what fails elsewhere is at home to be retried

unit_at bad 0.2 "exit 3"
submitted bad 200 >/dev/null
ok "all fail" wait_until 60 settled
BAD=$(sql -c "SELECT ledger.ulid(id) FROM ledger.done WHERE node = 'n2' AND status = 6 LIMIT 1")
ok "one that failed on the other node lies in failed/ here" test -s "$SPOOL/failed/$BAD+1"
is "… and not there" "$(find "$TMP/sn2/failed" -type f | wc -l)" 0
one_result "failures"
rm -f "$SPOOL"/failed/*

# ---- a plan of several tasks goes as a whole, and so does an array

printf -- '- name: one\n  command: sh\n  args: "-c true"\n  Jail: no\n- name: two\n  command: "false"\n  Jail: no\n' >"$TMP/both.yaml"
# shellcheck disable=SC2016
unit many 'case $TASK_INDEX in *3) exit 1 ;; esac'
printf '[Array]\nCount=20\n' >>"$TMP/many.task"
submitted work 150 >/dev/null
BOTH=$(submit "$TMP/both.yaml")
MANY=$(submit "$TMP/many.task")
ok "all end" wait_until 60 settled
for RUN in "$BOTH" "$MANY"; do ok "it went" has_event " note $RUN what=exported"; done
is "of a plan what failed comes back to be retried" "$(grep -a '^task ' "$SPOOL/failed/$BOTH+1" | cut -d ' ' -f 2,3)" "1 two"
is "… and of an array the items that failed" "$(grep -a '^items ' "$SPOOL/failed/$MANY+1")" "$(printf 'items 0 1 3\nitems 0 1 13')"
one_result "plans"
task retry "$MANY" >/dev/null
again() { has_event " end $MANY state=failure .*g=1"; }
ok "it can be retried" wait_until 20 again
rm -f "$SPOOL"/failed/*

# ---- what needs a directory of this machine stays

mkdir -p "$TMP/here"
head -c 70000 /dev/zero | tr '\0' '#' >"$TMP/here/big"
printf '[Service]\nDir=%s\n[Jail]\nJail=no\n[Command]\ncommand="./big"\n' "$TMP/here" >"$TMP/near.task"
{ echo '#!/bin/sh' && cat "$TMP/here/big"; } >"$TMP/here/big.new" && mv "$TMP/here/big.new" "$TMP/here/big" && chmod +x "$TMP/here/big"
unit_at slow 1
submitted slow 60 >/dev/null
sed 's/^Dir=/Shared=yes\nDir=/' "$TMP/near.task" >"$TMP/far.task"
NEAR=$(submit "$TMP/near.task")
FAR=$(submit "$TMP/far.task")
gone_out() { [ -n "$(find "$SPOOL/outgoing" -name '*.sent' -print -quit)" ]; }
ok "others go" wait_until 20 gone_out
is "what needs a file of this machine does not" "$(find "$SPOOL/outgoing" -name "$NEAR*")" ""
ok "… but where all machines have it" has_event " note $FAR what=exported"
like "… and task explain says why" "$(task explain "$NEAR")" "It is not handed to other nodes: it needs $TMP/here/big"
SENT=$(find "$SPOOL/outgoing" -name '*.sent' -printf '%f\n' | head -n 1)
like "task explain knows what went" "$(task explain "${SENT%.sent}")" "It was handed to the ledger"

# ---- what went can be cancelled

LAST=$(find "$SPOOL/outgoing" -name '*.sent' -printf '%f\n' | sort | tail -n 1)
LAST=${LAST%.sent}
ok "task cancel takes a run that was sent" task cancel "$LAST"
ended_cancelled() { has_event " end $LAST state=cancelled .*from=ledger final=yes"; }
ok "… and the ledger says that it is" wait_until 20 ended_cancelled
ok "… its plan lies in failed/" test -s "$SPOOL/failed/$LAST+1"
is "… and it did not run" "$(grep -c "^$LAST " "$TMP/ran" || true)" 0

# ---- kill -9 of a node in the middle: another claims what it held

on n2
held_there() { [ "$(sql -c "SELECT count(*) FROM ledger.held WHERE node = 'n2'")" -gt 0 ]; }
ok "the second node holds some" wait_until 20 held_there
kill -9 "${LINKS[n2]}" "$TASKD" "$(pool_pid "$SPOOL")"
on n1
ok "all ends all the same" wait_until 90 settled
is "… by the first node" "$(sql -c "SELECT count(*) FROM ledger.held")" 0
one_result "a node that died"
ok "what it held was reclaimed" test "$(sql -c "SELECT count(*) FROM ledger.audit WHERE verb = 'reclaim'")" -gt 0

# ---- the dead node comes back: what it held is not its own any more

on n2
start_taskd "$SPOOL" --slots=2
TASKDS[n2]=$TASKD
start_link
ok "it has a lease again" wait_until 20 leased 2
at_ease() { [ -z "$(find "$SPOOL"/{incoming,ready,active,deferred} -mindepth 1 -not -name '.*' -print -quit)" ]; }
ok "… and nothing is left of what it held" wait_until 20 at_ease
one_result "a node that came back"

# ---- a node that is fenced while it works: its commit is refused

on n1
unit_at long 3
submitted long 48 >/dev/null
on n2
ok "the second node holds some" wait_until 30 held_there
kill -STOP "${LINKS[n2]}"
fenced() { ! held_there; }
ok "FAULT 19: its lease ends, and others have them" wait_until 40 fenced
sleep_over() { [ -n "$(find "$SPOOL/outgoing" -name '*.ended' -print -quit)" ]; }
ok "what ran there goes on to its end" wait_until 30 sleep_over
kill -CONT "${LINKS[n2]}"
refused() { has_event ' note [^ ]* what=commit.refused'; }
ok "FAULT 19: its commit is refused, and the journal says so" wait_until 20 refused
on n1
ok "all end" wait_until 120 settled
one_result "a fenced node"

# ---- a taskd that does not come back: what its node had claimed is given back

on n1
submitted long 48 >/dev/null
on n2
ok "the second node holds some" wait_until 30 held_there
kill -9 "$TASKD"
ok "it gives them back" wait_until 60 fenced
like "… and says so" "$(cat "$TMP/n2.err")" 'warning: no taskd holds the spool: what was claimed is given back'
on n1
ok "all end" wait_until 120 settled
on n2
start_taskd "$SPOOL" --slots=2
TASKDS[n2]=$TASKD
ok "the next taskd has none of it" wait_until 20 at_ease
on n1
one_result "a taskd that does not come back"

# ---- the ledger is away

on n1
stop_postgres
submitted work 100 >"$TMP/while"
done_here() { [ "$(events | awk '$5 == "end" && / final=yes/ { print $6 }' | sort -u | grep -cFxf "$TMP/while")" -eq 100 ]; }
ok "FAULT 49: what the ledger never saw runs at home" wait_until 60 done_here
start_again() {
    postgres_says pg_ctl -D "$PGHOST/data" -l "$PGHOST/log" -w -t 60 start \
        -o "-k $PGHOST -c listen_addresses='' -c dynamic_shared_memory_type=mmap -c fsync=off" || return 1
    POSTMASTER=$("${AS_PG[@]}" head -n 1 "$PGHOST/data/postmaster.pid")
    TEST_PIDS+=("$POSTMASTER")
}
start_again
ok "FAULT 49: it drains" wait_until 40 shipped
one_result "an outage"

# An outage in the middle: what was sent waits for the ledger, what runs goes on.
submitted slow 60 >/dev/null
ok "some go" wait_until 20 gone_out
kill -9 "$POSTMASTER"
wait_until 10 gone "$POSTMASTER"
ok "the server comes back" wait_until 40 start_again
ok "all end" wait_until 90 settled
one_result "an outage in the middle"

# ---- kill -9 of tasklink before each of its calls, at home and elsewhere

if build_inject; then
    for WHO in n1 n2; do
        kill "${LINKS[$WHO]}" && wait_until 10 gone "${LINKS[$WHO]}"
        for CALL in sendto recvfrom fsync,renameat,rename,renameat2; do
            on n1
            submitted work 150 >/dev/null
            on "$WHO"
            KILLED=0 STATUS=137
            for ((n = 1; n <= 12; n++)); do
                STATUS=0
                timeout 2 "$TMP/inject" -c "$CALL" -n "$n" -k "$BIN/tasklink" --spool="$SPOOL" --interval=100ms \
                    --ledger="host=$PGHOST dbname=ledger user=$NODE" >"$TMP/out" 2>&1 || STATUS=$?
                [ $STATUS -ne 137 ] || KILLED=$((KILLED + 1))
            done
            ok "tasklink of $NODE was killed at calls of $CALL ($KILLED times)" test $KILLED -ge 6
        done
        on "$WHO"
        start_link
        on n1
        ok "all end" wait_until 90 settled
        ok "all ends are shipped" wait_until 20 shipped
        one_result "kill -9 on $WHO"
    done
else
    skip "kill -9 at each call" "system calls cannot be watched here"
fi

# ---- kill -9 of taskd on either side

on n1
submitted work 200 >/dev/null
for WHO in n1 n2 n1 n2 n1 n2; do
    on "$WHO"
    kill -9 "$TASKD"
    wait_until 10 gone "$TASKD"
    start_taskd "$SPOOL" --slots="$([ "$NODE" = n1 ] && echo 8 || echo 2)"
    TASKDS[$NODE]=$TASKD
done
on n1
ok "all end" wait_until 90 settled
ok "all ends are shipped" wait_until 20 shipped
one_result "kill -9 of taskd"

for NODE in n1 n2; do kill "${LINKS[$NODE]}" "${TASKDS[$NODE]}"; done
for NODE in n1 n2; do wait_until 10 gone "${TASKDS[$NODE]}"; done
stop_postgres
done_testing
