// SPDX-License-Identifier: Apache-2.0
import HeapModule
import TaskModel

/// Tasks start.
extension TaskEngine {
    /// Queues a task. A group has nothing to run: it succeeds here, what does not run this time fails, and
    /// the caller settles its edges.
    ///
    /// - Returns: whether the task is final now.
    mutating func makeReady(_ run: inout LiveRun, _ task: Int, slot: Int) -> Bool {
        if run.isArray(task) { return makeItemsReady(&run, task, slot: slot) }
        let input = run.tasks[task].input
        if input.isRest || input.isGroup {
            let result: (TaskState, FailureReason?) =
                input.isRest ? (.failure, .dependency) : (.success, nil)
            actions.append(.taskEnded(run.ref(task), result.0, result.1, because: nil))
            decide(task, result.0, result.1, in: &run)
            return true
        }
        run.tasks[task].standing = .ready
        if !run.isHeld { enqueue(run, task, slot: slot) }
        return false
    }

    mutating func enqueue(_ run: LiveRun, _ task: Int, slot: Int) {
        ready.insert(
            ReadyEntry(
                priority: run.tasks[task].input.priority, id: run.id, task: task, slot: slot,
                stamp: slots[slot].stamp, depth: UInt32(clamping: run.kin?.depth ?? 0),
                hasSlept: run.tasks[task].sleep == .woken))
    }

    mutating func waitUntil(
        _ time: Int64, _ task: Int, in run: inout LiveRun, slot: Int
    ) {
        run.tasks[task].standing = .due(time)
        run.waitingForTime += 1
        due.insert(DueEntry(due: time, slot: slot, stamp: slots[slot].stamp, task: task))
    }

    mutating func fill(at now: Int64) {
        while running < capacity + (capacity > 0 ? lookAhead : 0) {
            wakeFreed()
            guard let entry = ready.min else { return }
            if slots[entry.slot].stamp == entry.stamp, isArray(entry.slot, entry.task) {
                if fillItem(entry, at: now) { continue }
                return
            }
            guard slots[entry.slot].stamp == entry.stamp, let run = slots[entry.slot].run,
                run.tasks[entry.task].mayStart, !run.isHeld,
                !run.isBarred || run.tasks[entry.task].sleep == .woken
            else {
                ready.removeMin()
                freeContended()
                continue
            }
            let task = run.tasks[entry.task]
            let isSleeper = task.sleep == .woken
            let admission =
                isSleeper
                ? readmit(entry, task.input) : admit(entry, task.input, losses: task.losses)
            switch admission {
            case .blocked: return
            case .waits: continue
            case .starts: break
            }
            ready.removeMin()
            if isSleeper {
                goOn(entry)
                continue
            }
            if Self.isSuspect(losses: task.losses) {
                beginProbation(of: run.ref(entry.task), at: now)
            }
            start(entry)
        }
    }

    enum Admission {
        case starts
        /// It has left the queue for one of those that wait for something else.
        case waits
        /// Nothing starts before it.
        case blocked
    }

    /// Whether what is first in the queue may start. Its run is in its slot.
    mutating func admit(_ entry: ReadyEntry, _ input: TaskInput, losses: Int) -> Admission {
        let isSuspect = Self.isSuspect(losses: losses)
        if isSuspect, sitsOut(entry) { return .waits }
        // Neither waits in the pool for a slot: what is promised, and who is tried, runs.
        if isSuspect || input.memory > 0, running >= capacity { return .blocked }
        // Nor does a subtask where others sleep: those that come may be deeper.
        if entry.depth > 0, asleep > 0, running >= capacity { return .blocked }
        if input.memory > 0, !fits(input.memory) { return .blocked }
        guard let semaphore = input.semaphore, !hasRoom(semaphore) else { return .starts }
        ready.removeMin()
        wait(for: semaphore, entry)
        return .waits
    }

    /// A limit larger than the machine is cut to the machine: such a task runs alone. What those that
    /// sleep keep counts, but where nothing else runs: one of their subtasks always may.
    func fits(_ bytes: Int64) -> Bool {
        promised == 0 || promised + keptAsleep + min(bytes, memory) <= memory
    }

    mutating func start(_ entry: ReadyEntry) {
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

    mutating func adopt(_ ref: TaskRef, _ attempt: Int) {
        if ref.item != nil { return adoptItem(ref, attempt) }
        guard let number = ref.task, let slot = index[ref.run],
            var run = slots[slot].run, let task = run.place(of: number), !run.isArray(task),
            attempt > run.tasks[task].attempt
        else { return }
        switch run.tasks[task].standing {
        case .blocked, .ready: break
        case .due: run.waitingForTime -= 1
        case .running, .closing, .final: return
        }
        slots[slot].run = nil
        run.tasks[task].standing = .running  // its entries in the queues are stale by that
        run.tasks[task].attempt = attempt
        run.running += 1
        running += 1
        promise(run.tasks[task].input)
        if run.isHeld { actions.append(.kill(ref, attempt: attempt)) }
        place(&run, slot: slot)
        slots[slot].run = run
    }

    mutating func promise(_ input: TaskInput) {
        if input.memory > 0 { promised += min(input.memory, memory) }
        if let semaphore = input.semaphore { take(semaphore) }
    }

    mutating func give(_ input: TaskInput) {
        if input.memory > 0 { promised = max(0, promised - min(input.memory, memory)) }
        if let semaphore = input.semaphore { giveBack(semaphore) }
    }

    /// Whether the task that an entry of the queue is of has items.
    func isArray(_ slot: Int, _ task: Int) -> Bool { slots[slot].run?.isArray(task) ?? false }
}
