// SPDX-License-Identifier: Apache-2.0
import CSQLite
import Linux
import SystemPackage
public import TaskJournal
public import TaskModel

/// The history of a spool: an SQLite index over its journal, rebuildable at any time, which
/// whoever asks brings up to date. Every lookup is a seek.
public final class History {
    private let directory: String
    private let journal: Descriptor
    private(set) var database: Database
    /// The file that `database` has open: another takes its place when the index is built anew.
    private var inode: UInt64 = 0
    private let progress: (Int) -> Void
    /// The index's place, for the SQL of users: a path, or a URI of memory.
    public let indexPath: String
    /// Why the index was not brought up to date; nil when it was.
    public let failure: HistoryError?
    /// There is no index that can be used or made, on a full disk for one: the journal is read into
    /// memory.
    public let isInMemory: Bool

    /// Opens the history of a spool.
    ///
    /// - Parameters:
    ///   - spool: the spool's path.
    ///   - progress: told now and then how many events were read; called only while reading.
    public init(spool: String, progress: @escaping (Int) -> Void = { _ in }) throws(HistoryError) {
        directory = spool + "/journal"
        do {
            journal = try File.openDirectory(directory)
        } catch {
            throw .journal("open \(directory): \(error)")
        }
        self.progress = progress
        let path = "\(directory)/\(IndexUpdate.file)"
        do throws(HistoryError) {
            try IndexUpdate(journal: journal.number, path: path, progress: progress).run()
            failure = nil
        } catch {
            failure = error
        }
        inode = Self.inode(journal.number)
        if let found = Self.open(path) {
            (database, indexPath, isInMemory) = (found, path, false)
        } else {
            database = try Database(IndexUpdate.memory, flags: SQLITE_OPEN_READWRITE)
            (indexPath, isInMemory) = (IndexUpdate.memory, true)
            try refresh()
        }
    }

    /// An index that has its tables.
    private static func open(_ path: String) -> Database? {
        guard let database = try? Database(path, flags: SQLITE_OPEN_READONLY),
            (try? database.number("pragma user_version")) == Schema.version
        else { return nil }
        return database
    }

    /// Reads what the journal has got since.
    public func refresh() throws(HistoryError) {
        try IndexUpdate(journal: journal.number, path: indexPath, progress: progress).run()
        if isInMemory { return }
        let present = Self.inode(journal.number)
        guard present != inode, let found = Self.open(indexPath) else { return }
        (database, inode) = (found, present)
    }

    private static func inode(_ journal: Int32) -> UInt64 {
        (try? File.status(IndexUpdate.file, at: journal))?.inode ?? 0
    }

    // MARK: Which run

    /// The run that was made last.
    public func latestRun() throws(HistoryError) -> TaskID? {
        try id("select max(id) from run")
    }

    /// The latest run of a unit.
    public func latestRun(named name: String) throws(HistoryError) -> TaskID? {
        try id("select max(id) from run where name = ?1", name)
    }

    /// The latest task with a name that is another unit's dependency: `RUN.K`.
    public func latestTask(named name: String) throws(HistoryError) -> TaskRef? {
        let rows = try database.prepare("select max(id) from task where name = ?1")
        rows.bind(1, name)
        return try rows.step() ? rows.text(0).flatMap { TaskRef($0) } : nil
    }

    /// Runs whose id ends so, newest first.
    public func runs(endingIn suffix: String, limit: Int = 6) throws(HistoryError) -> [TaskID] {
        let tail = String(decoding: suffix.lowercased().utf8.reversed(), as: UTF8.self)
        let rows = try database.prepare(
            "select id from run where tail >= ?1 and tail < ?1 || '~' order by id desc limit ?2")
        rows.bind(1, tail)
        rows.bind(2, Int64(limit))
        var found: [TaskID] = []
        while try rows.step() {
            if let id = rows.text(0).flatMap({ TaskID($0) }) { found.append(id) }
        }
        return found
    }

    /// How many runs of a unit there are before this one.
    public func countEarlier(named name: String, than run: TaskID) throws(HistoryError) -> Int {
        let rows = try database.prepare("select count(*) from run where name = ?1 and id < ?2")
        rows.bind(1, name)
        rows.bind(2, run.description)
        return try rows.step() ? rows.int(0) ?? 0 : 0
    }

    private func id(_ sql: String, _ text: String? = nil) throws(HistoryError) -> TaskID? {
        let rows = try database.prepare(sql)
        if let text { rows.bind(1, text) }
        return try rows.step() ? rows.text(0).flatMap { TaskID($0) } : nil
    }

    // MARK: What is known of it

    private static let runColumns = """
        id, name, unit, parent, status, reason, generation, user, by, node, tasks, created, \
        started, ended, message, root
        """

    /// A run; nil when the journal does not know it.
    public func run(_ id: TaskID) throws(HistoryError) -> RunRow? {
        let rows = try database.prepare("select \(Self.runColumns) from run where id = ?1")
        rows.bind(1, id.description)
        return try runs(rows).first
    }

