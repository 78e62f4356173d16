// SPDX-License-Identifier: Apache-2.0
import TaskModel

/// Counts the items of arrays as their events are read, so that a status of a million items is a few
/// seeks: how many are in each state, how long they ran, since when.
final class ItemCounter {
    private let know: Statement
    private let begin: Statement
    private let finish: Statement
    private let state: Statement
    private let move: Statement
    private let addTime: Statement
    private let startArray: Statement
    private let hasItems: Statement
    private let forget: Statement
    private let recount: Statement
    private let renew: Statement
    /// Arrays that are known to run.
    private var running: Set<[UInt8]> = []
    private var before: Int64?

    private struct Counted {
        var states: [Int64: Int64] = [:]
        var times: [Int64: Int64] = [:]
        var done: Int64 = 0
        var latest: Int64 = 0
    }
    /// What was counted and is not written, by array.
    private var counted: [[UInt8]: Counted] = [:]

    init(_ database: Database) throws(HistoryError) {
        know = try database.prepare(
            """
            insert into items(id, total) values(?1, ?2)
            on conflict(id) do update set total = coalesce(total, excluded.total)
            """)
        begin = try database.prepare(
            """
            insert into items(id, began) values(?1, ?2)
            on conflict(id) do update set began = coalesce(began, excluded.began)
            """)
        finish = try database.prepare(
            "update items set done = done + ?3, latest = ?2 where id = ?1")
        state = try database.prepare("select status from task where id = ?1")
        move = try database.prepare(
            """
            insert into item_state(id, status, n) values(?1, ?2, ?3)
            on conflict(id, status) do update set n = n + excluded.n
            """)
        addTime = try database.prepare(
            """
            insert into item_time(id, bucket, n) values(?1, ?2, ?3)
            on conflict(id, bucket) do update set n = n + excluded.n
            """)
        startArray = try database.prepare(
            """
            insert into task(id, run, k, name, status, node, created, started)
            values(?1, ?2, ?3, ?4, 3, ?5, ?6, ?6)
            on conflict(id) do update set status = 3, name = coalesce(name, excluded.name),
                started = coalesce(started, excluded.started), ended = null, reason = null,
                message = null
            """)
        hasItems = try database.prepare(
            "select 1 from items where id between ?1 || '.' and ?1 || '/' limit 1")
        forget = try database.prepare(
            "delete from item_state where id between ?1 || '.' and ?1 || '/'")
        recount = try database.prepare(
            """
            insert into item_state(id, status, n) select run || '.' || k, status, count(*)
            from task where id between ?1 || '.' and ?1 || '/' and item is not null group by k, status
            """)
        renew = try database.prepare(
            """
            update items set began = null, latest = null, done = 0
            where id between ?1 || '.' and ?1 || '/'
            """)
    }

    /// How many items the tasks of a run have: `K:COUNT,…` of its accept, or its plan.
    func accept(_ run: ArraySlice<UInt8>, _ counts: String) throws(HistoryError) {
        for pair in counts.split(separator: ",") {
            let parts = pair.split(separator: ":")
            guard parts.count == 2, let count = Int64(parts[1]) else { continue }
            know.bind(1, run + [UInt8(ascii: ".")] + Array(parts[0].utf8))
            know.bind(2, count)
            try know.run()
        }
    }

    /// Before an event of an item is applied.
    func look(_ event: RawEvent) throws(HistoryError) { before = try status(event) }

    private func status(_ event: RawEvent) throws(HistoryError) -> Int64? {
        state.bind(1, event.id)
        defer { state.reset() }
        return try state.step() ? state.integer(0) : nil
    }

    /// After it was applied. What is counted is written with `flush`.
    func count(
        _ event: RawEvent, _ run: ArraySlice<UInt8>, _ task: Int, node: String
    ) throws(HistoryError) {
        let array = Array(event.array)
        if event.isVerb("start"), !running.contains(array) { try start(event, run, task, node) }
        let after = Self.status(after: event) ?? before
        if after != before {
            if let before { counted[array, default: Counted()].states[before, default: 0] -= 1 }
            if let after { counted[array, default: Counted()].states[after, default: 0] += 1 }
        }
        guard event.isVerb("end"), event.has("final", "yes") else { return }
        counted[array, default: Counted()].done += 1
        counted[array]?.latest = event.time
        guard let span = event.number("us") else { return }
        counted[array]?.times[Int64(ItemTimes.bucket(of: span)), default: 0] += 1
    }

    // What EventIndexer writes into the item's row.
    private static func status(after event: RawEvent) -> Int64? {
        let states: [(StaticString, TaskState)] = [
            ("start", .running), ("retry", .pending), ("lost", .lost), ("wait", .waiting),
            ("hold", .pending), ("release", .ready), ("skip", .skipped),
        ]
        if event.isVerb("end") {
            if !event.has("final", "yes") { return Int64(TaskState.pending.rawValue) }
            return event.text("state").flatMap { TaskState(word: $0) }.map { Int64($0.rawValue) }
        }
        return states.first { event.isVerb($0.0) }.map { Int64($0.1.rawValue) }
    }

    /// Writes what was counted: before the transaction ends, and before anybody asks.
    func flush() throws(HistoryError) {
        for (array, own) in counted {
            for (status, n) in own.states where n != 0 { try add(move, array, status, n) }
            for (bucket, n) in own.times { try add(addTime, array, bucket, n) }
            guard own.done > 0 else { continue }
            finish.bind(1, array[...])
            finish.bind(2, own.latest)
            finish.bind(3, own.done)
            try finish.run()
        }
        counted = [:]
    }

    private func add(
        _ statement: Statement, _ array: [UInt8], _ key: Int64, _ n: Int64
    ) throws(HistoryError) {
        statement.bind(1, array[...])
        statement.bind(2, key)
        statement.bind(3, n)
        try statement.run()
    }

    // The first item that starts starts its array, which has no start of its own.
    private func start(
        _ event: RawEvent, _ run: ArraySlice<UInt8>, _ task: Int, _ node: String
    ) throws(HistoryError) {
        if running.count > 10_000 { running = [] }
        if counted.count > 10_000 { try flush() }
        running.insert(Array(event.array))
        startArray.bind(1, event.array)
        startArray.bind(2, run)
        startArray.bind(3, Int64(task))
        startArray.bind(4, event.text("name"))
        startArray.bind(5, node)
        startArray.bind(6, event.time)
        try startArray.run()
        begin.bind(1, event.array)
        begin.bind(2, event.time)
        try begin.run()
    }

    /// An array has ended.
    func ended(_ array: ArraySlice<UInt8>) { running.remove(Array(array)) }

    /// The states of a run's items were changed all at once. O(items), where it has some.
    func recount(_ run: ArraySlice<UInt8>, isNew: Bool) throws(HistoryError) {
        hasItems.bind(1, run)
        let has = try hasItems.step()
        hasItems.reset()
        try flush()
        if !has { return }
        running = []
        for statement in isNew ? [forget, recount, renew] : [forget, recount] {
            statement.bind(1, run)
            try statement.run()
        }
    }
}

/// The classes of run times: powers of two of microseconds.
public enum ItemTimes {
    /// 0 below 1 µs, else n for 2^(n-1) to 2^n - 1 µs.
    public static func bucket(of microseconds: Int64) -> Int {
        microseconds <= 0 ? 0 : Int64.bitWidth - microseconds.leadingZeroBitCount
    }
}
