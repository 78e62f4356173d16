// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskJournal
import TaskModel

/// An attempt while taskrun becomes another program.
extension Attempt {
    /// Adds what the next program needs; the descriptors that must stay open. nil while its first
    /// step is being started, or it ends: that takes a moment.
    func handOver(_ record: inout HandoverTable.Record) -> [Int32]? {
        guard hasStarted, result == nil, !isKilled, let session,
            let open = session.handOver(&record)
        else { return nil }
        record.add("slot", slot.index)
        record.add("step", step)
        record.add("began", began)
        record.add("cpu", cpu)
        record.add("memory", memory)
        record.add("kept", kept)
        record.add("dropped", dropped)
        record.add("output", mayHaveOutput ? 1 : 0)
        record.add("deadline", deadline)
        for place in logPlaces { record.add("place", place.text) }
        handOverSleep(&record)
        switch stopped {
        case .timeout(let span): record.add("timeout", span)
        case .output: record.add("stopped", "output")
        case .starved(let what): record.add("starved", what)
        case .cancelled: record.add("stopped", "cancelled")
        case nil: break
        }
        let pipes = [slot.out.reading, slot.out.writing, slot.err.reading, slot.err.writing]
        for pipe in pipes { record.add("pipe", pipe) }
        guard let submit = submit?.directory.number else { return open + pipes }
        record.add("submit", submit)
        return open + pipes + [submit]
    }

    /// Goes on with an attempt that an earlier program began; where that can't be, its end says so.
    static func resume(_ record: HandoverTable.Record, _ job: Job, _ executor: Executor) {
        let pipes = record.texts("pipe").compactMap { Int32($0) }
        guard let index: Int = record.number("slot"), executor.hasSlot(index),
            pipes.count == 4, executor.slots[index].attempt == nil
        else { return executor.submit(job) }
        let slot = executor.slots[index]
        let attempt = Attempt(
            job, slot: slot, executor: executor, began: record.number("began") ?? Clock.boot())
        executor.adopt(attempt)
        do throws(Errno) {
            try slot.resume(
                out: (pipes[0], pipes[1]), err: (pipes[2], pipes[3]), in: executor.loop)
        } catch {
            Message.error("unable to watch the output of \(job.ref): \(error), it is lost")
        }
        attempt.restore(record)
        attempt.resumeSession(record)
    }

    private func restore(_ record: HandoverTable.Record) {
        hasStarted = true
        step = record.number("step") ?? 0
        cpu = record.number("cpu") ?? 0
        memory = record.number("memory") ?? 0
        kept = record.number("kept") ?? 0
        dropped = record.number("dropped") ?? 0
        mayHaveOutput = record.flag("output")
        deadline = record.number("deadline") ?? .max
        logPlaces = record.texts("place").compactMap { LogPlace($0) }
        if let directory: Int32 = record.number("submit") {
            sessionSubmits(OpenFile(Descriptor(owning: directory)))
        } else {
            awaitDrops()
        }
        if let span: Int64 = record.number("timeout") { stopped = .timeout(span) }
        if let what = record.text("starved") { stopped = .starved(what) }
        switch record.text("stopped") {
        case "output": stopped = .output
        case "cancelled": stopped = .cancelled
        default: break
        }
        restoreSleep(record)
    }

    private func resumeSession(_ record: HandoverTable.Record) {
        if record.text("jail") == "yes" {
            session = JailedSession(
                resuming: record, job, slot: slot, loop: executor.loop, house: executor.jails,
                delegate: self)
        } else {
            session = try? DirectSession(
                job, slot: slot, loop: executor.loop, house: executor.jails, delegate: self,
                resuming: record)
        }
        if session != nil { return }
        // Nothing is known of its processes any more but init's number, and that init is ours.
        if let pid: Int32 = record.number("pid") { Child.killUnreaped(pid) }
        finish(
            AttemptResult(
                state: .failure, reason: .jail, exit: 202,
                what: "taskrun was replaced and could not go on with it"))
    }
}
