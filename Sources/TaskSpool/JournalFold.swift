// SPDX-License-Identifier: Apache-2.0
public import TaskModel

/// Replays event lines into what start-up must know, in memory bounded by the runs that are live or
/// whose files still lie in the spool.
public struct JournalFold {
    public internal(set) var runs: [TaskID: RunPast] = [:]
    /// Drops that earlier boots accepted, rejected or obeyed; only those that were asked for.
    public private(set) var knownBefore: [KnownDrop: TaskID] = [:]
    /// Runs that have ended, where all drops were asked for.
    public private(set) var ended: Set<TaskID> = []
    /// A start-up of this boot got to its end: what a power failure did is mended.
    public private(set) var recovery: EventLine?

    /// What is accounted for of units that run by themselves, by the unit's name.
    public private(set) var firings: [String: FiringPast]

    /// Runs of today's and yesterday's keys: of their plans' digests the first 64 bits.
    public private(set) var keys: [TaskID: UInt64]

    /// Successes that count again, by `PlanTask.remainKey`; those whose time is over, too.
    public private(set) var remaining: [String: Remaining]

    // Equal units make equal plans: runs of one share its digest.
    private var digests: Set<String> = []
    private static let sharedDigests = 64
    private let interesting: Set<TaskID>
    private let inodes: Set<UInt64>?

    /// - Parameters:
    ///   - interesting: ids that have files in the spool: their ends are kept.
    ///   - inodes: inodes of the files in incoming/, for drops that a power failure brought back; nil:
    ///     it is read afterwards, and all that may lie there is kept.
    ///   - runs: what a checkpoint says of the time before the first record.
    ///   - firings: the same of units that run by themselves.
    ///   - keys: the same of keys.
    ///   - remaining: the same of successes that count again.
    public init(
        interesting: Set<TaskID>, inodes: Set<UInt64>?, runs: [TaskID: RunPast] = [:],
        firings: [String: FiringPast] = [:], keys: [TaskID: UInt64] = [:],
        remaining: [String: Remaining] = [:]
    ) {
        self.remaining = remaining
        self.keys = keys
        self.firings = firings
        self.interesting = interesting
        self.inodes = inodes
        self.runs = runs
        self.runs.reserveCapacity(interesting.count)
    }

    /// - Parameter isThisBoot: whether the record's segment was written since the machine started.
    public mutating func add(_ line: EventLine, isThisBoot: Bool) {
        if let unit = line["unit"], line["cron"] != nil || line["boot"] != nil {
            firings[unit, default: FiringPast()].add(line)
        }
        guard let ref = line.ref else {
            if line.verb == .note, line["what"] == Self.recovered, isThisBoot { recovery = line }
            return
        }
        defer { if ref.task == nil, line["parent"] != nil { relate(line, ref.run) } }
        switch line.verb {
        case .accept:
            if line["key"] != nil, let digest = line["digest"] {
                keys[ref.run] = Self.prefix(ofDigest: digest)
            }
            if !isThisBoot { remember(line, ref.run, line["name"]) }
            runs[ref.run, default: RunPast()].accept = accept(line)
            runs[ref.run]?.isOfEarlierBoot = !isThisBoot
        case .reject:
            if !isThisBoot, remember(line, ref.run, line["name"]) {
                runs[ref.run, default: RunPast()].rejection = line
            } else {
                update(interesting: ref) { $0.rejection = line }
            }
        case .arm: update(interesting: ref) { $0.definition = line["unit"] }
        case .start: start(ref, line)
        case .end: end(ref, line)
        case .retry: retry(ref, line)
        case .hold: runs[ref.run, default: RunPast()].isHeld = true
        case .release: release(ref)
        case .cancel:
            if !isThisBoot { remember(line, ref.run, "\(ref).cancel") }
            cancel(ref)
        case .lost:
            update(ref) { past in
                past.attempt = max(past.attempt, line.number("a") ?? past.attempt)
                past.isOpen = false
                past.losses += 1
            }
        default: break
        }
    }

    /// An event of a run that was claimed from the ledger. Each accept of a claim begins anew, and what is said under an
    /// earlier token says nothing.
    public mutating func addClaim(_ line: EventLine) {
        guard let id = line.ref?.run, let gen = line.number("gen"), line["from"] != "ledger" else {
            return
        }
        if line.verb == .accept, line.ref?.task == nil {
            runs[id] = RunPast()
            add(line, isThisBoot: true)
            runs[id]?.gen = gen
            runs[id]?.generation = line.number("g") ?? 0
        } else if runs[id]?.gen == gen {
            add(line, isThisBoot: true)
        }
    }

    /// The first 64 bits of a digest.
    public static func prefix(ofDigest digest: String) -> UInt64 {
        UInt64(digest.prefix(16), radix: 16) ?? 0
    }

    /// The note that ends a start-up after a boot: `note - what=recovered`.
    public static let recovered = "recovered"

    private mutating func update(interesting ref: TaskRef, _ change: (inout RunPast) -> Void) {
        if interesting.contains(ref.run) { change(&runs[ref.run, default: RunPast()]) }
    }

