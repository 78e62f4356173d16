-- SPDX-License-Identifier: Apache-2.0
-- The questions that people ask of the ledger. All of them:
--     psql -d ledger -f queries.sql                        of the last day
--     psql -d ledger -v hours=2 -v run=01hf7y… -f queries.sql
-- Take what you need: each stands by itself. A reader's role is enough (IN ROLE ledger_reader). Where a
-- standby is at hand, ask there. Times in tables are microseconds; ledger.rfc3339() shows them.
--
-- `tally` counts ends without unpacking them: a row a shipment and kind of end. It is fast at any size;
-- an end that a dead machine had shipped and another machine repeated counts twice there. `task` shows each
-- result once, and unpacks what it is asked for: give it a run, or an hour.
-- History is kept in hours of the run's id, so `batch >= …` (a day before the time asked for, for runs that
-- took or waited that long) reads these hours alone.
\if :{?hours}
\else
\set hours 24
\endif
\if :{?run}
\else
SELECT coalesce((SELECT ledger.ulid(id) FROM ledger.hist ORDER BY id DESC LIMIT 1), '00000000000000000000000000') AS run \gset
\endif
SELECT ledger.now_us() - :hours * 3600000000 AS since, ledger.id_at(ledger.now_us() / 1000 - (:hours + 24) * 3600000) AS low \gset

\echo Throughput by hour: ends, how many a second, how many failed, and their mean time
SELECT ledger.rfc3339(hour * 3600000000) AS hour, ended, round(ended / 3600.0, 1) AS a_second, failed, round(us / ended / 1e6, 3) AS mean_s
  FROM (SELECT ended / 3600000000 AS hour, sum(n) AS ended, coalesce(sum(n) FILTER (WHERE state = 'failure'), 0) AS failed, sum(us_sum) AS us
    FROM ledger.tally WHERE final AND ended >= :since AND batch >= :'low' GROUP BY 1) x ORDER BY 1;

\echo Failures by reason: code is the exit status, or a signal as a negative number
SELECT reason, code, unit, sum(n) AS failed, ledger.rfc3339(max(ended)) AS latest
  FROM ledger.tally WHERE final AND state = 'failure' AND ended >= :since AND batch >= :'low' GROUP BY 1, 2, 3 ORDER BY failed DESC LIMIT 20;

\echo What fails now and did not before: units whose share of failures in the last hour is twice that of the hours before it
SELECT unit, now_ended, now_failed, round(100.0 * now_failed / now_ended, 1) AS now_percent, round(100.0 * failed / nullif(ended, 0), 1) AS before_percent
  FROM (SELECT unit, coalesce(sum(n) FILTER (WHERE recent), 0) AS now_ended, coalesce(sum(n) FILTER (WHERE recent AND state = 'failure'), 0) AS now_failed,
      coalesce(sum(n) FILTER (WHERE NOT recent), 0) AS ended, coalesce(sum(n) FILTER (WHERE NOT recent AND state = 'failure'), 0) AS failed
    FROM (SELECT unit, state, n, ended >= ledger.now_us() - 3600000000 AS recent FROM ledger.tally WHERE final AND ended >= :since AND batch >= :'low') t GROUP BY unit) x
  WHERE now_failed > 0 AND now_failed * greatest(ended, 1) >= 2 * failed * now_ended ORDER BY now_failed DESC LIMIT 20;

\echo Slowest units: the longest time, the mean, and what all of theirs took together
SELECT unit, name, sum(n) AS ended, round(max(us_max) / 1e6, 3) AS longest_s, round(sum(us_sum) / sum(n) / 1e6, 3) AS mean_s, round(sum(us_sum) / 3.6e9, 2) AS hours
  FROM ledger.tally WHERE ended >= :since AND batch >= :'low' GROUP BY 1, 2 ORDER BY max(us_max) DESC LIMIT 20;

\echo Retries: ends that were not the first attempt, and attempts whose machine died
SELECT unit, sum(n) FILTER (WHERE final) AS tasks, sum(again) FILTER (WHERE final) AS retried, sum(n) FILTER (WHERE state = 'lost') AS lost,
    sum(n) FILTER (WHERE final AND state = 'failure') AS failed
  FROM ledger.tally WHERE ended >= :since AND batch >= :'low' GROUP BY 1 HAVING sum(again) > 0 OR bool_or(state = 'lost') ORDER BY retried DESC NULLS LAST LIMIT 20;

