// SPDX-License-Identifier: Apache-2.0
import DequeModule
import Linux
import TaskEngine
import TaskModel

/// Attempts that sleep (`.wait`): each keeps its processes and descriptors, and lends its slot. However
/// many there are, one more attempt must be able to start, or all of them wait for ever.
extension Executor {
    /// A slot for an attempt that begins.
    func vacantSlot() -> Slot {
        if let index = free.popLast() ?? spare.popLast() { return slots[index] }
        addSlot()
        return slots[slots.count - 1]
    }

    /// As many launchers as slots wait for work, and no more.
    func trim() {
        guard free.count > capacity, let last = free.max() else { return }
        free.removeAll { $0 == last }
        spare.append(last)
        jails.retire(slot: last)
    }

    // An attempt in a jail has some sixteen.
    private static let descriptorsEach = 20

    /// Whether so much is left that all slots can be used beside one more that sleeps.
    var canSpareOne: Bool {
        OpenFiles.hasRoom(for: 64 + (capacity + 1) * Self.descriptorsEach)
    }

    /// Its slot is another's.
    func fellAsleep(_ attempt: Attempt) {
        share.ended(attempt.job.owner.account, at: Clock.boot())
    }

    /// It goes on before any job begins.
    func wantsToGoOn(_ attempt: Attempt) { waking.append(attempt) }

    func wakeSleepers(_ now: Int64) {
        while share.hasRoom, let attempt = waking.popFirst() {
            share.started(attempt.job.owner.account, at: now)
            attend(attempt.slot)
            attempt.goOn()
        }
    }

    // MARK: Nothing can start

    /// How long nothing may start before it is said, and one that sleeps has to go; microseconds.
    private static let patience: Int64 = 5_000_000

    /// An attempt began.
    func hasStarted() {
        refusedSince = nil
        saidRefused = false
    }

    /// The machine has no process or descriptor for a start, which is tried again.
    func wasRefused(_ why: String, _ now: Int64) {
        let since = refusedSince ?? now
        refusedSince = since
        if now - since < Self.patience { return }
        if !saidRefused {
            Message.warning("unable to start a task for 5 s: \(why), what is ready waits")
            saidRefused = true
        }
        endSleeper(why)
        refusedSince = now
    }

    // Where all that runs sleeps they would wait for ever for what can't start: the one that slept last has
    // to go.
    private func endSleeper(_ why: String) {
        if attended.contains(where: { $0.attempt.map { $0.sleep == nil } ?? false }) { return }
        let sleepers = slots.compactMap(\.attempt).filter { $0.sleep != nil }
        let candidates = sleepers.filter { $0.stopped == nil && $0.sleep?.isWoken == false }
        guard let last = candidates.max(by: { $0.asleepSince < $1.asleepSince }) else { return }
        let what =
            "nothing could start beside \(sleepers.count) tasks that wait for subtasks (\(why)): "
            + "let them end, and use [Then]"
        last.stop(.starved(what), grace: last.recipe.stopGrace)
    }
}
