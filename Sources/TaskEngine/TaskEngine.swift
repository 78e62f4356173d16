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

    private struct Slot {
        var run: LiveRun?
        var stamp: UInt32 = 0
    }

    private struct Semaphore {
        var holders = 0
        var waiting: [ReadyEntry] = []
    }

    private var slots: [Slot] = []
    private var free: [Int] = []
    private var index: [TaskID: Int] = [:]
    private var ready = Heap<ReadyEntry>()
    private var due = Heap<DueEntry>()
    private var semaphores: [String: Semaphore] = [:]
    /// Attempts that run though their run was forgotten: they hold a slot until their end.
    private var orphans: [TaskRef: TaskInput] = [:]
    private var actions: [EngineAction] = []
    private var capacity = 0
    private var memory: Int64 = 0
    private var promised: Int64 = 0
    /// Attempts handed to the pool that have not ended.
    public private(set) var running = 0

    public init(lookAhead: Int = 0) {
        self.lookAhead = lookAhead
    }

    /// Live runs.
    public var runs: Int { index.count }

    /// Whether a run of that id is live.
    public func contains(_ id: TaskID) -> Bool { index[id] != nil }

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
            case .blocked, .ready: standing = .open
            }
            if standing == .open, task.attempt == 0 { return nil }
            return RunInput.Progress(
                task: task.input.number, standing: standing, attempt: task.attempt,
                failures: task.failures, losses: task.losses)
        }
    }

    /// When something becomes due, in the engine's clock; nil when nothing waits for a time.
    public var nextDeadline: Int64? { due.min?.due }

    /// The actions since the last call.
    public mutating func takeActions() -> [EngineAction] {
        defer { actions.removeAll(keepingCapacity: true) }
        return actions
    }

    /// Tells the engine what happened.
    ///
    /// - Parameter now: microseconds; must not go back.
    public mutating func handle(_ event: EngineEvent, at now: Int64) {
        switch event {
        case .accepted(let input): accept(input, at: now)
        case .capacity(let slots, let bytes):
            capacity = slots
            memory = bytes
        case .ended(let ref, let attempt, let outcome): end(ref, attempt, outcome, at: now)
        case .lost(let ref, let attempt): lose(ref, attempt)
        case .hold(let id): hold(id)
        case .release(let id): release(id)
        case .hurry(let id): hurry(id)
        case .cancel(let ref): cancel(ref)
        case .forget(let id): forget(id)
        }
        advance(to: now)
    }

    /// Moves what is due into the queue and starts what may start.
    public mutating func advance(to now: Int64) {
        while let entry = due.min, entry.due <= now {
            due.removeMin()
            guard slots[entry.slot].stamp == entry.stamp, var run = slots[entry.slot].run,
                case .due = run.tasks[entry.task].standing
            else { continue }
            slots[entry.slot].run = nil
            run.waitingForTime -= 1
            _ = makeReady(&run, entry.task, slot: entry.slot)
            settle(run, slot: entry.slot)
        }
        fill()
    }
}

// MARK: - Runs come and go

extension TaskEngine {
    private mutating func accept(_ input: RunInput, at now: Int64) {
        guard index[input.id] == nil else { return }
        let slot = free.popLast() ?? slots.count
        if slot == slots.count { slots.append(Slot()) }
        index[input.id] = slot
        var run = LiveRun(input)
        var settled: [Int] = []
        for past in input.progress { restore(past, in: &run, slot: slot, &settled) }
        resolveEdges(of: settled, in: &run, slot: slot)
        let first = run.tasks.indices.filter {
            run.tasks[$0].standing == .blocked && run.tasks[$0].waitingFor == 0
        }
        resolveEdges(of: first.filter { makeReady(&run, $0, slot: slot) }, in: &run, slot: slot)
        settle(run, slot: slot)
    }

    private mutating func restore(
        _ past: RunInput.Progress, in run: inout LiveRun, slot: Int, _ settled: inout [Int]
    ) {
        guard let task = run.place(of: past.task) else { return }
        run.tasks[task].attempt = past.attempt
        run.tasks[task].failures = past.failures
        run.tasks[task].losses = past.losses
        switch past.standing {
        case .final(let state, let reason):
            decide(task, state, reason, in: &run)
            settled.append(task)
        case .running:
            run.tasks[task].standing = .running
            run.running += 1
            running += 1
            promise(run.tasks[task].input)
            run.placement = .active
        case .due(let time):
            waitUntil(time, task, in: &run, slot: slot)
        case .open:
            break
        }
    }