\echo The latest failures: out of the newest shipments that have one, so that few are unpacked
SELECT ledger.ulid(run) || '.' || k || coalesce('.' || (item - first), '') AS task, e.name, r.name AS reason, code, node, ledger.rfc3339(ended) AS ended
  FROM ledger.entry e LEFT JOIN ledger.reason r ON r.id = e.reason
  WHERE (batch, last, segment, seq) IN (SELECT id, last, segment, seq FROM ledger.hist WHERE 6 = ANY (status) AND id >= :'low' ORDER BY id DESC LIMIT 20)
    AND status = 6 AND k >= 0 AND final AND NOT late ORDER BY e.ended DESC LIMIT 20;

\echo One run with the runs below it
SELECT repeat('  ', depth) || id AS run, name, state, reason, node, started, ended FROM ledger.tree_of(:'run');

\echo Its tasks: how many in which state, and when
SELECT t.name, s.name AS state, t.reason, count(*) AS tasks, round(max(ended - started) / 1e6, 3) AS longest_s, ledger.rfc3339(min(started)) AS first, ledger.rfc3339(max(ended)) AS last
  FROM ledger.tasks_of(:'run') t JOIN ledger.status s ON s.id = t.status GROUP BY 1, 2, 3 ORDER BY tasks DESC LIMIT 20;

\echo Nodes: since when the ledger has not heard of them, and what they hold (tasks of their bundles that have not ended)
SELECT n.name, n.live, n.drain, CASE WHEN o.seen > 0 THEN round((ledger.now_us() - o.seen) / 1e6, 1) END AS silent_s, n.bundles, n.tasks, n.free, n.since AS holds_since
  FROM ledger.nodes n JOIN ledger.node o ON o.role = n.name ORDER BY n.live, silent_s DESC NULLS LAST, n.name;

\echo What each node told: ends, failures, and its latest shipment. One that is heard, works and tells nothing lags behind
SELECT node, sum(n) FILTER (WHERE final) AS ended, coalesce(sum(n) FILTER (WHERE final AND state = 'failure'), 0) AS failed,
    coalesce(sum(n) FILTER (WHERE state = 'lost'), 0) AS lost, ledger.rfc3339(max(ended)) AS latest
  FROM ledger.tally WHERE ended >= :since AND batch >= :'low' GROUP BY 1 ORDER BY max(ended), 1;

\echo What waits: by priority, and for how long already
SELECT 'ready' AS state, prio, count(*) AS bundles, sum(length(done) - bit_count(done)) AS tasks, ledger.rfc3339(min(ledger.ms_of(id)) * 1000) AS oldest FROM ledger.ready GROUP BY 2
  UNION ALL SELECT CASE WHEN at = 9223372036854775807 THEN 'hold' ELSE 'later' END, prio, count(*), sum(length(done) - bit_count(done)), ledger.rfc3339(min(ledger.ms_of(id)) * 1000)
  FROM ledger.later GROUP BY 1, 2 ORDER BY 1, 2 DESC;

\echo Held longest: whose machine may hang, or whose task does
SELECT ledger.ulid(h.id) AS run, b.name, h.node, h.gen, h.tries, length(h.done) - bit_count(h.done) AS tasks, ledger.rfc3339(h.since) AS since
  FROM (SELECT * FROM ledger.held ORDER BY since LIMIT 20) h JOIN ledger.bundle b ON b.id = h.id AND b.generation = h.generation ORDER BY h.since;

\echo Ends that came late: their node had lost its lease, they do not count. Many of one node: its clock, its network, its load
SELECT node, count(*) AS shipments, ledger.rfc3339(max(base)) AS latest FROM ledger.hist WHERE true = ANY (late) AND base >= :since AND id >= :'low' GROUP BY 1 ORDER BY 2 DESC LIMIT 20;

\echo The ledger itself: after a restore it recovers until it is opened; hours ahead below 2 or a reaper that rests for minutes: no node is live
SELECT format, recovering, n AS restores, ttl_us / 1000000 AS lease_s, (ledger.ms_of(ahead) - ledger.now_us() / 1000) / 3600000 AS hours_ahead, ledger.rfc3339(ledger.ms_of(horizon) * 1000) AS kept_since,
    CASE WHEN reaper.last > 0 THEN round((ledger.now_us() - reaper.last) / 1e6, 1) END AS reaped_s_ago FROM ledger.meta, ledger.reaper;

\echo Who did what: holds, cancels, and what was taken from dead machines
SELECT ledger.rfc3339(at) AS at, by, verb, ledger.ulid(id) AS run, generation, gen, detail FROM ledger.audit WHERE audit.at >= :since AND id >= :'low' ORDER BY audit.at DESC LIMIT 20;
