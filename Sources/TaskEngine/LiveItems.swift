// SPDX-License-Identifier: Apache-2.0
import HeapModule
import TaskModel

/// An item that has begun and has not ended.
struct LiveItem {
    enum Standing: Equatable {
        /// May start again.
        case ready
        case running
        case due(Int64)
    }

    var standing = Standing.ready
    /// The number of the last attempt.
    var attempt = 0
    var failures = 0
    var losses = 0
    /// Its owner wants it ended: the attempt that runs is its last.
    var isCancelled = false
}

/// The items of an array in memory: two bits for each, and more only of those that have begun and not
/// ended. Each step is O(log n) of those that have begun; items are known by their numbers.
struct LiveItems {
    /// So many wait for their next attempt at most: until they have had it no further ones begin.
    static let mostWaiting = 10_000

    let ranges: ItemRanges
    private let mostAtOnce: Int
    private let hasRest: Bool
    private(set) var states: ItemStates
    private(set) var begun: [Int: LiveItem] = [:]
    /// Those that may start again, lowest first; some may have changed since.
    private var again = Heap<Int>()
    private var due = Heap<DueItem>()
    /// All before it have begun, or ended.
    private var next: Int
    /// The range that `next` is in, or before.
    private var range = 0
    private(set) var running = 0
    private(set) var waiting = 0
    private(set) var counts = ItemCounts()
    /// Of those that failed the one with the lowest number, in whatever order they ended.
    private(set) var failure: ItemFailure?
    /// An entry of its task is in the queue, or waits for a semaphore.
    var isQueued = false

    private struct DueItem: Comparable {
        var time: Int64
        var item: Int
        static func < (left: DueItem, right: DueItem) -> Bool {
            (left.time, left.item) < (right.time, right.item)
        }
    }

    init(_ input: TaskInput.Items) {
        ranges = input.ranges
        mostAtOnce = max(1, input.mostAtOnce)
        hasRest = input.hasRest
        states = ItemStates(first: ranges.first, end: ranges.end)
        counts.open = ranges.count
        next = ranges.first
    }

    /// Whether all is decided, and nothing of it runs.
    var isOver: Bool { counts.open == 0 }

    /// Nothing of it has begun.
    var isUntouched: Bool { begun.isEmpty && counts.open == ranges.count }

    /// What they come to, once all is decided.
    var result: (state: TaskState, reason: FailureReason?) {
        if counts.failure > 0 || hasRest { return (.failure, failure?.reason ?? .exit) }
        return (counts.cancelled > 0 ? .cancelled : .success, nil)
    }

    // MARK: Starting

    /// The item that starts next; nil where none may.
    mutating func startable() -> Int? { running < mostAtOnce ? candidate() : nil }

    /// The item that would start next if nothing of them ran.
    mutating func candidate() -> Int? {
        while let item = again.min {
            if begun[item]?.standing == .ready { return item }
            again.removeMin()
        }
        return waiting < Self.mostWaiting ? fresh() : nil
    }

    private mutating func fresh() -> Int? {
        while range < ranges.all.count {
            let bounds = ranges.all[range]
            next = max(next, bounds.lowerBound)
            while next < bounds.upperBound {
                if states[next] == .open, begun[next] == nil { return next }
                next += 1
            }
            range += 1
        }
        return nil
    }

    /// - Returns: the number of the attempt.
    mutating func start(_ item: Int) -> Int {
        var own = begun[item] ?? LiveItem()
        own.standing = .running
        own.attempt += 1
        running += 1
        begun[item] = own
        return own.attempt
    }

    /// An attempt of an open item runs that it did not know of.
    ///
    /// - Returns: what the item did so far; nil where the attempt is none that came after that.
    mutating func adopt(_ item: Int, _ attempt: Int) -> LiveItem.Standing? {
        var own = begun[item] ?? LiveItem()
        guard ranges.contains(item), states[item] == .open, own.standing != .running,
            attempt > own.attempt
        else { return nil }
        let old = own.standing
        if case .due = old { waiting -= 1 }
        (own.standing, own.attempt) = (.running, attempt)
        running += 1
        begun[item] = own
        return old
    }

