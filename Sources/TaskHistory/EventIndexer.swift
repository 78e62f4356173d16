// SPDX-License-Identifier: Apache-2.0
import TaskModel

/// Writes events into the tables: one row in `event`, and what it says into `run`, `task`, `attempt`.
final class EventIndexer {
    let addEvent: Statement
    let addRun: Statement
    let addTask: Statement
    let startRun: Statement
    let startTask: Statement
    let startAttempt: Statement
    let endAttempt: Statement
    let endTask: Statement
    let endRun: Statement
    let setTask: Statement
    /// Held: pending until the release, though a start that was on its way comes later.
    let setRun: Statement
    /// A run of which nothing runs any more waits; of a large one that is not counted.
    let pauseRun: Statement
    let nextGeneration: Statement
    let cancelRest: Statement
    /// What failed, and what hung on it, is as if it had never run; its attempts are kept.
    let renewRest: Statement
    /// The same but for items: only some of those come again, and their starts say which.
    let renewWhole: Statement
    /// A task that did not run this time stands as it stood.
    let keepTask: Statement
    let plans: PlanMemory
    let items: ItemCounter
    /// The host of the segment that is read.
    var node = ""
    /// The last line was an event, and is a row.
    private(set) var isAdded = false

    init(_ database: Database) throws(HistoryError) {
        plans = try PlanMemory(database)
        items = try ItemCounter(database)
        addEvent = try database.prepare(
            """
            insert into event(job_id, status, timestamp, verb, attempt, by, detail)
            values(?1, ?2, ?3, ?4, ?5, ?6, ?7)
            """)
        addRun = try database.prepare(
            """
            insert into run(id, name, unit, parent, status, user, by, node, tasks, created, digest,
                root, tail, message)
            values(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
            on conflict(id) do update set name = coalesce(excluded.name, name),
                unit = coalesce(excluded.unit, unit), tasks = coalesce(excluded.tasks, tasks),
                digest = excluded.digest, root = coalesce(excluded.root, root),
                status = case when excluded.status = 9 or status = 9 then excluded.status
                    else status end,
                message = coalesce(excluded.message, message)
            """)
        addTask = try database.prepare(
            """
            insert or ignore into task(id, run, k, name, unit, parent, status, user, node, created,
                item)
            values(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
            """)
        startRun = try database.prepare(
            """
            insert into run(id, status, node, created, started, tail, name)
            values(?1, 3, ?2, ?3, ?3, ?4, ?5)
            on conflict(id) do update set
                status = case when status < 5 and not held then 3 else status end,
                started = coalesce(started, excluded.started)
            """)
        startTask = try database.prepare(
            """
            insert into task(id, run, k, name, status, attempts, user, node, created, started, weak,
                item)
            values(?1, ?2, ?3, ?4, 3, ?5, ?6, ?7, ?8, ?8, ?9, ?10)
            on conflict(id) do update set status = 3, attempts = max(attempts, excluded.attempts),
                name = coalesce(name, excluded.name), user = coalesce(excluded.user, user),
                started = coalesce(started, excluded.started), ended = null, due = null,
                reason = null, exit = null, signal = null, message = null,
                weak = coalesce(excluded.weak, weak)
            """)
        startAttempt = try database.prepare(
            """
            insert into attempt(id, n, generation, status, started, user, weak)
            values(?1, ?2, \(Self.generation), 3, ?3, ?4, ?5)
            on conflict(id, generation, n) do update set started = coalesce(started, excluded.started),
                user = coalesce(excluded.user, user), weak = coalesce(excluded.weak, weak)
            """)
        endAttempt = try database.prepare(
            """
            insert into attempt(id, n, generation, status, ended, exit, signal, reason, cpu_us, mem,
                message, log, weak, result)
            values(?1, ?2, \(Self.generation), ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
            on conflict(id, generation, n) do update set status = excluded.status, ended = excluded.ended,
                exit = excluded.exit, signal = excluded.signal, reason = excluded.reason,
                cpu_us = excluded.cpu_us, mem = excluded.mem, message = excluded.message,
                log = excluded.log, weak = coalesce(excluded.weak, weak),
                result = excluded.result
            """)
        endTask = try database.prepare(
            """
            insert into task(id, run, k, name, status, reason, exit, signal, attempts, node,
                created, ended, cpu_us, mem, message, weak, item)
            values(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11, ?12, ?13, ?14, ?15, ?16)
            on conflict(id) do update set status = excluded.status, reason = excluded.reason,
                exit = case when status = 4 then coalesce(excluded.exit, exit) else excluded.exit end,
                signal = excluded.signal,
                attempts = max(attempts, excluded.attempts), name = coalesce(name, excluded.name),
                ended = excluded.ended,
                cpu_us = case when status = 4 then coalesce(excluded.cpu_us, cpu_us)
                    else excluded.cpu_us end,
                mem = case when status = 4 then coalesce(excluded.mem, mem) else excluded.mem end,
                message = excluded.message, weak = coalesce(excluded.weak, weak)
            """)
        endRun = try database.prepare(
            """
            insert into run(id, status, reason, node, created, ended, tail, message)
            values(?1, ?2, ?3, ?4, ?5, ?5, ?6, ?7)
            on conflict(id) do update set status = excluded.status, reason = excluded.reason,
                ended = excluded.ended, message = coalesce(excluded.message, message)
            """)
        keepTask = try database.prepare(
            """
            update task set status = ?2, ended = ?3, (reason, exit, signal, message) = (
                select coalesce(max(a.reason), ?4), a.exit, a.signal, a.message from (
                    select * from attempt where id = ?1 order by generation desc, n desc limit 1
                ) a) where id = ?1
            """)
        setTask = try database.prepare(
            "update task set status = ?2, due = ?3, ended = ?4 where id = ?1")
        setRun = try database.prepare(
            "update run set status = ?2, message = ?3, held = ?2 = 1 where id = ?1 and status < 5")
        pauseRun = try database.prepare(
            """
            update run set status = 1 where id = ?1 and status = 3 and tasks <= 64 and not exists(
                select 1 from task where id between ?1 || '.' and ?1 || '/' and status in (2, 3, 4))
            """)
        nextGeneration = try database.prepare(
            """
            update run set status = 2, generation = ?2, started = null, ended = null,
                reason = null, message = null, held = 0 where id = ?1
            """)
        cancelRest = try database.prepare(
            "update task set status = ?2, ended = ?3 where id between ?1 || '.' and ?1 || '/' "
                + "and status < \(TaskState.success.rawValue)")
        let renewal = """
            update task set status = 1, generation = ?2, attempts = 0, started = null, ended = null,
                due = null, reason = null, exit = null, signal = null, cpu_us = null, mem = null,
                message = null where id between ?1 || '.' and ?1 || '/'
                and status in (\(TaskState.failure.rawValue), \(TaskState.cancelled.rawValue))
            """
        renewRest = try database.prepare(renewal)
        renewWhole = try database.prepare(renewal + " and item is null")
    }

