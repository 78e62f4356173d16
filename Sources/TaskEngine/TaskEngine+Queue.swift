// SPDX-License-Identifier: Apache-2.0
import HeapModule
public import TaskModel

/// What waits for a slot.
extension TaskEngine {
    /// Slots that nothing has or waits for.
    public var idleSlots: Int { max(0, capacity - running - ready.count) }

    /// Something waits for a slot, a promise of memory or its run's turn.
    public var hasQueue: Bool { !ready.isEmpty }

    /// Runs of which nothing has begun and that wait for a slot alone, in the order of their turn, less the first
    /// of them. Subtasks are left out: their parents wait here. O(n log n) of the queue.
    ///
    /// - Parameter kept: how many are left out.
    public func waiting(behind kept: Int) -> [TaskID] {
        var first: [TaskID: ReadyEntry] = [:]
        for entry in ready.unordered where isUntouched(entry) {
            first[entry.id] = first[entry.id].map { min($0, entry) } ?? entry
        }
        guard first.count > kept else { return [] }
        return first.values.sorted().dropFirst(kept).map(\.id)
    }

    private func isUntouched(_ entry: ReadyEntry) -> Bool {
        guard slots[entry.slot].stamp == entry.stamp, let run = slots[entry.slot].run,
            run.placement == .ready, !run.isHeld, !run.isBarred, run.kin == nil,
            !run.hasFamilies, run.tasks[entry.task].standing == .ready
        else { return false }
        let isNew = run.tasks.allSatisfy { task in
            task.attempt == 0 && (task.standing == .ready || task.standing == .blocked)
        }
        return isNew && run.arrays.values.allSatisfy { $0.isUntouched }
    }
}
