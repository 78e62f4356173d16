// SPDX-License-Identifier: Apache-2.0
public import TaskModel

/// What the journal says of one run.
public struct RunPast: Equatable, Sendable {
    /// The accept record: `name=`, `digest=`, `plan=` and the drop's identity.
    public var accept: EventLine?
    /// The drop is bad, and that is on record.
    public var isRejected = false
    /// The latest generation that an operator asked for.
    public var generation = 0
    /// Final ends, by generation.
    public var ends: [Int: TaskState] = [:]
    /// Tasks of the latest generation that have a past.
    public var tasks: [Int: TaskPast] = [:]

    /// One task's past.
    public struct TaskPast: Equatable, Sendable {
        public var attempt = 0
        public var failures = 0
        public var losses = 0
        /// An attempt started whose end is not on record.
        public var isOpen = false
        public var due: Int64?
        public var final: TaskState?
        public var reason: FailureReason?

        public init() {}
    }

    public init() {}
}

/// Replays event lines into what start-up must know, in memory bounded by the runs that are live or
/// whose files still lie in the spool.
public struct JournalFold {
    public private(set) var runs: [TaskID: RunPast] = [:]
    /// Drops that earlier boots accepted, by identity; only those that were asked for.
    public private(set) var acceptedBefore: [DropIdentity: TaskID] = [:]

    private let interesting: Set<TaskID>
    private let inodes: Set<UInt64>

    /// - Parameters:
    ///   - interesting: ids that have files in the spool: their ends are kept.
    ///   - inodes: inodes of the files in incoming/, for drops that a power failure brought back.
    ///   - runs: what a checkpoint says of the time before the first record.
    public init(
        interesting: Set<TaskID>, inodes: Set<UInt64>, runs: [TaskID: RunPast] = [:]
    ) {
        self.interesting = interesting
        self.inodes = inodes
        self.runs = runs
    }

    /// - Parameter isThisBoot: whether the record's segment was written since the machine started.
    public mutating func add(_ line: EventLine, isThisBoot: Bool) {
        guard let ref = line.ref else { return }
        switch line.verb {
        case .accept:
            if !isThisBoot { remember(line, ref.run) }
            runs[ref.run, default: RunPast()].accept = line
        case .reject:
            if interesting.contains(ref.run) { runs[ref.run, default: RunPast()].isRejected = true }
        case .start: start(ref, line)
        case .end: end(ref, line)
        case .retry: retry(ref, line)
        case .lost:
            update(ref) { past in
                past.isOpen = false
                past.losses += 1
            }
        default: break
        }
    }

    private mutating func remember(_ line: EventLine, _ id: TaskID) {
        guard let identity = DropIdentity(line), inodes.contains(identity.inode) else { return }
        acceptedBefore[identity] = id
    }

    private mutating func start(_ ref: TaskRef, _ line: EventLine) {
        update(ref) { past in
            past.attempt = max(past.attempt, line.number("a") ?? 1)
            past.isOpen = true
            past.due = nil
        }
    }

    private mutating func retry(_ ref: TaskRef, _ line: EventLine) {
        if ref.task == nil {
            guard let generation = line.number("g") else { return }
            runs[ref.run, default: RunPast()].generation = generation
            runs[ref.run]?.tasks = [:]
        } else {
            update(ref) { $0.due = line.number("due").map { Int64($0) } }
        }
    }

    private mutating func end(_ ref: TaskRef, _ line: EventLine) {
        let state = line["state"].flatMap { TaskState(word: $0) }
        guard ref.task == nil else {
            return update(ref) { past in
                past.attempt = max(past.attempt, line.number("a") ?? past.attempt)
                past.isOpen = false
                past.losses = 0
                if state == .failure { past.failures += 1 }
                if line["final"] == "yes" {
                    past.final = state
                    past.reason = line["reason"].flatMap { FailureReason(rawValue: $0) }
                }
            }
        }
        if interesting.contains(ref.run) {
            runs[ref.run, default: RunPast()].ends[line.number("g") ?? 0] = state ?? .failure
        } else {
            runs[ref.run] = nil
        }
    }

    private mutating func update(_ ref: TaskRef, _ change: (inout RunPast.TaskPast) -> Void) {
        guard let task = ref.task else { return }
        change(&runs[ref.run, default: RunPast()].tasks[task, default: RunPast.TaskPast()])
    }
}

extension DropIdentity {
    /// The identity that an accept record carries; nil where it has none (cron, subtasks).
    public init?(_ accept: EventLine) {
        guard let inode = accept["inode"].flatMap({ UInt64($0) }),
            let modified = accept["mtime"].flatMap({ Int64($0) }),
            let changed = accept["ctime"].flatMap({ Int64($0) })
        else { return nil }
        self.init(inode: inode, modified: modified, changed: changed)
    }
}
