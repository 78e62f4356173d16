// SPDX-License-Identifier: Apache-2.0
public import TaskJournal
public import TaskModel

/// What is known of attempts, and the events as they came.
extension History {
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
