// SPDX-License-Identifier: Apache-2.0
import HeapModule
public import TaskModel

/// The scheduler: decides what starts, what is tried again and when a run has ended.
///
/// A value without clock, file, process or socket: events go in with the time of their handling,
/// actions come out in the order in which they must be carried out. An event costs O(log n) of the
/// queued tasks plus the edges that it settles; nothing is ever rescanned.
public struct TaskEngine {
    /// Attempts that may be handed to the pool beyond its slots, so that it never waits for the
    /// scheduler's turn. Tasks with a finite memory limit are not handed over ahead.
    public var lookAhead: Int

    struct Slot {
        var run: LiveRun?
        var stamp: UInt32 = 0
    }

    var slots: [Slot] = []
    var free: [Int] = []
    var index: [TaskID: Int] = [:]
    var inputs = SharedInputs()
    var ready = Heap<ReadyEntry>()
    var due = Heap<DueEntry>()
    var semaphores: [String: Semaphore] = [:]
    /// Semaphores that may have room for who waits for them.
    var freed: Set<String> = []
    /// Attempts that run though their run was forgotten: they hold a slot until their end.
    var orphans: [TaskRef: TaskInput] = [:]
    /// The suspect that runs alone among its like, and until when; those that wait for it.
    var probation: (ref: TaskRef, until: Int64)?
    var suspects: [ReadyEntry] = []
    /// Of tasks that have not ended.
    var families: [TaskRef: Family] = [:]
    var familySteps: [FamilyStep] = []
    /// Runs of before a restart are still to come.
    public internal(set) var isGathering: Bool
    var actions: [EngineAction] = []
    var capacity = 0
    var memory: Int64 = 0
    var promised: Int64 = 0
    /// Attempts handed to the pool that have not ended, and do not sleep.
    public internal(set) var running = 0
    /// Attempts that sleep, or wait for a slot after that.
    public internal(set) var asleep = 0
    /// Bytes that those keep.
    var keptAsleep: Int64 = 0

    /// - Parameter isGathering: runs of before a restart are accepted in any order, until `gathered`.
    public init(lookAhead: Int = 0, isGathering: Bool = false) {
        self.lookAhead = lookAhead
        self.isGathering = isGathering
    }

    /// Makes room for that many runs at once: tables that grow by doubling are there twice meanwhile.
    public mutating func reserve(_ runs: Int) {
        slots.reserveCapacity(runs)
        index.reserveCapacity(runs)
    }

    /// Live runs.
    public var runs: Int { index.count }

    /// Live runs that wait for something other than a slot: they are parked, or wait for a time, a
    /// semaphore or their subtasks. However many there are, others come and go.
    public internal(set) var resting = 0

    /// Whether a run of that id is live.
    public func contains(_ id: TaskID) -> Bool { index[id] != nil }

    /// Whether that attempt of a task, or of an item, runs.
    public func isRunning(_ ref: TaskRef, attempt: Int) -> Bool {
        ref.item == nil ? runningTask(ref, attempt) != nil : runningItem(ref, attempt) != nil
    }

    /// The number of a task's last attempt; 0 before the first, and of a run that is not live.
    public func attempts(of ref: TaskRef) -> Int {
        guard let slot = index[ref.run], let run = slots[slot].run,
            let place = ref.task.flatMap({ run.place(of: $0) })
        else { return 0 }
        return run.tasks[place].attempt
    }

    /// The past of a live run's tasks, as `RunInput` takes it; tasks as new as at acceptance are left
    /// out. O(tasks).
    public func progress(of id: TaskID) -> [RunInput.Progress] {
        guard let slot = index[id], let run = slots[slot].run else { return [] }
        return run.tasks.compactMap { task in
            let standing: RunInput.Progress.Standing
            switch task.standing {
            case .final(let state, let reason): standing = .final(state, reason)
            case .running: standing = .running
            case .due(let time): standing = .due(time)
            case .closing:
                let result = families[run.ref(of: task)]?.closing?.result
                standing = .closing(result?.state ?? .success, result?.reason)
            case .blocked, .ready: standing = .open
            }
            if standing == .open, task.attempt == 0 { return nil }
            return RunInput.Progress(
                task: task.input.number, standing: standing, attempt: task.attempt,
                failures: task.failures, losses: task.losses)
        }
    }

    /// When something becomes due, in the engine's clock; nil when nothing waits for a time.
    public var nextDeadline: Int64? {
        let probationEnds = suspects.isEmpty ? nil : probation?.until
        guard let first = due.min?.due else { return probationEnds }
        return min(first, probationEnds ?? first)
    }

    /// The actions since the last call.
    public mutating func takeActions() -> [EngineAction] {
        let taken = actions
        actions = []
        return taken
    }

    /// Tells the engine what happened.
    ///
    /// - Parameter now: microseconds; must not go back.
    public mutating func handle(_ event: EngineEvent, at now: Int64) {
        switch event {
        case .accepted(let input): accept(input, at: now)
        case .dropped(let child, let parent): addChild(child, to: parent)
        case .gathered(let built): gather(besides: built)
        case .capacity(let slots, let bytes):
            capacity = slots
            memory = bytes
        case .found(let ref, let attempt): adopt(ref, attempt)
        case .ended(let ref, let attempt, let outcome):
            if isOrphan(ref) {
                freeOrphan(ref)
            } else if ref.item != nil {
                endItem(ref, attempt, outcome, at: now)
            } else {
                end(ref, attempt, outcome, at: now)
            }
        case .sleeps(let ref, let attempt, let awaited): sleep(ref, attempt, on: awaited)
        case .lost(let ref, let attempt):
            if isOrphan(ref) {
                freeOrphan(ref)
            } else if ref.item != nil {
                loseItem(ref, attempt)
            } else {
                lose(ref, attempt)
            }
        case .hold(let id): hold(id)
        case .release(let id): release(id)
        case .bar(let id): bar(id)
        case .unbar(let id): unbar(id)
        case .hurry(let id): hurry(id)
        case .cancel(let ref): if ref.item == nil { cancel(ref) } else { cancelItem(ref) }
        case .forget(let id): forget(id)
        }
        advance(to: now)
    }

    /// Moves what is due into the queue and starts what may start.
    public mutating func advance(to now: Int64) {
        while let entry = due.min, entry.due <= now {
            due.removeMin()
            if slots[entry.slot].stamp == entry.stamp, isArray(entry.slot, entry.task) {
                wakeItems(entry, at: now)
                continue
            }
            guard slots[entry.slot].stamp == entry.stamp, var run = slots[entry.slot].run,
                case .due = run.tasks[entry.task].standing
            else { continue }
            slots[entry.slot].run = nil
            run.waitingForTime -= 1
            _ = makeReady(&run, entry.task, slot: entry.slot)
            settle(run, slot: entry.slot)
        }
        if !familySteps.isEmpty { settleFamilies(at: now) }
        endProbation(at: now)
        fill(at: now)
    }
}