    /// Runs that a filter lets through, newest first, each with the task that was submitted.
    public func list(_ filter: HistoryFilter) throws(HistoryError) -> [RunRow] {
        let rows = try database.prepare(Self.sql(filter))
        rows.bind(1, filter.name)
        rows.bind(2, filter.since)
        rows.bind(3, filter.until)
        rows.bind(4, filter.before?.description)
        rows.bind(5, Int64(filter.limit))
        return try runs(rows)
    }

    private static func sql(_ filter: HistoryFilter) -> String {
        var conditions: [String] = []
        if filter.name != nil { conditions.append("name = ?1") }
        if filter.since != nil { conditions.append("created >= ?2") }
        if filter.until != nil { conditions.append("created <= ?3") }
        if filter.before != nil { conditions.append("id < ?4") }
        if !filter.states.isEmpty {
            let numbers = filter.states.map { String($0.rawValue) }.joined(separator: ", ")
            conditions.append("status in (\(numbers))")
        }
        let isLive = !filter.states.isEmpty && filter.states.allSatisfy { $0.rawValue < 5 }
        if isLive { conditions.append("status < 5") }
        let condition = conditions.isEmpty ? "" : "where " + conditions.joined(separator: " and ")
        return "select \(runColumns) from run \(condition) order by id desc limit ?5"
    }

    private func runs(_ rows: Statement) throws(HistoryError) -> [RunRow] {
        var found: [RunRow] = []
        while try rows.step() {
            guard let id = rows.text(0).flatMap({ TaskID($0) }) else { continue }
            found.append(
                RunRow(
                    id: id, name: rows.text(1), unit: rows.text(2), parent: rows.text(3),
                    state: rows.state(4) ?? .created, reason: rows.text(5),
                    generation: rows.int(6) ?? 0, user: rows.text(7), by: rows.text(8),
                    node: rows.text(9), tasks: rows.int(10), created: rows.integer(11),
                    started: rows.integer(12), ended: rows.integer(13), message: rows.text(14),
                    root: rows.int(15)))
        }
        for index in found.indices {
            guard let k = found[index].root else { continue }
            guard let root = try task(TaskRef(run: found[index].id, task: k)) else { continue }
            found[index].main = try unit(before: root) ?? root
        }
        return found
    }

    /// The unit that failed before its [Then] could run: nil where the task is no such.
    private func unit(before task: TaskRow) throws(HistoryError) -> TaskRow? {
        guard task.reason == FailureReason.dependency.rawValue, let name = task.name,
            name.hasSuffix(TaskSpec.thenSuffix)
        else { return nil }
        let rows = try database.prepare(
            """
            select \(Self.taskColumns) from task where id between ?1 || '.' and ?1 || '/'
            and name = ?2 and status = ?3 order by k, length(id), id limit 1
            """)
        rows.bind(1, task.run)
        rows.bind(2, String(name.dropLast(TaskSpec.thenSuffix.count)))
        rows.bind(3, Int64(TaskState.failure.rawValue))
        return try tasks(rows).first
    }

    static let taskColumns = """
        id, run, k, name, unit, parent, status, reason, exit, signal, attempts, user, node, \
        created, started, ended, cpu_us, mem, weak, message, due, item
        """

    /// A task as who waits for it hears of it: where it is the [Then] of a unit that failed before, the
    /// unit. Nil when nothing is known of it yet.
    public func outcome(of ref: TaskRef) throws(HistoryError) -> TaskRow? {
        guard let found = try task(ref) else { return nil }
        return try unit(before: found) ?? found
    }

    /// A task; nil when nothing is known of it yet.
    public func task(_ ref: TaskRef) throws(HistoryError) -> TaskRow? {
        let rows = try database.prepare("select \(Self.taskColumns) from task where id = ?1")
        rows.bind(1, ref.description)
        return try tasks(rows).first
    }

    /// The tasks of a run, in plan order, as far as they are known; items of arrays are none. A seek
    /// for each where there are items, however many.
    public func tasks(ofRun run: TaskID) throws(HistoryError) -> [TaskRow] {
        let items = try database.prepare(
            "select 1 from items where id between ?1 || '.' and ?1 || '/' limit 1")
        items.bind(1, run.description)
        let next = "select min(id) from task where id"
        let rows = try database.prepare(
            try items.step()
                ? """
                with recursive own(id) as (\(next) between ?1 || '.' and ?1 || '/' union all
                    select (\(next) > own.id || '/' and id < ?1 || '/') from own
                    where own.id is not null)
                select \(Self.taskColumns) from task where id in (select id from own) order by k
                """
                : """
                select \(Self.taskColumns) from task where id between ?1 || '.' and ?1 || '/'
                order by k, length(id), id
                """)
        rows.bind(1, run.description)
        return try tasks(rows)
    }

