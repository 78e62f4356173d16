#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: the ledger of many machines decides as the protocol's rules say, two sessions at once too; a
# node can call its functions and nothing else; an upgrade ends where an installation begins; and with
# a rule taken out of ledger.sql these tests notice. A PostgreSQL of its own, by unix socket.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
SQL=$ROOT/contrib/sql
HERE=$(cd "$(dirname "$0")" && pwd)/ledger

# ---- a server of its own

# shellcheck source=contrib/sql/server.sh
. "$SQL/server.sh"
find_postgres >"$TMP/why" || skip_all "$(cat "$TMP/why")"
export PGOPTIONS='-c client_min_messages=warning -c statement_timeout=30s' PGAPPNAME=
start_postgres "$TMP/pg" -c fsync=off -c shared_buffers=32MB
TEST_PIDS+=("$POSTMASTER")
export PGDATABASE=ledger
sql() { psql -XAtq -v ON_ERROR_STOP=1 "$@"; }
as() { # as NODE SQL: in a session of that role; its word, or SQLSTATE
    PGUSER=$1 psql -XAtq -v VERBOSITY=sqlstate -c "$2" 2>&1 | sed 's/^ERROR:  //'
}
# Two days of partitions are not what most of these tests are about.
short() { sed 's/hours_ahead int NOT NULL DEFAULT 48/hours_ahead int NOT NULL DEFAULT 1/' "$1"; }
fresh() { # fresh DATABASE [FILE]
    sql -d postgres -c "DROP DATABASE IF EXISTS $1" -c "CREATE DATABASE $1"
    short "${2:-$SQL/ledger.sql}" | sql -d "$1" -1 -f -
}

# ---- rules

fresh ledger
for NODE in ledger_test_1 ledger_test_2; do sql -c "CREATE ROLE $NODE LOGIN IN ROLE ledger_node"; done
sql -c "CREATE ROLE ledger_test_op LOGIN IN ROLE ledger_operator" -c "CREATE ROLE ledger_test_look LOGIN IN ROLE ledger_reader"
rules() { psql -X -d "$1" -f "$HERE/rules.sql" 2>&1; }
rules ledger >"$TMP/rules" || true
SEEN=0
while IFS= read -r LINE; do
    case $LINE in
    "ok - "*) pass "${LINE#ok - }" && SEEN=$((SEEN + 1)) ;;
    "") ;;
    *) fail "${LINE#not ok - }" ;;
    esac
done <"$TMP/rules"
is "all of rules.sql ran" "$SEEN" "$(grep -c '^SELECT t.is(' "$HERE/rules.sql")"

# ---- the rules taken out: each copy of ledger.sql must fail a test of that rule

