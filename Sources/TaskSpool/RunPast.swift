// SPDX-License-Identifier: Apache-2.0
public import TaskModel

/// What the journal says of one run.
public struct RunPast: Equatable, Sendable {
    /// The accept record: `name=`, `digest=`, `plan=` and the drop's identity.
    public var accept: EventLine?
    /// The accept was journaled before this boot.
    public var isOfEarlierBoot = false
    /// The drop is bad: the record that says so.
    public var rejection: EventLine?
    /// The drop is a definition: the name under which it is installed.
    public var definition: String?
    /// The latest generation that an operator asked for.
    public var generation = 0
    /// Final ends, by generation.
    public var ends: [Int: TaskState] = [:]
    /// The last that the owner said: parked, not released.
    public var isHeld = false
    /// Its cancel is on record, its end is not.
    public var isCancelled = false
    /// Tasks of the latest generation that have a past.
    public var tasks: [Int: TaskPast] = [:]
    /// Results of earlier generations: what succeeded is not in the plan of a later one.
    public var earlier: [Int: TaskState] = [:]

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
        public var final: TaskState?
        public var reason: FailureReason?

        public init() {}
    }

    public init() {}

    /// It was accepted, or asked for again, and has no end: it must get one.
    public var isLive: Bool {
        ends[generation] == nil && (accept != nil || generation > 0 || !tasks.isEmpty)
    }

    mutating func begin(_ generation: Int) {
        self.generation = generation
        earlier = results
        tasks = [:]
        isHeld = false
        isCancelled = false
    }

    /// Final states by task number, of all generations.
    public var results: [Int: TaskState] {
        earlier.merging(tasks.compactMapValues(\.final)) { $1 }
    }

    /// Whether a file of that generation in failed/ is at rest: nobody asked for it since it came
    /// there. Otherwise its owner cancels the run by putting it there.
    public func isAtRest(_ generation: Int) -> Bool { generation > self.generation }
}