    private mutating func forget(_ id: TaskID) {
        guard let slot = index[id], let run = slots[slot].run else { return }
        for task in run.tasks.indices where run.tasks[task].standing == .running {
            let ref = run.ref(task)
            orphans[ref] = run.tasks[task].input
            actions.append(.kill(ref, attempt: run.tasks[task].attempt))
        }
        remove(id, slot: slot)
    }

    private mutating func remove(_ id: TaskID, slot: Int) {
        index[id] = nil
        slots[slot].run = nil
        slots[slot].stamp &+= 1
        free.append(slot)
        if index.isEmpty, slots.count >= 1000 { releaseStorage() }
    }

    /// After a burst the engine is as small as before: nothing refers to a place any more.
    private mutating func releaseStorage() {
        slots = []
        free = []
        index = [:]
        ready = Heap()
        due = Heap()
        semaphores = semaphores.filter { $0.value.holders > 0 }
    }

    /// Puts a run back after a change: ends it when nothing is open, or says where it belongs.
    private mutating func settle(_ run: LiveRun, slot: Int) {
        var run = run
        if run.open == 0, run.running == 0 {
            let result = run.result
            actions.append(
                .runEnded(run.id, result.state, result.reason, because: result.because))
            remove(run.id, slot: slot)
            return
        }
        place(&run, slot: slot)
        slots[slot].run = run
    }

    private mutating func place(_ run: inout LiveRun, slot: Int) {
        let wanted: Placement
        if run.isHeld {
            wanted = .hold
        } else if run.running > 0 {
            wanted = .active
        } else if run.waitingForTime > 0, !run.tasks.contains(where: { $0.standing == .ready }) {
            wanted = deferredPlacement(of: run)
        } else {
            return
        }
        if wanted == run.placement { return }
        run.placement = wanted
        actions.append(.place(run.id, wanted))
    }

    private func deferredPlacement(of run: LiveRun) -> Placement {
        var until = Int64.max
        for task in run.tasks {
            if case .due(let time) = task.standing { until = min(until, time) }
        }
        let attempt = run.tasks.count == 1 ? run.tasks[0].attempt + 1 : 1
        return .deferred(until: until, attempt: attempt)
    }
}

// MARK: - Tasks end

extension TaskEngine {
    private mutating func end(
        _ ref: TaskRef, _ attempt: Int, _ outcome: Outcome, at now: Int64
    ) {
        guard let (slot, task) = runningTask(ref, attempt), var run = slots[slot].run else {
            return
        }
        slots[slot].run = nil
        stop(task, in: &run)
        run.tasks[task].losses = 0
        switch outcome {
        case .success, .skipped:
            actions.append(.attemptEnded(ref, attempt: attempt, .final))
            conclude(task, outcome == .success ? .success : .skipped, nil, in: &run, slot: slot)
        case .failure(let reason, _):
            fail(task, ref, outcome, reason, in: &run, slot: slot, at: now)
        }
        settle(run, slot: slot)
    }

    private mutating func fail(
        _ task: Int, _ ref: TaskRef, _ outcome: Outcome, _ reason: FailureReason,
        in run: inout LiveRun, slot: Int, at now: Int64
    ) {
        let attempt = run.tasks[task].attempt
        if run.tasks[task].isCancelled {
            actions.append(.attemptEnded(ref, attempt: attempt, .cancelled))
            return conclude(task, .cancelled, nil, in: &run, slot: slot)
        }
        if run.isHeld {  // killed by the hold: not counted
            actions.append(.attemptEnded(ref, attempt: attempt, .parked))
            run.tasks[task].standing = .ready
            return
        }
        run.tasks[task].failures += 1
        let failures = run.tasks[task].failures
        let policy = run.tasks[task].input.policy
        guard policy.allowsRetry(after: outcome, failures: failures) else {
            actions.append(.attemptEnded(ref, attempt: attempt, .final))
            return conclude(task, .failure, reason, in: &run, slot: slot)
        }
        let seed = run.id.low &+ UInt64(task) &* 31 &+ UInt64(attempt)
        let time = now + policy.delay(failures: failures, seed: seed)
        actions.append(.attemptEnded(ref, attempt: attempt, .retried))
        actions.append(.retry(ref, attempt: attempt + 1, due: time))
        waitUntil(time, task, in: &run, slot: slot)
    }

    private mutating func lose(_ ref: TaskRef, _ attempt: Int) {
        guard let (slot, task) = runningTask(ref, attempt), var run = slots[slot].run else {
            return
        }
        slots[slot].run = nil
        stop(task, in: &run)
        run.tasks[task].losses += 1
        if run.tasks[task].isCancelled {
            actions.append(.taskEnded(ref, .cancelled, nil, because: nil))
            conclude(task, .cancelled, nil, in: &run, slot: slot)
        } else {
            _ = makeReady(&run, task, slot: slot)
            if run.tasks[task].losses >= 3, !run.isHeld {
                run.isHeld = true
                actions.append(.parked(run.id, because: ref))
                killAll(in: run)
            }
        }
        settle(run, slot: slot)
    }

