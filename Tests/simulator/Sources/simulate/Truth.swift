// SPDX-License-Identifier: Apache-2.0
import Linux
import TaskModel
import TaskSpool

/// What an oracle found: the promise, and how it was broken.
struct Failure: Error, CustomStringConvertible {
    var promise: String
    var sentence: String
    var description: String { "\(promise): \(sentence)" }
}

/// What really happened: drops, attempts, and what of the journal is on disk. The oracles compare
/// taskd's word with it.
final class Truth {
    struct Drop {
        var recipe: Recipe
        var id: TaskID?
        /// Somebody was told that it will not be lost.
        var isAcknowledged = false
        /// A power failure came before that: it, or its bytes, may be gone.
        var mayBeLost = false
        /// Its owner has synced its file and its name.
        var isSynced = false
        /// A power failure came, and its file was nobody's to sync.
        var isFileLost = false
        /// It came back as another file than was taken: nobody had synced it (FORMATS "left by the models"), or
        /// its name is kept on no record.
        var mayComeBack: Bool { isFileLost || safeName != recipe.name }
        var safeName: String { DropName.safe(Array(recipe.name.utf8)) }
        /// Its file is whole.
        var isWhole = true
        /// Its owner removed its plan: where that was not on record yet, nothing is.
        var isRemoved = false
    }

    var drops: [String: Drop] = [:]
    private(set) var failure: Failure?
    /// The journal was damaged by a hand: what it says is not held against taskd.
    var isTainted = false
    private var durableEnds: Set<String> = []
    /// Attempts whose end is on record.
    private var durableAttempts: Set<ModelPool.Key> = []
    /// Accepts and rejects that were on disk.
    private(set) var durableRuns: Set<String> = []
    /// Runs that their owner moved, removed or cancelled.
    var touched: Set<TaskID> = []
    private var successes: Set<TaskRef> = []
    private var durableSuccesses: Set<TaskRef> = []
    private var startsOf: [TaskRef: Int] = [:]
    /// What a plan's tasks require; an accepted plan stays what it is.
    private var required: [RunFileName: [PlanEdge]] = [:]
    private var executed: Set<ModelPool.Key> = []
    /// The attempts that run, by task.
    private var running: [TaskRef: Int] = [:]
    private(set) var attempts = 0
    let disk: Disk
    var family = FamilyTruth()

    init(_ disk: Disk) { self.disk = disk }

    func fail(_ promise: String, _ sentence: String) {
        if failure == nil { failure = Failure(promise: promise, sentence: sentence) }
    }

    // MARK: The journal on disk

    func durable(_ bytes: ArraySlice<UInt8>) {
        for line in bytes.split(separator: UInt8(ascii: "\n")) {
            let words = line.split(separator: UInt8(ascii: " "), maxSplits: 5)
            // Most say nothing here: accept, end, reject and lost do.
            guard words.count == 6, let first = words[4].first, "aerl".utf8.contains(first),
                let event = try? EventLine(parsing: line[words[3].startIndex...])
            else { continue }
            switch event.verb {
            case .accept, .reject, .arm:
                durableRuns.insert(event.id)
                if let name = event["name"] { drops[name]?.isAcknowledged = true }
            case .end where event["final"] == "yes":
                noteAttempt(event)
                durableEnds.insert("\(event.id)+\(event["g"] ?? "0")")
                if event["state"] == "success" || event["state"] == "skipped",
                    let ref = event.ref
                {
                    successes.insert(ref)
                    durableSuccesses.insert(ref)
                }
            case .end: noteAttempt(event)
            case .lost:
                noteAttempt(event)
                guard let ref = event.ref, let attempt = running[ref], !isTainted else { continue }
                if event.number("a") == attempt {
                    fail("P2", "\(ref) a=\(attempt) is on record as lost while it runs")
                }
            default: break
            }
        }
    }

    private func noteAttempt(_ end: EventLine) {
        guard let ref = end.ref, let attempt = end.number("a") else { return }
        durableAttempts.insert(ModelPool.Key(ref: ref, attempt: attempt))
    }

    /// The pool forgets the end of an attempt of a live run: that is on record (rule 10).
    func acknowledged(_ key: ModelPool.Key) {
        if isTainted || durableAttempts.contains(key) { return }
        let array = TaskRef(run: key.ref.run, task: key.ref.task ?? 0)
        guard let file = place(of: key.ref.run), file.generation == 0,
            !durableEnds.contains("\(key.ref.run)+0"), !durableEnds.contains("\(key.ref)+0"),
            !durableEnds.contains("\(array)+0")
        else { return }
        fail("P1", "the end of \(key.ref) a=\(key.attempt) is acknowledged and not on record")
    }

