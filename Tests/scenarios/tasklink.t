#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: what ends in a spool is in the ledger, once, as the local history has it: after kill -9 at each
# word with the server, an outage, a restore that nobody announced, and a copy of the spool. A PostgreSQL
# of its own, by unix socket.
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
for NODE in link_1 link_2; do
    sql -c "CREATE ROLE $NODE LOGIN IN ROLE ledger_node" -c "SELECT ledger.add_node('$NODE')" >/dev/null
done
sql -c "CREATE ROLE link_none LOGIN"
at() { echo "host=$PGHOST dbname=${2:-ledger} user=$1"; } # at NODE [DATABASE]
LEDGER=$(at link_1)
once() { tasklink --once --interval=100ms --ledger="$LEDGER" "$@"; }

# ---- what both say

here() {
    tasklog query -o csv --no-headers "SELECT id, name, status, reason, exit, signal, attempts, generation,
        ended, CASE WHEN attempts < 2 THEN started END, cpu_us, mem FROM task WHERE status > 4" | sort
}
there() {
    sql --csv -c "SELECT DISTINCT ON (id) id, name, status, reason, exit, signal, attempts, generation,
        ended, CASE WHEN attempts < 2 THEN started END, cpu_us, mem FROM ledger.task ORDER BY id, generation DESC" | sort
}
runs_here() { tasklog query -o csv --no-headers "SELECT id, name, unit, status, reason, generation, started, ended FROM run WHERE ended > 0" | sort; }
runs_there() {
    sql --csv -c "SELECT DISTINCT ON (id) id, name, unit, status, reason, generation, started, ended FROM ledger.run
        WHERE status NOT IN (8, 9) ORDER BY id, generation DESC" | sort
}
# (Of an attempt that waits for subtasks the ledger has one end, the last.)
tried_here() { tasklog query -o csv --no-headers "SELECT id, n, generation, exit, signal, started, ended FROM attempt WHERE ended > 0 AND id <> '$PARENT.0'" | sort; }
tried_there() { sql --csv -c "SELECT id, n, generation, exit, signal, started, ended FROM ledger.attempt WHERE n > 0 AND id <> '$PARENT.0'" | sort; }
# differences: lines that one of them has, by history
differences() {
    diff <(here) <(there) || true
    diff <(runs_here) <(runs_there) || true
    diff <(tried_here) <(tried_there) || true
}
doubled() { sql -c "SELECT count(*) - count(DISTINCT (run, generation, k, item, attempt, final)) FROM ledger.entry"; }
same() { # same WHAT: nothing is missing, nothing is doubled
    is "$1: the ledger says what the spool says" "$(differences | head -n 20)" ""
    is "$1: nothing is there twice" "$(doubled)" 0
}

# ---- a thousand tasks

fresh link
start_taskd "$SPOOL"
# shellcheck disable=SC2016
unit many 'case $TASK_INDEX in *3) exit 1 ;; esac'
printf '[Array]\nCount=900\n' >>"$TMP/many.task"
unit good true
unit again 'exit 4' Restart=1 RestartSec=0s
unit bad 'exit 5'
unit need true
printf '[Dependencies]\nRequires=bad.task\n' >>"$TMP/need.task"
unit check true
printf '[Checks]\nno="false"\n' >>"$TMP/check.task"
unit long 'sleep 1000'
cat >"$TMP/parent.sh" <<'END'
printf '[Jail]\nJail=no\n[Command]\ncommand=true\n' >"$TASK_SUBMIT/.x" && mv "$TASK_SUBMIT/.x" "$TASK_SUBMIT/x.task"
END
unit parent ". $TMP/parent.sh"
GOOD=()
for ((i = 0; i < 90; i++)); do GOOD+=("$TMP/good.task"); done
submit "$TMP/many.task" "$TMP/again.task" "$TMP/check.task" "$TMP/need.task" "${GOOD[@]}" >/dev/null
PARENT=$(submit "$TMP/parent.task")
LONG=$(submit "$TMP/long.task")
started() { has_event " start $LONG.0 "; }
ok "what is to be cancelled runs" wait_until 20 started
task cancel "$LONG" >/dev/null
echo "no unit" >"$SPOOL/incoming/no"
ok "all end" wait_until 60 all_ended
CHECK=$(task status -o json check | sed -n 's/.*"run": *"\([^"]*\)".*/\1/p' | head -n 1)
task retry "$CHECK" >/dev/null
retried() { has_event " end $CHECK state=failure .*g=1"; }
ok "one of them is retried" wait_until 20 retried
ok "there are a thousand" test "$(here | wc -l)" -ge 990