    func tasks(_ rows: Statement) throws(HistoryError) -> [TaskRow] {
        var found: [TaskRow] = []
        while try rows.step() {
            found.append(
                TaskRow(
                    id: rows.text(0) ?? "", run: rows.text(1) ?? "", k: rows.int(2),
                    name: rows.text(3), unit: rows.text(4), parent: rows.text(5),
                    state: rows.state(6) ?? .created, reason: rows.text(7), exit: rows.int(8),
                    signal: rows.int(9), attempts: rows.int(10) ?? 0, user: rows.text(11),
                    node: rows.text(12), created: rows.integer(13), started: rows.integer(14),
                    ended: rows.integer(15), cpu: rows.integer(16), memory: rows.integer(17),
                    weak: rows.text(18), message: rows.text(19), due: rows.integer(20),
                    item: rows.int(21)))
        }
        return found
    }

    /// The attempts of a run, or of one of its tasks, in plan order.
    public func attempts(of ref: TaskRef) throws(HistoryError) -> [AttemptRow] {
        var found: [AttemptRow] = []
        try eachAttempt(of: ref) { found.append($0) }
        return found
    }

    /// The same one by one: a run may have a million.
    public func eachAttempt(
        of ref: TaskRef, _ body: (AttemptRow) throws(HistoryError) -> Void
    ) throws(HistoryError) {
        let rows = try database.prepare(
            """
            select a.id, a.n, a.status, a.started, a.ended, a.exit, a.signal, a.reason, a.cpu_us,
                a.mem, a.message, a.log, a.result
            from attempt a where \(Self.belongs("a.id"))
            order by coalesce(a.started, a.ended), a.id, a.generation, a.n
            """)
        rows.bind(1, ref.description)
        while try rows.step() {
            let places = (rows.text(11) ?? "").split(separator: " ")
            try body(
                AttemptRow(
                    task: rows.text(0) ?? "", number: rows.int(1) ?? 1,
                    state: rows.state(2) ?? .running, started: rows.integer(3),
                    ended: rows.integer(4), exit: rows.int(5), signal: rows.int(6),
                    reason: rows.text(7), cpu: rows.integer(8), memory: rows.integer(9),
                    message: rows.text(10), logs: places.compactMap { LogPlace(String($0)) },
                    result: rows.text(12).flatMap { LogPlace($0) }))
        }
    }

    /// Where the result lies that a task's last attempt left, or the one of that number; nil where it left
    /// none, or runs.
    public func result(
        of task: TaskRef, attempt: Int? = nil
    ) throws(HistoryError) -> LogPlace? {
        let rows = try database.prepare(
            """
            select result from attempt where id = ?1 and (?2 is null or n = ?2)
            order by generation desc, n desc limit 1
            """)
        rows.bind(1, task.description)
        rows.bind(2, attempt.map { Int64($0) })
        return try rows.step() ? rows.text(0).flatMap { LogPlace($0) } : nil
    }

    /// Whether the output of some attempt can only be found by looking through the log: it runs, or
    /// nobody saw its end.
    public func hasUnplacedOutput(of ref: TaskRef) throws(HistoryError) -> Bool {
        let rows = try database.prepare(
            """
            select 1 from attempt a where \(Self.belongs("a.id"))
                and (a.ended is null or a.status = \(TaskState.lost.rawValue)) limit 1
            """)
        rows.bind(1, ref.description)
        return try rows.step()
    }

    /// The events of a run, or of one of its tasks, in order of time.
    public func events(
        of ref: TaskRef, after number: Int64 = 0, notesOnly: Bool = false
    ) throws(HistoryError) -> [EventRow] {
        let rows = try database.prepare(
            """
            select e.id, e.job_id, e.status, e.timestamp, e.verb, e.attempt, e.by, e.detail
            from event e where \(Self.belongs("e.job_id")) and e.id > ?2
                \(notesOnly ? "and e.verb = 'note'" : "")
            order by e.timestamp, e.id
            """)
        rows.bind(1, ref.description)
        rows.bind(2, number)
        var found: [EventRow] = []
        while try rows.step() {
            found.append(
                EventRow(
                    number: rows.integer(0) ?? 0, job: rows.text(1) ?? "", state: rows.state(2),
                    time: rows.integer(3) ?? 0, verb: rows.text(4) ?? "", attempt: rows.int(5),
                    by: rows.text(6), detail: rows.text(7) ?? ""))
        }
        return found
    }

    /// Who cancelled a run last, or a task of it.
    public func canceller(of run: TaskID) throws(HistoryError) -> String? {
        for jobs in ["e.job_id = ?1", Self.belongs("e.job_id")] {
            let rows = try database.prepare(
                """
                select e.by from event e where \(jobs) and e.verb = 'cancel'
                order by e.id desc limit 1
                """)
            rows.bind(1, run.description)
            if try rows.step() { return rows.text(0) }
        }
        return nil
    }

    // The id itself and all that is beneath it: `/` follows `.` in ASCII.
    static func belongs(_ column: String) -> String {
        "(\(column) = ?1 or \(column) between ?1 || '.' and ?1 || '/')"
    }
}

extension Statement {
    func state(_ column: Int32) -> TaskState? {
        integer(column).flatMap { UInt8(exactly: $0) }.flatMap { TaskState(rawValue: $0) }
    }
}
