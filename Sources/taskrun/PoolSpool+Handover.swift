// SPDX-License-Identifier: Apache-2.0
import DequeModule
import Linux
import SystemPackage
import TaskJail
import TaskModel

/// A spool while taskrun becomes another program: its own record, its kept events, its jobs as the
/// messages that they came in.
extension PoolSpool {
    /// Records of this spool, and the descriptors that must stay open; nil while an attempt is being
    /// built, or ends.
    func handOver(
        _ index: Int, _ name: String, to table: inout HandoverTable
    ) -> [Int32]? {
        var descriptors: [Int32] = []
        var record = HandoverTable.Record("spool")
        record.add("uid", owner.task.uid)
        record.add("gid", owner.task.gid)
        record.add("name", name)
        record.add("sequence", kept.sequence)
        record.add("full", saidFull ? 1 : 0)
        record.add("draining", isDraining ? 1 : 0)
        if let log = segments.handOver(&record) { descriptors.append(log) }
        if let connection {
            record.add("client", connection.number)
            record.add("sent", connection.sentEvent)
            descriptors.append(connection.number)
        }
        table.records.append(record)
        for event in kept.events { table.records.append(Self.record(event, index)) }
        for slot in executor.slots {
            guard let attempt = slot.attempt, attempt.job.owner === self else { continue }
            var record = Self.record(attempt.job, index, "running")
            guard let open = attempt.handOver(&record) else { return nil }
            descriptors += open
            table.records.append(record)
        }
        for job in executor.waiting(of: self) {
            table.records.append(Self.record(job, index, "queued"))
        }
        for job in waiting { table.records.append(Self.record(job, index, "early")) }
        return descriptors
    }

    private static func record(_ event: KeptEvents.Event, _ index: Int) -> HandoverTable.Record {
        var record = HandoverTable.Record("event")
        record.add("spool", index)
        record.add("sequence", event.sequence)
        record.add("line", event.line)
        func add(_ kind: String, _ key: AttemptKey) {
            record.add(kind, key.ref.description)
            record.add("attempt", key.attempt)
        }
        switch event.about {
        case .end(let key): add("end", key)
        case .submit(let key): add("submit", key)
        case .wait(let key): add("wait", key)
        case .other: break
        }
        return record
    }

    private static func record(_ job: Job, _ index: Int, _ state: String) -> HandoverTable.Record {
        var record = HandoverTable.Record("job")
        record.add("spool", index)
        record.add("state", state)
        let recipe = job.recipe
        func blobs(_ files: [JailFile]) -> [PoolJob.Blob] {
            files.map { .init(name: $0.path, sha256: $0.digest, bytes: $0.bytes[...]) }
        }
        var own = PoolJob(
            sequence: 0, ref: job.ref, attempt: job.attempt, name: job.name, item: job.item,
            fields: recipe.source[...], blobs: blobs(recipe.files))
        own.inputs = blobs(recipe.inputs)
        record.add("message", PoolMessage.run(own).bytes)
        return record
    }

    // MARK: Going on

    func resume(_ record: HandoverTable.Record, _ events: [HandoverTable.Record]) {
        segments.resume(record)
        saidFull = record.flag("full")
        isDraining = record.flag("draining")
        let resumed = events.map { event in
            func key(_ kind: String) -> AttemptKey? {
                event.text(kind).flatMap { TaskRef($0) }.map {
                    AttemptKey(ref: $0, attempt: event.number("attempt") ?? 1)
                }
            }
            return KeptEvents.Event(
                sequence: event.number("sequence") ?? 0, line: event.bytes("line") ?? [],
                about: key("end").map { .end($0) } ?? key("submit").map { .submit($0) }
                    ?? key("wait").map { .wait($0) } ?? .other)
        }
        change { $0.resume(resumed, sequence: record.number("sequence") ?? 0) }
    }

    /// A job that an earlier program had taken.
    func resume(job record: HandoverTable.Record, in loop: EventLoop) {
        var packet = (record.bytes("message") ?? [])[...]
        guard case .run(let job)? = (try? PoolMessage.next(from: &packet)) ?? nil,
            let recipe = try? recipes.take(for: job)
        else { return }
        live.insert(AttemptKey(ref: job.ref, attempt: job.attempt))
        owner.jobs += 1
        let made = Job(
            ref: job.ref, attempt: job.attempt, name: job.name, item: job.itemText,
            recipe: recipe, owner: self)
        switch record.text("state") {
        case "running": Attempt.resume(record, made, executor)
        case "queued": executor.submit(made)
        default: waiting.append(made)
        }
    }
}