    /// The slot and number of a task whose attempt runs. An orphan's slot is freed here.
    private mutating func runningTask(_ ref: TaskRef, _ attempt: Int) -> (Int, Int)? {
        if let input = orphans.removeValue(forKey: TaskRef(run: ref.run, task: ref.task)) {
            running -= 1
            give(input)
            return nil
        }
        guard let number = ref.task, let slot = index[ref.run], let run = slots[slot].run,
            let task = run.place(of: number), run.tasks[task].standing == .running,
            run.tasks[task].attempt == attempt
        else { return nil }
        return (slot, task)
    }

    private mutating func stop(_ task: Int, in run: inout LiveRun) {
        run.running -= 1
        running -= 1
        give(run.tasks[task].input)
    }

    /// Decides a task and all that follows from it, without recursion.
    private mutating func conclude(
        _ task: Int, _ state: TaskState, _ reason: FailureReason?, in run: inout LiveRun, slot: Int
    ) {
        decide(task, state, reason, in: &run)
        resolveEdges(of: [task], in: &run, slot: slot)
    }

    private func decide(
        _ task: Int, _ state: TaskState, _ reason: FailureReason?, in run: inout LiveRun
    ) {
        if case .due = run.tasks[task].standing { run.waitingForTime -= 1 }
        run.tasks[task].standing = .final(state, reason)
        run.open -= 1
        switch state {
        case .success: run.succeeded += 1
        case .cancelled: run.cancelled += 1
        case .failure where run.failure == nil && !run.tasks[task].input.isOptional:
            run.failure = (task, reason ?? .exit)
        default: break
        }
    }

    private mutating func resolveEdges(
        of decided: [Int], in run: inout LiveRun, slot: Int
    ) {
        var settled = decided
        while let task = settled.popLast() {
            guard case .final(let state, _) = run.tasks[task].standing else { continue }
            for edge in run.edges(from: task) {
                let next = edge.to
                if run.tasks[next].standing != .blocked { continue }
                run.tasks[next].waitingFor -= 1
                let name = run.tasks[task].input.name
                switch Self.verdict(edge.kind, after: state) {
                case .refused(let state, let reason):
                    let ref = run.ref(next)
                    actions.append(.taskEnded(ref, state, reason, because: name))
                    decide(next, state, reason, in: &run)
                    settled.append(next)
                case .satisfied where run.tasks[next].waitingFor == 0:
                    if makeReady(&run, next, slot: slot) { settled.append(next) }
                case .satisfied:
                    break
                }
            }
        }
    }

    private enum Verdict {
        case satisfied
        case refused(TaskState, FailureReason?)
    }

    private static func verdict(_ kind: EdgeKind, after state: TaskState) -> Verdict {
        switch (kind, state) {
        case (.end, _), (.ok, .success), (.ok, .skipped), (.fail, .failure): .satisfied
        case (.ok, .cancelled): .refused(.cancelled, nil)
        case (.ok, _): .refused(.failure, .dependency)
        case (.fail, _): .refused(.skipped, nil)
        }
    }
}

// MARK: - Tasks start

extension TaskEngine {
    /// Queues a task. A group has nothing to run: it succeeds here, and the caller settles its edges.
    ///
    /// - Returns: whether the task is final now.
    private mutating func makeReady(_ run: inout LiveRun, _ task: Int, slot: Int) -> Bool {
        if run.tasks[task].input.isGroup {
            let ref = run.ref(task)
            actions.append(.taskEnded(ref, .success, nil, because: nil))
            decide(task, .success, nil, in: &run)
            return true
        }
        run.tasks[task].standing = .ready
        if !run.isHeld { enqueue(run, task, slot: slot) }
        return false
    }

    private mutating func enqueue(_ run: LiveRun, _ task: Int, slot: Int) {
        ready.insert(
            ReadyEntry(
                priority: run.tasks[task].input.priority, id: run.id, task: task, slot: slot,
                stamp: slots[slot].stamp))
    }

    private mutating func waitUntil(
        _ time: Int64, _ task: Int, in run: inout LiveRun, slot: Int
    ) {
        run.tasks[task].standing = .due(time)
        run.waitingForTime += 1
        due.insert(DueEntry(due: time, slot: slot, stamp: slots[slot].stamp, task: task))
    }