    /// The generation that a task's run is in: attempts of each are counted from 1.
    private static let generation =
        "coalesce((select generation from run where id = substr(?1, 1, \(TaskID.length))), 0)"

    /// Does again what an event that is in the table did.
    func repeatEvent(_ line: ArraySlice<UInt8>) throws(HistoryError) {
        if let event = RawEvent(line) { _ = try apply(event) }
    }

    /// Adds one event line; what is none is left out (the reader reports damage).
    func add(_ line: ArraySlice<UInt8>) throws(HistoryError) {
        isAdded = false
        guard let event = RawEvent(line) else { return }
        let status = try apply(event)
        addEvent.bind(1, event.id)
        addEvent.bind(2, status.map { Int64($0.rawValue) })
        addEvent.bind(3, event.time)
        addEvent.bind(4, event.verb)
        addEvent.bind(5, event.number("a"))
        addEvent.bind(6, event.text("by"))
        let detail = event.detail
        if detail.isEmpty { addEvent.bindNull(7) } else { addEvent.bind(7, detail) }
        try addEvent.run()
        isAdded = true
    }

    // What the event does to its run or task; the state that it is in afterwards.
    private func apply(_ event: RawEvent) throws(HistoryError) -> TaskState? {
        guard let (run, task) = event.run else { return event.isVerb("reject") ? .rejected : nil }
        guard let task else { return try applyToRun(event, run) }
        if event.item == nil { return try apply(event, run, task) }
        try items.look(event)
        let state = try apply(event, run, task)
        try items.count(event, run, task, node: node)
        return state
    }

    private func apply(
        _ event: RawEvent, _ run: ArraySlice<UInt8>, _ task: Int
    ) throws(HistoryError) -> TaskState? {
        if event.isVerb("start") { return try start(event, run, task) }
        if event.isVerb("end") { return try end(event, run, task) }
        if event.isVerb("check") { return .running }
        if event.isVerb("resume") { return try set(event, .running) }
        if event.isVerb("retry") { return try retryTask(event, run) }
        if event.isVerb("skip") { return try skip(event, run, task) }
        if event.isVerb("lost") { return try lost(event) }
        if event.isVerb("wait") { return try set(event, .waiting) }
        if event.isVerb("hold") { return try set(event, .pending) }
        if event.isVerb("release") { return try set(event, .ready) }
        return nil
    }
}