exits "tasklink ships them, and ends" 0 once
is "… without a word" "$(cat "$TMP/err")" ""
same "a thousand tasks"
is "who ran them" "$(sql -c 'SELECT DISTINCT node FROM ledger.task')" link_1
is "a unit's ends are counted" "$(sql -c "SELECT sum(n) FROM ledger.tally WHERE name = 'good' AND state = 'success'")" 90
is "what was rejected is there, too" "$(sql -c "SELECT count(*) FROM ledger.run WHERE status = 9 AND name = 'no'")" 1
ROWS=$(sql -c 'SELECT count(*) FROM ledger.hist')
exits "again" 0 once
is "… has nothing to ship" "$(sql -c 'SELECT count(*) FROM ledger.hist')" "$ROWS"

# ---- kill -9 before each word of it, and each write of its file

append() { # append: ends of another writer, in a segment of its own
    local now=$((${EPOCHREALTIME/./} - 1000)) id
    APPENDED=$((APPENDED + 1))
    id=$(printf '%026d' "$APPENDED")
    printf '%s\n' "$now accept $id name=w.task unit=w tasks=1" "$((now + 1)) start $id.0 a=1 name=w" \
        "$((now + 5)) end $id.0 a=1 state=success exit=0 us=4 final=yes" "$((now + 6)) end $id state=success name=w final=yes" |
        tasklog append
}
APPENDED=0
if build_inject; then
    for CALL in sendto recvfrom fsync,renameat,rename; do
        KILLED=0 STATUS=137
        for ((n = 1; n < 80 && STATUS == 137; n++)); do
            append
            submit "$TMP/good.task" >/dev/null
            STATUS=0
            "$TMP/inject" -c "$CALL" -n "$n" -k "$BIN/tasklink" --once --ledger="$LEDGER" >"$TMP/out" 2>&1 || STATUS=$?
            [ $STATUS -ne 137 ] || KILLED=$((KILLED + 1))
        done
        is "it came to its end before call $n of $CALL" "$STATUS" 0
        ok "… and was killed before ($KILLED times)" test $KILLED -ge 4
    done
    # A disk that has no room, once: what was read by then is kept.
    for ((n = 1; n < 6; n++)); do
        append
        exits "no room for fsync $n" 0 "$TMP/inject" -c fsync -n "$n" -e ENOSPC "$BIN/tasklink" --once --interval=100ms --ledger="$LEDGER"
        SAID=$(cat "$TMP/err")
        is "… and nothing is left out" "$(sql -c "SELECT count(*) FROM ledger.task WHERE name = 'w'")" "$APPENDED"
        [ "$n" -ne 3 ] || like "… is said" "$SAID" 'warning: unable to write outgoing/session: No space left on device, nothing is shipped until it can'
    done
    ok "all end" wait_until 30 all_ended
    exits "what is left is shipped" 0 once
    same "kill -9"

    # What was read is remembered, and is only a memory.
    LONG=$(submit "$TMP/long.task")
    ok "something runs" wait_until 20 started
    exits "a start that begins with it" 0 once
    opens() { # opens: how many files the next start opens
        "$TMP/inject" -c openat -n 0 -l "$TMP/calls" "$BIN/tasklink" --once --ledger="$LEDGER" && wc -l <"$TMP/calls"
    }
    WITH=$(opens)
    cp "$SPOOL/outgoing/read" "$TMP/read"
    rm "$SPOOL/outgoing/read"
    WITHOUT=$(opens)
    ok "a start does not read what was read ($WITH files, without its memory $WITHOUT)" test $((WITHOUT - WITH)) -ge 25
    is "… and reads it to the same end" "$(sort "$SPOOL/outgoing/read" | grep -v ^digest)" "$(sort "$TMP/read" | grep -v ^digest)"
    sed 's/name=long/name=lung/' "$TMP/read" >"$SPOOL/outgoing/read"
    task cancel "$LONG" >/dev/null
    ok "all end" wait_until 20 all_ended
    exits "a memory that is not whole is none" 0 once
    LONG=$(submit "$TMP/long.task")
    ok "something runs" wait_until 20 started
    exits "it is remembered" 0 once
    task cancel "$LONG" >/dev/null
    ok "all end" wait_until 20 all_ended
    exits "… and ends" 0 once
    same "a memory"