mutants() {
    cat <<'END'
1 s/b.id IS NOT NULL AND h.id IS NULL AS late/false AS late/
1 s/THEN NOT e.late ELSE EXISTS (SELECT/THEN NOT e.late ELSE true OR EXISTS (SELECT/
3 /THEN RETURN 'history'/d
4 s/ OR EXISTS (SELECT FROM held h WHERE h.id IN (b.id, b.root) AND h.node = x)//
5 s/CASE WHEN h.id = ANY (p_have) THEN NULL ELSE b.payload END/NULL::bytea/
6 s/IF c <> p_from THEN RETURN c; END IF;//
7 s/AND node = x) THEN 'mine' ELSE/) THEN 'mine' ELSE/
7 s/CASE WHEN d <> p_digest THEN 'conflict'/CASE WHEN false THEN ''/
8 s/IF p_hold AND NOT m.recovering THEN/IF NOT m.recovering THEN/
9 /THEN RETURN 'ends'/d
9 s/INSERT INTO ready VALUES (h.id, h.generation, h.gen, h.tries, h.prio, h.done); END IF;/INSERT INTO ready VALUES (h.id, h.generation, h.gen, h.tries + 1, h.prio, h.done); END IF;/
10 s/IF r.done <> p_before THEN .*//
11 s/WHERE role = session_user AND epoch = p_epoch AND live FOR SHARE/WHERE role = session_user AND epoch = p_epoch FOR SHARE/
12 s/PERFORM put_back(h, p_at);$/PERFORM put_back(h, 0);/
12 s/PERFORM cancel_children(p_id);/NULL;/
13 /'ledger behind'/d
13 s/UPDATE node SET live = false WHERE role = x;/UPDATE node SET live = false, epoch = epoch + 1 WHERE role = x;/
14 s/UPDATE later SET gen = m.n \* 1000;//
14 s/IF m.recovering OR (SELECT drain/IF (SELECT drain/
14 s/IF m.recovering AND NOT p_again THEN RETURN 'later'; END IF;//
15 s/IF p_root IS NOT NULL AND NOT m.recovering THEN/IF p_root IS NOT NULL THEN/
15 s/AND a.cut > b.cut/AND false/
16 s/IF v.boot IS DISTINCT FROM p_boot THEN .*//
16 s/IF v.seq = p_seq AND v.round = p_round THEN/IF v.seq = p_seq THEN/
16 /'spool is a copy'/s/RAISE EXCEPTION .*/NULL; END IF;/
16 s/SELECT DISTINCT ON (p.whole, p.k, p.element, p.generation) /SELECT /
17 s/payload bytea NOT NULL, PRIMARY KEY (id, generation))/payload bytea NOT NULL, PRIMARY KEY (id))/
18 s/now_us() NOT BETWEEN g.last AND g.last + m.ttl_us . 3/now_us() > g.last + m.ttl_us \/ 3/
18 s/IF now_us() - g.since < m.ttl_us THEN RETURN; END IF;//
18 s/WHERE n.live AND n.expires > now_us(); -- the dead/WHERE n.live; -- the dead/
19 s/CASE WHEN e.gen = 0 THEN NOT e.late/CASE WHEN e.gen = 0 THEN false/
20 s/WHEN EXISTS (SELECT FROM held WHERE id = p_id AND generation = p_generation AND node = x) THEN 'mine'//
21 s/done := done | p.mask;//
END
}
while IFS= read -r LINE; do
    RULE=${LINE%% *} EDIT=${LINE#* }
    sed "$EDIT" "$SQL/ledger.sql" >"$TMP/mutant.sql"
    cmp -s "$TMP/mutant.sql" "$SQL/ledger.sql" && fail "rule $RULE can be taken out: $EDIT" && continue
    if fresh mutant "$TMP/mutant.sql" 2>"$TMP/err"; then
        rules mutant >"$TMP/out" || true
        like "without rule $RULE it is noticed" "$(grep '^not ok' "$TMP/out" || true)" "not ok - rule $RULE:"
    else
        fail "without rule $RULE it installs" && diag <"$TMP/err"
    fi
done < <(mutants)


# ---- rights

fresh ledger
sql -c "SELECT ledger.add_node('ledger_test_1'), ledger.add_node('ledger_test_2')" >/dev/null
x() { printf "'00000000-0000-0000-0000-%012d'::uuid" "$1"; } # a spool, boot or round
register() { as "$1" "SELECT epoch FROM ledger.register(NULL, 0, 0, NULL, $(x "$2"), $(x "$2"), 1)"; }
ONE=$(register ledger_test_1 1) TWO=$(register ledger_test_2 2)
like "a node calls a function" "$ONE $TWO" '^[0-9]{16} [0-9]{16}$'
FIRST=$(sql -c "SELECT ledger.id_at(ledger.now_us() / 1000)")
id() { printf "'%s%012d'::uuid" "${FIRST:0:24}" "$1"; } # id N, of now
push() { # push EPOCH N [ROOT GEN] HOLD
    local root="NULL, NULL"
    [ $# -lt 5 ] || root="$(id "$3"), $4"
    echo "SELECT ledger.push($1, $(id "$2"), 0, $root, NULL, 1, 0, 0, 'site', 'site', 'd', 'plan', ${*: -1}, false)"
}
claim() { echo "SELECT right(id::text, 2) || ' ' || gen || ' ' || done FROM ledger.claim($1, 1)"; }
ship() { # ship EPOCH SPOOL FROM TO N GEN
    echo "SELECT ledger.ship($1, $(x "$2"), 's1', $3, $4, ARRAY[$(id "$5")], '{0}', '{0}', '{$6}', '{1}', '{0}', '{0}', '{site}', '{site}', '{5}',
        '{NULL}', '{0}', '{t}', '{1700000000000000}', '{1000}', '{NULL}', '{NULL}', '{NULL}')"
}
commit() { echo "SELECT ledger.commit($1, $(id "$2"), 0, $3, '0', '1', '0', 5)"; } # commit EPOCH N GEN
is "… pushes" "$(as ledger_test_1 "$(push "$ONE" 1 true)")" mine
is "its acknowledgements are durable, whatever it sets" "$(as ledger_test_1 "SET synchronous_commit = off; SELECT nodes FROM ledger.enter('$(sql -c 'SELECT incarnation FROM ledger.meta')', $ONE, 1, $(x 9), $(x 1), 1); SHOW synchronous_commit")" $'2\non'
is "… and not under another's epoch" "$(as ledger_test_2 "$(push "$ONE" 2 true)")" TL001
is "… not for another" "$(as ledger_test_2 "$(commit "$TWO" 1 1)")" refused
is "… nor as another" "$(as ledger_test_2 "SET ROLE ledger_test_1")" 42501
is "… nor by SET SESSION AUTHORIZATION" "$(as ledger_test_2 "SET SESSION AUTHORIZATION ledger_test_1")" 42501
is "a role without a row is no node" "$(sql -c 'CREATE ROLE ledger_test_3 LOGIN IN ROLE ledger_node' && register ledger_test_3 3)" TL000
doors() { # every statement on every table, tried by a node: `all -`, or what was let through
    PGUSER=ledger_test_1 psql -Xqc "DO \$\$ DECLARE c record; q text; let text; tried int := 0; BEGIN
  FOR c IN SELECT oid::regclass AS t, relkind FROM pg_class WHERE relnamespace = 'ledger'::regnamespace AND relkind IN ('r', 'p', 'v') LOOP
    FOREACH q IN ARRAY CASE WHEN c.relkind = 'v' THEN '{SELECT FROM %s}' ELSE '{SELECT FROM %s,INSERT INTO %s DEFAULT VALUES,UPDATE %s SET tableoid = 0,DELETE FROM %s,TRUNCATE %s,LOCK TABLE %s IN ACCESS SHARE MODE}'::text[] END LOOP
      BEGIN EXECUTE format(replace(q, 'tableoid = 0', (SELECT attname || ' = NULL' FROM pg_attribute WHERE attrelid = c.t AND attnum = 1)), c.t); let := concat(let, format(q, c.t), '; ');
      EXCEPTION WHEN insufficient_privilege THEN tried := tried + 1; WHEN OTHERS THEN let := concat(let, format(q, c.t), ' ', SQLSTATE, '; '); END;
    END LOOP;
  END LOOP;
  SET client_min_messages = notice;
  RAISE NOTICE '% %', CASE WHEN tried > 100 THEN 'all' END, coalesce(let, '-'); END \$\$" 2>&1
}
is "no table and no view lets a node in" "$(doors)" "NOTICE:  all -"
sql -c "GRANT SELECT ON ledger.reaper TO ledger_node"
is "an open one is seen" "$(doors)" "NOTICE:  all SELECT FROM ledger.reaper; LOCK TABLE ledger.reaper IN ACCESS SHARE MODE; "
sql -c "REVOKE SELECT ON ledger.reaper FROM ledger_node"
GRANTED="adopt cancel claim commit enter give held hold later push reap recommit register release renew reported result results settle ship"
is "a node may execute what is listed, no more" "$(sql -c "SELECT string_agg(DISTINCT proname, ' ' ORDER BY proname) FROM pg_proc
    WHERE pronamespace = 'ledger'::regnamespace AND has_function_privilege('ledger_test_1', oid, 'EXECUTE')")" "$GRANTED"
is "each is in the manual, with its arguments" "$(sed -n 's/^\.It Fn //p' "$ROOT/man/task-ledger.7" | sort)" "$(sql -c "SELECT proname || coalesce(' ' || (
        SELECT string_agg(substr(a, 3) || CASE WHEN format_type(t, NULL) LIKE '%[]' THEN '[]' ELSE '' END, ' ' ORDER BY o) FROM unnest(proargnames[1:pronargs], string_to_array(proargtypes::text, ' ')::oid[]) WITH ORDINALITY u(a, t, o)), '')
    FROM pg_proc WHERE pronamespace = 'ledger'::regnamespace AND (has_function_privilege('ledger_node', oid, 'EXECUTE')
        OR has_function_privilege('ledger_operator', oid, 'EXECUTE') AND NOT has_function_privilege('ledger_reader', oid, 'EXECUTE'))" | sort)"
is "every one of these runs as the owner, with a fixed search_path" "$(sql -c "SELECT string_agg(proname, ' ') FROM pg_proc WHERE pronamespace = 'ledger'::regnamespace
    AND has_function_privilege('ledger_test_1', oid, 'EXECUTE') AND NOT (prosecdef AND proowner = 'ledger_owner'::regrole AND 'search_path=ledger, pg_temp' = ANY (proconfig))")" ""
for TRY in "CREATE TABLE ledger.mine()" "CREATE TABLE public.mine()" "CREATE TEMP TABLE mine(x int)" "CREATE SCHEMA mine" "COPY (SELECT 1) TO PROGRAM 'true'" \
    "SELECT pg_read_file('/etc/passwd')" "SELECT rolpassword FROM pg_authid" "SELECT ledger.restored()" "SELECT ledger.open('{}')" "SELECT ledger.drop_hours(0)" \
    "SELECT ledger.add_node('x')" "SELECT ledger.drain('ledger_test_2', true)" "SELECT ledger.me($ONE)" "SELECT ledger.end_it($(id 1), 0)"; do
    is "a node cannot: $TRY" "$(as ledger_test_1 "$TRY")" 42501
done
is "a reader sees the tasks" "$(as ledger_test_look 'SELECT count(*) FROM ledger.tasks')" 0
is "… the runs and nodes" "$(as ledger_test_look 'SELECT string_agg(state, chr(44)) FROM ledger.runs')/$(as ledger_test_look 'SELECT bundles FROM ledger.nodes ORDER BY name LIMIT 1')" running/1
is "… one run by its id" "$(as ledger_test_look "SELECT count(*) FROM ledger.tasks_of('01hf7yat0000000000000000a1')")" 0
is "… no plan" "$(as ledger_test_look 'SELECT payload FROM ledger.bundle')" 42501
is "… no result" "$(as ledger_test_look 'SELECT bytes FROM ledger.result')" 42501
is "… and writes nothing" "$(as ledger_test_look 'DELETE FROM ledger.hist')$(as ledger_test_look "$(push 1 1 true)")" 4250142501
is "an operator cancels" "$(as ledger_test_op "SELECT ledger.cancel(NULL, $(id 1), 0)")" cancelled
is "… is no node" "$(as ledger_test_op "$(push "$ONE" 3 true)")" 42501
is "a stranger does not get in" "$(sql -c 'CREATE ROLE ledger_test_none LOGIN' && as ledger_test_none 'SELECT 1' | grep -c 'permission denied for database')" 1

# ---- two sessions at once

session() { # session NAME ROLE: SQL by `tell NAME SQL`, what it said in $TMP/NAME
    mkfifo "$TMP/$1.in"
    PGAPPNAME=$1 PGUSER=$2 psql -XAtq -v VERBOSITY=sqlstate -f - <"$TMP/$1.in" >>"$TMP/$1" 2>&1 &
    TEST_PIDS+=($!)
    case $1 in a) exec 6>"$TMP/a.in" ;; b) exec 7>"$TMP/b.in" ;; esac
}
tell() { case $1 in a) echo "$2;" >&6 ;; b) echo "$2;" >&7 ;; esac; }
hear() { # hear NAME: the next word of it
    wait_until 10 grep -q . "$TMP/$1" || echo "nothing"
    sed 's/^.*ERROR:  //' "$TMP/$1"
    : >"$TMP/$1"
}
: >"$TMP/a" && : >"$TMP/b"
ask_a() { tell a "$1" && hear a; }
waits() { [ "$(sql -c "SELECT count(*) FROM pg_stat_activity WHERE application_name = '$1' AND wait_event_type = 'Lock'")" = 1 ]; }
blocked() { ok "$1" wait_until 10 waits b; } # blocked NAME: session b waits for a lock
session a ledger_test_1 && session b ledger_test_2

