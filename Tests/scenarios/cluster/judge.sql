-- SPDX-License-Identifier: Apache-2.0
-- What a history must be, whatever happened: asked of the ledger and of what nodes and submitters wrote down
-- themselves (`judge` loads that). A line a breach, `RULE: what`, and a last one that counts.
CREATE FUNCTION pg_temp.name_of(id uuid, generation int) RETURNS text LANGUAGE sql AS $$
  SELECT ledger.ulid(id) || CASE WHEN generation > 0 THEN '+' || generation ELSE '' END $$;
CREATE TEMP TABLE shown AS SELECT * FROM ledger.task;
CREATE TEMP TABLE tried AS SELECT * FROM ledger.attempt;
CREATE TEMP TABLE ran AS SELECT * FROM ledger.run;
CREATE TEMP TABLE entries AS SELECT run, generation, k, item, gen, attempt, final, late, node FROM ledger.entry;
-- Every word that was said under a token, and when.
CREATE TEMP VIEW word AS SELECT id, generation, gen, node, at FROM ledger.part
  UNION ALL SELECT id, generation, gen, node, at FROM ledger.done WHERE gen IS NOT NULL;

CREATE TEMP TABLE breach AS
-- What was acknowledged ends, in the ledger too.
SELECT 'lost' AS rule, a.run || ', acknowledged by ' || a.node AS what FROM said_ack a
  WHERE NOT EXISTS (SELECT FROM ran r WHERE r.id = a.run AND r.status BETWEEN 5 AND 9)
-- What ended on a node is in the ledger, as the node has it.
UNION ALL SELECT 'lost end', concat_ws(' ', e.id, 'generation', e.generation, 'on', e.teller) FROM said_end e
  WHERE NOT EXISTS (SELECT FROM tried t WHERE t.id = e.id AND t.n = e.attempts AND t.generation = e.generation AND t.status = e.status AND t.ended = e.ended
    AND t.exit IS NOT DISTINCT FROM e.exit AND t.signal IS NOT DISTINCT FROM e.signal AND t.reason IS NOT DISTINCT FROM e.reason)
-- What the ledger shows as a result, a node has on record (of the newest generation: a node shows that alone).
UNION ALL SELECT 'invented', concat_ws(' ', t.id, 'generation', t.generation, 'of', t.node) FROM shown t
  WHERE NOT EXISTS (SELECT FROM said_end e WHERE e.id = t.id AND e.attempts = t.attempts AND e.generation = t.generation AND e.status = t.status AND e.ended = t.ended)
    AND NOT EXISTS (SELECT FROM shown s WHERE s.id = t.id AND s.generation > t.generation)
-- History is shipped once.
UNION ALL SELECT 'shipped twice', concat_ws(' ', pg_temp.name_of(run, generation), 'task', k, 'item', item, 'attempt', attempt, 'by', node) FROM entries
  GROUP BY run, generation, k, item, gen, attempt, final, node HAVING count(*) > 1
-- One result a task and generation.
UNION ALL SELECT 'two results', pg_temp.name_of(p.whole, p.generation) || '.' || p.k || coalesce('.' || p.element, '')
  FROM ledger.placed('00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff', NULL) p WHERE p.final AND p.result
  GROUP BY p.whole, p.k, p.element, p.generation HAVING count(DISTINCT (p.gen, p.attempt, p.node)) > 1
-- One commit a place and generation.
UNION ALL SELECT 'committed twice', pg_temp.name_of(id, generation) FROM ledger.part GROUP BY id, generation HAVING sum(bit_count(mask)) > bit_count(bit_or(mask))
-- A token has one holder, and tokens only grow.
UNION ALL SELECT 'two holders', pg_temp.name_of(id, generation) || ' gen ' || gen FROM (SELECT id, generation, gen, node FROM word
    UNION SELECT id, generation, gen, node FROM ledger.held UNION SELECT ledger.ulid_uuid(run), generation, gen, node FROM said_claim) x
  GROUP BY id, generation, gen HAVING count(DISTINCT node) > 1
UNION ALL SELECT 'gen fell', format('%s from %s to %s', pg_temp.name_of(a.id, a.generation), a.gen, b.gen) FROM word a JOIN word b ON b.id = a.id AND b.generation = a.generation
  WHERE b.at > a.at AND b.gen < a.gen