else
    skip "kill -9 at each call" "system calls cannot be watched here"
fi

# ---- a daemon: an outage, in the middle of the work

start_link() { # start_link [OPTION…]: its pid in $LINK, its words in $TMP/link.err
    : >"$TMP/link.err"
    tasklink --interval=100ms --ledger="$LEDGER" "$@" </dev/null >>"$TMP/out" 2>>"$TMP/link.err" &
    LINK=$!
    TEST_PIDS+=("$LINK")
}
linked() { grep -qE "$1" "$TMP/link.err"; }
even() { [ -z "$(differences 2>/dev/null)" ]; }
start_link
submit "$TMP/good.task" "$TMP/good.task" >/dev/null
ok "a daemon ships what ends" wait_until 20 even
is "… and says nothing" "$(cat "$TMP/link.err")" ""
exits "a second one is refused" 73 once
like "… with its reason" "$(cat "$TMP/err")" "is linked by another process"
ok "it sleeps between rounds" idles "$LINK"
stop_postgres
submit "$TMP/good.task" "$TMP/again.task" "$TMP/good.task" >/dev/null
ok "tasks run while the ledger is away" wait_until 20 all_ended
ok "it says that the ledger is away" wait_until 20 linked 'warning: unable to reach the ledger: '
ok "… and waits" idles "$LINK"
start_again() {
    postgres_says pg_ctl -D "$PGHOST/data" -l "$PGHOST/log" -w -t 60 start \
        -o "-k $PGHOST -c listen_addresses='' -c dynamic_shared_memory_type=mmap -c fsync=off" || return 1
    POSTMASTER=$("${AS_PG[@]}" head -n 1 "$PGHOST/data/postmaster.pid")
    TEST_PIDS+=("$POSTMASTER")
}
start_again
ok "it ships what it had to keep" wait_until 20 even
same "an outage"
is "it said one line of it, and one that it is over" "$(cut -d : -f 2 "$TMP/link.err" | tr -d '\n')" " warning notice"
kill -9 "$POSTMASTER" # all its connections with it, some in the middle of a word
wait_until 10 gone "$POSTMASTER"
submit "$TMP/good.task" >/dev/null
ok "the server comes back from a crash" wait_until 30 start_again
ok "it ships again" wait_until 30 even
kill "$LINK"
ok "SIGTERM ends it" wait_until 10 gone "$LINK"
wait "$LINK" && STATUS=0 || STATUS=$?
is "… with 0" "$STATUS" 0
same "a server that crashed"

# ---- nothing but outgoing/ is written

stop_taskd
touch "$TMP/stamp"
exits "without a taskd" 0 once
is "it writes to outgoing/ alone" "$(find "$SPOOL" -newer "$TMP/stamp" -not -path "$SPOOL/outgoing*" -not -path "$SPOOL" -print)" ""
is "… four files, and nothing half written" "$(find "$SPOOL/outgoing" -mindepth 1 -not -name free -printf '%f\n' | sort | tr '\n' ' ')" "lease lock read session "
start_taskd "$SPOOL"

# ---- a backup that nobody announced

stop_postgres
cp -a "$PGHOST/data" "$TMP/backup"
start_again
submit "$TMP/good.task" "$TMP/bad.task" >/dev/null
ok "all end" wait_until 20 all_ended
exits "something is shipped after the backup" 0 once
stop_postgres
rm -rf "$PGHOST/data"
cp -a "$TMP/backup" "$PGHOST/data"
start_again
exits "the next word is refused" 76 once
like "… and says what to do" "$(cat "$TMP/err")" 'error: unable to ship: the ledger knows less than this node \(TL003\): .*contrib/sql/restored was not run, nothing is shipped'
ROWS=$(sql -c 'SELECT count(*) FROM ledger.hist')
start_link
ok "a daemon stays, and says it" wait_until 20 linked 'warning: unable to ship: .*TL003'
is "… ships nothing" "$(sql -c 'SELECT count(*) FROM ledger.hist')" "$ROWS"
kill "$LINK"
wait "$LINK" || true
PGDATABASE=ledger "$ROOT/contrib/sql/restored" >/dev/null
start_link
ok "once restored was run it goes on by itself" wait_until 20 even
same "a restore"
is "it has reported, the other node has not" "$(PGDATABASE=ledger "$ROOT/contrib/sql/restored" --waiting)" link_2
kill "$LINK"
wait "$LINK" || true
PGDATABASE=ledger "$ROOT/contrib/sql/restored" --open=link_2 >/dev/null

