// SPDX-License-Identifier: Apache-2.0
import TaskModel

/// The tables of the index. tasklog(1), "The tables", says the same to its readers.
enum Schema {
    /// Changes with the tables: an index of another version is built anew.
    static let version: Int64 = 9

    static let tables = """
        create table segment(stem text primary key, offset integer not null,
            seq integer not null, done integer not null) without rowid;
        create table span(first integer primary key, last integer not null, stem text not null);
        create table status(id integer primary key, name text not null);
        create table run(id text primary key, name text, unit text, parent text,
            status integer not null, reason text, generation integer not null default 0,
            user text, by text, node text, tasks integer, created integer, started integer,
            ended integer, message text, digest text, root integer, tail text not null,
            held integer not null default 0) without rowid;
        create table task(id text primary key, run text not null, k integer, item integer,
            name text, unit text,
            parent text, status integer not null, reason text, exit integer, signal integer,
            attempts integer not null default 0, generation integer not null default 0, user text,
            node text, created integer, started integer, ended integer, cpu_us integer,
            mem integer, weak text, message text, due integer) without rowid;
        create table event(id integer primary key, job_id text not null, status integer,
            timestamp integer not null, verb text not null, attempt integer, by text, detail text);
        create table attempt(id text, n integer, generation integer not null, status integer,
            started integer, ended integer, exit integer, signal integer, reason text,
            cpu_us integer, mem integer, user text, weak text, message text, log text, result text,
            primary key(id, generation, n)) without rowid;
        create table items(id text primary key, total integer, began integer, latest integer,
            done integer not null default 0) without rowid;
        create table item_state(id text, status integer, n integer not null,
            primary key(id, status)) without rowid;
        create table item_time(id text, bucket integer, n integer not null,
            primary key(id, bucket)) without rowid;
        create table plan(digest text primary key, tasks text not null) without rowid;
        create index run_name on run(name, id);
        create index run_tail on run(tail);
        create index run_live on run(id) where status < 5;
        create index task_name on task(name, id);
        create index event_job on event(job_id);
        create index event_note on event(job_id) where verb = 'note';
        create index item_failed on task(run, k, item) where item is not null and status = 6;
        """

    static var statuses: String {
        let rows = TaskState.allCases.map { "(\($0.rawValue), '\($0.word)')" }
        return "insert into status values \(rows.joined(separator: ", "));"
    }

    private static func time(_ column: String, from table: String) -> String {
        "strftime('%Y-%m-%dT%H:%M:%S', \(table).\(column) / 1000000, 'unixepoch')"
            + " || printf('.%06dZ', \(table).\(column) % 1000000) as \(column)"
    }

    private static func times(_ table: String, _ columns: [String]) -> String {
        columns.map { time($0, from: table) }.joined(separator: ", ")
    }

    private static let counts = [(5, "success"), (6, "failure"), (7, "cancelled"), (3, "running")]
        .map { number, word in
            "coalesce((select n from item_state where id = i.id and status = \(number)), 0) as \(word)"
        }.joined(separator: ", ")

    static var views: String {
        let lives = ["created", "started", "ended"]
        return """
            create view runs as select r.id, r.name, r.unit, s.name as state, r.reason,
                r.generation, r.user, r.by, r.tasks, \(times("r", lives)),
                r.ended - r.started as run_us, r.message
                from run r join status s on s.id = r.status;
            create view tasks as select t.id, t.run, t.k, t.item, t.name, t.unit, s.name as state,
                t.reason, t.exit, t.signal, t.attempts, t.generation, t.user, t.node,
                \(times("t", lives)), t.ended - t.started as run_us, t.cpu_us, t.mem, t.message
                from task t join status s on s.id = t.status;
            create view events as select e.id, e.job_id, s.name as state,
                \(times("e", ["timestamp"])), e.verb, e.attempt, e.by, e.detail
                from event e left join status s on s.id = e.status;
            create view attempts as select a.id, a.generation, a.n, s.name as state, a.reason, a.exit, a.signal,
                \(times("a", ["started", "ended"])), a.ended - a.started as run_us, a.cpu_us,
                a.mem, a.message from attempt a left join status s on s.id = a.status;
            create view arrays as select i.id, t.run, t.k, t.name, s.name as state, i.total,
                \(counts), i.done, \(times("i", ["began", "latest"]))
                from items i left join task t on t.id = i.id left join status s on s.id = t.status;
            create view failures as select * from tasks where state = 'failure';
            create view throughput as select
                strftime('%Y-%m-%dT%H:%M:00Z', ended / 1000000, 'unixepoch') as minute,
                count(*) as ended, sum(status = 5) as success, sum(status = 6) as failure,
                avg(ended - started) / 1000000.0 as mean_s
                from task where ended is not null group by 1;
            """
    }
}