    // MARK: After an attempt

    /// The attempt does not run any more.
    mutating func stop(_ item: Int) { running -= 1 }

    mutating func change(_ item: Int, _ body: (inout LiveItem) -> Void) {
        body(&begun[item, default: LiveItem()])
    }

    /// It may start again.
    mutating func makeReady(_ item: Int) {
        begun[item, default: LiveItem()].standing = .ready
        again.insert(item)
    }

    mutating func wait(_ item: Int, until time: Int64) {
        begun[item, default: LiveItem()].standing = .due(time)
        waiting += 1
        due.insert(DueItem(time: time, item: item))
    }

    /// Those whose time has come may start again; `Int64.max` is any time.
    ///
    /// - Returns: how many they are.
    mutating func wake(at now: Int64) -> Int {
        var woken = 0
        while let first = due.min, first.time <= now {
            due.removeMin()
            guard begun[first.item]?.standing == .due(first.time) else { continue }
            waiting -= 1
            woken += 1
            makeReady(first.item)
        }
        return woken
    }

    /// When the first is due.
    mutating func nextDue() -> Int64? {
        while let first = due.min {
            if begun[first.item]?.standing == .due(first.time) { return first.time }
            due.removeMin()
        }
        return nil
    }

    /// Decides an item that is open.
    mutating func conclude(_ item: Int, _ state: TaskState, _ reason: FailureReason?) {
        guard states[item] == .open, ranges.contains(item) else { return }
        if case .due = begun[item]?.standing { waiting -= 1 }
        begun[item] = nil
        states[item] = .init(state)
        counts.conclude(states[item])
        if state == .failure, item < failure?.item ?? .max {
            failure = ItemFailure(item: item, reason: reason ?? .exit)
        }
    }

    /// Decides all that does not run: cancelled. O(items).
    ///
    /// - Returns: how many of them waited for a time.
    mutating func cancelRest() -> Int {
        let waited = waiting
        for bounds in ranges.all {
            for item in bounds where states[item] == .open && begun[item]?.standing != .running {
                conclude(item, .cancelled, nil)
            }
        }
        return waited - waiting
    }

    // MARK: As a whole

    /// Those that run, lowest first, with their attempts.
    var attempts: [(item: Int, attempt: Int)] {
        begun.filter { $0.value.standing == .running }.map { ($0.key, $0.value.attempt) }
            .sorted { $0.0 < $1.0 }
    }

    mutating func forgetLosses() {
        for item in begun.keys { begun[item]?.losses = 0 }
    }

    /// Takes over what is known from before a restart, but for the times for which items wait.
    mutating func restore(_ past: RunInput.ItemsProgress) {
        past.states.each { state, items in
            if state == .open { return }
            for item in items where ranges.contains(item) {
                if states[item] != .open { continue }
                states[item] = state
                counts.conclude(state)
            }
        }
        failure = past.failure
        for item in past.begun where ranges.contains(item.task) && states[item.task] == .open {
            change(item.task) { own in
                own.attempt = item.attempt
                own.failures = item.failures
                own.losses = item.losses
                if item.standing == .running { own.standing = .running }
            }
            switch item.standing {
            case .running: running += 1
            case .open: makeReady(item.task)
            case .final(let state, let reason): conclude(item.task, state, reason)
            case .due, .closing: break
            }
        }
    }

    /// What `restore` takes.
    func progress(of task: Int) -> RunInput.ItemsProgress {
        let open = begun.map { item, own in
            var standing = RunInput.Progress.Standing.open
            switch own.standing {
            case .running: standing = .running
            case .due(let time): standing = .due(time)
            case .ready: break
            }
            return RunInput.Progress(
                task: item, standing: standing, attempt: own.attempt, failures: own.failures,
                losses: own.losses)
        }
        return RunInput.ItemsProgress(
            task: task, states: states, failure: failure,
            begun: open.sorted { $0.task < $1.task })
    }
}