    private mutating func release(_ ref: TaskRef) {
        runs[ref.run, default: RunPast()].isHeld = false
        for task in runs[ref.run]?.tasks.keys.map({ $0 }) ?? [] {
            runs[ref.run]?.tasks[task]?.losses = 0
        }
        for task in runs[ref.run]?.items.keys.map({ $0 }) ?? [] {
            for item in runs[ref.run]?.items[task]?.begun.keys.map({ $0 }) ?? [] {
                runs[ref.run]?.items[task]?.begun[item]?.losses = 0
            }
        }
    }

    // One that comes after the run's end says nothing.
    private mutating func cancel(_ ref: TaskRef) {
        guard runs[ref.run] != nil || interesting.contains(ref.run) else { return }
        if ref.task == nil {
            runs[ref.run, default: RunPast()].isCancelled = true
        } else {
            update(ref) { $0.isCancelled = true }
        }
    }

    /// A run is live again: of its accept nothing is asked any more but that there is one.
    public mutating func release(_ id: TaskID) {
        guard runs[id]?.accept != nil else { return }
        runs[id]?.accept = .init(name: "")
    }

    private mutating func accept(_ line: EventLine) -> RunPast.Accept {
        guard let digest = line["digest"] else { return .init(line, digest: nil) }
        if digests.count >= Self.sharedDigests { digests = [] }
        return .init(line, digest: digests.insert(digest).memberAfterInsert)
    }

    @discardableResult
    private mutating func remember(_ line: EventLine, _ id: TaskID, _ name: String?) -> Bool {
        guard let name, let identity = DropIdentity(line),
            inodes?.contains(identity.inode) ?? true
        else {
            return false
        }
        knownBefore[KnownDrop(name: name, identity: identity)] = id
        return true
    }

    private mutating func start(_ ref: TaskRef, _ line: EventLine) {
        update(ref) { past in
            past.attempt = max(past.attempt, line.number("a") ?? 1)
            past.isOpen = true
            past.due = nil
            past.closing = nil
        }
    }

    private mutating func retry(_ ref: TaskRef, _ line: EventLine) {
        if ref.task == nil {
            guard let generation = line.number("g") else { return }
            runs[ref.run, default: RunPast()].begin(generation)
            // By its owner after its parent's end it is nobody's; else the record names that.
            runs[ref.run]?.kin = nil
        } else {
            update(ref) { past in
                past.due = line.number("due").map { Int64($0) }
                // A subtask failed: of that the attempt's own end says nothing.
                if past.closing != nil { past.failures += 1 }
                past.closing = nil
            }
        }
    }

    private mutating func end(_ ref: TaskRef, _ line: EventLine) {
        let state = line["state"].flatMap { TaskState(word: $0) }
        guard ref.task == nil else {
            noteResult(ref, line, state)
            if let key = line["remain"], let until = line.number("until"), let task = ref.task {
                remaining[key] = Remaining(
                    until: Int64(until), ref: ref, result: runs[ref.run]?.left[task])
            }
            return update(ref) { past in
                past.attempt = max(past.attempt, line.number("a") ?? past.attempt)
                past.isOpen = false
                past.losses = 0
                if state == .failure { past.failures += 1 }
                past.closing = line["wait"] == "yes" ? state : nil
                if past.closing != nil { past.reason = line.reason }
                if line["final"] == "yes" {
                    past.final = state
                    past.isCancelled = false
                    past.due = nil
                    past.reason = line.reason
                }
            }
        }
        if inodes == nil { ended.insert(ref.run) }
        if interesting.contains(ref.run) {
            runs[ref.run, default: RunPast()].ends[line.number("g") ?? 0] = state ?? .failure
            runs[ref.run]?.isHeld = false
            runs[ref.run]?.isCancelled = false
        } else {
            runs[ref.run] = nil
        }
    }

    // What the last attempt left; the end that its subtasks decide says nothing of it.
    private mutating func noteResult(_ ref: TaskRef, _ line: EventLine, _ state: TaskState?) {
        guard let task = ref.task, ref.item == nil, line["a"] != nil else { return }
        let left = state == .success ? ResultPlace(line) : nil
        if left != nil || runs[ref.run]?.left[task] != nil {
            runs[ref.run, default: RunPast()].left[task] = left
        }
    }

    private mutating func update(_ ref: TaskRef, _ change: (inout RunPast.TaskPast) -> Void) {
        guard let task = ref.task else { return }
        if let item = ref.item {
            runs[ref.run, default: RunPast()].items[task, default: RunPast.ItemsPast()]
                .update(item, change)
            return
        }
        change(&runs[ref.run, default: RunPast()].tasks[task, default: RunPast.TaskPast()])
    }
}

/// By which a drop is known that a power failure brought back. The identity alone is not enough: an
/// inode's number is given again within the tick of the clock that stamps files (4 ms).
public struct KnownDrop: Hashable, Sendable {
    public var name: String
    public var identity: DropIdentity

    public init(name: String, identity: DropIdentity) {
        self.name = name
        self.identity = identity
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
