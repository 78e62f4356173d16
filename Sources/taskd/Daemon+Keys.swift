// SPDX-License-Identifier: Apache-2.0
import Linux
import TaskModel
import TaskSpool

/// `Key=`: the run of a key and a UTC day exists once, whatever becomes of it.
extension Daemon {
    /// What is known of a drop's key.
    enum Keyed {
        /// It has none.
        case none
        /// The first of its day: the run's id.
        case first(TaskID)
        /// That run was accepted before.
        case again(TaskID, isSame: Bool)
        /// No further key is remembered.
        case tooMany
    }

    /// Keys of today and yesterday; each takes some 50 bytes of the checkpoint, and of memory.
    private static let mostKeys = 200_000

    /// - Parameter id: the drop's own, which says the day.
    func keyed(_ compiled: Compiled, _ id: TaskID) -> Keyed {
        guard case .plan(let plan, let encoded) = compiled, let key = plan.key else { return .none }
        let run = TaskID(key: key, milliseconds: id.milliseconds)
        guard let known = keys[run] else {
            if keys.count >= Self.mostKeys { forgetKeys() }
            return keys.count < Self.mostKeys ? .first(run) : .tooMany
        }
        let digest = Plan.digest(ofEncoded: encoded) ?? ""
        return .again(run, isSame: known == JournalFold.prefix(ofDigest: digest))
    }

    /// A drop that was taken is another of a key: it is that run, or is refused.
    func endKeyed(_ taken: TakenName, _ run: TaskID, isSame: Bool) {
        if isSame {
            let sequence = record(.note, run.description, [.init("what", "dup")])
            return after(sequence, .removeTaken(taken))
        }
        reject(
            taken,
            "\(taken.name): its Key= stands for the run \(run) of that day, which has another plan: take "
                + "another key")
    }

    func refuseKeyed(_ taken: TakenName) {
        reject(
            taken,
            "\(taken.name): of today and yesterday \(Self.mostKeys) runs with Key= are remembered, and no more: "
                + "drop it tomorrow, or without Key=")
    }

    /// It is accepted.
    func noteKey(_ plan: Plan, _ id: TaskID, digest: String) {
        if plan.key == nil { return }
        forgetKeys()
        keys[id] = JournalFold.prefix(ofDigest: digest)
    }

    /// Those of the day before yesterday and earlier.
    func forgetKeys() {
        let today = UInt64(max(0, Clock.real()) / 1000) / TaskID.day
        if today == keysDay { return }
        keysDay = today
        keys = keys.filter { $0.key.milliseconds / TaskID.day + 1 >= today }
    }
}
