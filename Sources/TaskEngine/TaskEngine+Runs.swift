// SPDX-License-Identifier: Apache-2.0
import HeapModule
import TaskModel

/// Runs come and go.
extension TaskEngine {
    mutating func accept(_ input: RunInput, at now: Int64) {
        guard index[input.id] == nil else { return }
        let slot = free.popLast() ?? slots.count
        if slot == slots.count { slots.append(Slot()) }
        index[input.id] = slot
        var run = LiveRun(input, sharing: &inputs)
        run.isHeld = input.isHeld
        run.isBarred = input.isBarred
        restoreChildren(input, in: &run)
        var settled: [Int] = []
        for past in input.progress { restore(past, in: &run, slot: slot, at: now, &settled) }
        for past in input.items { restoreItems(past, in: &run, slot: slot, at: now) }
        if run.isHeld {
            run.placement = .hold
            killAll(in: run)
        }
        resolveEdges(of: settled, in: &run, slot: slot)
        let first = run.tasks.indices.filter {
            run.tasks[$0].standing == .blocked && run.tasks[$0].waitingFor == 0
        }
        resolveEdges(of: first.filter { makeReady(&run, $0, slot: slot) }, in: &run, slot: slot)
        settle(run, slot: slot)
        greet(input.id, input.kin)
    }

    mutating func restore(
        _ past: RunInput.Progress, in run: inout LiveRun, slot: Int, at now: Int64,
        _ settled: inout [Int]
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
            if Self.isSuspect(losses: past.losses), probation == nil {
                beginProbation(of: run.ref(task), at: now)
            }
            run.placement = .active
        case .due(let time):
            // The interval from now on: a later time was read from a clock that has been set back since.
            let latest = now &+ run.interval(task)
            waitUntil(latest < now ? time : min(time, latest), task, in: &run, slot: slot)
        case .closing(let state, let reason):
            run.tasks[task].standing = .closing
            run.closing += 1
            run.hasFamilies = true
            run.placement = .active
            families[run.ref(task), default: Family()].closing = .init(state, reason)
            familySteps.append(.decide(run.ref(task)))
        case .open:
            break
        }
    }

    private mutating func restoreChildren(_ input: RunInput, in run: inout LiveRun) {
        for (number, children) in input.children where run.place(of: number) != nil {
            run.hasFamilies = true
            let parent = TaskRef(run: run.id, task: number)
            for child in children { families[parent, default: Family()].set(child) }
        }
    }

    mutating func forget(_ id: TaskID) {
        guard let slot = index[id], var run = slots[slot].run else { return }
        for task in run.tasks.indices where run.tasks[task].standing == .running {
            let ref = run.ref(task)
            if run.tasks[task].sleep == .awake {
                orphans[ref] = run.tasks[task].input
            } else {
                riseFromSleep(task, in: &run)
            }
            actions.append(.kill(ref, attempt: run.tasks[task].attempt))
        }
        orphanItems(of: run)
        leave(run, .cancelled, nil)
        remove(id, slot: slot)
    }

    mutating func remove(_ id: TaskID, slot: Int) {
        index[id] = nil
        rest(slot, false)
        slots[slot].run = nil
        slots[slot].stamp &+= 1
        free.append(slot)
        if index.isEmpty, slots.count >= 1000 { releaseStorage() }
    }

    /// After a burst the engine is as small as before: nothing refers to a place any more.
    mutating func releaseStorage() {
        slots = []
        free = []
        index = [:]
        inputs = SharedInputs()
        ready = Heap()
        due = Heap()
        suspects = []
        semaphores = semaphores.filter { $0.value.holders > 0 }
        // Who holds them is an orphan; who waits for them is gone, its place may be another's.
        for name in semaphores.keys { semaphores[name]?.waiting = Heap() }
        freed = []
    }

    /// Puts a run back after a change: ends it when nothing is open, or says where it belongs.
    mutating func settle(_ run: LiveRun, slot: Int) {
        var run = run
        if run.open == 0, run.running == 0 {
            rest(&run, false)
            let result = run.result
            actions.append(
                .runEnded(run.id, result.state, result.reason, because: result.because))
            leave(run, result.state, result.reason)
            remove(run.id, slot: slot)
            return
        }
        place(&run, slot: slot)
        slots[slot].run = run
    }

    mutating func place(_ run: inout LiveRun, slot: Int) {
        let wanted: Placement
        let waitsForTime = run.running == 0 && run.waitingForTime > 0 && !run.hasStartable
        rest(&run, run.isHeld || waitsForTime || run.rests)
        if run.isHeld {
            wanted = .hold
        } else if run.running > 0 || run.closing > 0 {
            wanted = .active
        } else if waitsForTime {
            wanted = deferredPlacement(of: &run)
        } else {
            return
        }
        if wanted == run.placement { return }
        run.placement = wanted
        actions.append(.place(run.id, wanted))
    }

    mutating func rest(_ run: inout LiveRun, _ isResting: Bool) {
        if run.isResting == isResting { return }
        run.isResting = isResting
        resting += isResting ? 1 : -1
    }

    /// The same for a run in its slot.
    mutating func rest(_ slot: Int, _ isResting: Bool) {
        guard slots[slot].run?.isResting == !isResting else { return }
        slots[slot].run?.isResting = isResting
        resting += isResting ? 1 : -1
    }

    func deferredPlacement(of run: inout LiveRun) -> Placement {
        var until = Int64.max
        for task in run.arrays.keys { until = min(until, run.arrays[task]?.nextDue() ?? .max) }
        for task in run.tasks {
            if case .due(let time) = task.standing { until = min(until, time) }
        }
        let attempt = run.tasks.count == 1 && run.arrays.isEmpty ? run.tasks[0].attempt + 1 : 1
        return .deferred(until: until, attempt: attempt)
    }
}