tell a BEGIN
is "rule 7: one fires a slot" "$(ask_a "$(push "$ONE" 10 true)")" mine
tell b "$(push "$TWO" 10 true)"
blocked "rule 7: the other waits for his word"
tell a COMMIT
is "rule 7: and hears that it is known" "$(hear b)" known
tell a BEGIN
is "one fires another, and dies" "$(ask_a "$(push "$ONE" 11 true)")" mine
tell b "$(push "$TWO" 11 true)"
blocked "the other waits"
tell a ROLLBACK
is "then it is his" "$(hear b)" mine

for N in 12 13; do as ledger_test_1 "$(push "$ONE" $N false)" >/dev/null; done
tell a BEGIN
is "one claims" "$(ask_a "$(claim "$ONE")")" "12 1 0"
tell b "$(claim "$TWO")"
is "the other does not wait, and gets the next" "$(hear b)" "13 1 0"
tell a COMMIT

# A lease that ran out, and a round under way.
outrun() { sql -c "UPDATE ledger.node SET expires = 1 WHERE role = '$1'" -c "UPDATE ledger.reaper SET last = ledger.now_us(), since = 0"; }
reap() { sql -c "SET statement_timeout = '10s'" -c "SELECT string_agg(node, ' ') FROM ledger.reap()" 2>/dev/null || echo "waited"; }
outrun ledger_test_1
tell a BEGIN
is "a round that is under way" "$(ask_a "$(ship "$ONE" 1 0 1 12 1)")" 1
is "… is not reaped from under it" "$(reap)" ""
is "… commits" "$(ask_a "$(commit "$ONE" 12 1)")" "done"
tell a COMMIT
tell a "SELECT 'over'"
is "… and is over" "$(hear a)" over
is "then its node is reaped" "$(reap)" ledger_test_1
ONE=$(register ledger_test_1 1)
outrun ledger_test_2
{
    sql -c BEGIN -c "SELECT string_agg(node, ' ') FROM ledger.reap()" -c "SELECT 'reaped'" -c "\\! touch $TMP/reaped" -c "\\! while [ ! -e $TMP/go ]; do sleep 0.02; done" -c COMMIT
} >/dev/null 2>&1 &
REAPER=$!
TEST_PIDS+=("$REAPER")
wait_until 10 test -e "$TMP/reaped"
tell b "$(commit "$TWO" 13 1)"
blocked "who is being reaped waits"
touch "$TMP/go"
is "… and is fenced" "$(hear b)" TL001
wait "$REAPER"
TWO=$(register ledger_test_2 2)

