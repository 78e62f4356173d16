// SPDX-License-Identifier: Apache-2.0
import HeapModule
public import TaskModel

/// Arrays: one task, an attempt for each of its items. The task has one entry in the queue while an
/// item of it may start, and ends when all its items have.
extension TaskEngine {
    /// What became of the items of a live run's arrays. O(items that have begun and not ended), and two
    /// bits for each item.
    public func items(of id: TaskID) -> [RunInput.ItemsProgress] {
        guard let slot = index[id], let run = slots[slot].run else { return [] }
        return run.arrays.sorted { $0.key < $1.key }.map { place, items in
            items.progress(of: run.tasks[place].input.number)
        }
    }

    // MARK: Starting

    /// Queues an array whose dependencies have ended.
    ///
    /// - Returns: whether it is final now: nothing of it is open.
    mutating func makeItemsReady(_ run: inout LiveRun, _ task: Int, slot: Int) -> Bool {
        run.tasks[task].standing = .ready
        if run.arrays[task]?.isOver ?? true {
            decideItems(task, in: &run)
            return true
        }
        enqueueItems(&run, task, slot: slot)
        return false
    }

    mutating func enqueueItems(_ run: inout LiveRun, _ task: Int, slot: Int) {
        guard !run.isHeld, run.tasks[task].standing == .ready,
            run.arrays[task]?.isQueued == false, run.arrays[task]?.startable() != nil
        else { return }
        run.arrays[task]?.isQueued = true
        enqueue(run, task, slot: slot)
    }

    /// Starts the next item of the array that is first in the queue, or takes it out of the queue.
    ///
    /// - Returns: false where what it needs is not there: nothing else starts before it.
    mutating func fillItem(_ entry: ReadyEntry, at now: Int64) -> Bool {
        guard let item = startableItem(entry) else { return true }
        let ref = item.ref
        switch admit(entry, item.input, losses: item.losses) {
        case .blocked: return false
        case .waits: return true
        case .starts: break
        }
        if Self.isSuspect(losses: item.losses) { beginProbation(of: ref, at: now) }
        guard var run = slots[entry.slot].run else { return false }
        slots[entry.slot].run = nil
        let attempt = ref.item.flatMap { run.arrays[entry.task]?.start($0) } ?? 1
        run.running += 1
        running += 1
        promise(item.input)
        place(&run, slot: entry.slot)
        slots[entry.slot].run = run
        actions.append(.start(ref, attempt: attempt))
        return true
    }

    /// The next item of the array that is first in the queue; nil where there is none: it has left the
    /// queue then.
    private mutating func startableItem(
        _ entry: ReadyEntry
    ) -> (ref: TaskRef, input: TaskInput, losses: Int)? {
        guard var run = slots[entry.slot].run else { return nil }
        slots[entry.slot].run = nil
        defer { slots[entry.slot].run = run }
        guard !run.isHeld, !run.isBarred, run.tasks[entry.task].standing == .ready,
            let item = run.arrays[entry.task]?.startable()
        else {
            ready.removeMin()
            run.arrays[entry.task]?.isQueued = false
            freeContended()
            return nil
        }
        let losses = run.arrays[entry.task]?.begun[item]?.losses ?? 0
        return (run.ref(entry.task, item: item), run.tasks[entry.task].input, losses)
    }

    /// An attempt of an item that was taken for one that waits, or has not begun, runs.
    mutating func adoptItem(_ ref: TaskRef, _ attempt: Int) {
        guard let slot = index[ref.run], var run = slots[slot].run, let item = ref.item,
            let task = ref.task.flatMap({ run.place(of: $0) }), !run.tasks[task].isFinal,
            let old = run.arrays[task]?.adopt(item, attempt)
        else { return }
        slots[slot].run = nil
        if case .due = old { run.waitingForTime -= 1 }
        run.running += 1
        running += 1
        promise(run.tasks[task].input)
        if run.isHeld { actions.append(.kill(ref, attempt: attempt)) }
        place(&run, slot: slot)
        slots[slot].run = run
    }

    // MARK: Ends

