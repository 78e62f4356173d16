// SPDX-License-Identifier: Apache-2.0
import Linux
import TaskModel

/// An attempt whose task waits for subtasks (`.wait`): it keeps its processes and its memory, but neither
/// slot nor time. Once taskd says so, and a slot is free, `.wait` goes.
extension Attempt {
    struct Sleep {
        /// What is told of it.
        var line: [UInt8]
        /// Since when, in CLOCK_BOOTTIME.
        var since: Int64
        /// What was left of MaxTime=, microseconds; nil for infinity.
        var left: Int64?
        /// taskd has said that it may go on; it waits for a slot.
        var isWoken = false
        /// Why it can't wait.
        var reason: String?
    }

    /// Since when it sleeps, in CLOCK_BOOTTIME; 0 while it is awake.
    var asleepSince: Int64 { sleep?.since ?? 0 }

    /// All that was dropped before `.wait` is told.
    func lookForWait() {
        guard sleep == nil, stopped == nil, let submit, submit.hasWait, !submit.isWithin else {
            return
        }
        do throws(SubmitDirectory.Refusal) {
            let names = try submit.awaited()
            guard executor.canSpareOne else { return submit.answerWait(Self.noRoom) }
            fallAsleep(for: names)
        } catch {
            submit.answerWait(error.sentence)
        }
    }

    private static let noRoom =
        "so many tasks wait for subtasks that taskrun has no file descriptors left for one more "
        + "(LimitNOFILE= of its service, ulimit -Hn): let it end, and use [Then]"

    private func fallAsleep(for names: [String]) {
        var line = LineBuilder("wait", job.ref, attempt: job.attempt)
        line.field("name", job.name)
        if !names.isEmpty { line.field("for", names.joined(separator: ",")) }
        let now = Clock.boot()
        sleep = Sleep(
            line: line.bytes, since: now, left: deadline == .max ? nil : max(0, deadline - now))
        deadline = .max
        job.owner.sleeps(job, line.bytes)
        executor.fellAsleep(self)
    }

    /// It may go on as soon as there is a slot.
    func wakeUp(_ reason: String?) {
        guard sleep != nil, sleep?.isWoken == false else { return }
        sleep?.isWoken = true
        sleep?.reason = reason
        job.owner.woke(job)
        executor.wantsToGoOn(self)
    }

    /// It has a slot.
    func goOn() {
        guard let own = sleep else { return }
        sleep = nil
        let now = Clock.boot()
        slept += now - own.since
        if stopped == nil, let left = own.left { deadline = now + left }
        submit?.answerWait(own.reason)
        hasNewDrops()
    }

    // MARK: Another program goes on

    func handOverSleep(_ record: inout HandoverTable.Record) {
        record.add("slept", slept)
        guard let sleep else { return }
        record.add("sleep", sleep.line)
        record.add("since", sleep.since)
        if let left = sleep.left { record.add("left", left) }
        if sleep.isWoken { record.add("woken", "yes") }
        if let reason = sleep.reason { record.add("refused", reason) }
    }

    func restoreSleep(_ record: HandoverTable.Record) {
        slept = record.number("slept") ?? 0
        guard let line = record.bytes("sleep") else { return }
        var own = Sleep(line: line, since: record.number("since") ?? began)
        own.left = record.number("left")
        own.isWoken = record.text("woken") == "yes"
        own.reason = record.text("refused")
        sleep = own
        executor.fellAsleep(self)
        if own.isWoken { executor.wantsToGoOn(self) }
    }
}