as ledger_test_1 "$(push "$ONE" 20 true)" >/dev/null
tell a BEGIN
is "an owner adds a child" "$(ask_a "$(push "$ONE" 21 20 1 false)")" new
tell b "SELECT ledger.cancel(NULL, $(id 20), 0)"
is "a node is no operator" "$(hear b)" foreign
exec 7>&-
rm "$TMP/b.in"
session b ledger_test_op
tell b "SELECT ledger.cancel(NULL, $(id 20), 0)"
blocked "rule 12: who cancels its run waits"
tell a COMMIT
is "rule 12: and cancels both" "$(hear b)$(sql -c "SELECT string_agg(status::text, ' ') FROM ledger.done WHERE id IN ($(id 20), $(id 21))")" "cancelled7 7"

as ledger_test_1 "$(push "$ONE" 30 true)" >/dev/null
tell a BEGIN
is "history under way" "$(ask_a "$(ship "$ONE" 1 1 2 30 1)")" 2
exec 7>&-
rm "$TMP/b.in"
session b ledger_test_1
tell b "$(ship "$ONE" 1 1 2 30 1)"
blocked "the same from another session of that node waits"
tell a COMMIT
is "rule 6: and finds the cursor moved" "$(hear b)$(sql -c "SELECT count(*) FROM ledger.hist WHERE seq = 1 AND spool = $(x 1)")" 21
exec 6>&- 7>&-