    private mutating func fill() {
        while running < capacity + (capacity > 0 ? lookAhead : 0), let entry = ready.min {
            guard slots[entry.slot].stamp == entry.stamp, let run = slots[entry.slot].run,
                run.tasks[entry.task].standing == .ready, !run.isHeld
            else {
                ready.removeMin()
                continue
            }
            let input = run.tasks[entry.task].input
            if input.memory > 0, running >= capacity || !fits(input.memory) { return }
            ready.removeMin()
            if let semaphore = input.semaphore, !enter(semaphore, entry) { continue }
            start(entry)
        }
    }

    /// A limit larger than the machine is cut to the machine: such a task runs alone.
    private func fits(_ bytes: Int64) -> Bool {
        promised == 0 || promised + min(bytes, memory) <= memory
    }

    private mutating func start(_ entry: ReadyEntry) {
        guard var run = slots[entry.slot].run else { return }
        slots[entry.slot].run = nil
        run.tasks[entry.task].standing = .running
        run.tasks[entry.task].attempt += 1
        run.running += 1
        running += 1
        promise(run.tasks[entry.task].input)
        place(&run, slot: entry.slot)
        actions.append(
            .start(
                run.ref(entry.task), attempt: run.tasks[entry.task].attempt))
        slots[entry.slot].run = run
    }

    private mutating func promise(_ input: TaskInput) {
        if input.memory > 0 { promised += min(input.memory, memory) }
        if let semaphore = input.semaphore {
            semaphores[semaphore.name, default: Semaphore()].holders += 1
        }
    }

    private mutating func give(_ input: TaskInput) {
        if input.memory > 0 { promised = max(0, promised - min(input.memory, memory)) }
        guard let name = input.semaphore?.name, var semaphore = semaphores[name] else { return }
        semaphore.holders -= 1
        for entry in semaphore.waiting { ready.insert(entry) }
        semaphore.waiting = []
        semaphores[name] = semaphore.holders > 0 ? semaphore : nil
    }

    /// Whether the semaphore has room; else the entry waits for the next end of a holder.
    private mutating func enter(_ wanted: TaskInput.Semaphore, _ entry: ReadyEntry) -> Bool {
        if semaphores[wanted.name, default: Semaphore()].holders < wanted.limit { return true }
        semaphores[wanted.name]?.waiting.append(entry)
        return false
    }
}

// MARK: - What the owner says

extension TaskEngine {
    private mutating func hold(_ id: TaskID) {
        guard let slot = index[id], var run = slots[slot].run, !run.isHeld else { return }
        slots[slot].run = nil
        run.isHeld = true
        killAll(in: run)
        settle(run, slot: slot)
    }

    private mutating func release(_ id: TaskID) {
        guard let slot = index[id], var run = slots[slot].run, run.isHeld else { return }
        slots[slot].run = nil
        run.isHeld = false
        for task in run.tasks.indices where run.tasks[task].standing == .ready {
            run.tasks[task].losses = 0
            enqueue(run, task, slot: slot)
        }
        run.placement = run.running > 0 ? .active : .ready
        actions.append(.place(id, run.placement))
        settle(run, slot: slot)
    }

    private mutating func hurry(_ id: TaskID) {
        guard let slot = index[id], var run = slots[slot].run else { return }
        slots[slot].run = nil
        for task in run.tasks.indices {
            guard case .due = run.tasks[task].standing else { continue }
            run.waitingForTime -= 1
            _ = makeReady(&run, task, slot: slot)
        }
        if run.running == 0, !run.isHeld { run.placement = .ready }
        settle(run, slot: slot)
    }

    private mutating func cancel(_ ref: TaskRef) {
        guard let slot = index[ref.run], var run = slots[slot].run else { return }
        slots[slot].run = nil
        let one = ref.task.map { run.place(of: $0) }
        let chosen = one.map { $0.map { $0..<($0 + 1) } ?? 0..<0 } ?? run.tasks.indices
        for task in chosen {
            let ref = run.ref(task)
            switch run.tasks[task].standing {
            case .final: break
            case .running:
                run.tasks[task].isCancelled = true
                actions.append(.kill(ref, attempt: run.tasks[task].attempt))
            case .blocked, .ready, .due:
                actions.append(.taskEnded(ref, .cancelled, nil, because: nil))
                conclude(task, .cancelled, nil, in: &run, slot: slot)
            }
        }
        settle(run, slot: slot)
    }

    private mutating func killAll(in run: LiveRun) {
        for task in run.tasks.indices where run.tasks[task].standing == .running {
            let ref = run.ref(task)
            actions.append(.kill(ref, attempt: run.tasks[task].attempt))
        }
    }
}