UNION ALL SELECT 'gen behind', format('%s gen %s, though a word was said under %s', pg_temp.name_of(o.id, o.generation), o.gen, w.gen)
  FROM (SELECT id, generation, gen FROM ledger.ready UNION ALL SELECT id, generation, gen FROM ledger.later UNION ALL SELECT id, generation, gen FROM ledger.held
    UNION ALL SELECT id, generation, gen FROM ledger.done WHERE gen IS NOT NULL) o JOIN word w ON w.id = o.id AND w.generation = o.generation AND w.gen > o.gen
-- Who was fenced commits nothing more. (Both times are those at which their transactions began; one may begin a moment
-- before the other and be first all the same.)
UNION ALL SELECT 'fenced', format('%s gen %s: %s committed after it was taken away', pg_temp.name_of(w.id, w.generation), w.gen, w.node)
  FROM word w JOIN ledger.audit a ON a.id = w.id AND a.generation = w.generation AND a.verb IN ('reclaim', 'cancel', 'hold') AND w.gen <= a.gen AND w.at > a.at + 100000
-- A bundle is in one place.
UNION ALL SELECT 'places', pg_temp.name_of(b.id, b.generation) || ' is in ' || coalesce(string_agg(p.place, ' and '), 'none') FROM ledger.bundle b
  LEFT JOIN (SELECT id, generation, 'ready' AS place FROM ledger.ready UNION ALL SELECT id, generation, 'later' FROM ledger.later
    UNION ALL SELECT id, generation, 'held' FROM ledger.held UNION ALL SELECT id, generation, 'done' FROM ledger.done) p ON p.id = b.id AND p.generation = b.generation
  GROUP BY b.id, b.generation HAVING count(p.place) <> 1
-- What ended as a success or a failure is committed in whole; and what is committed has its history.
UNION ALL SELECT 'half done', pg_temp.name_of(b.id, b.generation) FROM ledger.done d JOIN ledger.bundle b ON b.id = d.id AND b.generation = d.generation
  LEFT JOIN ledger.part p ON p.id = d.id AND p.generation = d.generation WHERE d.status IN (5, 6) GROUP BY b.id, b.generation, b.n HAVING coalesce(sum(bit_count(p.mask)), 0) < b.n
UNION ALL SELECT 'no history', format('%s place %s gen %s', pg_temp.name_of(p.id, p.generation), i, p.gen) FROM ledger.part p, generate_series(0, length(p.mask) - 1) i
  WHERE get_bit(p.mask, i) = 1 AND NOT EXISTS (SELECT FROM entries e WHERE e.run = p.id AND e.generation = p.generation AND e.gen = p.gen AND e.item = i AND e.final AND NOT e.late)
-- A commit that a node was told of is there.
UNION ALL SELECT 'lost commit', concat_ws(' ', s.run, 'gen', s.gen, 'of', s.node) FROM said_commit s
  WHERE NOT EXISTS (SELECT FROM word w WHERE w.id = ledger.ulid_uuid(s.run) AND w.generation = s.generation AND w.gen = s.gen AND w.node = s.node);

SELECT rule || ': ' || what FROM (SELECT *, row_number() OVER (PARTITION BY rule ORDER BY what) AS o FROM breach) b WHERE o <= 10 ORDER BY 1;
SELECT format('acknowledged %s, in the ledger %s, lost %s, doubled %s, other breaches %s; tasks: on nodes %s, in the ledger %s; commits %s',
  (SELECT count(DISTINCT run) FROM said_ack), (SELECT count(DISTINCT a.run) FROM said_ack a JOIN ran r ON r.id = a.run AND r.status BETWEEN 5 AND 9),
  count(*) FILTER (WHERE rule LIKE 'lost%'), count(*) FILTER (WHERE rule IN ('shipped twice', 'two results', 'committed twice')),
  count(*) FILTER (WHERE rule NOT LIKE 'lost%' AND rule NOT IN ('shipped twice', 'two results', 'committed twice')),
  (SELECT count(*) FROM said_end), (SELECT count(*) FROM shown), (SELECT count(*) FROM ledger.part)) FROM breach;