# ---- what must not be in it

exits "ledger.sql keeps to the portable subset" 0 "$SQL/lint"
LINES=0
while IFS= read -r LINE; do
    echo "$LINE" >"$TMP/bad.sql"
    exits "lint refuses: $LINE" 1 "$SQL/lint" "$TMP/bad.sql"
    LINES=$((LINES + 1))
done <<'END'
SELECT pg_advisory_xact_lock(1);
SELECT pg_try_advisory_lock(1);
SELECT nextval('x');
CREATE SEQUENCE x;
CREATE TABLE x(id bigserial);
CREATE TABLE x(id int GENERATED ALWAYS AS IDENTITY);
LISTEN hint;
NOTIFY hint;
SELECT pg_notify('hint', '');
CREATE TRIGGER x AFTER INSERT ON y EXECUTE FUNCTION z();
CREATE EXTENSION pgcrypto;
CREATE FUNCTION x() RETURNS void LANGUAGE sql SECURITY DEFINER AS $$ SELECT $$;
CREATE FUNCTION x() RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = public AS $$ SELECT $$;
END
is "and says where" "$(head -n 1 "$TMP/out")" "$TMP/bad.sql:1: SECURITY DEFINER without SET search_path = ledger, pg_temp"

# ---- installation and upgrade: the same schema

cp -r "$SQL" "$TMP/new" && mkdir -p "$TMP/new/steps"
schema() { pg_dump -s "$1" | grep -vE '^(--|.(un)?restrict )'; }
sql -d postgres -c "CREATE DATABASE fresh" -c "CREATE DATABASE upgraded"
is "migrate installs" "$("$SQL/migrate" -d fresh)" "installed format 1"
is "… of a server that -h names, too" "$("$SQL/migrate" -h "$PGHOST" -d fresh)$("$SQL/restored" --waiting -h "$PGHOST" -d fresh)" "format 1, functions made anew"
is "hours are made 48 ahead" "$(sql -d fresh -c "SELECT count(*) FROM pg_inherits WHERE inhparent = 'ledger.bundle'::regclass")" 50
schema fresh >"$TMP/fresh"
is "a second time changes nothing" "$("$SQL/migrate" -d fresh)" "format 1, functions made anew"
ok "… not in the schema" diff "$TMP/fresh" <(schema fresh)
# A format of before: without the column drain and what uses it, and with another function.
sed -e 's/^  drain boolean NOT NULL DEFAULT false, reported/  reported/; s/ OR (SELECT drain FROM node WHERE role = x)//; s/drain := v.drain;//; s/n.drain, //; s/SET drain = p_drain/SET free = 0/' \
    -e 's/VALUES (1);$/VALUES (0);/; s/reported boolean NOT NULL DEFAULT true);$/reported boolean NOT NULL DEFAULT true);/' "$SQL/ledger.sql" >"$TMP/new/ledger.sql"
