// SPDX-License-Identifier: Apache-2.0
public import TaskModel

/// What the journal says of one run.
public struct RunPast: Equatable, Sendable {
    /// It was accepted.
    public var accept: Accept? {
        get { accepts.first }
        set { accepts = newValue.map { [$0] } ?? [] }
    }
    /// The accept was journaled before this boot.
    public var isOfEarlierBoot = false
    /// The drop is bad: the record that says so.
    public var rejection: EventLine? {
        get { own.rejection }
        set { own.rejection = newValue }
    }
    /// The drop is a definition: the name under which it is installed.
    public var definition: String? {
        get { own.definition }
        set { own.definition = newValue }
    }
    /// The latest generation that an operator asked for.
    public var generation = 0
    /// Final ends, by generation.
    public var ends: [Int: TaskState] = [:]
    /// Of a claim: the count of the run's claims; 0: it is the spool's own.
    public var gen: Int {
        get { own.gen }
        set { own.gen = newValue }
    }
    /// The last that the owner said: parked, not released.
    public var isHeld = false
    /// Its cancel is on record, its end is not.
    public var isCancelled = false
    /// Tasks of the latest generation that have a past.
    public var tasks: [Int: TaskPast] = [:]
    /// The items of its arrays, by task.
    public var items: [Int: ItemsPast] = [:]
    /// Whose subtask it is.
    public var kin: Kin? {
        get { own.kin }
        set { own.kin = newValue }
    }
    /// The subtasks of its tasks, by task: the ended ones, too.
    public var children: [Int: [TaskID: Subtask]] = [:]
    /// What its tasks left, by task, of all generations.
    public var left: [Int: ResultPlace] = [:]
    /// Results of earlier generations: what succeeded is not in the plan of a later one.
    public var earlier: [Int: TaskState] {
        get { own.earlier }
        set { own.earlier = newValue }
    }
    public var earlierItems: [Int: ItemStates] {
        get { own.earlierItems }
        set { own.earlierItems = newValue }
    }

    /// Of earlier generations: subtasks whose results a [Then] is given.
    var earlierSubtasks: [Int: [TaskID: Subtask]] {
        get { own.earlierSubtasks }
        set { own.earlierSubtasks = newValue }
    }

    // A start behind many runs has a table of these, which grows by doubling, half of it empty: the accept is
    // one word of them, and so is what few runs have.
    private var accepts: [Accept] = []
    private var rare: [Rare] = []

    private struct Rare: Equatable, Sendable {
        var rejection: EventLine?
        var definition: String?
        var kin: Kin?
        var gen = 0
        var earlier: [Int: TaskState] = [:]
        var earlierItems: [Int: ItemStates] = [:]
        var earlierSubtasks: [Int: [TaskID: Subtask]] = [:]
    }

    private var own: Rare {
        get { rare.first ?? Rare() }
        set {
            if rare.isEmpty, newValue == Rare() { return }
            rare = [newValue]
        }
    }

    /// One task's past.
    public struct TaskPast: Equatable, Sendable {
        public var attempt = 0
        public var failures = 0
        public var losses = 0
        /// An attempt started whose end is not on record.
        public var isOpen = false
        /// Its cancel is on record, its end is not.
        public var isCancelled = false
        public var due: Int64?
        /// Its process has ended so, its subtasks decide.
        public var closing: TaskState?
        public var final: TaskState?
        public var reason: FailureReason?

        public init() {}
    }

    /// The past of an array's items: two bits each, and more of those that have begun and not ended.
    public struct ItemsPast: Equatable, Sendable {
        public var states = ItemStates()
        public var begun: [Int: TaskPast] = [:]
        /// Of those that failed the one with the lowest number.
        public var failed: Int?
        public var reason: FailureReason?

        public init() {}

        /// An attempt of an open item is under way.
        public mutating func begin(_ item: Int, _ attempt: Int) {
            update(item) {
                $0.attempt = attempt
                $0.isOpen = true
                $0.due = nil
            }
        }

        /// Its owner wants an open item ended.
        public mutating func cancel(_ item: Int) { update(item) { $0.isCancelled = true } }

        /// What waits for a time may start.
        public mutating func forgetTimes() {
            for item in begun.keys { begun[item]?.due = nil }
        }

        mutating func update(_ item: Int, _ change: (inout TaskPast) -> Void) {
            // What comes after its end says nothing.
            if states[item] != .open || item >= PlanLimits.items { return }
            change(&begun[item, default: TaskPast()])
            guard let final = begun[item]?.final else { return }
            if final == .failure, item < failed ?? .max {
                failed = item
                reason = begun[item]?.reason
            }
            states[item] = .init(final)
            begun[item] = nil
        }
    }

    public init() {}

    /// It was accepted, or asked for again, and has no end: it must get one.
    public var isLive: Bool {
        ends[generation] == nil
            && (accept != nil || generation > 0 || !tasks.isEmpty || !items.isEmpty)
    }

    mutating func begin(_ generation: Int) {
        self.generation = generation
        earlier = results
        earlierItems = itemResults
        earlierSubtasks = subtasks.filter { tasks[$0.key]?.final != nil || children[$0.key] == nil }
        tasks = [:]
        items = [:]
        children = [:]
        isHeld = false
        isCancelled = false
    }

    /// Final states by task number, of all generations.
    public var results: [Int: TaskState] {
        earlier.merging(tasks.compactMapValues(\.final)) { $1 }
    }

    /// What became of items, by task, of all generations: a success stays one.
    public var itemResults: [Int: ItemStates] {
        earlierItems.merging(items.mapValues(\.states)) { old, new in
            var merged = new
            old.each { state, items in
                if state == .success { for item in items { merged[item] = state } }
            }
            return merged
        }
    }

    /// An attempt may be under way.
    public var hasOpenAttempt: Bool {
        tasks.values.contains { $0.isOpen }
            || items.values.contains { $0.begun.values.contains { $0.isOpen } }
    }

    /// Something waits for a time.
    public var waitsForTime: Bool {
        tasks.values.contains { $0.due != nil && $0.final == nil }
            || items.values.contains { $0.begun.values.contains { $0.due != nil } }
    }

    /// Whether a file of that generation in failed/ is at rest: nobody asked for it since it came
    /// there. Otherwise its owner cancels the run by putting it there.
    public func isAtRest(_ generation: Int) -> Bool { generation > self.generation }
}
