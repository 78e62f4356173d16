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
    private let plans: PlanMemory
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

    private func applyToRun(
        _ event: RawEvent, _ run: ArraySlice<UInt8>
    ) throws(HistoryError) -> TaskState? {
        if event.isVerb("accept") { return try accept(event, run) }
        if event.isVerb("end") { return try endOfRun(event, run) }
        if event.isVerb("reject") {
            // Of a subtask's name that stands for another run, which goes on.
            if event.has("reason", "changed") { return .rejected }
            return try refuse(event, run, .rejected)
        }
        if event.isVerb("skip") { return try refuse(event, run, .skipped) }
        if event.isVerb("hold") { return try set(run: run, .pending, message: event.text("what")) }
        if event.isVerb("release") { return try set(run: run, .ready, message: nil) }
        if event.isVerb("retry") { return try retry(event, run) }
        return nil
    }
}

// MARK: - Runs

extension EventIndexer {
    private func accept(
        _ event: RawEvent, _ run: ArraySlice<UInt8>
    ) throws(HistoryError) -> TaskState {
        let outline = try outline(event)
        let count = event.number("tasks") ?? outline.map { Int64($0.tasks.count) }
        let root =
            event.number("root") ?? outline?.root.map { Int64($0) } ?? count.map { $0 - 1 }
        try add(event, run, .ready, count, root)
        let unit = RunNames(event).unit
        for entry in outline?.tasks ?? [] {
            addTask.bind(1, run + [UInt8(ascii: ".")] + Array(String(entry.number).utf8))
            addTask.bind(2, run)
            addTask.bind(3, Int64(entry.number))
            addTask.bind(4, entry.name)
            addTask.bind(5, entry.number == root.map { Int($0) } ? unit : nil)
            addTask.bind(6, event.text("parent"))
            addTask.bind(7, Int64((entry.waits ? TaskState.pending : .ready).rawValue))
            addTask.bind(8, event.text("as"))
            addTask.bind(9, node)
            addTask.bind(10, event.time)
            addTask.bindNull(11)
            try addTask.run()
        }
        if let counts = event.text("items") { try items.accept(run, counts) }
        return .created
    }

    private func outline(_ event: RawEvent) throws(HistoryError) -> PlanOutline? {
        let digest = event.text("digest")
        guard let plan = event.raw("plan").flatMap({ PercentCoding.decode($0) }) else {
            guard let digest else { return nil }
            return try plans.outline(digest)
        }
        let outline = PlanOutline(plan)
        if let digest { try plans.remember(outline, digest) }
        return outline
    }

    private func add(
        _ event: RawEvent, _ run: ArraySlice<UInt8>, _ state: TaskState, _ count: Int64?,
        _ root: Int64?
    ) throws(HistoryError) {
        addRun.bind(1, run)
        let names = RunNames(event)
        addRun.bind(2, names.task)
        addRun.bind(3, names.unit)
        addRun.bind(4, event.text("parent"))
        addRun.bind(5, Int64(state.rawValue))
        addRun.bind(6, event.text("as"))
        addRun.bind(7, event.text("by"))
        addRun.bind(8, node)
        addRun.bind(9, count)
        addRun.bind(10, event.time)
        addRun.bind(11, event.text("digest"))
        addRun.bind(12, root)
        addRun.bind(13, Self.tail(run))
        addRun.bind(14, state == .rejected || state == .skipped ? event.text("what") : nil)
        try addRun.run()
    }

    /// A drop that is bad, a time at which a unit was due and did not run.
    private func refuse(
        _ event: RawEvent, _ run: ArraySlice<UInt8>, _ state: TaskState
    ) throws(HistoryError) -> TaskState {
        try add(event, run, state, nil, nil)
        return state
    }

    private func set(
        run: ArraySlice<UInt8>, _ state: TaskState, message: String?
    ) throws(HistoryError) -> TaskState {
        setRun.bind(1, run)
        setRun.bind(2, Int64(state.rawValue))
        setRun.bind(3, message)
        try setRun.run()
        return state
    }

    // An operator's retry: what failed, and what hung on it, is to come again.
    private func retry(
        _ event: RawEvent, _ run: ArraySlice<UInt8>
    ) throws(HistoryError) -> TaskState {
        nextGeneration.bind(1, run)
        nextGeneration.bind(2, event.number("g"))
        try nextGeneration.run()
        let renew = event.has("rest", "yes") ? renewWhole : renewRest
        renew.bind(1, run)
        renew.bind(2, event.number("g"))
        try renew.run()
        try items.recount(run, isNew: true)
        return .ready
    }

    private func endOfRun(
        _ event: RawEvent, _ run: ArraySlice<UInt8>
    ) throws(HistoryError) -> TaskState? {
        guard let state = event.text("state").flatMap({ TaskState(word: $0) }) else { return nil }
        // Of a claimed run the ledger's word on it follows.
        if event.number("gen") != nil, !event.has("from", "ledger") {
            return try set(run: run, .waiting, message: nil)
        }
        endRun.bind(1, run)
        endRun.bind(2, Int64(state.rawValue))
        endRun.bind(3, event.text("reason"))
        endRun.bind(4, node)
        endRun.bind(5, event.time)
        endRun.bind(6, Self.tail(run))
        endRun.bind(7, event.text("what"))
        try endRun.run()
        if state == .cancelled {  // and its tasks that have no end
            cancelRest.bind(1, run)
            cancelRest.bind(2, Int64(state.rawValue))
            cancelRest.bind(3, event.time)
            try cancelRest.run()
            try items.recount(run, isNew: false)
        }
        return state
    }

    // The id backwards: the end of an id is then a prefix, which an index finds.
    static func tail(_ run: ArraySlice<UInt8>) -> ArraySlice<UInt8> { Array(run.reversed())[...] }
}