ok "an older format installs" "$TMP/new/migrate" -d upgraded
sql -d upgraded -c "CREATE FUNCTION ledger.old() RETURNS int LANGUAGE sql AS 'SELECT 1'" -c "INSERT INTO ledger.node(role) VALUES ('kept')"
sed 's/, reported boolean NOT NULL DEFAULT true);$/, reported boolean NOT NULL DEFAULT true, drain boolean NOT NULL DEFAULT false);/; s/^  drain boolean NOT NULL DEFAULT false, reported/  reported/' "$SQL/ledger.sql" >"$TMP/new/ledger.sql"
exits "an upgrade without its step changes nothing" 1 "$TMP/new/migrate" -d upgraded
is "… at all" "$(sql -d upgraded -c "SELECT format FROM ledger.meta")" 0
echo "ALTER TABLE node ADD drain boolean NOT NULL DEFAULT false;" >"$TMP/new/steps/1.sql"
is "with it, the format is the new one" "$("$TMP/new/migrate" -d upgraded)" "format 0 is now 1"
is "… and what was in it is there" "$(sql -d upgraded -c "SELECT role, drain FROM ledger.node")" "kept|f"
sql -d postgres -c "DROP DATABASE fresh" -c "CREATE DATABASE fresh"
"$TMP/new/migrate" -d fresh >/dev/null
ok "an upgrade ends where an installation begins" diff <(schema fresh) <(schema upgraded)
echo "ALTER TABLE node ADD more int;" >>"$TMP/new/steps/1.sql"
sql -d upgraded -c "UPDATE ledger.meta SET format = 0" -c "ALTER TABLE ledger.node DROP drain CASCADE"
"$TMP/new/migrate" -d upgraded >/dev/null 2>&1 || true
exits "a step that does something else is noticed" 1 diff <(schema fresh) <(schema upgraded)
sql -d upgraded -c "UPDATE ledger.meta SET format = 9"
exits "a newer ledger is left alone" 1 "$SQL/migrate" -d upgraded
like "… and named" "$(cat "$TMP/err")" "the ledger has format 9, this knows only 1"
sql -d fresh -c "CREATE VIEW public.mine AS SELECT * FROM ledger.tasks"
exits "what somebody built on a view stops an upgrade" 3 "$SQL/migrate" -d fresh
like "… and is named" "$(cat "$TMP/err")" "something outside of the schema depends on them"

# ---- hours

fresh ledger
sql -c "SELECT ledger.add_node('ledger_test_1'), ledger.add_node('ledger_test_2')" >/dev/null
ONE=$(register ledger_test_1 1)
HOUR=3600000000
drop() { sql -c "SELECT ledger.drop_hours(ledger.now_us() + $HOUR)"; }
is "a run in this hour" "$(as ledger_test_1 "$(push "$ONE" 40 true)")" mine
is "the hour before it: first nothing may come into it" "$(drop)" 0
is "… then it goes" "$(drop)" 1
is "the hour of an open run stays" "$(drop)$(drop)$(sql -c "SELECT count(*) FROM ledger.bundle")" 001
is "it ends" "$(as ledger_test_1 "$(ship "$ONE" 1 0 1 40 1)")$(as ledger_test_1 "$(commit "$ONE" 40 1)")" "1done"
is "the horizon passes it" "$(drop)$(as ledger_test_1 "$(push "$ONE" 42 true)")" 0stale
is "then its hour goes" "$(drop)$(sql -c 'SELECT count(*) FROM ledger.hist')" 10
is "an end of then is taken all the same" "$(as ledger_test_1 "$(ship "$ONE" 1 1 2 41 0)")$(sql -c 'SELECT count(*) FROM ledger.hist_rest')" 21
is "… and shown" "$(sql -c 'SELECT count(*) FROM ledger.task')$(sql -c "SELECT count(*) FROM ledger.tasks_of(ledger.ulid($(id 41)))")" 11
SOON=$(sql -c "SELECT ledger.id_at(ledger.now_us() / 1000 + 4 * 3600000)")
is "an end of a run that is ahead of its time is taken" "$(as ledger_test_1 "$(ship "$ONE" 1 2 3 0 0 | sed "s/ARRAY\[[^]]*\]/ARRAY['$SOON'::uuid]/")")$(sql -c 'SELECT count(*) FROM ledger.hist_rest')" 32
sql -c "UPDATE ledger.meta SET hours_ahead = 5"
is "more hours are made ahead by who reaps" "$(sql -c 'SELECT count(*) FROM ledger.reap()')$(sql -c "SELECT (ledger.ms_of(ahead) - ledger.now_us() / 1000) / 3600000 FROM ledger.meta")" 05
is "… and what came before its hour lies in it" "$(sql -c "SELECT tableoid::regclass, (SELECT count(*) FROM ledger.hist_rest) FROM ledger.hist WHERE id = '$SOON'" | sed 's/_[0-9]*/_HOUR/')" "ledger.hist_HOUR|1"