# ---- a copy of the spool

stop_taskd
cp -a "$SPOOL" "$TMP/copy"
start_taskd "$SPOOL"
submit "$TMP/good.task" >/dev/null
ok "the original goes on" wait_until 20 all_ended
exits "… and ships" 0 once
ID=$(sed -n 's/^spool //p' "$TMP/copy/outgoing/session")
exits "a copy is known as one" 0 once --spool="$TMP/copy"
like "… and says so" "$(cat "$TMP/err")" 'warning: this spool is a copy.* \(TL006\): '
ok "… takes another id" test "$(sed -n 's/^spool //p' "$TMP/copy/outgoing/session")" != "$ID"
is "… its journal is shipped under that" "$(sql -c "SELECT count(DISTINCT spool) FROM ledger.hist")" 2
is "what both have is shown once" "$(differences | head -n 20)" ""
exits "the original ships on" 0 once
is "… and is the original" "$(cat "$TMP/err")$(sed -n 's/^spool //p' "$SPOOL/outgoing/session")" "$ID"

# Two that log in as one, at once: each ends the other's session.
start_link
OTHER=$LINK
tasklink --interval=100ms --ledger="$LEDGER" --spool="$TMP/copy" </dev/null >"$TMP/out" 2>"$TMP/copy.err" &
LINK=$!
TEST_PIDS+=("$LINK")
one_left() { gone "$OTHER" || gone "$LINK"; }
ok "of two under one name one gives up" wait_until 20 one_left
like "… and says why" "$(cat "$TMP/link.err" "$TMP/copy.err")" 'error: unable to keep a session: another tasklink logs in under this name'
kill "$OTHER" "$LINK" 2>/dev/null || true
wait "$OTHER" 2>/dev/null && STATUS=0 || STATUS=$?
wait "$LINK" 2>/dev/null || STATUS=$?$STATUS
like "… with 76" "$STATUS" 76

# ---- what is wrong

cp -a "$SPOOL" "$TMP/new"
fails() { # fails NAME STATUS REGEX OPTION…: with a spool that has had no session
    rm -rf "$TMP/new/outgoing"
    exits "$1" "$2" tasklink --once --spool="$TMP/new" "${@:4}"
    like "… and says so" "$(cat "$TMP/err")" "$3"
}
fails "a role that may not come in" 77 'error: the ledger does not let this node in: permission denied for database "ledger", nothing' --ledger="$(at link_none)"
sql -c "GRANT ledger_node TO link_none"
fails "a role that is no node" 77 'error: the ledger does not let this node in: no node link_none, nothing is shipped' --ledger="$(at link_none)"
fails "a role that is not there" 77 'role "link_absent" does not exist, nothing is shipped' --ledger="$(at link_absent)"
fails "a database without a ledger" 78 'error: the database has no ledger of this version \(contrib/sql/migrate\): ' --ledger="$(at link_2 postgres)"
fails "a database that is not there" 77 'database "none" does not exist' --ledger="$(at link_2 none)"
fails "an address that is none" 78 "error: unable to use the ledger's address: .*nonsense" --ledger="nonsense=1"
fails "no address" 78 'error: no ledger is named, nothing is shipped: write URL= in \[Ledger\]'
fails "nobody there" 75 'unable to reach the ledger: .*No such file' --ledger="host=$TMP/nowhere dbname=ledger"
psql -XAtq -d postgres -c "CREATE DATABASE other TEMPLATE ledger" -c "GRANT CONNECT ON DATABASE other TO ledger_node"
psql -XAtq -d other -c "ALTER FUNCTION ledger.ship RENAME TO ship_2"
fails "a ledger of another version" 78 'no ledger of this version \(contrib/sql/migrate\): .*ledger.ship' --ledger="$(at link_2 other)"
exits "a wrong option" 2 tasklink --interval=1h
exits "help" 0 tasklink --help
mkdir -p "$XDG_CONFIG_HOME/task"
echo "[Ledger]
URL=$LEDGER" >"$XDG_CONFIG_HOME/task/task.conf"
exits "task.conf names it" 0 tasklink --once
exits "of several hosts the one that answers" 0 tasklink --once --ledger="host=$TMP/nowhere,$PGHOST dbname=ledger user=link_1"
stop_taskd
stop_postgres
done_testing
