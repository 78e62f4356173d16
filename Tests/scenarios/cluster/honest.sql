-- SPDX-License-Identifier: Apache-2.0
-- A history as it should be, by the ledger's own functions: two runs of n1's own; a bundle that n2 began, n2 died, and
-- n1 ended; one that n1 holds; one that is parked. `id`: the first id of now, less its last twelve digits.
\set ON_ERROR_STOP on
CREATE SCHEMA said;
GRANT USAGE, CREATE ON SCHEMA said TO PUBLIC;
CREATE TABLE said.hour AS SELECT ledger.id_at((extract(epoch FROM clock_timestamp()) * 1000)::bigint) AS hour;
GRANT SELECT ON said.hour TO PUBLIC;
CREATE FUNCTION said.id(n int) RETURNS uuid LANGUAGE sql AS $$ SELECT (left(h::text, 24) || lpad(n::text, 12, '0'))::uuid FROM (SELECT hour FROM said.hour) x(h) $$;
CREATE FUNCTION said.ship(e bigint, spool int, f int, t int, run int, item int[], gen int, k int[], status smallint) RETURNS bigint LANGUAGE sql AS $$
  SELECT ledger.ship(e, said.id(spool), 's1', f, t, array_fill(said.id(run), ARRAY[cardinality(item)]), '{0}', item, ARRAY[gen], '{1}', k, '{NULL}', '{work}', '{work}', ARRAY[status],
    ARRAY[CASE WHEN status = 6 THEN 1 END::smallint], ARRAY[CASE WHEN status = 6 THEN 7 ELSE 0 END::smallint], '{t}', ARRAY[1700000000000000 + run], '{1000}', '{NULL}', '{NULL}', '{NULL}') $$;
CREATE FUNCTION said.push(e bigint, n int, size int, hold boolean) RETURNS text LANGUAGE sql AS $$
  SELECT ledger.push(e, said.id(n), 0, NULL, NULL, NULL, size, 0, 0, 'work', 'work', 'd', 'plan', hold, false) $$;

SET SESSION AUTHORIZATION n1;
SELECT epoch AS one FROM ledger.register(NULL, 0, 0, NULL, said.id(901), said.id(911), 1) \gset
SELECT said.ship(:one, 901, 0, 1, 1, '{0,0}', 0, '{-1,0}', 5::smallint), said.ship(:one, 901, 1, 2, 2, '{0,0}', 0, '{-1,0}', 6::smallint);
SELECT said.push(:one, 3, 4, false);
SET SESSION AUTHORIZATION n2;
SELECT epoch AS two FROM ledger.register(NULL, 0, 0, NULL, said.id(902), said.id(912), 1) \gset
SELECT gen FROM ledger.claim(:two, 1);
SELECT said.ship(:two, 902, 0, 1, 3, '{0,1}', 1, '{0,1}', 5::smallint), ledger.commit(:two, said.id(3), 0, 1, '0000', '1100', '0000', NULL);
SELECT epoch AS two FROM ledger.register(NULL, 0, 0, NULL, said.id(902), said.id(912), 1) \gset
SET SESSION AUTHORIZATION n1;
SELECT gen FROM ledger.claim(:one, 1);
SELECT said.ship(:one, 901, 2, 3, 3, '{2,3}', 2, '{2,3}', 5::smallint), ledger.commit(:one, said.id(3), 0, 2, '1100', '0011', '0000', 5);
SELECT said.push(:one, 4, 1, true), said.push(:one, 5, 1, false), ledger.hold(:one, said.id(5), 0);
