-- SPDX-License-Identifier: Apache-2.0
-- The ledger of many machines: who owns what, what ended, and its history. PostgreSQL 15 or newer.
-- task-ledger(7) says what each function answers. contrib/sql/migrate installs and upgrades; what
-- stands behind "-- functions" below is made anew by each of its runs, what stands before only once.
--
-- Portable on purpose: nothing here locks by advice, draws tokens from a sequence, trusts a
-- notification or needs a trigger or an extension (contrib/sql/lint). Times are microseconds since
-- 1970, ids are ULIDs in columns of type uuid, which sorts them the same way.
\set ON_ERROR_STOP on
SET client_min_messages = warning;

-- ---- roles: one login role a node, IN ROLE ledger_node
DO $$ DECLARE r name; BEGIN
  FOREACH r IN ARRAY ARRAY['ledger_owner', 'ledger_node', 'ledger_operator', 'ledger_reader'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r) THEN EXECUTE format('CREATE ROLE %I NOLOGIN', r); END IF;
  END LOOP;
END $$;
CREATE SCHEMA ledger AUTHORIZATION ledger_owner;
SET ROLE ledger_owner;
SET search_path = ledger;

-- ---- tables

-- Numbers of states and reasons are never renumbered, as errno.
CREATE TABLE status(id smallint PRIMARY KEY, name text NOT NULL UNIQUE);
INSERT INTO status VALUES (0, 'created'), (1, 'pending'), (2, 'ready'), (3, 'running'), (4, 'waiting'), (5, 'success'),
  (6, 'failure'), (7, 'cancelled'), (8, 'skipped'), (9, 'rejected'), (10, 'lost');
CREATE TABLE reason(id smallint PRIMARY KEY, name text NOT NULL UNIQUE);
INSERT INTO reason VALUES (1, 'exit'), (2, 'signal'), (3, 'timeout'), (4, 'oom'), (5, 'disk'), (6, 'limit'), (7, 'check'),
  (8, 'dependency'), (9, 'install'), (10, 'jail'), (11, 'changed'), (12, 'missing');

-- horizon: nothing below it is kept. ahead: hours exist up to here. n: how often a backup was restored.
CREATE TABLE meta(one boolean PRIMARY KEY DEFAULT true CHECK (one), format int NOT NULL, incarnation uuid NOT NULL DEFAULT gen_random_uuid(),
  n int NOT NULL DEFAULT 0, recovering boolean NOT NULL DEFAULT false, horizon uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
  ahead uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000', hours_ahead int NOT NULL DEFAULT 48,
  ttl_us bigint NOT NULL DEFAULT 15000000, max_tries int NOT NULL DEFAULT 8, max_held int NOT NULL DEFAULT 1000);
INSERT INTO meta(format) VALUES (1);

-- A node's row is the log of its session: seq counts its rounds, round names the last one.
CREATE TABLE node(role name PRIMARY KEY, epoch bigint NOT NULL DEFAULT 0, seq bigint NOT NULL DEFAULT 0, round uuid, spool uuid, boot uuid,
  live boolean NOT NULL DEFAULT false, expires bigint NOT NULL DEFAULT 0, seen bigint NOT NULL DEFAULT 0, free int NOT NULL DEFAULT 0,
  drain boolean NOT NULL DEFAULT false, reported boolean NOT NULL DEFAULT true);
CREATE TABLE reaper(one boolean PRIMARY KEY DEFAULT true CHECK (one), last bigint NOT NULL DEFAULT 0, since bigint NOT NULL DEFAULT 0);
INSERT INTO reaper DEFAULT VALUES;

-- A bundle is a whole run (lo is null) or the places lo to lo + n - 1 of run root's plan. cut: root's gen when it was cut.
CREATE TABLE bundle(id uuid, generation int, root uuid, cut int NOT NULL, lo int, n int NOT NULL, prio smallint NOT NULL, origin name NOT NULL,
  name text, unit text, pushed bigint NOT NULL, digest bytea NOT NULL, payload bytea NOT NULL, PRIMARY KEY (id, generation)) PARTITION BY RANGE (id);
CREATE INDEX bundle_root ON bundle(root) WHERE root IS NOT NULL;
ALTER TABLE bundle ALTER payload SET STORAGE EXTERNAL; -- compressed by its node

-- Where an open bundle is: in one of these three, or in done. gen counts claims and is the token; tries counts deaths.
CREATE TABLE ready(id uuid, generation int, gen int NOT NULL, tries int NOT NULL, prio smallint NOT NULL, done varbit NOT NULL, PRIMARY KEY (id, generation));
CREATE INDEX ready_order ON ready(prio DESC, id);
CREATE TABLE later(id uuid, generation int, gen int NOT NULL, tries int NOT NULL, prio smallint NOT NULL, done varbit NOT NULL, at bigint NOT NULL, PRIMARY KEY (id, generation));
CREATE INDEX later_at ON later(at);
-- told: places whose end is in the history under this token; only these may be committed.
CREATE TABLE held(id uuid, generation int, gen int NOT NULL, tries int NOT NULL, prio smallint NOT NULL, done varbit NOT NULL, told varbit NOT NULL,
  node name NOT NULL, epoch bigint NOT NULL, since bigint NOT NULL, PRIMARY KEY (id, generation));
CREATE INDEX held_node ON held(node);
CREATE TABLE part(id uuid, generation int, gen int, mask varbit, failed varbit NOT NULL, node name NOT NULL, at bigint NOT NULL,
  PRIMARY KEY (id, generation, gen, mask)) PARTITION BY RANGE (id);
CREATE TABLE done(id uuid, generation int, status smallint NOT NULL, gen int, node name, at bigint NOT NULL, PRIMARY KEY (id, generation)) PARTITION BY RANGE (id);
CREATE TABLE result(run uuid, generation int, item int, gen int, bytes bytea NOT NULL, PRIMARY KEY (run, generation, item, gen)) PARTITION BY RANGE (run);

-- History. A row is what one node shipped at once, of runs of one hour: id is the first of them, last the last. Per kind of
-- end (task of a unit, how it ended) a count and times; per end arrays, of one element where all are equal. Where step is
-- 1, item is less its own number in the row: a range of places becomes one element.
CREATE TABLE cursor(spool uuid, segment text, seq bigint NOT NULL, PRIMARY KEY (spool, segment));
CREATE TABLE hist(id uuid NOT NULL, last uuid NOT NULL, node name NOT NULL, spool uuid NOT NULL, segment text NOT NULL, seq bigint NOT NULL,
  total int NOT NULL, base bigint NOT NULL, step int NOT NULL,
  k int[] NOT NULL, first int[] NOT NULL, name text[] NOT NULL, unit text[] NOT NULL, status smallint[] NOT NULL, reason smallint[] NOT NULL,
  code smallint[] NOT NULL, final boolean[] NOT NULL, late boolean[] NOT NULL, n int[] NOT NULL, again int[] NOT NULL, us_sum bigint[] NOT NULL, us_max bigint[] NOT NULL,
  kind smallint[] NOT NULL, run uuid[] NOT NULL, parent uuid[] NOT NULL, generation int[] NOT NULL, item int[] NOT NULL, gen int[] NOT NULL,
  attempt int[] NOT NULL, ended bigint[] NOT NULL, us bigint[] NOT NULL, cpu_us bigint[] NOT NULL, mem bigint[] NOT NULL) PARTITION BY RANGE (id);
CREATE INDEX hist_range ON hist(id, last);
CREATE TABLE audit(id uuid NOT NULL, at bigint NOT NULL, by name NOT NULL, verb text NOT NULL, generation int, gen int, detail text) PARTITION BY RANGE (id);
CREATE INDEX audit_id ON audit(id);
-- Ends and notes are taken whatever their run's hour: there is none yet, or no more.
CREATE TABLE hist_rest PARTITION OF hist DEFAULT;
CREATE TABLE audit_rest PARTITION OF audit DEFAULT;

-- PostgreSQL alone: small hot tables are vacuumed by count, renewals stay within their page.
ALTER TABLE node SET (fillfactor = 30, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
ALTER TABLE ready SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE held SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);

-- functions

-- ---- ids and times

-- 48 bits and two of 40: ten characters, eight and eight.
CREATE FUNCTION ulid(u uuid) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT concat(substr(c, (a >> 45 & 31)::int + 1, 1), substr(c, (a >> 40 & 31)::int + 1, 1), substr(c, (a >> 35 & 31)::int + 1, 1), substr(c, (a >> 30 & 31)::int + 1, 1), substr(c, (a >> 25 & 31)::int + 1, 1), substr(c, (a >> 20 & 31)::int + 1, 1), substr(c, (a >> 15 & 31)::int + 1, 1), substr(c, (a >> 10 & 31)::int + 1, 1), substr(c, (a >> 5 & 31)::int + 1, 1), substr(c, (a >> 0 & 31)::int + 1, 1),
    substr(c, (b >> 35 & 31)::int + 1, 1), substr(c, (b >> 30 & 31)::int + 1, 1), substr(c, (b >> 25 & 31)::int + 1, 1), substr(c, (b >> 20 & 31)::int + 1, 1), substr(c, (b >> 15 & 31)::int + 1, 1), substr(c, (b >> 10 & 31)::int + 1, 1), substr(c, (b >> 5 & 31)::int + 1, 1), substr(c, (b >> 0 & 31)::int + 1, 1),
    substr(c, (d >> 35 & 31)::int + 1, 1), substr(c, (d >> 30 & 31)::int + 1, 1), substr(c, (d >> 25 & 31)::int + 1, 1), substr(c, (d >> 20 & 31)::int + 1, 1), substr(c, (d >> 15 & 31)::int + 1, 1), substr(c, (d >> 10 & 31)::int + 1, 1), substr(c, (d >> 5 & 31)::int + 1, 1), substr(c, (d >> 0 & 31)::int + 1, 1))
  FROM (SELECT '0123456789abcdefghjkmnpqrstvwxyz' AS c, ('x0000' || substr(h, 1, 12))::bit(64)::bigint AS a, ('x000000' || substr(h, 13, 10))::bit(64)::bigint AS b,
    ('x000000' || substr(h, 23, 10))::bit(64)::bigint AS d FROM (SELECT replace(u::text, '-', '') AS h) y) x $$;