    func removed(_ plan: [UInt8]) {
        let text = String(decoding: plan, as: UTF8.self)
        for name in drops.keys where text.contains(" \(name) ") { drops[name]?.isRemoved = true }
    }

    func powerFailed() {
        for name in drops.keys where drops[name]?.isAcknowledged == false {
            drops[name]?.mayBeLost = true
        }
        for name in drops.keys where drops[name]?.isSynced == false {
            drops[name]?.isFileLost = true
        }
        poolDied()
    }

    // MARK: What the pool did

    func poolDied() {
        family.poolDied()
        executed = []
        running = [:]
    }

    /// A job came; `others` are there already.
    func handedOver(_ key: ModelPool.Key, others: [ModelPool.Key]) {
        let ref = key.ref
        if let other = others.first(where: { $0.ref == ref }) {
            fail("P2", "\(ref) a=\(key.attempt) was handed over while a=\(other.attempt) is alive")
        }
        guard let file = place(of: ref.run) else { return }
        if durableEnds.contains("\(ref)+\(file.generation)"), !isTainted {
            fail(
                "P2",
                "\(ref) a=\(key.attempt) g=\(file.generation) is started after its durable end")
        }
        checkFamily(key)
        if !executed.insert(key).inserted, !isTainted, file.generation == 0 {
            fail("P2", "\(ref) a=\(key.attempt) is executed a second time by the same pool")
        }
    }

    func started(_ key: ModelPool.Key, mostItems: Int? = nil) {
        attempts += 1
        startsOf[key.ref, default: 0] += 1
        if running.updateValue(key.attempt, forKey: key.ref) != nil {
            fail("P2", "two attempts of \(key.ref) run at once")
        }
        checkRequirements(key.ref)
        guard let mostItems, key.ref.item != nil else { return }
        let beside = running.keys.count { $0.run == key.ref.run && $0.task == key.ref.task }
        if beside > mostItems {
            fail("array", "\(beside) items run with \(key.ref), and \(mostItems) may at once")
        }
    }

    func starts(of ref: TaskRef) -> Int { startsOf[ref] ?? 0 }

    func ended(_ key: ModelPool.Key, _ state: String) {
        running[key.ref] = nil
        if state == "success" { successes.insert(key.ref) }
        family.ended(key, isCancelled: state == "cancelled")
    }

    // MARK: Subtasks

    /// An attempt dropped it; of a parent whose plan is where the pool's job came from.
    func dropped(_ name: String, of key: ModelPool.Key) {
        guard let file = place(of: key.ref.run) else { return }
        family.dropped(name, of: key, generation: file.generation)
    }

    /// The pool need not keep it any more.
    func acknowledged(_ name: String, of key: ModelPool.Key) {
        family.acknowledged(name, of: key)
    }

    private func checkFamily(_ key: ModelPool.Key) {
        // A hand may run a subtask again that failed: as anybody's, by itself.
        guard let kin = family.kin[key.ref.run], !isTainted, !isTouched(key.ref.run)
        else { return }
        if durableEnds.contains("\(kin.parent)+\(kin.generation)") {
            fail("P2", "\(key.ref) starts after the durable end of \(kin.parent), which dropped it")
        }
        if durableSuccesses.contains(key.ref) {
            fail("P2", "\(key.ref) has succeeded, on disk, and is executed again for its parent")
        }
    }

    /// Whether its owner moved, removed or cancelled it, or one that it descends from.
    func isTouched(_ id: TaskID) -> Bool {
        var next: TaskID? = id
        while let one = next {
            if touched.contains(one) { return true }
            next = family.kin[one]?.parent.run
        }
        return false
    }

    private func checkRequirements(_ ref: TaskRef) {
        guard let task = ref.task, let (file, inode) = find(ref.run) else { return }
        let generation = RunFileName(run: ref.run, generation: file.generation)
        if required[generation] == nil, let plan = try? Plan(parsing: inode.data) {
            required[generation] = plan.edges.filter { $0.kind == .ok }
        }
        for edge in required[generation] ?? [] where edge.to == task {
            if !successes.contains(TaskRef(run: ref.run, task: edge.from)) {
                fail(
                    "order",
                    "\(ref) started, and \(edge.from), which it requires, has not succeeded")
            }
        }
    }

    private func place(of id: TaskID) -> RunFileName? { find(id)?.file }

    /// The one file of a run in a state directory.
    private func find(_ id: TaskID) -> (file: RunFileName, inode: DiskNode)? {
        let text = id.description
        for directory in SpoolDirectory.states {
            guard let names = (try? disk.find("/s/\(directory.rawValue)"))?.entries else {
                continue
            }
            for (name, inode) in names where name.hasPrefix(text) {
                return RunFileName(bytes: Array(name.utf8)[...]).map { ($0, inode) }
            }
        }
        return nil
    }
}
