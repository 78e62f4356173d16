// SPDX-License-Identifier: Apache-2.0
import Linux
import TaskModel

/// The subtasks that an attempt's task drops: while it runs, and what is left when nothing of it is alive,
/// before its end is told.
extension Attempt {
    // Most tasks are gone by the latest: their init says whether something is left. Where one had dropped
    // something by the first look, others are likely to: they are looked at sooner, until one has not.
    static let latestLook: Int64 = 20_000
    private static let soonestLook: Int64 = 1_000
    // From one look to the next.
    private static let pause: Int64 = 2_000
    // Where it can't be watched.
    private static let poll: Int64 = 200_000
    /// Bytes of an attempt's drops that taskd has not acknowledged: more are not taken from the directory.
    private static let mostInFlight = 64 * 1024

    func sessionSubmits(_ directory: OpenFile) {
        submit = SubmitDirectory(directory)
        submitAt = Clock.boot()
    }

    /// Its processes run, or are about to.
    func awaitDrops() {
        if recipe.hasSubmit, recipe.isJailed { submitAt = Clock.boot() + executor.firstLook }
    }

    /// Something was dropped.
    func hasNewDrops() {
        submit?.isStale = true
        submitAt = min(submitAt, Clock.boot() + Self.pause)
    }

    /// taskd has acknowledged some.
    func canTakeDrops() {
        if submit != nil { submitAt = min(submitAt, Clock.boot()) }
    }

    /// A file of a subtask for the task to read. What there is no room for is told, and lost.
    func put(_ file: String, _ bytes: [UInt8]) {
        guard let submit else { return }
        do {
            try submit.put(file, bytes)
        } catch {
            noteRefused(file, "unable to write it for the task: \(error)")
        }
    }

    func lookForDrops() {
        if isCollecting { return collect() }
        _ = takeDrops(isLast: false)
    }

    /// The end, once all is taken.
    func collect() {
        if !isCollecting { submit?.restart() }
        isCollecting = true
        deadline = .max
        // The subtasks of what is cancelled are too.
        if !(stopped?.isCancelled ?? false), !takeDrops(isLast: true) { return }
        if result?.state == .success, stopped == nil { left = submit?.result() }
        closeSubmit()
        finish()
    }

    func closeSubmit() {
        if let watch = submit?.watch { executor.submitWatch?.remove(watch) }
        submit = nil
        submitAt = .max
    }

    /// - Returns: whether all that was there is taken.
    private func takeDrops(isLast: Bool) -> Bool {
        submitAt = .max
        guard let submit else {
            if !isLast { session?.askForDrops() }
            return true
        }
        let room = Self.mostInFlight - job.owner.unacknowledged(job)
        if room <= 0 { return false }  // its acknowledgement comes here again
        if !isLast, submit.watch == nil {
            submit.watch = executor.submitWatch?.add(submit.directory, self)
        }
        submit.beginPass()
        let before = submit.taken
        let hasFoundAll = submit.take(room: room, isLast: isLast, report)
        if !isLast, isFirstLook { learn(hasFound: submit.taken > before || submit.hasWait) }
        if !isLast { lookForWait() }
        if hasFoundAll {
            if !isLast, submit.watch == nil { submitAt = Clock.boot() + Self.poll }
            return true
        }
        submitAt = Clock.boot() + (isLast || submit.isWithin ? 0 : Self.pause)
        return false
    }

    private func learn(hasFound: Bool) {
        isFirstLook = false
        executor.firstLook =
            hasFound ? Self.soonestLook : min(Self.latestLook, 2 * executor.firstLook)
    }

    private func report(_ found: SubmitDirectory.Found) -> Int {
        switch found {
        case .drop(let name, _) where job.ref.item != nil:
            return refuseItem(name)
        case .drop(let name, let text):
            var line = LineBuilder("note", job.ref, attempt: job.attempt)
            line.field("what", "submit")
            line.field("name", name)
            line.field("unit", raw: text)
            job.owner.submitted(job, line.bytes)
            return line.bytes.count
        case .refused(let name, let reason):
            noteRefused(name, reason)
            return 256
        }
    }

    // It is the array that has an end for others to wait for.
    private func refuseItem(_ name: String) -> Int {
        let reason = "an item of an array has no subtasks"
        put(name + ".reason", Array((reason + "\n").utf8))
        noteRefused(name, reason)
        refused = refused ?? "\(reason), and it dropped \(name)"
        return 256
    }

    private func noteRefused(_ name: String, _ reason: String) {
        var line = LineBuilder("note", job.ref, attempt: job.attempt)
        line.field("what", "submit.refused")
        line.field("name", name)
        line.field("text", reason)
        job.owner.report(line.bytes)
    }
}
