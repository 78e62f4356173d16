// SPDX-License-Identifier: Apache-2.0
import HeapModule
public import TaskModel

/// Tasks whose process sleeps until subtasks have ended (`.wait`, task-jail(7)). Such an attempt runs for
/// all but its slot and its semaphore: these it has given back, and goes on once both are its own again.
extension TaskEngine {
    /// Whether the task's attempt sleeps, or waits for its slot.
    public func isAsleep(_ ref: TaskRef) -> Bool {
        guard let (slot, task) = openTask(ref) else { return false }
        return slots[slot].run?.tasks[task].sleep != .awake
    }

    /// - Parameter awaited: the children that it waits for; nil: all that are open by now.
    mutating func sleep(_ ref: TaskRef, _ attempt: Int, on awaited: Set<TaskID>?) {
        guard ref.item == nil, let (slot, task) = runningTask(ref, attempt),
            var run = slots[slot].run, run.tasks[task].sleep != .woken
        else { return }
        let open = Set(families[ref]?.openChildren ?? [])
        let waitsFor = awaited?.intersection(open) ?? open
        if waitsFor.isEmpty, run.tasks[task].sleep == .awake {
            return actions.append(.wake(ref, attempt: attempt))
        }
        slots[slot].run = nil
        if run.tasks[task].sleep == .awake {
            run.tasks[task].sleep = .asleep
            run.asleep += 1
            asleep += 1
            running -= 1
            lend(run.tasks[task].input)
            endProbation(of: ref)
        }
        families[ref]?.awaited = waitsFor
        if waitsFor.isEmpty { queueSleeper(&run, task, slot: slot) }
        settle(run, slot: slot)
    }

    /// The last child that it waits for may have ended.
    mutating func awaken(_ parent: TaskRef) {
        guard families[parent]?.awaited?.isEmpty ?? false, let (slot, task) = openTask(parent),
            var run = slots[slot].run, run.tasks[task].sleep == .asleep
        else { return }
        slots[slot].run = nil
        queueSleeper(&run, task, slot: slot)
        settle(run, slot: slot)
    }

    private mutating func queueSleeper(_ run: inout LiveRun, _ task: Int, slot: Int) {
        run.tasks[task].sleep = .woken
        families[run.ref(task)]?.awaited = nil
        if !run.isHeld { enqueue(run, task, slot: slot) }
    }

    /// Whether one that is first in the queue may go on: what it has promised away it has kept.
    mutating func readmit(_ entry: ReadyEntry, _ input: TaskInput) -> Admission {
        if running >= capacity { return .blocked }
        guard let semaphore = input.semaphore, !hasRoom(semaphore) else { return .starts }
        ready.removeMin()
        wait(for: semaphore, entry)
        return .waits
    }

    /// It has a slot.
    mutating func goOn(_ entry: ReadyEntry) {
        guard var run = slots[entry.slot].run else { return }
        slots[entry.slot].run = nil
        riseFromSleep(entry.task, in: &run)
        running += 1
        promise(run.tasks[entry.task].input)
        actions.append(
            .wake(run.ref(entry.task), attempt: run.tasks[entry.task].attempt))
        settle(run, slot: entry.slot)
    }

    /// It does not sleep any more: it goes on, or has ended.
    mutating func riseFromSleep(_ task: Int, in run: inout LiveRun) {
        run.tasks[task].sleep = .awake
        run.asleep -= 1
        asleep -= 1
        families[run.ref(task)]?.awaited = nil
        keptAsleep -= kept(run.tasks[task].input)
    }

    private mutating func lend(_ input: TaskInput) {
        give(input)
        keptAsleep += kept(input)
    }

    private func kept(_ input: TaskInput) -> Int64 {
        input.memory > 0 ? min(input.memory, memory) : 0
    }
}
