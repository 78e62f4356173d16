// SPDX-License-Identifier: Apache-2.0
import TaskModel

/// What the owner says: hold, release, hurry, cancel.
extension TaskEngine {
    mutating func hold(_ id: TaskID) {
        guard let slot = index[id], var run = slots[slot].run, !run.isHeld else { return }
        slots[slot].run = nil
        run.isHeld = true
        killAll(in: run)
        settle(run, slot: slot)
    }

    mutating func release(_ id: TaskID) {
        guard let slot = index[id], var run = slots[slot].run, run.isHeld else { return }
        slots[slot].run = nil
        run.isHeld = false
        for task in run.tasks.indices where run.tasks[task].standing == .ready {
            if run.isArray(task) {
                releaseItems(task, in: &run, slot: slot)
                continue
            }
            run.tasks[task].losses = 0
            enqueue(run, task, slot: slot)
        }
        run.placement = run.running > 0 || run.closing > 0 ? .active : .ready
        actions.append(.place(id, run.placement))
        settle(run, slot: slot)
    }

    // Its entries leave the queue when their turn comes.
    mutating func bar(_ id: TaskID) {
        guard let slot = index[id] else { return }
        slots[slot].run?.isBarred = true
    }

    mutating func unbar(_ id: TaskID) {
        guard let slot = index[id], var run = slots[slot].run, run.isBarred else { return }
        slots[slot].run = nil
        run.isBarred = false
        defer { slots[slot].run = run }
        if run.isHeld { return }
        for task in run.tasks.indices where run.tasks[task].standing == .ready {
            if run.isArray(task) {
                enqueueItems(&run, task, slot: slot)
            } else {
                // It may stand there still: of two entries of one task the later says nothing.
                enqueue(run, task, slot: slot)
            }
        }
    }

    mutating func hurry(_ id: TaskID) {
        guard let slot = index[id], var run = slots[slot].run else { return }
        slots[slot].run = nil
        for task in run.arrays.keys.sorted() { hurryItems(task, in: &run, slot: slot) }
        for task in run.tasks.indices {
            guard case .due = run.tasks[task].standing else { continue }
            run.waitingForTime -= 1
            _ = makeReady(&run, task, slot: slot)
        }
        if run.running == 0, !run.isHeld { run.placement = .ready }
        settle(run, slot: slot)
    }

    mutating func cancel(_ ref: TaskRef) {
        guard let slot = index[ref.run], var run = slots[slot].run else { return }
        slots[slot].run = nil
        let one = ref.task.map { run.place(of: $0) }
        let chosen = one.map { $0.map { $0..<($0 + 1) } ?? 0..<0 } ?? run.tasks.indices
        for task in chosen {
            let ref = run.ref(task)
            if run.isArray(task), run.tasks[task].standing == .ready {
                cancelItems(task, in: &run, slot: slot)
                continue
            }
            switch run.tasks[task].standing {
            case .final: break
            case .closing:
                run.tasks[task].isCancelled = true
                doom(task, in: run)
            case .running:
                run.tasks[task].isCancelled = true
                doom(task, in: run)
                actions.append(.kill(ref, attempt: run.tasks[task].attempt))
            case .blocked, .ready, .due:
                cancelUnstarted(task, in: &run, slot: slot)
            }
        }
        settle(run, slot: slot)
    }

    /// Nothing of the task runs but what it has dropped.
    mutating func cancelUnstarted(_ task: Int, in run: inout LiveRun, slot: Int) {
        run.tasks[task].isCancelled = true
        if close(task, .cancelled, nil, in: &run) { return }
        actions.append(.taskEnded(run.ref(task), .cancelled, nil, because: nil))
        conclude(task, .cancelled, nil, in: &run, slot: slot)
    }

    mutating func killAll(in run: LiveRun) {
        killItems(in: run)
        for task in run.tasks.indices where run.tasks[task].standing == .running {
            let ref = run.ref(task)
            actions.append(.kill(ref, attempt: run.tasks[task].attempt))
        }
    }
}
