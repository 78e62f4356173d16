// SPDX-License-Identifier: Apache-2.0
import Linux

/// What is looked at each turn: the attempts that run, and those that sleep while something of theirs is
/// due. A thousand that only sleep cost nothing.
extension Executor {
    /// Something of its attempt may become due.
    func attend(_ slot: Slot) {
        if slot.isAttended { return }
        slot.isAttended = true
        attended.append(slot)
    }

    /// When `tick` has something to do: CLOCK_BOOTTIME in microseconds.
    var nextDeadline: Int64? {
        var next = retryAt
        for slot in attended { if let attempt = slot.attempt { next = min(next, attempt.wakeAt) } }
        return next == .max ? nil : next
    }

    /// Ends what has run too long.
    func tick() {
        guard let next = nextDeadline, next <= Clock.boot() else { return }
        let now = Clock.boot()
        // What one does may bring another in, or end one.
        for slot in attended {
            if let attempt = slot.attempt, attempt.wakeAt <= now { attempt.wake(now) }
        }
    }

    /// Reads what tasks write where their sink takes it, and forgets slots with nothing to look at. Call
    /// it once a turn.
    func balanceReading() {
        attended.removeAll { slot in
            slot.setReading(!(slot.attempt?.job.owner.sink.isFull ?? false), in: loop)
            if let attempt = slot.attempt {
                guard attempt.sleep != nil, attempt.wakeAt == .max, slot.isReading else {
                    return false
                }
            }
            slot.isAttended = false
            return true
        }
    }
}