-- Either case; what is no ULID is null.
CREATE FUNCTION ulid_uuid(s text) RETURNS uuid LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT CASE WHEN lower(s) ~ '^[0-7][0-9abcdefghjkmnpqrstvwxyz]{25}$' THEN
    (SELECT string_agg(lpad(to_hex(substring(b FROM 1 + 8 * j FOR 8)::bit(8)::int), 2, '0'), '' ORDER BY j) FROM
      (SELECT substring(string_agg((strpos('0123456789abcdefghjkmnpqrstvwxyz', substr(lower(s), i, 1)) - 1)::bit(5)::text, '' ORDER BY i) FROM 3)::varbit AS b
       FROM generate_series(1, 26) i) x, generate_series(0, 15) j) END::uuid $$;
CREATE FUNCTION now_us() RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT (extract(epoch FROM now()) * 1000000)::bigint $$;
CREATE FUNCTION rfc3339(us bigint) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT CASE WHEN us = 9223372036854775807 THEN 'infinity' ELSE
    to_char(to_timestamp(us / 1000000) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS') || '.' || lpad((us % 1000000)::text, 6, '0') || 'Z' END $$;
-- The first id of a millisecond, and the millisecond of an id.
CREATE FUNCTION id_at(ms bigint) RETURNS uuid LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT (lpad(to_hex(greatest(ms, 0)), 12, '0') || '00000000000000000000')::uuid $$;
CREATE FUNCTION ms_of(id uuid) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT ('x0000' || replace(left(id::text, 13), '-', ''))::bit(64)::bigint $$;
CREATE FUNCTION hour_of(id uuid) RETURNS uuid LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT ledger.id_at(ledger.ms_of(id) / 3600000 * 3600000) $$;

-- Arrays of one element stand for all: one() packs, full() unpacks.
CREATE FUNCTION one(a anyarray) RETURNS anyarray LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN a = array_fill(a[1], ARRAY[cardinality(a)]) THEN a[1:1] ELSE a END $$;
CREATE FUNCTION "full"(a anyarray, total int) RETURNS anyarray LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN cardinality(a) = total THEN a ELSE array_fill(a[1], ARRAY[total]) END $$;
CREATE FUNCTION zeros(n int) RETURNS varbit LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$ SELECT repeat('0', n)::varbit $$;

-- ---- hours: every partitioned table has one partition an hour of ids

-- Made beside and attached: a report that reads the table is not waited for.
CREATE FUNCTION make_hour(p_hour uuid) RETURNS void LANGUAGE plpgsql SET search_path = ledger, pg_temp SET lock_timeout = '500ms' AS $$
DECLARE t text; p text; b uuid := id_at(ms_of(p_hour) + 3600000); BEGIN
  FOREACH t IN ARRAY ARRAY['bundle', 'part', 'done', 'result', 'hist', 'audit'] LOOP
    p := t || '_' || to_char(to_timestamp(ms_of(p_hour) / 1000) AT TIME ZONE 'UTC', 'YYYYMMDDHH24');
    CONTINUE WHEN to_regclass('ledger.' || p) IS NOT NULL;
    EXECUTE format('CREATE TABLE ledger.%I (LIKE ledger.%I INCLUDING ALL)', p, t);
    IF t IN ('hist', 'audit') THEN
      EXECUTE format('WITH d AS (DELETE FROM ledger.%I WHERE id >= %L AND id < %L RETURNING *) INSERT INTO ledger.%I SELECT * FROM d', t || '_rest', p_hour, b, p);
    END IF;
    EXECUTE format('ALTER TABLE ledger.%I ATTACH PARTITION ledger.%I FOR VALUES FROM (%L) TO (%L)', t, p, p_hour, b);
  END LOOP;
END $$;
-- Makes what is missing up to hours_ahead from now, 64 hours a call (each takes some 25 locks); the first call begins an
-- hour back. Returns how many.
CREATE FUNCTION make_hours() RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = ledger, pg_temp AS $$
DECLARE m meta; h bigint; k int := 0; BEGIN
  SELECT * INTO m FROM meta FOR UPDATE;
  IF m.ahead = id_at(0) THEN m.ahead := id_at((now_us() / 3600000000 - 1) * 3600000); m.horizon := m.ahead; END IF;
  h := ms_of(m.ahead);
  WHILE k < 64 AND h <= now_us() / 1000 + m.hours_ahead * 3600000::bigint LOOP PERFORM make_hour(id_at(h)); h := h + 3600000; k := k + 1; END LOOP;
  UPDATE meta SET ahead = id_at(h), horizon = m.horizon;
  RETURN k;
END $$;
-- Does an open run lie below p_end, or have a bundle there?
CREATE FUNCTION open_below(p_end uuid) RETURNS boolean LANGUAGE sql STABLE SET search_path = ledger, pg_temp AS $$
  SELECT EXISTS (SELECT FROM (SELECT id FROM ready UNION ALL SELECT id FROM later UNION ALL SELECT id FROM held) o
    WHERE o.id < p_end OR EXISTS (SELECT FROM bundle c WHERE c.root = o.id AND c.id < p_end)) $$;
-- Drops the hours below the horizon that an earlier call set, so that no push is on its way into them; then sets it as
-- near to p_before (microseconds) as open runs allow. Returns how many went, 64 at most.
CREATE FUNCTION drop_hours(p_before bigint) RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = ledger, pg_temp AS $$
DECLARE m meta; h bigint; t text; k int := 0; BEGIN
  SELECT * INTO m FROM meta FOR UPDATE;
  IF m.recovering THEN RETURN 0; END IF;
  FOR h IN SELECT (extract(epoch FROM to_timestamp(substr(relname, 8) || '+00', 'YYYYMMDDHH24TZH')) * 1000)::bigint FROM pg_class
      WHERE relnamespace = 'ledger'::regnamespace AND relname ~ '^bundle_[0-9]{10}$' ORDER BY relname LOOP
    EXIT WHEN k = 64 OR id_at(h + 3600000) > m.horizon OR open_below(id_at(h + 3600000));
    FOREACH t IN ARRAY ARRAY['bundle', 'part', 'done', 'result', 'hist', 'audit'] LOOP
      EXECUTE format('DROP TABLE ledger.%I', t || '_' || to_char(to_timestamp(h / 1000) AT TIME ZONE 'UTC', 'YYYYMMDDHH24'));
    END LOOP;
    DELETE FROM hist_rest WHERE id < id_at(h + 3600000);
    DELETE FROM audit_rest WHERE id < id_at(h + 3600000);
    k := k + 1;
  END LOOP;
  h := ms_of(m.horizon) + 3600000;
  WHILE h <= p_before / 1000 AND id_at(h) < m.ahead AND NOT open_below(id_at(h)) LOOP
    UPDATE meta SET horizon = id_at(h);
    h := h + 3600000;
  END LOOP;
  RETURN k;
END $$;

-- ---- who calls

-- The calling node, if this is its session. Its row stays locked: nobody reaps it while it acts.
CREATE FUNCTION me(p_epoch bigint) RETURNS name LANGUAGE plpgsql SET search_path = ledger, pg_temp AS $$ BEGIN
  PERFORM FROM node WHERE role = session_user AND epoch = p_epoch AND live FOR SHARE;
  IF NOT FOUND THEN RAISE EXCEPTION 'fenced' USING ERRCODE = 'TL001'; END IF;
  RETURN session_user;
END $$;
-- Who may cancel or park a run: its origin, its holder, an operator (p_epoch null).
CREATE FUNCTION entitled(p_epoch bigint, p_id uuid) RETURNS boolean LANGUAGE plpgsql SET search_path = ledger, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE x name; BEGIN
  IF p_epoch IS NULL THEN RETURN pg_has_role(session_user, 'ledger_operator', 'member'); END IF;
  x := me(p_epoch);
  RETURN EXISTS (SELECT FROM bundle WHERE id = p_id AND origin = x) OR EXISTS (SELECT FROM held WHERE id = p_id AND node = x);
END $$;
CREATE FUNCTION note(p_id uuid, p_verb text, p_generation int, p_gen int, p_detail text) RETURNS void LANGUAGE sql SET search_path = ledger, pg_temp AS $$
  INSERT INTO audit VALUES (p_id, now_us(), session_user, p_verb, p_generation, p_gen, p_detail) $$;

-- ---- the life of a node

-- Begins every round. What must stop the round raises: TL000 no such node, TL001 fenced, TL002 another incarnation,
-- TL003 the ledger is behind (a backup), TL004 this round was committed, TL005 name in use, TL006 the spool is a copy.
CREATE FUNCTION enter(p_incarnation uuid, p_epoch bigint, p_seq bigint, p_round uuid, p_boot uuid, p_free int,
  OUT recovering boolean, OUT drain boolean, OUT nodes int) LANGUAGE plpgsql SECURITY DEFINER SET search_path = ledger, pg_temp AS $$
DECLARE v node; m meta; BEGIN
  IF current_setting('synchronous_commit') IN ('off', 'local') THEN PERFORM set_config('synchronous_commit', 'on', true); END IF;
  SELECT * INTO m FROM meta;
  IF m.incarnation IS DISTINCT FROM p_incarnation THEN RAISE EXCEPTION 'incarnation' USING ERRCODE = 'TL002'; END IF;
  SELECT * INTO v FROM node WHERE role = session_user FOR UPDATE;
  IF NOT FOUND THEN RAISE EXCEPTION 'no node %', session_user USING ERRCODE = 'TL000'; END IF;
  IF v.epoch < p_epoch OR v.epoch = p_epoch AND v.seq < p_seq - 1 THEN RAISE EXCEPTION 'ledger behind' USING ERRCODE = 'TL003'; END IF;
  IF v.epoch > p_epoch OR NOT v.live THEN RAISE EXCEPTION 'fenced' USING ERRCODE = 'TL001'; END IF;
  IF v.boot IS DISTINCT FROM p_boot THEN RAISE EXCEPTION 'name in use' USING ERRCODE = 'TL005'; END IF;
  IF v.seq = p_seq AND v.round = p_round THEN RAISE EXCEPTION 'committed already' USING ERRCODE = 'TL004'; END IF;
  IF v.seq >= p_seq THEN RAISE EXCEPTION 'spool older than its row' USING ERRCODE = 'TL006'; END IF;
  UPDATE node n SET seq = p_seq, round = p_round, expires = now_us() + m.ttl_us, seen = now_us(), free = p_free WHERE n.role = v.role;
  recovering := m.recovering; drain := v.drain; SELECT count(*) INTO nodes FROM node n WHERE n.live AND n.expires > now_us(); -- the dead do not reap
END $$;
-- A round that has nothing to say: only the lease, not waited for on a standby.
CREATE FUNCTION renew(p_incarnation uuid, p_epoch bigint, p_boot uuid, p_free int) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = ledger, pg_temp AS $$
DECLARE m meta; BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
  SELECT * INTO m FROM meta;
  IF m.incarnation IS DISTINCT FROM p_incarnation THEN RAISE EXCEPTION 'incarnation' USING ERRCODE = 'TL002'; END IF;
  UPDATE node SET expires = now_us() + m.ttl_us, seen = now_us(), free = p_free WHERE role = session_user AND epoch = p_epoch AND live AND boot = p_boot;
  IF NOT FOUND THEN RAISE EXCEPTION 'fenced' USING ERRCODE = 'TL001'; END IF;
END $$;
-- A new session: what this spool knows is compared with what the row knows, then everything held is free again.
CREATE FUNCTION register(p_incarnation uuid, p_epoch bigint, p_seq bigint, p_round uuid, p_spool uuid, p_boot uuid, p_free int,
  OUT epoch bigint, OUT incarnation uuid, OUT ttl_us bigint, OUT recovering boolean) LANGUAGE plpgsql SECURITY DEFINER SET search_path = ledger, pg_temp AS $$
DECLARE v node; m meta; BEGIN
  SELECT * INTO m FROM meta;
  SELECT * INTO v FROM node n WHERE n.role = session_user FOR UPDATE;
  IF NOT FOUND THEN RAISE EXCEPTION 'no node %', session_user USING ERRCODE = 'TL000'; END IF;
  IF p_incarnation = m.incarnation THEN
    IF v.epoch < p_epoch OR v.epoch = p_epoch AND v.seq < p_seq THEN RAISE EXCEPTION 'ledger behind' USING ERRCODE = 'TL003'; END IF;
    IF v.spool = p_spool AND (v.epoch = p_epoch AND (v.seq > p_seq + 1 OR v.seq = p_seq + 1 AND v.round IS DISTINCT FROM p_round)
        OR v.epoch > p_epoch AND v.boot <> p_boot) THEN RAISE EXCEPTION 'spool is a copy' USING ERRCODE = 'TL006'; END IF;
  END IF;
  IF v.live AND v.expires > now_us() AND v.boot <> p_boot THEN RAISE EXCEPTION 'name in use' USING ERRCODE = 'TL005'; END IF;
  epoch := greatest(v.epoch + 1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);
  incarnation := m.incarnation; ttl_us := m.ttl_us; recovering := m.recovering;
  UPDATE node n SET epoch = register.epoch, seq = 0, round = NULL, spool = p_spool, boot = p_boot, live = true, expires = now_us() + m.ttl_us, seen = now_us(), free = p_free
    WHERE n.role = v.role;
  PERFORM free(v.role);
END $$;
-- What a dead session held is ready again and has a try less; with none left it is lost, and its children are cancelled.
CREATE FUNCTION free(p_node name) RETURNS int LANGUAGE plpgsql SET search_path = ledger, pg_temp AS $$
DECLARE h held; m int := (SELECT max_tries FROM meta); k int := 0; BEGIN
  FOR h IN DELETE FROM held WHERE node = p_node RETURNING * LOOP
    k := k + 1;
    PERFORM note(h.id, 'reclaim', h.generation, h.gen, p_node);
    IF h.tries + 1 < m THEN INSERT INTO ready VALUES (h.id, h.generation, h.gen, h.tries + 1, h.prio, h.done);
    ELSE INSERT INTO done VALUES (h.id, h.generation, 10, h.gen, p_node, now_us()); PERFORM cancel_children(h.id); END IF;
  END LOOP;
  RETURN k;
END $$;
-- Any node may call it; the cluster needs it once a second. It reaps only after the ledger was served for a whole lease.
CREATE FUNCTION reap() RETURNS TABLE(node name, bundles int) LANGUAGE plpgsql SECURITY DEFINER SET search_path = ledger, pg_temp AS $$
#variable_conflict use_column
DECLARE g reaper; m meta; x name; BEGIN
  SELECT * INTO g FROM reaper FOR UPDATE SKIP LOCKED; IF NOT FOUND THEN RETURN; END IF;
  SELECT * INTO m FROM meta;
  IF now_us() NOT BETWEEN g.last AND g.last + m.ttl_us / 3 THEN -- a gap, or a clock that fell back: the lease begins anew
    g.since := now_us();
    UPDATE node SET expires = now_us() + m.ttl_us WHERE live AND expires > now_us() + m.ttl_us;
  END IF;
  UPDATE reaper SET last = now_us(), since = g.since;
  IF ms_of(m.ahead) <= now_us() / 1000 + (m.hours_ahead - 1) * 3600000::bigint THEN 
    BEGIN PERFORM make_hours(); EXCEPTION WHEN lock_not_available THEN NULL; END; -- there is time: the next call does it
  END IF;
  IF NOT m.recovering THEN
    WITH d AS (DELETE FROM later WHERE at <= now_us() RETURNING *) INSERT INTO ready SELECT id, generation, gen, tries, prio, done FROM d;
  END IF;
  IF now_us() - g.since < m.ttl_us THEN RETURN; END IF;
  FOR x IN SELECT role FROM node WHERE live AND expires < now_us() ORDER BY role FOR UPDATE SKIP LOCKED LOOP
    UPDATE node SET live = false WHERE role = x; -- its epoch stays: register compares with it
    node := x; bundles := free(x); RETURN NEXT;
  END LOOP;
END $$;

-- ---- work

-- p_hold: the pusher starts it itself. p_again: acknowledged before a backup was restored. Answers: new mine known done
-- conflict orphan later stale ahead limit.
CREATE FUNCTION push(p_epoch bigint, p_id uuid, p_generation int, p_root uuid, p_root_gen int, p_lo int, p_n int, p_prio int, p_at bigint,
  p_name text, p_unit text, p_digest bytea, p_payload bytea, p_hold boolean, p_again boolean) RETURNS text LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = ledger, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE x name := me(p_epoch); m meta; d bytea; BEGIN
  SELECT * INTO m FROM meta;
  IF p_id < m.horizon THEN RETURN 'stale'; ELSIF p_id >= m.ahead THEN RETURN 'ahead'; END IF;
  IF p_n NOT BETWEEN 1 AND 1000 OR length(p_payload) > 262144 OR p_lo IS NOT NULL AND p_root IS NULL THEN RETURN 'limit'; END IF;
  IF m.recovering AND NOT p_again THEN RETURN 'later'; END IF;
  IF p_root IS NOT NULL AND NOT m.recovering THEN -- only the present owner of a run adds to it; a range has its run's generation
    PERFORM FROM held WHERE id = p_root AND gen = p_root_gen AND node = x AND (p_lo IS NULL OR generation = p_generation) FOR SHARE;
    IF NOT FOUND THEN RETURN 'orphan'; END IF;
  END IF;
  INSERT INTO bundle VALUES (p_id, p_generation, p_root, coalesce(p_root_gen, 0), p_lo, p_n, p_prio, x, p_name, p_unit, now_us(), p_digest, p_payload) ON CONFLICT DO NOTHING;
  IF NOT FOUND THEN
    SELECT digest INTO d FROM bundle WHERE id = p_id AND generation = p_generation;
    RETURN CASE WHEN d <> p_digest THEN 'conflict'
      WHEN EXISTS (SELECT FROM done WHERE id = p_id AND generation = p_generation) THEN 'done'
      WHEN EXISTS (SELECT FROM held WHERE id = p_id AND generation = p_generation AND node = x) THEN 'mine' ELSE 'known' END;
  END IF;
  IF p_hold AND NOT m.recovering THEN
    INSERT INTO held VALUES (p_id, p_generation, m.n * 1000 + 1, 0, p_prio, zeros(p_n), zeros(p_n), x, p_epoch, now_us());
    RETURN 'mine';
  END IF;
  IF p_at > now_us() THEN INSERT INTO later VALUES (p_id, p_generation, m.n * 1000, 0, p_prio, zeros(p_n), p_at);
  ELSE INSERT INTO ready VALUES (p_id, p_generation, m.n * 1000, 0, p_prio, zeros(p_n)); END IF;
  RETURN 'new';
END $$;
-- Up to p_k bundles, each whole. None for a node that drains or has its fill, and while recovering.
CREATE FUNCTION claim(p_epoch bigint, p_k int) RETURNS TABLE(id uuid, generation int, gen int, tries int, done varbit, root uuid, cut int, lo int, n int, digest bytea, payload bytea)
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = ledger, pg_temp SET plan_cache_mode = force_custom_plan AS $$
#variable_conflict use_column
DECLARE x name := me(p_epoch); m meta; k int; r record; BEGIN
  SELECT * INTO m FROM meta;
  IF m.recovering OR (SELECT drain FROM node WHERE role = x) THEN RETURN; END IF;
  SELECT least(p_k, m.max_held - count(*)) INTO k FROM held WHERE node = x;
  FOR r IN WITH c AS (SELECT q.id, q.generation FROM ready q ORDER BY q.prio DESC, q.id FOR UPDATE SKIP LOCKED LIMIT greatest(k, 0)),
      d AS (DELETE FROM ready q USING c WHERE q.id = c.id AND q.generation = c.generation RETURNING q.*)
    INSERT INTO held SELECT d.id, d.generation, d.gen + 1, d.tries, d.prio, d.done, zeros(length(d.done)), x, p_epoch, now_us() FROM d
      RETURNING held.id, held.generation, held.gen, held.tries, held.done
  LOOP
    RETURN QUERY SELECT b.id, b.generation, r.gen, r.tries, r.done, b.root, b.cut, b.lo, b.n, b.digest, b.payload FROM bundle b
      WHERE b.id = r.id AND b.generation = r.generation;
  END LOOP;
END $$;
-- What the ledger says is mine; the payload of what is not in p_have.
CREATE FUNCTION held(p_epoch bigint, p_have uuid[]) RETURNS TABLE(id uuid, generation int, gen int, tries int, done varbit, root uuid, cut int, lo int, n int, digest bytea, payload bytea)
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = ledger, pg_temp SET plan_cache_mode = force_custom_plan AS $$
#variable_conflict use_column
DECLARE x name := me(p_epoch); ids uuid[]; BEGIN
  SELECT array_agg(h.id) INTO ids FROM held h WHERE h.node = x;
  RETURN QUERY SELECT h.id, h.generation, h.gen, h.tries, h.done, b.root, b.cut, b.lo, b.n, b.digest, CASE WHEN h.id = ANY (p_have) THEN NULL ELSE b.payload END
    FROM held h JOIN bundle b ON b.id = h.id AND b.generation = h.generation WHERE h.node = x AND h.id = ANY (ids) AND b.id = ANY (ids) ORDER BY h.id, h.generation;
END $$;
-- Out of a holder's hands and back to ready or, for p_at, later; the token is spent, the mask stays, no try is counted.
CREATE FUNCTION put_back(h held, p_at bigint) RETURNS void LANGUAGE plpgsql SET search_path = ledger, pg_temp AS $$ BEGIN
  DELETE FROM held WHERE id = h.id AND generation = h.generation;
  IF p_at > now_us() THEN INSERT INTO later VALUES (h.id, h.generation, h.gen, h.tries, h.prio, h.done, p_at);
  ELSE INSERT INTO ready VALUES (h.id, h.generation, h.gen, h.tries, h.prio, h.done); END IF;
END $$;
-- Gives back what it holds, to be claimed now or at p_at (a retry's time). Answers: given gone ends (some of it ended
-- and is not committed: that first).
CREATE FUNCTION later(p_epoch bigint, p_id uuid, p_generation int, p_gen int, p_at bigint) RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = ledger, pg_temp AS $$
DECLARE x name := me(p_epoch); h held; BEGIN
  SELECT * INTO h FROM held WHERE id = p_id AND generation = p_generation AND gen = p_gen AND node = x FOR UPDATE;
  IF NOT FOUND THEN RETURN 'gone'; END IF;
  IF bit_count(h.told & ~h.done) > 0 THEN RETURN 'ends'; END IF;
  PERFORM put_back(h, p_at);
  RETURN 'given';
END $$;
CREATE FUNCTION give(p_epoch bigint, p_id uuid, p_generation int, p_gen int) RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = ledger, pg_temp AS $$
  SELECT ledger.later(p_epoch, p_id, p_generation, p_gen, 0) $$;

-- ---- ends

-- Which of these are in the ledger, and in which generations. Planned each time: then only their hours are looked at.
CREATE FUNCTION bundles_of(p_ids uuid[], OUT ids uuid[], OUT generations int[]) LANGUAGE plpgsql STABLE SET search_path = ledger, pg_temp SET plan_cache_mode = force_custom_plan AS $$ BEGIN
  SELECT array_agg(id), array_agg(generation) INTO ids, generations FROM bundle WHERE id = ANY (p_ids);
END $$;
-- History at its cursor: p_from must be where the ledger is; the answer is where it is now. An end whose token is not
-- current is kept and late. Arrays are as long as p_run, or of one element for all. gen 0: its run is not in the ledger.
CREATE FUNCTION ship(p_epoch bigint, p_spool uuid, p_segment text, p_from bigint, p_to bigint,
  p_run uuid[], p_generation int[], p_item int[], p_gen int[], p_attempt int[], p_k int[], p_first int[], p_name text[], p_unit text[],
  p_status smallint[], p_reason smallint[], p_code smallint[], p_final boolean[], p_ended bigint[], p_us bigint[], p_parent uuid[], p_cpu_us bigint[], p_mem bigint[])
  RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = ledger, pg_temp AS $$
DECLARE x name := me(p_epoch); c bigint; t int := coalesce(cardinality(p_run), 0); ids uuid[]; here uuid[]; born int[]; r held; news varbit; same uuid; BEGIN
  PERFORM FROM node WHERE role = x AND spool = p_spool;
  IF NOT FOUND THEN RAISE EXCEPTION 'fenced' USING ERRCODE = 'TL001'; END IF;
  INSERT INTO cursor VALUES (p_spool, p_segment, 0) ON CONFLICT DO NOTHING;
  SELECT seq INTO c FROM cursor WHERE spool = p_spool AND segment = p_segment FOR UPDATE;
  IF c <> p_from THEN RETURN c; END IF;
  PERFORM FROM unnest(p_status) z WHERE z NOT BETWEEN 5 AND 10 UNION ALL SELECT FROM unnest(p_k) z WHERE z < -1;
  IF FOUND THEN RAISE EXCEPTION 'no end' USING ERRCODE = '22023'; END IF;
  SELECT array_agg(DISTINCT i ORDER BY i) INTO ids FROM unnest(p_run) i;
  same := CASE WHEN hour_of(ids[1]) = hour_of(ids[cardinality(ids)]) THEN hour_of(ids[1]) END; -- the usual case
  SELECT * INTO here, born FROM bundles_of(ids);
  FOR r IN SELECT * FROM held WHERE id = ANY (here) AND node = x ORDER BY id, generation FOR UPDATE LOOP
    SELECT string_agg(CASE WHEN u.i IS NULL THEN '0' ELSE '1' END, '' ORDER BY g)::varbit INTO news FROM generate_series(0, length(r.done) - 1) g LEFT JOIN
      (SELECT DISTINCT i FROM unnest("full"(p_run, t), "full"(p_generation, t), "full"(p_item, t), "full"(p_gen, t), "full"(p_final, t), "full"(p_k, t)) v(run, y, i, g, f, k)
        WHERE run = r.id AND y = r.generation AND v.g = r.gen AND f AND k >= 0) u ON u.i = g.g;
    IF bit_count(news) > 0 THEN UPDATE held SET told = told | news WHERE id = r.id AND generation = r.generation; END IF;
  END LOOP;
  IF t > 0 THEN INSERT INTO hist WITH u AS (
      SELECT v.*, b.id IS NOT NULL AND h.id IS NULL AS late, coalesce(same, hour_of(v.run)) AS hour
      FROM unnest("full"(p_run, t), "full"(p_generation, t), "full"(p_item, t), "full"(p_gen, t), "full"(p_attempt, t), "full"(p_k, t), "full"(p_first, t), "full"(p_name, t),
          "full"(p_unit, t), "full"(p_status, t), "full"(p_reason, t), "full"(p_code, t), "full"(p_final, t), "full"(p_ended, t), "full"(p_us, t), "full"(p_parent, t),
          "full"(p_cpu_us, t), "full"(p_mem, t)) v(run, generation, item, gen, attempt, k, first, name, unit, status, reason, code, final, ended, us, parent, cpu_us, mem)
        LEFT JOIN unnest(here, born) b(id, y) ON b.id = v.run AND b.y = v.generation
        LEFT JOIN held h ON h.id = v.run AND h.generation = v.generation AND h.gen = v.gen AND h.node = x),
    w AS (SELECT u.*, dense_rank() OVER (PARTITION BY hour ORDER BY k, first, name, unit, status, reason, code, final, late)::smallint AS kind,
        min(ended) OVER h AS base, (min(item) OVER h <> max(item) OVER h)::int AS step, row_number() OVER (PARTITION BY hour ORDER BY run, item, attempt)::int AS o FROM u WINDOW h AS (PARTITION BY hour)),
    kinds AS (SELECT hour, array_agg(k ORDER BY kind) AS k, array_agg(first ORDER BY kind) AS first, array_agg(name ORDER BY kind) AS name, array_agg(unit ORDER BY kind) AS unit,
        array_agg(status ORDER BY kind) AS status, array_agg(reason ORDER BY kind) AS reason, array_agg(code ORDER BY kind) AS code, array_agg(final ORDER BY kind) AS final,
        array_agg(late ORDER BY kind) AS late, array_agg(n ORDER BY kind) AS n, array_agg(again ORDER BY kind) AS again, array_agg(us_sum ORDER BY kind) AS us_sum, array_agg(us_max ORDER BY kind) AS us_max
      FROM (SELECT hour, kind, k, first, name, unit, status, reason, code, final, late, count(*)::int AS n, count(*) FILTER (WHERE attempt > 1)::int AS again,
          sum(us)::bigint AS us_sum, max(us) AS us_max FROM w GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11) q GROUP BY hour),
    ends AS (SELECT hour, min(run::text)::uuid AS low, max(run::text)::uuid AS high, count(*)::int AS total, min(base) AS base, min(step) AS step,
        one(array_agg(kind)) AS kind, one(array_agg(run)) AS run, one(array_agg(parent)) AS parent,
        one(array_agg(generation)) AS generation, one(array_agg(item - step * o)) AS item, one(array_agg(gen)) AS gen,
        one(array_agg(attempt)) AS attempt, one(array_agg(ended - base)) AS ended, one(array_agg(us)) AS us,
        one(array_agg(cpu_us)) AS cpu_us, one(array_agg(mem)) AS mem FROM (SELECT * FROM w ORDER BY hour, o) v GROUP BY hour)
    SELECT e.low, e.high, x, p_spool, p_segment, p_from, e.total, e.base, e.step,
      z.k, z.first, z.name, z.unit, z.status, z.reason, z.code, z.final, z.late, z.n, z.again, z.us_sum, z.us_max,
      e.kind, e.run, e.parent, e.generation, e.item, e.gen, e.attempt, e.ended, e.us, e.cpu_us, e.mem
    FROM ends e JOIN kinds z ON z.hour = e.hour; END IF;
  UPDATE cursor SET seq = p_to WHERE spool = p_spool AND segment = p_segment;
  RETURN p_to;
END $$;
-- p_before: the mask that the node believes; another one is the answer and nothing is written. p_mask: what ended since,
-- p_failed: how much of it failed. p_status null: a part, else the last one. Answers: part done known refused "mask BITS"
-- overlap incomplete limit history (its ends were not shipped).
CREATE FUNCTION commit(p_epoch bigint, p_id uuid, p_generation int, p_gen int, p_before varbit, p_mask varbit, p_failed varbit, p_status int)
  RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = ledger, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE x name := me(p_epoch); r held; BEGIN
  SELECT * INTO r FROM held WHERE id = p_id AND generation = p_generation AND gen = p_gen AND node = x FOR UPDATE;
  IF NOT FOUND THEN
    IF EXISTS (SELECT FROM done WHERE id = p_id AND generation = p_generation AND gen = p_gen AND node = x) THEN RETURN 'known'; END IF;
    PERFORM note(p_id, 'refused', p_generation, p_gen, NULL);
    RETURN 'refused';
  END IF;
  IF r.done <> p_before THEN RETURN 'mask ' || r.done::text; END IF;
  IF length(p_mask) <> length(r.done) OR length(p_failed) <> length(r.done) OR p_status NOT BETWEEN 5 AND 10 THEN RETURN 'limit'; END IF;
  IF bit_count(p_failed & ~p_mask) > 0 THEN RETURN 'limit'; END IF;
  IF bit_count(r.done & p_mask) > 0 THEN RETURN 'overlap'; END IF;
  IF bit_count(p_mask & ~r.told) > 0 THEN RETURN 'history'; END IF;
  IF p_status IS NOT NULL AND bit_count(r.done | p_mask) < length(r.done) THEN RETURN 'incomplete'; END IF;
  IF bit_count(p_mask) > 0 THEN INSERT INTO part VALUES (p_id, p_generation, p_gen, p_mask, p_failed, x, now_us()); END IF;
  IF p_status IS NULL THEN UPDATE held SET done = r.done | p_mask WHERE id = p_id AND generation = p_generation; RETURN 'part'; END IF;
  DELETE FROM held WHERE id = p_id AND generation = p_generation;
  INSERT INTO done VALUES (p_id, p_generation, p_status, p_gen, x, now_us());
  RETURN 'done';
END $$;
-- $TASK_RESULT of tasks that somebody reads: 64 KiB each, 256 KiB a call. Answers: kept refused limit.
CREATE FUNCTION result(p_epoch bigint, p_id uuid, p_generation int, p_gen int, p_items int[], p_bytes bytea[]) RETURNS text LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = ledger, pg_temp AS $$
DECLARE x name := me(p_epoch); BEGIN
  PERFORM FROM held WHERE id = p_id AND generation = p_generation AND gen = p_gen AND node = x FOR SHARE;
  IF NOT FOUND THEN RETURN 'refused'; END IF;
  IF (SELECT sum(length(b)) > 262144 OR max(length(b)) > 65536 FROM unnest(p_bytes) b) THEN RETURN 'limit'; END IF;
  INSERT INTO result SELECT p_id, p_generation, i, p_gen, b FROM unnest(p_items, p_bytes) u(i, b) ON CONFLICT DO NOTHING;
  RETURN 'kept';
END $$;

-- ---- what became of it

-- Bundles and subtask runs of a run: none is older than it but for clocks that differ. So not all hours are looked at.
CREATE FUNCTION children_of(p_root uuid) RETURNS SETOF bundle LANGUAGE plpgsql STABLE SET search_path = ledger, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE low uuid := id_at(ms_of(p_root) - 3600000); high uuid := id_at(now_us() / 1000 + 3600000); BEGIN
  RETURN QUERY SELECT * FROM bundle WHERE root = p_root AND id BETWEEN low AND high;
END $$;

-- One row a bundle: where it is, what of it ended, what of that failed.
CREATE FUNCTION state_of(p_id uuid, p_generation int, OUT state text, OUT status smallint, OUT done varbit, OUT failed varbit) LANGUAGE plpgsql STABLE
  SET search_path = ledger, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE p part; BEGIN
  SELECT d.status INTO status FROM done d WHERE d.id = p_id AND d.generation = p_generation;
  state := CASE WHEN status IS NOT NULL THEN 'done' WHEN EXISTS (SELECT FROM held h WHERE h.id = p_id AND h.generation = p_generation) THEN 'held'
    WHEN EXISTS (SELECT FROM ready r WHERE r.id = p_id AND r.generation = p_generation) THEN 'ready'
    WHEN EXISTS (SELECT FROM later l WHERE l.id = p_id AND l.generation = p_generation) THEN 'later' ELSE 'unknown' END;
  SELECT zeros(n) INTO done FROM bundle WHERE id = p_id AND generation = p_generation;
  failed := done;
  FOR p IN SELECT * FROM part q WHERE q.id = p_id AND q.generation = p_generation LOOP done := done | p.mask; failed := failed | p.failed; END LOOP;
END $$;
-- What became of what I pushed. Ends that come this way are the ledger's and are never shipped.
CREATE FUNCTION settle(p_epoch bigint, p_ids uuid[], p_generations int[]) RETURNS TABLE(id uuid, generation int, state text, status smallint, done varbit, failed varbit)
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = ledger, pg_temp SET plan_cache_mode = force_custom_plan AS $$
#variable_conflict use_column
DECLARE x name := me(p_epoch); BEGIN
  RETURN QUERY SELECT b.id, b.generation, s.state, s.status, s.done, s.failed
    FROM unnest(p_ids[1:1000], p_generations[1:1000]) u(i, y) JOIN (SELECT * FROM bundle WHERE id = ANY (p_ids[1:1000])) b ON b.id = u.i AND b.generation = u.y, state_of(b.id, b.generation) s
    WHERE b.origin = x;
END $$;
-- The bundles and subtask runs of a run that I hold, whoever pushed them: before anything of it is started.
CREATE FUNCTION adopt(p_epoch bigint, p_root uuid, p_gen int) RETURNS TABLE(id uuid, generation int, cut int, lo int, n int, state text, status smallint, done varbit, failed varbit, digest bytea, payload bytea)
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = ledger, pg_temp AS $$
#variable_conflict use_column
DECLARE x name := me(p_epoch); BEGIN
  PERFORM FROM held WHERE id = p_root AND gen = p_gen AND node = x FOR SHARE;
  IF NOT FOUND OR (SELECT recovering FROM meta) THEN RETURN; END IF;
  RETURN QUERY SELECT b.id, b.generation, b.cut, b.lo, b.n, s.state, s.status, s.done, s.failed, b.digest, b.payload FROM children_of(p_root) b, state_of(b.id, b.generation) s
    ORDER BY b.id, b.generation;
END $$;
-- Results of a run's committed ends, for its origin, its holder, and who holds its root.
CREATE FUNCTION results(p_epoch bigint, p_id uuid, p_generation int) RETURNS TABLE(item int, bytes bytea) LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = ledger, pg_temp SET plan_cache_mode = force_custom_plan AS $$
#variable_conflict use_column
DECLARE x name := me(p_epoch); BEGIN
  PERFORM FROM bundle b WHERE b.id = p_id AND b.generation = p_generation AND (b.origin = x OR EXISTS (SELECT FROM held h WHERE h.id IN (b.id, b.root) AND h.node = x));
  IF NOT FOUND THEN RETURN; END IF;
  RETURN QUERY SELECT r.item, r.bytes FROM result r JOIN part p ON p.id = r.run AND p.generation = r.generation AND p.gen = r.gen
    WHERE r.run = p_id AND r.generation = p_generation AND p.id = p_id AND r.item < length(p.mask) AND get_bit(p.mask, r.item) = 1 ORDER BY r.item;
END $$;

-- ---- orders

-- Answers: cancelled done foreign busy (it moved three times while we looked: again).
CREATE FUNCTION cancel(p_epoch bigint, p_id uuid, p_generation int) RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = ledger, pg_temp AS $$ BEGIN
  IF NOT entitled(p_epoch, p_id) THEN RETURN 'foreign'; END IF;
  RETURN end_it(p_id, p_generation);
END $$;
CREATE FUNCTION end_it(p_id uuid, p_generation int) RETURNS text LANGUAGE plpgsql SET search_path = ledger, pg_temp AS $$
DECLARE w text := end_one(p_id, p_generation); BEGIN
  IF w = 'cancelled' THEN PERFORM cancel_children(p_id); END IF;
  RETURN w;
END $$;
CREATE FUNCTION end_one(p_id uuid, p_generation int) RETURNS text LANGUAGE plpgsql SET search_path = ledger, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE h held; BEGIN
  FOR i IN 1..3 LOOP -- a row moves from one table to another; each statement sees what was committed before it
    IF EXISTS (SELECT FROM done WHERE id = p_id AND generation = p_generation) THEN RETURN 'done'; END IF;
    h := take(p_id, p_generation);
    CONTINUE WHEN h.id IS NULL;
    INSERT INTO done VALUES (p_id, p_generation, 7, NULL, NULL, now_us());
    PERFORM note(p_id, 'cancel', p_generation, h.gen, h.node);
    RETURN 'cancelled';
  END LOOP;
  RETURN 'busy';
END $$;
-- All below a run, by a list: a chain of subtasks may be longer than a stack is deep.
CREATE FUNCTION cancel_children(p_root uuid) RETURNS void LANGUAGE plpgsql SET search_path = ledger, pg_temp AS $$
DECLARE ids uuid[] := ARRAY[p_root]; at int := 1; c record; BEGIN
  WHILE at <= cardinality(ids) LOOP
    FOR c IN SELECT id, generation FROM children_of(ids[at]) LOOP
      IF end_one(c.id, c.generation) = 'cancelled' THEN ids := ids || c.id; END IF;
    END LOOP;
    at := at + 1;
  END LOOP;
END $$;
-- Takes an open bundle out of where it is, as if it were held.
CREATE FUNCTION take(p_id uuid, p_generation int) RETURNS held LANGUAGE plpgsql SET search_path = ledger, pg_temp AS $$
DECLARE h held; BEGIN
  DELETE FROM later WHERE id = p_id AND generation = p_generation RETURNING id, generation, gen, tries, prio, done INTO h.id, h.generation, h.gen, h.tries, h.prio, h.done;
  IF NOT FOUND THEN DELETE FROM ready WHERE id = p_id AND generation = p_generation RETURNING id, generation, gen, tries, prio, done INTO h.id, h.generation, h.gen, h.tries, h.prio, h.done; END IF;
  IF NOT FOUND THEN DELETE FROM held WHERE id = p_id AND generation = p_generation RETURNING * INTO h; END IF;
  RETURN h;
END $$;
-- Parks a run until p_at, wherever it is; what runs of it is fenced. hold: for ever; release: from now on it may be claimed.
-- Answers: later ready done foreign busy.
CREATE FUNCTION move(p_epoch bigint, p_id uuid, p_generation int, p_at bigint, p_verb text) RETURNS text LANGUAGE plpgsql SET search_path = ledger, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE h held; BEGIN
  IF NOT entitled(p_epoch, p_id) THEN RETURN 'foreign'; END IF;
  FOR i IN 1..3 LOOP
    IF EXISTS (SELECT FROM done WHERE id = p_id AND generation = p_generation) THEN RETURN 'done'; END IF;
    h := take(p_id, p_generation);
    CONTINUE WHEN h.id IS NULL;
    PERFORM put_back(h, p_at);
    PERFORM note(p_id, p_verb, p_generation, h.gen, h.node);
    RETURN CASE WHEN p_at > now_us() THEN 'later' ELSE 'ready' END;
  END LOOP;
  RETURN 'busy';
END $$;
CREATE FUNCTION hold(p_epoch bigint, p_id uuid, p_generation int) RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = ledger, pg_temp AS $$
  SELECT ledger.move(p_epoch, p_id, p_generation, 9223372036854775807, 'hold') $$;
-- Only what is parked: a run that somebody works on stays his.
CREATE FUNCTION release(p_epoch bigint, p_id uuid, p_generation int) RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = ledger, pg_temp AS $$ BEGIN
  IF NOT entitled(p_epoch, p_id) THEN RETURN 'foreign'; END IF;
  PERFORM FROM later WHERE id = p_id AND generation = p_generation FOR UPDATE;
  IF FOUND THEN RETURN move(p_epoch, p_id, p_generation, 0, 'release'); END IF;
  RETURN (state_of(p_id, p_generation)).state;
END $$;
CREATE FUNCTION drain(p_role name, p_drain boolean) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = ledger, pg_temp AS $$ BEGIN
  UPDATE node SET drain = p_drain WHERE role = p_role;
  RETURN FOUND;
END $$;
-- After CREATE ROLE NAME LOGIN IN ROLE ledger_node.
CREATE FUNCTION add_node(p_role name) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = ledger, pg_temp AS $$ BEGIN
  INSERT INTO node(role) VALUES (p_role) ON CONFLICT DO NOTHING;
  RETURN FOUND;
END $$;

-- ---- after a restore

-- contrib/sql/restored calls it before a node is let in. No token of before comes again: gen begins at n x 1000.
CREATE FUNCTION restored() RETURNS uuid LANGUAGE plpgsql SET search_path = ledger, pg_temp AS $$
DECLARE m meta; BEGIN
  UPDATE meta SET incarnation = gen_random_uuid(), n = n + 1, recovering = true RETURNING * INTO m;
  UPDATE node SET live = false, reported = false;
  INSERT INTO ready SELECT id, generation, gen, tries, prio, done FROM held;
  DELETE FROM held;
  UPDATE ready SET gen = m.n * 1000;
  UPDATE later SET gen = m.n * 1000;
  RETURN m.incarnation;
END $$;
-- What was acknowledged to a node before the restore; p_node: who did it. A union of masks, and only a full one closes.
-- Answers: part done known unknown (its origin has not pushed it again yet) refused limit.
CREATE FUNCTION recommit(p_epoch bigint, p_id uuid, p_generation int, p_gen int, p_mask varbit, p_failed varbit, p_status int, p_node name) RETURNS text LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = ledger, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE h held; k varbit; BEGIN
  PERFORM me(p_epoch);
  IF NOT (SELECT recovering FROM meta) THEN RETURN 'refused'; END IF;
  PERFORM FROM bundle WHERE id = p_id AND generation = p_generation FOR UPDATE; -- one at a time
  IF NOT FOUND THEN RETURN 'unknown'; END IF;
  SELECT id, generation, gen, tries, prio, done INTO h.id, h.generation, h.gen, h.tries, h.prio, h.done FROM ready WHERE id = p_id AND generation = p_generation;
  IF NOT FOUND THEN SELECT id, generation, gen, tries, prio, done INTO h.id, h.generation, h.gen, h.tries, h.prio, h.done FROM later WHERE id = p_id AND generation = p_generation; END IF;
  IF NOT FOUND THEN RETURN 'known'; END IF;
  IF length(p_mask) <> length(h.done) OR length(p_failed) <> length(h.done) OR p_status NOT BETWEEN 5 AND 10 THEN RETURN 'limit'; END IF;
  k := p_mask & ~h.done;
  IF bit_count(k) = 0 THEN RETURN 'known'; END IF;
  INSERT INTO part VALUES (p_id, p_generation, p_gen, k, p_failed & k, p_node, now_us());
  IF bit_count(h.done | k) < length(k) THEN
    UPDATE ready SET done = h.done | k WHERE id = p_id AND generation = p_generation;
    UPDATE later SET done = h.done | k WHERE id = p_id AND generation = p_generation;
    RETURN 'part';
  END IF;
  PERFORM take(p_id, p_generation);
  INSERT INTO done VALUES (p_id, p_generation, coalesce(p_status, 5), p_gen, p_node, now_us());
  RETURN 'done';
END $$;
CREATE FUNCTION reported(p_epoch bigint) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = ledger, pg_temp AS $$ BEGIN
  UPDATE node SET reported = true WHERE role = me(p_epoch);
END $$;
-- Work goes on once every node has reported or is named gone. Where bundles of one run meet, the newest cut stays.
CREATE FUNCTION open(p_gone name[]) RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = ledger, pg_temp AS $$
DECLARE w text; c record; BEGIN
  PERFORM FROM meta FOR UPDATE;
  SELECT string_agg(g, ' ' ORDER BY g) INTO w FROM unnest(p_gone) g WHERE NOT EXISTS (SELECT FROM node WHERE role = g);
  IF w IS NOT NULL THEN RETURN 'no node ' || w; END IF;
  SELECT string_agg(role, ' ' ORDER BY role) INTO w FROM node WHERE NOT reported AND role <> ALL (p_gone);
  IF w IS NOT NULL THEN RETURN 'waiting for ' || w; END IF;
  FOR c IN SELECT b.id, b.generation FROM (SELECT id, generation FROM ready UNION ALL SELECT id, generation FROM later) o JOIN bundle b ON b.id = o.id AND b.generation = o.generation
    WHERE b.lo IS NOT NULL AND EXISTS (SELECT FROM bundle a WHERE a.root = b.root AND a.generation = b.generation AND a.cut > b.cut AND a.lo < b.lo + b.n AND b.lo < a.lo + a.n)
  LOOP PERFORM end_it(c.id, c.generation); END LOOP;
  UPDATE meta SET recovering = false;
  RETURN 'open';
END $$;

-- ---- views: the names, columns and words of the local history (tasklog(1), "The tables")

-- Every end that was shipped, unpacked. batch, last: the ids that its row spans; runs: all of its runs.
CREATE VIEW entry AS SELECT h.id AS batch, h.last, h.run AS runs, h.node, h.segment, h.seq, u.run, u.parent, u.generation, h.k[u.kind] AS k, h.first[u.kind] AS first, u.item + h.step * u.o::int AS item, u.gen, u.attempt,
    h.name[u.kind] AS name, h.unit[u.kind] AS unit, h.status[u.kind] AS status, h.reason[u.kind] AS reason, h.code[u.kind] AS code, h.final[u.kind] AS final, h.late[u.kind] AS late,
    h.base + u.ended - u.us AS started, h.base + u.ended AS ended, u.us, u.cpu_us, u.mem
  FROM hist h CROSS JOIN LATERAL unnest("full"(h.kind, h.total), "full"(h.run, h.total), "full"(h.parent, h.total), "full"(h.generation, h.total), "full"(h.item, h.total), "full"(h.gen, h.total),
    "full"(h.attempt, h.total), "full"(h.ended, h.total), "full"(h.us, h.total), "full"(h.cpu_us, h.total), "full"(h.mem, h.total))
    WITH ORDINALITY u(kind, run, parent, generation, item, gen, attempt, ended, us, cpu_us, mem, o);
-- Those of the runs from p_from to p_to, and of p_ids alone, with their bundle, and whether they are results: by their
-- commit where their run is in the ledger, else unless late. Rows of history are found by the ids that they span, and by
-- their runs before they are unpacked; bounds stand at each table, so that only these hours are looked at. What is
-- built on it takes this body in: no SET, no rights of its own.
CREATE FUNCTION placed(p_from uuid, p_to uuid, p_ids uuid[]) RETURNS TABLE(whole uuid, k int, element int, generation int, gen int, attempt int, name text, unit text, parent uuid,
    status smallint, reason smallint, code smallint, final boolean, started bigint, ended bigint, cpu_us bigint, mem bigint, node name, result boolean) LANGUAGE sql STABLE AS $$
  SELECT CASE WHEN b.lo IS NULL THEN e.run ELSE b.root END, e.k, coalesce(b.lo, 0) + e.item - e.first, e.generation, e.gen, e.attempt, e.name, e.unit, e.parent,
    e.status, e.reason, e.code, e.final, e.started, e.ended, e.cpu_us, e.mem, e.node,
    CASE WHEN e.gen = 0 THEN NOT e.late ELSE EXISTS (SELECT FROM ledger.part p WHERE p.id = e.run AND p.id BETWEEN p_from AND p_to AND p.generation = e.generation AND p.gen = e.gen
      AND e.item < length(p.mask) AND get_bit(p.mask, e.item) = 1) END
  FROM ledger.entry e LEFT JOIN ledger.bundle b ON e.gen > 0 AND b.id = e.run AND b.generation = e.generation AND b.id BETWEEN p_from AND p_to
  WHERE e.batch >= ledger.hour_of(p_from) AND e.batch <= p_to AND e.last >= p_from AND e.run BETWEEN p_from AND p_to AND (p_ids IS NULL OR e.runs && p_ids AND e.run = ANY (p_ids)) $$;
CREATE FUNCTION attempt_between(p_from uuid, p_to uuid, p_ids uuid[]) RETURNS TABLE(id text, n int, status smallint, started bigint, ended bigint, exit int, signal int, reason text,
    cpu_us bigint, mem bigint, generation int, node name, gen int, result boolean, whole uuid) LANGUAGE sql STABLE AS $$
  SELECT DISTINCT ON (p.whole, p.k, p.element, p.generation, p.gen, p.attempt) ledger.ulid(p.whole) || '.' || p.k || coalesce('.' || p.element, ''), p.attempt, p.status, p.started, p.ended,
    CASE WHEN p.code >= 0 THEN p.code END::int, CASE WHEN p.code < 0 THEN -p.code END::int, r.name, p.cpu_us, p.mem, p.generation, p.node, p.gen, p.result, p.whole
  FROM ledger.placed(p_from, p_to, p_ids) p LEFT JOIN ledger.reason r ON r.id = p.reason WHERE p.k >= 0
  ORDER BY p.whole, p.k, p.element, p.generation, p.gen, p.attempt $$;
CREATE FUNCTION task_between(p_from uuid, p_to uuid, p_ids uuid[]) RETURNS TABLE(id text, run text, k int, item int, name text, unit text, parent text, status smallint, reason text, exit int, signal int,
    attempts int, generation int, "user" text, node name, created bigint, started bigint, ended bigint, cpu_us bigint, mem bigint, whole uuid) LANGUAGE sql STABLE AS $$
  SELECT DISTINCT ON (p.whole, p.k, p.element, p.generation) ledger.ulid(p.whole) || '.' || p.k || coalesce('.' || p.element, ''), ledger.ulid(p.whole), p.k, p.element, p.name, p.unit,
    ledger.ulid(p.parent), p.status, r.name, CASE WHEN p.code >= 0 THEN p.code END::int, CASE WHEN p.code < 0 THEN -p.code END::int, p.attempt, p.generation, NULL::text, p.node,
    ledger.ms_of(p.whole) * 1000, p.started, p.ended, p.cpu_us, p.mem, p.whole
  FROM ledger.placed(p_from, p_to, p_ids) p LEFT JOIN ledger.reason r ON r.id = p.reason WHERE p.k >= 0 AND p.final AND p.result
  ORDER BY p.whole, p.k, p.element, p.generation, p.gen DESC, p.attempt DESC $$;
-- A run that is in the ledger stands here from its push on, another one once it has ended.
CREATE FUNCTION run_between(p_from uuid, p_to uuid) RETURNS TABLE(id text, name text, unit text, parent text, status smallint, reason text, generation int, by name, node name, tasks int,
    created bigint, started bigint, ended bigint, whole uuid, up uuid) LANGUAGE sql STABLE AS $$
  SELECT ledger.ulid(b.id), b.name, b.unit, ledger.ulid(b.root), coalesce(d.status, CASE WHEN h.id IS NOT NULL THEN 3 WHEN r.id IS NOT NULL THEN 2 ELSE 1 END)::smallint, NULL::text,
    b.generation, b.origin, coalesce(d.node, h.node), b.n, ledger.ms_of(b.id) * 1000, h.since, d.at, b.id, b.root
  FROM ledger.bundle b LEFT JOIN ledger.done d ON d.id = b.id AND d.generation = b.generation AND d.id BETWEEN p_from AND p_to
    LEFT JOIN ledger.held h ON h.id = b.id AND h.generation = b.generation LEFT JOIN ledger.ready r ON r.id = b.id AND r.generation = b.generation
  WHERE b.lo IS NULL AND b.id BETWEEN p_from AND p_to
  UNION ALL (SELECT DISTINCT ON (e.run, e.generation) ledger.ulid(e.run), e.name, e.unit, ledger.ulid(e.parent), e.status, r.name, e.generation, e.node, e.node, NULL, ledger.ms_of(e.run) * 1000, e.started, e.ended, e.run, e.parent
  FROM ledger.entry e LEFT JOIN ledger.reason r ON r.id = e.reason
  WHERE e.k = -1 AND e.gen = 0 AND NOT e.late AND e.batch >= ledger.hour_of(p_from) AND e.batch <= p_to AND e.last >= p_from AND e.run BETWEEN p_from AND p_to
    AND (p_from = '00000000-0000-0000-0000-000000000000' OR (SELECT bool_or(i BETWEEN p_from AND p_to) FROM unnest(e.runs) i))
  ORDER BY e.run, e.generation, e.attempt DESC) $$;

CREATE VIEW attempt AS SELECT * FROM attempt_between('00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff', NULL);
CREATE VIEW task AS SELECT * FROM task_between('00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff', NULL);
CREATE VIEW run AS SELECT * FROM run_between('00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff');
CREATE VIEW event AS SELECT e.segment || ':' || e.seq AS id, ulid(e.run) || coalesce('.' || nullif(e.k, -1), '') || coalesce('.' || (e.item - e.first), '') AS job_id,
    e.status, e.ended AS timestamp, 'end' AS verb, e.attempt, e.node::text AS by, CASE WHEN e.late THEN 'late' END AS detail, e.batch, e.last, e.runs, e.run AS whole FROM entry e
  UNION ALL SELECT NULL, ulid(a.id), CASE a.verb WHEN 'cancel' THEN 7 WHEN 'hold' THEN 1 WHEN 'reclaim' THEN 10 END, a.at, a.verb, NULL, a.by, concat_ws(' ', 'gen ' || a.gen, a.detail), a.id, a.id, ARRAY[a.id], a.id FROM audit a;
CREATE VIEW tasks AS SELECT t.id, t.run, t.k, t.item, t.name, t.unit, t.parent, s.name AS state, t.reason, t.exit, t.signal, t.attempts, t.generation, t.node, rfc3339(t.created) AS created,
    rfc3339(t.started) AS started, rfc3339(t.ended) AS ended, t.ended - t.started AS run_us, t.cpu_us, t.mem FROM task t JOIN status s ON s.id = t.status;
CREATE VIEW runs AS SELECT r.id, r.name, r.unit, r.parent, s.name AS state, r.reason, r.generation, r.by, r.node, r.tasks, rfc3339(r.created) AS created, rfc3339(r.started) AS started,
    rfc3339(r.ended) AS ended FROM run r JOIN status s ON s.id = r.status;
CREATE VIEW attempts AS SELECT a.id, a.generation, a.n, s.name AS state, a.reason, a.exit, a.signal, rfc3339(a.started) AS started, rfc3339(a.ended) AS ended, a.ended - a.started AS run_us,
    a.cpu_us, a.mem, a.node, a.gen, a.result FROM attempt a JOIN status s ON s.id = a.status;
CREATE VIEW events AS SELECT e.id, e.job_id, s.name AS state, rfc3339(e.timestamp) AS timestamp, e.verb, e.attempt, e.by, e.detail FROM event e LEFT JOIN status s ON s.id = e.status;
CREATE VIEW nodes AS SELECT n.role AS name, n.live, n.drain, n.free, n.reported, rfc3339(n.seen) AS seen, rfc3339(n.expires) AS expires, count(h.id) AS bundles,
    coalesce(sum(length(h.done) - bit_count(h.done)), 0) AS tasks, rfc3339(min(h.since)) AS since FROM node n LEFT JOIN held h ON h.node = n.role GROUP BY n.role;
-- Ends counted, not unpacked: a row a shipment and kind of end (a task of a unit, and how it ended). Late ones are left
-- out; what ended twice because a machine died counts twice.
CREATE VIEW tally AS SELECT h.id AS batch, h.base AS ended, h.node, u.name, u.unit, s.name AS state, r.name AS reason, u.code, u.n, u.again, u.us_sum, u.us_max, u.final
  FROM hist h CROSS JOIN LATERAL unnest(h.k, h.name, h.unit, h.status, h.reason, h.code, h.n, h.again, h.us_sum, h.us_max, h.final, h.late)
    u(k, name, unit, status, reason, code, n, again, us_sum, us_max, final, late)
    JOIN status s ON s.id = u.status LEFT JOIN reason r ON r.id = u.reason WHERE u.k >= 0 AND NOT u.late;

-- One run: its tasks, attempts, events, and the runs below it (a subtask's id has the millisecond of its parent).
CREATE FUNCTION ids_of(p_run text) RETURNS uuid[] LANGUAGE plpgsql STABLE SET search_path = ledger, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE w uuid := ulid_uuid(p_run); low uuid := id_at(ms_of(w) - 3600000); high uuid := id_at(now_us() / 1000 + 3600000); BEGIN
  RETURN (SELECT array_agg(i ORDER BY i) FROM (SELECT w AS i UNION SELECT id FROM bundle WHERE root = w AND lo IS NOT NULL AND id BETWEEN low AND high) x WHERE i IS NOT NULL);
END $$;
CREATE FUNCTION tasks_of(p_run text) RETURNS SETOF task LANGUAGE plpgsql STABLE SET search_path = ledger, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE i uuid[] := ids_of(p_run); BEGIN
  IF i IS NOT NULL THEN RETURN QUERY SELECT * FROM task_between(i[1], i[cardinality(i)], i) t WHERE t.whole = ulid_uuid(p_run); END IF;
END $$;
CREATE FUNCTION attempts_of(p_run text) RETURNS SETOF attempt LANGUAGE plpgsql STABLE SET search_path = ledger, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE i uuid[] := ids_of(p_run); BEGIN
  IF i IS NOT NULL THEN RETURN QUERY SELECT * FROM attempt_between(i[1], i[cardinality(i)], i) t WHERE t.whole = ulid_uuid(p_run); END IF;
END $$;
CREATE FUNCTION events_of(p_run text) RETURNS SETOF event LANGUAGE plpgsql STABLE SET search_path = ledger, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE i uuid[] := ids_of(p_run); BEGIN
  IF i IS NOT NULL THEN RETURN QUERY SELECT * FROM event e WHERE e.batch BETWEEN hour_of(i[1]) AND i[cardinality(i)] AND e.last >= i[1] AND e.runs && i AND e.whole = ANY (i) ORDER BY e.timestamp; END IF;
END $$;
CREATE FUNCTION tree_of(p_run text) RETURNS TABLE(depth int, id text, name text, state text, reason text, node name, started text, ended text) LANGUAGE plpgsql STABLE
  SET search_path = ledger, pg_temp SET plan_cache_mode = force_custom_plan AS $$
#variable_conflict use_column
DECLARE w uuid := ulid_uuid(p_run); low uuid := id_at(ms_of(w)); high uuid := id_at(ms_of(w) + 1); BEGIN
  RETURN QUERY WITH RECURSIVE r AS MATERIALIZED (SELECT DISTINCT ON (whole) * FROM run_between(low, high) ORDER BY whole, generation DESC),
    t AS (SELECT 0 AS depth, r.*, ARRAY[r.whole] AS path FROM r WHERE whole = w
      UNION ALL SELECT t.depth + 1, r.*, t.path || r.whole FROM t JOIN r ON r.up = t.whole AND r.whole <> ALL (t.path))
    SELECT t.depth, t.id, t.name, s.name, t.reason, t.node, rfc3339(t.started), rfc3339(t.ended) FROM t JOIN status s ON s.id = t.status ORDER BY t.path;
END $$;

-- ---- rights

REVOKE ALL ON ALL TABLES IN SCHEMA ledger FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA ledger FROM PUBLIC;
GRANT USAGE ON SCHEMA ledger TO ledger_node, ledger_operator, ledger_reader;
-- A node calls, and touches no table.
GRANT EXECUTE ON FUNCTION enter, renew, register, reap, push, claim, held(bigint, uuid[]), later, give, ship, commit, result, settle, adopt, results, cancel, hold, release, recommit, reported TO ledger_node;
GRANT EXECUTE ON FUNCTION cancel, hold, release, drain, add_node, make_hours, drop_hours, open TO ledger_operator;
-- A reader sees all but plans and results, which may carry secrets.
GRANT SELECT ON status, reason, meta, node, reaper, ready, later, held, part, done, hist, audit, entry, attempt, task, run, event, attempts, tasks, runs, events, nodes, tally TO ledger_reader;
GRANT SELECT (id, generation, root, cut, lo, n, prio, origin, name, unit, pushed, digest) ON bundle TO ledger_reader;
GRANT EXECUTE ON FUNCTION ulid, ulid_uuid, now_us, rfc3339, id_at, ms_of, hour_of, one, "full", placed, attempt_between, task_between, run_between, ids_of, tasks_of, attempts_of, events_of, tree_of TO ledger_reader;
SELECT make_hours() AS hours \gset
RESET ROLE;
GRANT ledger_reader TO ledger_operator;
-- Nobody else comes into this database, and nobody makes a temporary table in it.
DO $$ BEGIN
  EXECUTE format('ALTER DATABASE %I SET jit = off', current_database()); -- hundreds of partitions take seconds to compile
  EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO ledger_node, ledger_operator, ledger_reader', current_database());
  IF to_regnamespace('public') IS NOT NULL THEN REVOKE ALL ON SCHEMA public FROM PUBLIC; END IF;
END $$;