    mutating func endItem(_ ref: TaskRef, _ attempt: Int, _ outcome: Outcome, at now: Int64) {
        guard let (slot, task, item) = runningItem(ref, attempt), var run = slots[slot].run else {
            return
        }
        slots[slot].run = nil
        let isCancelled = run.arrays[task]?.begun[item]?.isCancelled ?? false
        stopItem(item, of: task, in: &run)
        run.arrays[task]?.change(item) { $0.losses = 0 }
        switch outcome {
        case .success, .skipped:
            actions.append(.attemptEnded(ref, attempt: attempt, .final))
            run.arrays[task]?.conclude(item, .success, nil)
        case .failure, .killed:
            if isCancelled {
                actions.append(.attemptEnded(ref, attempt: attempt, .cancelled))
                run.arrays[task]?.conclude(item, .cancelled, nil)
            } else if case .failure(let reason, _) = outcome, !run.isHeld {
                failItem(ref, task, outcome, reason, in: &run, slot: slot, at: now)
            } else {  // by a hold: not counted
                actions.append(.attemptEnded(ref, attempt: attempt, .parked))
                run.arrays[task]?.makeReady(item)
            }
        }
        settleItems(task, in: &run, slot: slot)
        settle(run, slot: slot)
    }

    private mutating func failItem(
        _ ref: TaskRef, _ task: Int, _ outcome: Outcome, _ reason: FailureReason,
        in run: inout LiveRun, slot: Int, at now: Int64
    ) {
        guard let item = ref.item else { return }
        run.arrays[task]?.change(item) { $0.failures += 1 }
        let own = run.arrays[task]?.begun[item] ?? LiveItem()
        let policy = run.tasks[task].input.policy
        guard policy.allowsRetry(after: outcome, failures: own.failures) else {
            actions.append(.attemptEnded(ref, attempt: own.attempt, .final))
            run.arrays[task]?.conclude(item, .failure, reason)
            return
        }
        let time = now + run.interval(task, item: item)
        actions.append(.attemptEnded(ref, attempt: own.attempt, .retried))
        actions.append(.retry(ref, attempt: own.attempt + 1, due: time))
        waitUntil(time, item: item, of: task, in: &run, slot: slot)
    }

    mutating func loseItem(_ ref: TaskRef, _ attempt: Int) {
        guard let (slot, task, item) = runningItem(ref, attempt), var run = slots[slot].run else {
            return
        }
        slots[slot].run = nil
        stopItem(item, of: task, in: &run)
        run.arrays[task]?.change(item) { $0.losses += 1 }
        let own = run.arrays[task]?.begun[item] ?? LiveItem()
        if own.isCancelled {
            actions.append(.taskEnded(ref, .cancelled, nil, because: nil))
            run.arrays[task]?.conclude(item, .cancelled, nil)
        } else {
            run.arrays[task]?.makeReady(item)
            if own.losses >= Self.parkingLosses, !run.isHeld {
                run.isHeld = true
                actions.append(.parked(run.id, because: ref))
                killAll(in: run)
            }
        }
        settleItems(task, in: &run, slot: slot)
        settle(run, slot: slot)
    }

    /// The slot, the task's place and the number of an item whose attempt runs.
    func runningItem(_ ref: TaskRef, _ attempt: Int) -> (Int, Int, Int)? {
        guard let number = ref.task, let item = ref.item, let slot = index[ref.run],
            let task = slots[slot].run?.place(of: number),
            let own = slots[slot].run?.arrays[task]?.begun[item],
            own.standing == .running, own.attempt == attempt
        else { return nil }
        return (slot, task, item)
    }

    private mutating func stopItem(_ item: Int, of task: Int, in run: inout LiveRun) {
        run.arrays[task]?.stop(item)
        stop(task, in: &run)
        endProbation(of: run.ref(task, item: item))
    }

    /// After a change of its items: the array ends, or its next item may start.
    private mutating func settleItems(_ task: Int, in run: inout LiveRun, slot: Int) {
        guard run.arrays[task]?.isOver ?? false, !run.tasks[task].isFinal else {
            return enqueueItems(&run, task, slot: slot)
        }
        decideItems(task, in: &run)
        resolveEdges(of: [task], in: &run, slot: slot)
    }

    private mutating func decideItems(_ task: Int, in run: inout LiveRun) {
        guard let items = run.arrays[task] else { return }
        let (state, reason) = items.result
        let result = ItemsResult(
            state: state, reason: reason, counts: items.counts, failure: items.failure,
            states: items.states)
        actions.append(.itemsEnded(run.ref(task), result))
        decide(task, state, reason, in: &run)
    }

    // MARK: Times

    private mutating func waitUntil(
        _ time: Int64, item: Int, of task: Int, in run: inout LiveRun, slot: Int
    ) {
        run.arrays[task]?.wait(item, until: time)
        run.waitingForTime += 1
        due.insert(DueEntry(due: time, slot: slot, stamp: slots[slot].stamp, task: task))
    }

