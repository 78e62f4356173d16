// SPDX-License-Identifier: Apache-2.0
public import TaskModel

/// What decides when a task may follow another.
public enum EdgeKind: Equatable, Sendable {
    /// After a success; a failure ends the dependent with reason `dependency`.
    case ok
    /// After any end.
    case end
    /// After a failure only; otherwise the dependent is skipped.
    case fail
}

/// One task as the scheduler sees it.
public struct TaskInput: Equatable, Sendable {
    /// K in `RUN.K`: rising, with gaps in a reduced plan.
    public var number: Int
    public var name: String
    /// Its failure does not fail the run (only `Wants=` and `After=` hang on it).
    public var isOptional: Bool
    /// Without command and checks: succeeds when its dependencies have, uses no slot.
    public var isGroup: Bool
    /// Exit status 1 is no failure: it is skipped, and so is what follows it.
    public var isCondition = false
    /// It failed before and does not run this time: it fails where it would start.
    public var isRest = false
    public var policy: RetryPolicy
    /// Higher starts first.
    public var priority: Int
    /// Bytes that a start promises away; 0 when the task has no finite limit.
    public var memory: Int64
    /// `Semaphore=`: at most `limit` attempts of that name on this node.
    public var semaphore: Semaphore?
    /// Of an array: its items, each of which is an attempt of its own.
    public var items: Items?

    /// The items of an array task.
    public struct Items: Equatable, Sendable {
        public var ranges: ItemRanges
        /// Items that run at once, at most.
        public var mostAtOnce: Int
        /// Others of it have failed before and do not run this time: so it cannot succeed.
        public var hasRest: Bool

        public init(_ ranges: ItemRanges, mostAtOnce: Int = .max, hasRest: Bool = false) {
            self.ranges = ranges
            self.mostAtOnce = mostAtOnce
            self.hasRest = hasRest
        }
    }

    public struct Semaphore: Equatable, Sendable {
        public var name: String
        public var limit: Int
        public init(name: String, limit: Int) {
            self.name = name
            self.limit = limit
        }
    }

    public init(
        number: Int, name: String, isOptional: Bool = false, isGroup: Bool = false,
        policy: RetryPolicy = .never, priority: Int = 0, memory: Int64 = 0,
        semaphore: Semaphore? = nil
    ) {
        self.number = number
        self.name = name
        self.isOptional = isOptional
        self.isGroup = isGroup
        self.policy = policy
        self.priority = priority
        self.memory = memory
        self.semaphore = semaphore
    }
}

/// An accepted plan, with what is known of it from before a restart.
public struct RunInput: Equatable, Sendable {
    public var id: TaskID
    public var generation: Int
    /// By rising number.
    public var tasks: [TaskInput]
    /// Between task numbers; edges of tasks that are not there are left out.
    public var edges: [Edge]
    /// What the journal says of tasks that are not as new; others are.
    public var progress: [Progress]
    /// What became of the items of its arrays.
    public var items: [ItemsProgress] = []
    /// Parked: nothing of it starts before it is released.
    public var isHeld = false
    /// Nothing of it starts for now.
    public var isBarred = false
    /// Whose subtask it is.
    public var kin: Kin?
    /// What is known of its tasks' subtasks, by the task's number.
    public var children: [Int: [Subtask]] = [:]

    public struct Edge: Equatable, Sendable {
        public var from: Int
        public var to: Int
        public var kind: EdgeKind
        public init(from: Int, to: Int, kind: EdgeKind) {
            self.from = from
            self.to = to
            self.kind = kind
        }
    }

    /// A task's past.
    public struct Progress: Equatable, Sendable {
        public var task: Int
        public var standing: Standing
        /// The number of the last attempt, 0 when none began.
        public var attempt: Int
        public var failures: Int
        public var losses: Int

        public enum Standing: Equatable, Sendable {
            /// Its result is decided.
            case final(TaskState, FailureReason?)
            /// The pool runs this attempt.
            case running
            /// The next attempt is due then (microseconds of the engine's clock).
            case due(Int64)
            /// Its process has ended so, its children decide.
            case closing(TaskState, FailureReason?)
            /// No attempt runs; the next may start.
            case open
        }

        public init(
            task: Int, standing: Standing, attempt: Int, failures: Int = 0, losses: Int = 0
        ) {
            self.task = task
            self.standing = standing
            self.attempt = attempt
            self.failures = failures
            self.losses = losses
        }
    }

    /// The past of an array's items.
    public struct ItemsProgress: Equatable, Sendable {
        public var task: Int
        public var states: ItemStates
        /// Of those that failed the one with the lowest number, and why.
        public var failure: ItemFailure?
        /// Items that have begun and not ended: `task` is the item's number.
        public var begun: [Progress]

        public init(
            task: Int, states: ItemStates, failure: ItemFailure? = nil, begun: [Progress] = []
        ) {
            self.task = task
            self.states = states
            self.failure = failure
            self.begun = begun
        }
    }

    public init(
        id: TaskID, generation: Int = 0, tasks: [TaskInput], edges: [Edge] = [],
        progress: [Progress] = []
    ) {
        self.id = id
        self.generation = generation
        self.tasks = tasks
        self.edges = edges
        self.progress = progress
    }
}

/// An item that failed.
public struct ItemFailure: Equatable, Sendable {
    public var item: Int
    public var reason: FailureReason
    public init(item: Int, reason: FailureReason) {
        self.item = item
        self.reason = reason
    }
}
