// SPDX-License-Identifier: Apache-2.0
public import TaskModel

/// What is known of the items of an array task, as numbers.
public struct ArrayRow: Equatable, Sendable {
    /// `RUN.K`.
    public var id: String
    /// How many items there are; nil where only its plan knows.
    public var total: Int?
    /// When the first began, and the last that has ended did, in this generation; microseconds.
    public var began: Int64?
    public var latest: Int64?
    /// Items that have ended in this generation.
    public var done: Int
    /// How many items are in each state; those that have not begun are in none.
    public var states: [TaskState: Int] = [:]
    /// How many ran for 2^(n-1) to 2^n - 1 µs.
    public var times: [Int: Int] = [:]
}

extension History {
    /// The arrays of a run. O(their states and classes of times).
    public func arrays(ofRun run: TaskID) throws(HistoryError) -> [ArrayRow] {
        let range = "id between ?1 || '.' and ?1 || '/'"
        let rows = try database.prepare(
            "select id, total, began, latest, done from items where \(range)")
        rows.bind(1, run.description)
        var found: [ArrayRow] = []
        var places: [String: Int] = [:]
        while try rows.step() {
            guard let id = rows.text(0) else { continue }
            places[id] = found.count
            found.append(
                ArrayRow(
                    id: id, total: rows.int(1), began: rows.integer(2), latest: rows.integer(3),
                    done: rows.int(4) ?? 0))
        }
        if found.isEmpty { return [] }
        let states = try database.prepare("select id, status, n from item_state where \(range)")
        states.bind(1, run.description)
        while try states.step() {
            guard let at = states.text(0).flatMap({ places[$0] }), let state = states.state(1)
            else {
                continue
            }
            found[at].states[state] = states.int(2) ?? 0
        }
        let times = try database.prepare("select id, bucket, n from item_time where \(range)")
        times.bind(1, run.description)
        while try times.step() {
            guard let at = times.text(0).flatMap({ places[$0] }), let bucket = times.int(1) else {
                continue
            }
            found[at].times[bucket] = times.int(2) ?? 0
        }
        return found
    }

    /// Items of a run that failed, in their order: a few of them.
    public func failedItems(
        ofRun run: TaskID, limit: Int
    ) throws(HistoryError) -> [TaskRow] {
        let rows = try database.prepare(
            """
            select \(Self.taskColumns) from task indexed by item_failed
            where item is not null and status = 6 and run = ?1 order by k, item limit ?2
            """)
        rows.bind(1, run.description)
        rows.bind(2, Int64(limit))
        return try tasks(rows)
    }

    /// The items of a run that ended last, newest first, of the latest events of all.
    public func latestItems(
        ofRun run: TaskID, limit: Int
    ) throws(HistoryError) -> [AttemptRow] {
        let rows = try database.prepare(
            """
            select job_id, attempt from event
            where id > (select max(id) from event) - 100000 and verb = 'end' and attempt is not null
                and +job_id between ?1 || '.' and ?1 || '/'
            order by id desc limit ?2
            """)
        rows.bind(1, run.description)
        rows.bind(2, Int64(limit))
        var found: [AttemptRow] = []
        while try rows.step() {
            guard let ref = rows.text(0).flatMap({ TaskRef($0) }), let number = rows.int(1) else {
                continue
            }
            found += try attempts(of: ref).suffix(1).filter { $0.number == number }
        }
        return found
    }
}