    /// Items whose time has come may start.
    mutating func wakeItems(_ entry: DueEntry, at now: Int64) {
        guard var run = slots[entry.slot].run else { return }
        slots[entry.slot].run = nil
        run.waitingForTime -= Int32(run.arrays[entry.task]?.wake(at: now) ?? 0)
        enqueueItems(&run, entry.task, slot: entry.slot)
        settle(run, slot: entry.slot)
    }

    // MARK: The past

    mutating func restoreItems(
        _ past: RunInput.ItemsProgress, in run: inout LiveRun, slot: Int, at now: Int64
    ) {
        guard let task = run.place(of: past.task), run.arrays[task] != nil else { return }
        run.arrays[task]?.restore(past)
        for item in past.begun where run.arrays[task]?.begun[item.task] != nil {
            switch item.standing {
            case .running:
                run.running += 1
                running += 1
                promise(run.tasks[task].input)
                if Self.isSuspect(losses: item.losses), probation == nil {
                    beginProbation(of: run.ref(task, item: item.task), at: now)
                }
                run.placement = .active
            case .due(let time):
                let latest = now &+ run.interval(task, item: item.task)
                waitUntil(
                    latest < now ? time : min(time, latest), item: item.task, of: task, in: &run,
                    slot: slot)
            case .open, .closing, .final: break
            }
        }
    }

    // MARK: What the owner says

    mutating func releaseItems(_ task: Int, in run: inout LiveRun, slot: Int) {
        run.arrays[task]?.forgetLosses()
        enqueueItems(&run, task, slot: slot)
    }

    mutating func hurryItems(_ task: Int, in run: inout LiveRun, slot: Int) {
        run.waitingForTime -= Int32(run.arrays[task]?.wake(at: .max) ?? 0)
        enqueueItems(&run, task, slot: slot)
    }

    /// Cancels one item.
    mutating func cancelItem(_ ref: TaskRef) {
        guard let slot = index[ref.run], var run = slots[slot].run, let item = ref.item,
            let task = ref.task.flatMap({ run.place(of: $0) }), !run.tasks[task].isFinal,
            let items = run.arrays[task], items.states[item] == .open, items.ranges.contains(item)
        else { return }
        slots[slot].run = nil
        let own = items.begun[item]
        if own?.standing == .running {
            cancelRunning(item, of: task, in: &run)
        } else {
            if case .due = own?.standing { run.waitingForTime -= 1 }
            actions.append(.taskEnded(ref, .cancelled, nil, because: nil))
            run.arrays[task]?.conclude(item, .cancelled, nil)
            if run.tasks[task].standing == .ready { settleItems(task, in: &run, slot: slot) }
        }
        settle(run, slot: slot)
    }

    /// Cancels all items of an array. Those that have not begun have no end of their own: that of the
    /// array is theirs.
    mutating func cancelItems(_ task: Int, in run: inout LiveRun, slot: Int) {
        for (item, _) in run.arrays[task]?.attempts ?? [] {
            cancelRunning(item, of: task, in: &run)
        }
        for item in run.arrays[task]?.begun.keys.sorted() ?? []
        where run.arrays[task]?.begun[item]?.standing != .running {
            actions.append(.taskEnded(run.ref(task, item: item), .cancelled, nil, because: nil))
        }
        run.waitingForTime -= Int32(run.arrays[task]?.cancelRest() ?? 0)
        settleItems(task, in: &run, slot: slot)
    }

    private mutating func cancelRunning(_ item: Int, of task: Int, in run: inout LiveRun) {
        run.arrays[task]?.change(item) { $0.isCancelled = true }
        let attempt = run.arrays[task]?.begun[item]?.attempt ?? 1
        actions.append(.kill(run.ref(task, item: item), attempt: attempt))
    }

    mutating func killItems(in run: LiveRun) {
        for (task, items) in run.arrays.sorted(by: { $0.key < $1.key }) {
            for (item, attempt) in items.attempts {
                actions.append(.kill(run.ref(task, item: item), attempt: attempt))
            }
        }
    }

    /// Attempts of items whose run is forgotten.
    mutating func orphanItems(of run: LiveRun) {
        for (task, items) in run.arrays.sorted(by: { $0.key < $1.key }) {
            for (item, attempt) in items.attempts {
                let ref = run.ref(task, item: item)
                orphans[ref] = run.tasks[task].input
                actions.append(.kill(ref, attempt: attempt))
            }
        }
    }
}