# ---- questions: a run, a run below it, three tasks, one of them at its second attempt, one failed

fresh ledger
sql -c "SELECT ledger.add_node('ledger_test_1'), ledger.add_node('ledger_test_2')" >/dev/null
ONE=$(register ledger_test_1 1)
NOW=$(sql -c "SELECT ledger.now_us()")
is "history of a tree" "$(as ledger_test_1 "SELECT ledger.ship($ONE, $(x 1), 's1', 0, 5, ARRAY[$(id 50), $(id 50), $(id 51), $(id 51), $(id 51)], '{0}', '{0,0,0,1,0}', '{0}',
    '{1,1,1,2,1}', '{-1,0,0,1,-1}', '{NULL}', '{site,site,page,index,page}', '{site,site,page,page,page}', '{6,5,6,5,6}', '{8,NULL,1,NULL,1}', '{0,0,7,0,7}', '{t}',
    ARRAY[$NOW, $NOW - 100, $NOW - 50, $NOW - 40, $NOW - 30], '{5000000,1000000,2000000,3000000,4000000}', ARRAY[NULL, NULL, NULL, NULL, $(id 50)], '{NULL}', '{NULL}')")" 5
is "a run that is held" "$(as ledger_test_1 "$(push "$ONE" 52 true)")$(as ledger_test_1 "SELECT ledger.push($ONE, $(id 53), 0, NULL, NULL, NULL, 3, 5, 0, 'site', 'site', 'd', 'plan', false, false)")" minenew
is "… and one that is parked" "$(as ledger_test_1 "$(push "$ONE" 54 false)")$(as ledger_test_1 "SELECT ledger.hold($ONE, $(id 54), 0)")" newlater
ROOT_RUN=$(sql -c "SELECT ledger.ulid($(id 50))") BELOW=$(sql -c "SELECT ledger.ulid($(id 51))")
exits "queries.sql runs without any variable" 0 env PGUSER=ledger_test_look psql -XAtq -v ON_ERROR_STOP=1 -f "$SQL/queries.sql"
is "… and without a warning" "$(cat "$TMP/err")" ""
exits "queries.sql runs, as a reader" 0 env PGUSER=ledger_test_look psql -XAtq -v ON_ERROR_STOP=1 -v "run=$ROOT_RUN" -f "$SQL/queries.sql"
answer() { sed -n "/^$1/,/^[A-Z][a-z].*[a-z]\$/p" "$TMP/out" | sed '1d' | grep -v '^[A-Z].* ' || true; } # what follows that headline
like "throughput" "$(answer Throughput)" ':00:00\.000000Z\|3\|0\.0\|1\|2\.000$'
like "failures by reason" "$(answer 'Failures by')" '^exit\|7\|page\|1\|20[0-9-]{8}T[0-9:.]{15}Z$'
is "slowest units" "$(answer Slowest)" $'page|index|1|3.000|3.000|0.00\npage|page|1|2.000|2.000|0.00\nsite|site|1|1.000|1.000|0.00'
is "retries" "$(answer Retries)" "page|2|1||1"
like "the latest failures" "$(answer 'The latest')" "^$BELOW\.0\|page\|exit\|7\|ledger_test_1\|"
like "the tree" "$(answer 'One run')" "^$ROOT_RUN\|site\|failure\|dependency\|.*"$'\n'"  $BELOW\|page\|failure\|exit\|"
like "its tasks" "$(answer 'Its tasks')" '^site\|success\|\|1\|1\.000\|'
is "what fails now" "$(answer 'What fails')" "page|2|1|50.0|"
like "nodes" "$(answer Nodes)" $'^ledger_test_2\\|f\\|f\\|\\|0\\|0\\|0\\|\nledger_test_1\\|t\\|f\\|[0-9.]+\\|1\\|1\\|1\\|2'
like "what each node told" "$(answer 'What each')" '^ledger_test_1\|3\|1\|0\|20'
like "held longest" "$(answer Held)" "^$(sql -c "SELECT ledger.ulid($(id 52))")\|site\|ledger_test_1\|1\|0\|1\|20"
is "nothing came late" "$(answer 'Ends that')" ""
like "the ledger itself" "$(answer 'The ledger')" '^1\|f\|0\|15\|[01]\|20[^|]*Z\|$'
like "what waits" "$(answer 'What waits')" $'^hold\|0\|1\|1\|.*\nready\|5\|1\|3\|'
like "who did what" "$(answer 'Who did')" "Z\|ledger_test_1\|hold\|$(sql -c "SELECT ledger.ulid($(id 54))")\|0\|0\|"
is "the words and columns of the local history" "$(sql -c "SELECT id, run, k, item, name, unit, parent, status, reason, exit, signal, attempts, generation, node, created / 1000, ended FROM ledger.task ORDER BY id, k LIMIT 2 OFFSET 1")" \
    "$BELOW.0|$BELOW|0||page|page||6|exit|7||1|0|ledger_test_1|$(sql -c "SELECT ledger.ms_of($(id 51))")|$((NOW - 50))
