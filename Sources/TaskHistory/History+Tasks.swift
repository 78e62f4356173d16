// SPDX-License-Identifier: Apache-2.0
public import TaskModel

/// What is known of runs and their tasks.
extension History {
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
}
