-- SPDX-License-Identifier: Apache-2.0
-- The protocol's rules on a ledger of its own, one session at a time: lines `ok - rule N: …`. The roles
-- ledger_test_1 and ledger_test_2 exist. ledger.t runs it on ledger.sql, and on copies with a rule taken out.
\set ON_ERROR_STOP off
\set QUIET on
\pset tuples_only on
\pset format unaligned
SET client_min_messages = warning;
CREATE SCHEMA t;
GRANT USAGE ON SCHEMA t TO PUBLIC;
CREATE TABLE t.v(k text PRIMARY KEY, e bigint, base text);
INSERT INTO t.v VALUES ('base', 0, lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint), 12, '0'));
GRANT ALL ON t.v TO PUBLIC;
-- id n, spool or boot n, epoch of node k
CREATE FUNCTION t.u(i int) RETURNS uuid LANGUAGE sql AS $$ SELECT (base || lpad(to_hex(i), 20, '0'))::uuid FROM t.v WHERE k = 'base' $$;
CREATE FUNCTION t.x(i int) RETURNS uuid LANGUAGE sql AS $$ SELECT lpad(to_hex(i), 32, '0')::uuid $$;
CREATE FUNCTION t.e(x text) RETURNS bigint LANGUAGE sql AS $$ SELECT e FROM t.v WHERE k = x $$;
CREATE FUNCTION t.is(what text, got text, want text) RETURNS text LANGUAGE sql AS $$
  SELECT CASE WHEN got IS NOT DISTINCT FROM want THEN 'ok - ' || what ELSE 'not ok - ' || what || ' # got ' || coalesce(got, 'null') || ', want ' || coalesce(want, 'null') END $$;
CREATE FUNCTION t.try(q text) RETURNS text LANGUAGE plpgsql AS $$ DECLARE r text; BEGIN EXECUTE q INTO r; RETURN r; EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE; END $$;
-- As the owner: what a node may not see.
CREATE FUNCTION t.see(q text) RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = ledger AS $$ DECLARE r text; BEGIN EXECUTE q INTO r; RETURN r; END $$;
CREATE FUNCTION t.inc() RETURNS text LANGUAGE sql AS $$ SELECT quote_literal(t.see('SELECT incarnation FROM meta')) || '::uuid' $$;
CREATE FUNCTION t.enter(k text, seq bigint, round int, boot int, ahead bigint DEFAULT 0) RETURNS text LANGUAGE sql AS $$
  SELECT t.try(format('SELECT nodes FROM ledger.enter(%s, %s, %s, t.x(%s), t.x(%s), 1)', t.inc(), t.e(k) + ahead, seq, round, boot)) $$;
-- known: what its spool believes, an epoch relative to the last one given to it
CREATE FUNCTION t.register(k text, spool int, boot int, seq bigint DEFAULT 0, ahead bigint DEFAULT 0, round int DEFAULT NULL, fresh boolean DEFAULT false) RETURNS text LANGUAGE plpgsql AS $$
  DECLARE r text; BEGIN
    r := t.try(format('SELECT epoch FROM ledger.register(%s, %s, %s, %s, t.x(%s), t.x(%s), 1)', CASE WHEN fresh THEN 'NULL' ELSE t.inc() END, coalesce(t.e(k), 0) + ahead, seq,
      CASE WHEN round IS NULL THEN 'NULL' ELSE format('t.x(%s)', round) END, spool, boot));
    IF r LIKE 'TL%' THEN RETURN r; END IF;
    DELETE FROM t.v v WHERE v.k = register.k; INSERT INTO t.v VALUES (k, r::bigint); RETURN 'registered'; END $$;
CREATE FUNCTION t.push(k text, id int, generation int DEFAULT 0, n int DEFAULT 2, hold boolean DEFAULT false, again boolean DEFAULT false, root int DEFAULT NULL, root_gen int DEFAULT NULL,
  lo int DEFAULT NULL, digest text DEFAULT 'd', at bigint DEFAULT 0) RETURNS text LANGUAGE sql AS $$
  SELECT ledger.push(t.e(k), t.u(id), generation, CASE WHEN root IS NOT NULL THEN t.u(root) END, root_gen, lo, n, 0, at, 'site', 'site', digest::bytea, 'plan', hold, again) $$;