$BELOW.1|$BELOW|1||index|page||5||0||2|0|ledger_test_1|$(sql -c "SELECT ledger.ms_of($(id 51))")|$((NOW - 40))"
like "… and RFC 3339 in views" "$(sql -c "SELECT state, started, ended FROM ledger.tasks WHERE name = 'index'")" '^success\|20..-..-..T..:..:..\.[0-9]{6}Z\|20..-..-..T..:..:..\.[0-9]{6}Z$'
is "the events of one run, who parked it among them" "$(sql -c "SELECT verb, s.name, by FROM ledger.events_of(ledger.ulid($(id 54))) e JOIN ledger.status s ON s.id = e.status" | sed 's/|[^|]*|/|/')$(
    sql -c "SELECT job_id, verb, status FROM ledger.events_of('$ROOT_RUN')" | sed "s/$ROOT_RUN/R/" | tr '\n' ' ')" "hold|ledger_test_1R.0|end|5 R|end|6 "
is "its attempts" "$(sql -c "SELECT id, n, status, result FROM ledger.attempts_of('$ROOT_RUN')")" "$ROOT_RUN.0|1|5|t"
is "an event a job and status" "$(sql -c "SELECT status, verb, attempt FROM ledger.event WHERE job_id = '$BELOW.1'")" "5|end|2"

# ---- after a restore

mkfifo "$TMP/c.in"
PGUSER=ledger_test_1 PGAPPNAME=c psql -XAtq -f - <"$TMP/c.in" >/dev/null 2>&1 &
TEST_PIDS+=($!)
exec 6>"$TMP/c.in"
connected() { [ "$(sql -c "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'c'")" = "$1" ]; }
wait_until 10 connected 1
exits "restored: not while a node is let in" 1 "$SQL/restored"
like "… and names it" "$(cat "$TMP/err")" "ledger_test_1 already connected"
exec 6>&-
wait_until 10 connected 0
OLD=$(sql -c "SELECT incarnation FROM ledger.meta")
exits "restored" 0 "$SQL/restored"
is "… is another incarnation, recovering, and nobody holds anything" "$(sql -c "SELECT incarnation <> '$OLD', n, recovering, (SELECT count(*) FROM ledger.held), (SELECT string_agg(gen::text, ' ') FROM ledger.ready) FROM ledger.meta")" "t|1|t|0|1000 1000"
is "who has not reported" "$("$SQL/restored" --waiting)" $'ledger_test_1\nledger_test_2'
ONE=$(register ledger_test_1 1)
as ledger_test_1 "SELECT ledger.reported($ONE)" >/dev/null
exits "not open before all have" 1 "$SQL/restored" --open
is "… and it says who" "$(cat "$TMP/out")" "waiting for ledger_test_2"
exits "nor with a wrong name" 1 "$SQL/restored" --open=nobody
exits "open without who is gone" 0 "$SQL/restored" --open=ledger_test_2
is "then there is work" "$(as ledger_test_1 "$(claim "$ONE")")" "53 1001 000"

# ---- a dump of before, in the place of the ledger, and nobody said so

INCARNATION=$(sql -c "SELECT incarnation FROM ledger.meta")
enter() { echo "SELECT nodes FROM ledger.enter('$INCARNATION', $ONE, $1, $(x $((100 + $1))), $(x 1), 1)"; }
is "a round" "$(as ledger_test_1 "$(enter 1)")" 1
sql -d postgres -c "CREATE DATABASE old"
pg_dump ledger | sql -d old -f - >"$TMP/out"
is "a round that is not in the dump" "$(as ledger_test_1 "$(enter 2)")" 1
export PGDATABASE=old
is "rule 13: the next round finds out" "$(as ledger_test_1 "$(enter 3)")" TL003
is "… it has the same history" "$(sql -c 'SELECT count(*) FROM ledger.tasks')$(as ledger_test_look 'SELECT count(*) FROM ledger.tasks')" "$(sql -d ledger -c 'SELECT count(*) || count(*)::text FROM ledger.tasks')"
is "… and the same rights" "$(as ledger_test_1 'SELECT FROM ledger.node')" 42501
exits "restored" 0 "$SQL/restored"
is "rule 14: then it is another incarnation" "$(as ledger_test_1 "$(enter 3)")" TL002
like "and the node registers" "$(register ledger_test_1 1)" '^[0-9]{16}$'
export PGDATABASE=ledger

stop_postgres
done_testing
