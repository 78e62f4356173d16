// SPDX-License-Identifier: Apache-2.0
import HeapModule
import TaskModel

/// `Semaphore=NAME:N`: an attempt starts only while fewer than its own N hold NAME. Who waits is woken
/// in the order of the queue, and as many as fit: an end costs O(log n), however many wait.
extension TaskEngine {
    struct Semaphore {
        var holders = 0
        var waiting = Heap<ReadyEntry>()
    }

    func hasRoom(_ wanted: TaskInput.Semaphore) -> Bool {
        semaphores[wanted.name, default: Semaphore()].holders < wanted.limit
    }

    mutating func take(_ wanted: TaskInput.Semaphore) {
        semaphores[wanted.name, default: Semaphore()].holders += 1
    }

    /// The entry has left the queue until a holder ends.
    mutating func wait(for wanted: TaskInput.Semaphore, _ entry: ReadyEntry) {
        semaphores[wanted.name, default: Semaphore()].waiting.insert(entry)
        // In a larger run others may go on, in an array those that run.
        guard let run = slots[entry.slot].run, run.tasks.count == 1, run.running == 0 else {
            return
        }
        rest(entry.slot, true)
    }

    mutating func giveBack(_ held: TaskInput.Semaphore) {
        guard var semaphore = semaphores[held.name] else { return }
        semaphore.holders -= 1
        if !semaphore.waiting.isEmpty { freed.insert(held.name) }
        let isIdle = semaphore.holders == 0 && semaphore.waiting.isEmpty
        semaphores[held.name] = isIdle ? nil : semaphore
    }

    /// What was woken left the queue without a start (it is parked, or has ended): another may have
    /// its place.
    mutating func freeContended() {
        for (name, semaphore) in semaphores where !semaphore.waiting.isEmpty { freed.insert(name) }
    }

    /// Puts back into the queue as many as there is room for. Those that are awake already are woken
    /// once more than needed at most: they wait again.
    mutating func wakeFreed() {
        if freed.isEmpty { return }
        for name in freed.sorted() { wake(name) }
        freed = []
    }

    private mutating func wake(_ name: String) {
        var taken = semaphores[name]?.holders ?? 0
        while let entry = semaphores[name]?.waiting.min {
            let run = slots[entry.slot].stamp == entry.stamp ? slots[entry.slot].run : nil
            let limit = run?.tasks[entry.task].input.semaphore?.limit
            if let limit, taken >= limit { break }
            semaphores[name]?.waiting.removeMin()
            guard let run else { continue }
            ready.insert(entry)
            rest(entry.slot, run.isHeld)
            if !run.isHeld, run.tasks[entry.task].mayStart { taken += 1 }
        }
        if let left = semaphores[name], left.holders == 0, left.waiting.isEmpty {
            semaphores[name] = nil
        }
    }
}