CREATE FUNCTION t.claim(k text, n int DEFAULT 1) RETURNS text LANGUAGE sql AS $$ SELECT string_agg(right(id::text, 2) || '+' || generation || ' ' || gen || ' ' || done, ', ') FROM ledger.claim(t.e(k), n) $$;
-- ids[i] ended: its item, under gen; places of a whole bundle by array
CREATE FUNCTION t.ship(k text, spool int, at bigint, upto bigint, ids int[], generations int[], items int[], gens int[], state int DEFAULT 5, segment text DEFAULT 's1') RETURNS text LANGUAGE sql AS $$
  SELECT ledger.ship(t.e(k), t.x(spool), segment, at, upto, (SELECT array_agg(t.u(i) ORDER BY o) FROM unnest(ids) WITH ORDINALITY q(i, o)), generations, items, gens, '{1}', '{0}', '{0}', '{site}', '{site}',
    ARRAY[state::smallint], CASE WHEN state = 6 THEN '{1}' ELSE '{NULL}' END::smallint[], ARRAY[CASE WHEN state = 6 THEN 7 ELSE 0 END::smallint], '{t}', '{1700000000000000}', '{1000}', '{NULL}', '{NULL}', '{NULL}')::text $$;
CREATE FUNCTION t.commit(k text, id int, generation int, gen int, before text, mask text, state int DEFAULT NULL, failed text DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
  SELECT ledger.commit(t.e(k), t.u(id), generation, gen, before::varbit, mask::varbit, coalesce(failed, translate(mask, '1', '0'))::varbit, state) $$;
-- the tasks that a reader is shown of run id: item:state
CREATE FUNCTION t.shown(id int) RETURNS text LANGUAGE sql AS $$
  SELECT t.see(format('SELECT coalesce(string_agg(item || '':'' || generation || '':'' || status, '' '' ORDER BY generation, item), ''-'') FROM task WHERE whole = %L', t.u(id))) $$;

SET SESSION AUTHORIZATION ledger_test_1;
SELECT t.is('rule 13: no such node', t.register('n1', 1, 11, fresh => true), 'TL000');
RESET SESSION AUTHORIZATION;
SELECT t.is('an operator adds two nodes', (ledger.add_node('ledger_test_1') AND ledger.add_node('ledger_test_2') AND NOT ledger.add_node('ledger_test_1'))::text, 'true');

-- a name, a boot, a spool
SET SESSION AUTHORIZATION ledger_test_1;
SELECT t.is('a node registers', t.register('n1', 1, 11, fresh => true), 'registered');
SELECT t.is('a round', t.enter('n1', 1, 100, 11), '1');
SELECT t.is('rule 16: the same round again', t.enter('n1', 1, 100, 11), 'TL004');
SELECT t.is('rule 16: another round with that number is a rolled back spool', t.enter('n1', 1, 101, 11), 'TL006');
SELECT t.is('rule 16: a clone enters', t.enter('n1', 2, 102, 12), 'TL005');
SELECT t.is('rule 16: a clone registers while the lease runs', t.register('n1', 1, 12, 1), 'TL005');
SELECT t.is('rule 16: a new machine registers under the name', t.register('n1', 2, 12, fresh => true), 'TL005');
SELECT t.is('rule 13: the ledger is behind by rounds', t.enter('n1', 9, 102, 11), 'TL003');
SELECT t.is('rule 13: the ledger is behind by an epoch', t.enter('n1', 1, 102, 11, 5), 'TL003');
SELECT t.is('rule 13: the ledger is behind, at register', t.register('n1', 1, 11, 1, 5), 'TL003');
SELECT t.is('between rounds the lease alone', t.try(format('SELECT ledger.renew(%s, %s, t.x(11), 1)', t.inc(), t.e('n1'))), '');
SELECT t.is('… not of another boot', t.try(format('SELECT ledger.renew(%s, %s, t.x(12), 1)', t.inc(), t.e('n1'))), 'TL001');
SELECT t.is('a node of an older session', t.enter('n1', 2, 102, 11, -1), 'TL001');

-- pushes that are held, derived ids
SELECT t.is('rule 7: push and hold', t.push('n1', 50, hold => true), 'mine');
SELECT t.is('rule 20: pushed again after a lost answer', t.push('n1', 50, hold => true), 'mine');
SELECT t.is('rule 7: another plan under that id', t.push('n1', 50, hold => true, digest => 'other'), 'conflict');
SET SESSION AUTHORIZATION ledger_test_2;
SELECT t.is('the other node registers', t.register('n2', 3, 13, fresh => true), 'registered');
SELECT t.is('rule 7: the other node fires the same id', t.push('n2', 50, hold => true), 'known');
SELECT t.is('rule 7: nothing to claim', t.claim('n2'), NULL);
SELECT t.is('a node cannot commit what another holds', t.commit('n2', 50, 0, 1, '00', '10'), 'refused');

-- parts
SET SESSION AUTHORIZATION ledger_test_1;
SELECT t.is('rule 3: no commit before its history', t.commit('n1', 50, 0, 1, '00', '10'), 'history');
SELECT t.is('history at its cursor', t.ship('n1', 1, 0, 1, '{50}', '{0}', '{0}', '{1}'), '1');
SELECT t.is('rule 6: history again', t.ship('n1', 1, 0, 1, '{50}', '{0}', '{0}', '{1}'), '1');
SELECT t.is('rule 6: … is one row', t.see('SELECT count(*) FROM hist'), '1');
SELECT t.is('rule 1: nothing is shown before its commit', t.shown(50), '-');
SELECT t.is('rule 9: what ended is committed before it is given back', ledger.give(t.e('n1'), t.u(50), 0, 1), 'ends');
SELECT t.is('rule 3: no last commit before all of its history', t.commit('n1', 50, 0, 1, '00', '11', 5), 'history');
SELECT t.is('a part', t.commit('n1', 50, 0, 1, '00', '10'), 'part');
SELECT t.is('rule 1: … and after it', t.shown(50), '0:0:5');
SELECT t.is('rule 10: a round built anew after a lost answer', t.commit('n1', 50, 0, 1, '00', '11', 5), 'mask 10');
SELECT t.is('rule 10: … wrote nothing', t.see('SELECT count(*) FROM part') || t.see('SELECT count(*) FROM done'), '10');
SELECT t.is('no end without all', t.commit('n1', 50, 0, 1, '10', '00', 5), 'incomplete');
SELECT t.is('no place twice', t.commit('n1', 50, 0, 1, '10', '10'), 'overlap');
SELECT t.is('no mask of another size', t.commit('n1', 50, 0, 1, '10', '001'), 'limit');
SELECT t.is('rule 9: given back', ledger.give(t.e('n1'), t.u(50), 0, 1), 'given');
SELECT t.is('rule 6: given back again', ledger.give(t.e('n1'), t.u(50), 0, 1), 'gone');
SET SESSION AUTHORIZATION ledger_test_2;
SELECT t.is('rule 9: claimed with gen and mask', t.claim('n2'), '32+0 2 10');
SELECT t.is('rule 9: no try was counted', t.see('SELECT tries FROM held'), '0');
SELECT t.is('history of the rest', t.ship('n2', 3, 0, 1, '{50}', '{0}', '{1}', '{2}', 6), '1');
SELECT t.is('the rest', t.commit('n2', 50, 0, 2, '10', '01', 6, '01'), 'done');
SELECT t.is('rule 6: the last commit again', t.commit('n2', 50, 0, 2, '10', '01', 6, '01'), 'known');
SELECT t.is('both are shown', t.shown(50), '0:0:5 1:0:6');
SET SESSION AUTHORIZATION ledger_test_1;
SELECT t.is('rule 1: a late commit', t.commit('n1', 50, 0, 1, '10', '01', 5), 'refused');
SELECT t.is('rule 1: a late end', t.ship('n1', 1, 1, 2, '{50}', '{0}', '{1}', '{1}'), '2');
SELECT t.is('rule 1: … is kept and not shown', t.see('SELECT late::text FROM hist WHERE seq = 1 AND spool = t.x(1)') || t.shown(50), '{t}0:0:5 1:0:6');
SELECT t.is('a cursor elsewhere is the answer', t.ship('n1', 1, 7, 9, '{50}', '{0}', '{1}', '{1}'), '2');
SELECT t.is('another spool''s history', t.try($$SELECT t.ship('n1', 3, 1, 2, '{50}', '{0}', '{1}', '{1}')$$), 'TL001');
SELECT t.is('rule 2: what settle says', (SELECT state || ' ' || status || ' ' || done || ' ' || failed FROM ledger.settle(t.e('n1'), ARRAY[t.u(50)], '{0}')), 'done 6 11 01');
SELECT t.is('rule 17: a retry is another generation', t.push('n1', 50, 1, hold => true), 'mine');
SELECT t.is('rule 17: … of the same history', t.ship('n1', 1, 2, 3, '{50,50}', '{1}', '{0,1}', '{1}'), '3');
SELECT t.is('rule 17: … with its own end', t.commit('n1', 50, 1, 1, '00', '11', 5), 'done');
SELECT t.is('rule 17: … beside the first', t.shown(50), '0:0:5 1:0:6 0:1:5 1:1:5');

-- a run of before its push
SELECT t.is('rule 19: an end of a run at home', t.ship('n1', 1, 3, 4, '{51}', '{0}', '{0}', '{0}'), '4');
SELECT t.is('rule 19: its push', t.push('n1', 51), 'new');
SELECT t.is('rule 19: what it shipped before is shown', t.shown(51), '0:0:5');
SELECT t.is('rule 19: what comes after is late', t.ship('n1', 1, 4, 5, '{51}', '{0}', '{1}', '{0}') || t.shown(51), '50:0:5');
SELECT t.is('rule 8: who pushed does not own it', t.commit('n1', 51, 0, 0, '00', '11', 5) || t.commit('n1', 51, 0, 1, '00', '11', 5), 'refusedrefused');
SELECT t.is('rule 8: … before its claim', t.claim('n1'), '33+0 1 00');

-- owner, children, results
SELECT t.is('a range of its plan', t.push('n1', 60, root => 51, root_gen => 1, lo => 0, n => 1), 'new');
SELECT t.is('a bundle of a stranger', t.push('n1', 61, root => 51, root_gen => 2, lo => 1, n => 1), 'orphan');
SELECT t.is('rule 17: a range of another generation', t.push('n1', 61, 1, root => 51, root_gen => 1, lo => 1, n => 1), 'orphan');
SET SESSION AUTHORIZATION ledger_test_2;
SELECT t.is('… or of another node', t.push('n2', 61, root => 51, root_gen => 1, lo => 1, n => 1), 'orphan');
SELECT t.is('the other claims the child', t.claim('n2'), '3c+0 1 0');
SELECT t.is('rule 4: its result', ledger.result(t.e('n2'), t.u(60), 0, 1, '{0}', '{"forty-two"}'), 'kept');
SELECT t.is('rule 4: too large', ledger.result(t.e('n2'), t.u(60), 0, 1, '{0}', ARRAY[repeat('x', 65537)::bytea]), 'limit');
SELECT t.is('rule 4: not before its commit', (SELECT count(*)::text FROM ledger.results(t.e('n2'), t.u(60), 0)), '0');
SELECT t.is('its end', t.ship('n2', 3, 1, 2, '{60}', '{0}', '{0}', '{1}') || t.commit('n2', 60, 0, 1, '0', '1', 5), '2done');
SELECT t.is('rule 4: not under a token that is spent', ledger.result(t.e('n2'), t.u(60), 0, 1, '{0}', '{"x"}'), 'refused');
SELECT t.is('rule 4: not for a stranger', (SELECT count(*)::text FROM ledger.results(t.e('n2'), t.u(60), 0)), '0');
SELECT t.is('the run''s tasks, the child''s among them', t.shown(51), '0:0:5');
SET SESSION AUTHORIZATION ledger_test_1;
SELECT t.is('a range further on', t.push('n1', 67, root => 51, root_gen => 1, lo => 100, n => 2), 'new');
SET SESSION AUTHORIZATION ledger_test_2;
SELECT t.is('… claimed', t.claim('n2'), '43+0 1 00');
SELECT t.is('… ended', t.ship('n2', 3, 2, 3, '{67,67}', '{0}', '{0,1}', '{1}') || t.commit('n2', 67, 0, 1, '00', '11', 6, '01'), '3done');
SELECT t.is('… is shown by the places in its run''s plan', t.see(format('SELECT string_agg(replace(id, ulid(whole), ''R''), '' '' ORDER BY item) FROM task WHERE whole = %L', t.u(51))), 'R.0.0 R.0.100 R.0.101');
SELECT t.is('… one by one as well', t.see(format('SELECT count(*) FROM tasks_of(ulid(%L::uuid))', t.u(51))), '3');
SELECT t.is('nothing ended, and the cursor moves', t.ship('n2', 3, 3, 4, '{}', '{}', '{}', '{}'), '4');
SELECT t.is('what is no end aborts the round', t.try($$SELECT t.ship('n2', 3, 4, 5, '{67}', '{0}', '{0}', '{1}', 3)$$), '22023');
SET SESSION AUTHORIZATION ledger_test_1;
SELECT t.is('rule 5: what I hold, with the plan of what I lack', (SELECT string_agg(right(id::text, 2) || ' ' || gen || ' ' || payload, ',') FROM ledger.held(t.e('n1'), '{}')), '33 1 \x706c616e');
SELECT t.is('rule 5: … and without', (SELECT coalesce(payload::text, 'none') FROM ledger.held(t.e('n1'), ARRAY[t.u(51)])), 'none');
RESET SESSION AUTHORIZATION;
UPDATE ledger.reaper SET last = ledger.now_us(), since = 0;
UPDATE ledger.node SET expires = 1 WHERE role = 'ledger_test_1';
SELECT t.is('its owner dies', (SELECT string_agg(node || ' ' || bundles, ' ') FROM ledger.reap()), 'ledger_test_1 1');
SELECT t.is('rule 9: a death is a try', (SELECT gen || ' ' || tries FROM ledger.ready WHERE id = t.u(51)), '1 1');
SELECT t.is('rule 13: its epoch stays', (SELECT (epoch = t.e('n1') AND NOT live)::text FROM ledger.node WHERE role = 'ledger_test_1'), 'true');
SET SESSION AUTHORIZATION ledger_test_1;
SELECT t.is('rule 11: past its lease it is fenced', t.enter('n1', 2, 104, 11), 'TL001');
SELECT t.is('rule 11: … whatever it calls', t.try($$SELECT t.commit('n1', 51, 0, 1, '00', '11', 5)$$) || t.try($$SELECT t.claim('n1')$$), 'TL001TL001');
SELECT t.is('rule 16: a copy of its spool', t.register('n1', 1, 12, 1, -1), 'TL006');
SET SESSION AUTHORIZATION ledger_test_2;
SELECT t.is('another claims its run', t.claim('n2'), '33+0 2 00');
SELECT t.is('rule 21: it adopts what ended', (SELECT string_agg(right(id::text, 2) || ' ' || lo || ' ' || state || ' ' || status || ' ' || done || ' ' || failed, ', ') FROM ledger.adopt(t.e('n2'), t.u(51), 2)), '3c 0 done 5 1 0, 43 100 done 6 11 01');
SELECT t.is('rule 4: and has its result', (SELECT convert_from(bytes, 'UTF8') FROM ledger.results(t.e('n2'), t.u(60), 0)), 'forty-two');
SELECT t.is('nothing to adopt under a token that is not current', (SELECT count(*)::text FROM ledger.adopt(t.e('n2'), t.u(51), 1)), '0');
SET SESSION AUTHORIZATION ledger_test_1;
SELECT t.is('it registers anew', t.register('n1', 1, 11, 1), 'registered');

-- orders
SET SESSION AUTHORIZATION ledger_test_2;
SELECT t.is('a child that runs', t.push('n2', 62, root => 51, root_gen => 2, lo => 1, n => 1) || t.claim('n2'), 'new3e+0 1 0');
SELECT t.is('a run of the other', t.push('n2', 63), 'new');
SET SESSION AUTHORIZATION ledger_test_1;
SELECT t.is('a stranger cannot cancel', ledger.cancel(t.e('n1'), t.u(63), 0), 'foreign');
SELECT t.is('… nor park', ledger.hold(t.e('n1'), t.u(63), 0), 'foreign');
SELECT t.is('… nor be an operator', ledger.cancel(NULL, t.u(63), 0), 'foreign');
SELECT t.is('rule 12: the origin parks what another runs', ledger.hold(t.e('n1'), t.u(51), 0), 'later');
SELECT t.is('rule 12: parked again', ledger.hold(t.e('n1'), t.u(51), 0), 'later');
SET SESSION AUTHORIZATION ledger_test_2;
SELECT t.is('rule 12: its holder is fenced', t.commit('n2', 51, 0, 2, '00', '11', 5), 'refused');
SELECT t.is('rule 12: it is not to be claimed', t.claim('n2'), '3f+0 1 00');
SET SESSION AUTHORIZATION ledger_test_1;
SELECT t.is('rule 12: released', ledger.release(t.e('n1'), t.u(51), 0), 'ready');
SELECT t.is('rule 12: no try was counted, no gen given twice', t.claim('n1'), '33+0 3 00');
SELECT t.is('rule 12: a retry''s time', ledger.later(t.e('n1'), t.u(51), 0, 3, 9000000000000000), 'given');
SELECT t.is('rule 12: cancelled, and its children', ledger.cancel(t.e('n1'), t.u(51), 0), 'cancelled');
SELECT t.is('rule 12: … both', t.see(format('SELECT string_agg(status::text, '' '') FROM done WHERE id IN (%L, %L)', t.u(51), t.u(62))), '7 7');
SELECT t.is('rule 12: cancelled again', ledger.cancel(t.e('n1'), t.u(51), 0), 'done');
RESET SESSION AUTHORIZATION;
WITH b AS (INSERT INTO ledger.bundle SELECT t.u(100000 + i), 0, t.u(99999 + i), 1, NULL, 1, 0, 'ledger_test_1', 'deep', 'deep', 0, 'd', 'plan' FROM generate_series(0, 4999) i RETURNING id)
  INSERT INTO ledger.ready SELECT id, 0, 0, 0, 0, '0' FROM b;
SET SESSION AUTHORIZATION ledger_test_1;
SELECT t.is('rule 12: a chain of 5,000 subtasks is cancelled', t.try(format('SELECT ledger.cancel(t.e(%L), %L, 0)', 'n1', t.u(100000))), 'cancelled');
SELECT t.is('rule 12: … each', t.see(format('SELECT count(*) FROM done WHERE status = 7 AND id BETWEEN %L AND %L', t.u(100000), t.u(104999))), '5000');
SET SESSION AUTHORIZATION ledger_test_2;
SELECT t.is('rule 12: the child''s holder is fenced', t.ship('n2', 3, 4, 5, '{62}', '{0}', '{0}', '{1}') || t.commit('n2', 62, 0, 1, '0', '1', 5), '5refused');
SELECT t.is('rule 5: held says so', (SELECT string_agg(right(id::text, 2), ' ') FROM ledger.held(t.e('n2'), '{}')), '3f');
SELECT t.is('a deferred push', t.push('n2', 64, at => 9000000000000000) || coalesce(t.claim('n2'), ' none'), 'new none');
SELECT t.is('a push below the horizon', t.try($$SELECT ledger.push(t.e('n2'), t.x(1), 0, NULL, NULL, NULL, 1, 0, 0, '', '', '', '', false, false)$$), 'stale');
SELECT t.is('a push beyond the hours', t.try($$SELECT ledger.push(t.e('n2'), 'ffffffff-0000-0000-0000-000000000000', 0, NULL, NULL, NULL, 1, 0, 0, '', '', '', '', false, false)$$), 'ahead');
SELECT t.is('a push of too many', t.push('n2', 65, n => 1001), 'limit');

-- tries, drain
RESET SESSION AUTHORIZATION;
UPDATE ledger.held SET tries = 7 WHERE id = t.u(63);
SET SESSION AUTHORIZATION ledger_test_2;
SELECT t.is('it restarts', t.register('n2', 3, 13), 'registered');
SELECT t.is('rule 9: the last try is lost', t.see(format('SELECT status FROM done WHERE id = %L', t.u(63))), '10');
SELECT t.is('one more', t.push('n2', 66, n => 1), 'new');
RESET SESSION AUTHORIZATION;
SELECT t.is('a node drains', ledger.drain('ledger_test_2', true)::text, 'true');
SET SESSION AUTHORIZATION ledger_test_2;
SELECT t.is('… and claims nothing', t.claim('n2'), NULL);
RESET SESSION AUTHORIZATION;
SELECT ledger.drain('ledger_test_2', false) \gset
UPDATE ledger.meta SET max_held = 0;
SET SESSION AUTHORIZATION ledger_test_2;
SELECT t.is('nobody holds more than max_held', t.claim('n2'), NULL);
RESET SESSION AUTHORIZATION;
UPDATE ledger.meta SET max_held = 1000;

-- clocks
UPDATE ledger.node SET expires = ledger.now_us() + 86400000000 WHERE role = 'ledger_test_1';
UPDATE ledger.reaper SET last = ledger.now_us() + 86400000000, since = ledger.now_us() + 86400000000;
SELECT t.is('rule 18: the clock fell back a day: nobody is reaped now', (SELECT count(*)::text FROM ledger.reap()), '0');
SELECT t.is('rule 18: … no lease is longer than one', (SELECT bool_and(expires <= ledger.now_us() + 15000000)::text FROM ledger.node WHERE live), 'true');
SELECT t.is('rule 18: … and the lease of service begins now', (SELECT (since <= ledger.now_us())::text FROM ledger.reaper), 'true');
UPDATE ledger.node SET expires = 1 WHERE role = 'ledger_test_1';
UPDATE ledger.reaper SET last = ledger.now_us() - 6000000, since = 0;
SELECT t.is('rule 18: after a gap nobody is reaped', (SELECT count(*)::text FROM ledger.reap()), '0');
UPDATE ledger.reaper SET since = ledger.now_us() - 15000001;
SELECT t.is('rule 18: after a whole lease of service he is', (SELECT string_agg(node, ' ') FROM ledger.reap()), 'ledger_test_1');

-- an old backup: two runs of before, of one of which half is committed
SET SESSION AUTHORIZATION ledger_test_1;
SELECT t.is('it comes back', t.register('n1', 1, 11), 'registered');
SELECT t.is('a round of before', t.enter('n1', 1, 110, 11), '2');
SELECT t.is('a run of before', t.push('n1', 70, hold => true), 'mine');
SELECT t.is('rule 14: half of it', t.ship('n1', 1, 5, 6, '{70}', '{0}', '{0}', '{1}') || t.commit('n1', 70, 0, 1, '00', '10'), '6part');
SELECT t.is('a root of before', t.push('n1', 71, hold => true), 'mine');
SELECT t.is('one that waits', t.push('n1', 72, at => 9000000000000000), 'new');
RESET SESSION AUTHORIZATION;
SELECT t.see('SELECT restored()') \gset
SET SESSION AUTHORIZATION ledger_test_1;
SELECT t.is('rule 14: an old incarnation', t.try(format('SELECT ledger.enter(t.x(1), %s, 2, t.x(111), t.x(11), 1)', t.e('n1'))), 'TL002');
SELECT t.is('rule 14: it registers', t.register('n1', 1, 11, fresh => true), 'registered');
SELECT t.is('rule 14: nothing new while recovering', t.push('n1', 80, hold => true), 'later');
SELECT t.is('rule 14: no claim', t.claim('n1'), NULL);
SELECT t.is('rule 15: the old cut, pushed again', t.push('n1', 73, root => 71, root_gen => 1, lo => 0, n => 2, again => true), 'new');
SELECT t.is('rule 15: the new cut, of an owner that the ledger forgot', t.push('n1', 74, root => 71, root_gen => 3, lo => 0, n => 1, again => true) || t.push('n1', 75, root => 71, root_gen => 3, lo => 1, n => 1, again => true), 'newnew');
SELECT t.is('rule 14: nothing to adopt', (SELECT count(*)::text FROM ledger.adopt(t.e('n1'), t.u(71), 3)), '0');
SELECT t.is('rule 14: recommit of the other half', ledger.recommit(t.e('n1'), t.u(75), 0, 5, '1', '0', 5, 'ledger_test_2'), 'done');
SELECT t.is('rule 14: again', ledger.recommit(t.e('n1'), t.u(75), 0, 5, '1', '0', 5, 'ledger_test_2'), 'known');
SELECT t.is('rule 14: a union of masks', ledger.recommit(t.e('n1'), t.u(74), 0, 5, '0', '0', 5, 'ledger_test_2') || ledger.recommit(t.e('n1'), t.u(73), 0, 1, '01', '00', 5, 'ledger_test_1'), 'knownpart');
SELECT t.is('rule 14: of what nobody pushed again', ledger.recommit(t.e('n1'), t.u(90), 0, 1, '01', '00', 5, 'ledger_test_1'), 'unknown');
SELECT ledger.reported(t.e('n1')) \gset
RESET SESSION AUTHORIZATION;
SELECT t.is('rule 14: not open before all have reported', ledger.open('{}'), 'waiting for ledger_test_2');
SELECT t.is('rule 14: a name that is none', ledger.open('{ledger_test_3}'), 'no node ledger_test_3');
SELECT t.is('rule 14: the other is gone', ledger.open('{ledger_test_2}'), 'open');
SELECT t.is('rule 15: the old cut is cancelled', (SELECT status::text FROM ledger.done WHERE id = t.u(73)), '7');
SET SESSION AUTHORIZATION ledger_test_1;
SELECT t.is('rule 14: no recommit after it', ledger.recommit(t.e('n1'), t.u(74), 0, 5, '1', '0', 5, 'ledger_test_2'), 'refused');
SELECT t.is('rule 14: no gen comes twice', t.claim('n1', 10), '42+0 1001 0, 46+0 1001 10, 47+0 1001 00, 4a+0 1001 0');
SELECT t.is('rule 14: nor of what waited', t.see(format('SELECT gen FROM later WHERE id = %L', t.u(72))), '1000');
SELECT t.is('rule 14: an end under a token of before is late', t.ship('n1', 1, 6, 9, '{70,70,74}', '{0}', '{1,1,0}', '{1,1001,0}') || t.see('SELECT array_agg(l ORDER BY l) FROM hist, unnest(late) l WHERE seq = 6'), '9{f,t}');
SELECT t.is('new runs begin there too', t.push('n1', 81, hold => true) || t.see(format('SELECT gen FROM held WHERE id = %L', t.u(81))), 'mine1001');

-- a copy of its spool ships the same history under an id of its own
SELECT t.is('an end at home', t.ship('n1', 1, 9, 10, '{82}', '{0}', '{0}', '{0}'), '10');
SELECT t.is('another spool', t.register('n1', 9, 11, fresh => true), 'registered');
SELECT t.is('… ships it too', t.ship('n1', 9, 0, 1, '{82}', '{0}', '{0}', '{0}') || t.see('SELECT count(*) FROM entry WHERE run = t.u(82)'), '12');
SELECT t.is('rule 16: it is shown once', t.shown(82), '0:0:5');
RESET SESSION AUTHORIZATION;

-- how many nodes share the reaping: else the few that are left of many never come to it often enough
UPDATE ledger.node SET live = true, expires = 1 WHERE role = 'ledger_test_2';
SET SESSION AUTHORIZATION ledger_test_1;
SELECT t.is('rule 18: who has no lease does not count among the nodes', t.enter('n1', 1, 200, 11), '1');
RESET SESSION AUTHORIZATION;
