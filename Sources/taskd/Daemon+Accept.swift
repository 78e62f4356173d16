// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskEngine
import TaskJournal
import TaskModel
import TaskSpool

/// What a drop becomes: steps 2 to 4 of task-spool(7).
extension Daemon {
    /// A plan up to this many bytes travels in its accept record; a larger one is fsynced.
    static let longestCarriedPlan = 4096

    /// Steps 2 and 3: what was taken gets its plan into ready/, or is rejected.
    func enter(_ compiled: Compiled, _ taken: TakenName, _ identity: DropIdentity?) {
        switch compiled {
        case .bad(let text): reject(taken, text, identity)
        case .later(let error): acceptFailed(taken, error)
        case .definition(let name):
            let sequence = record(
                .arm, taken.id.description, [.init("name", taken.name), .init("unit", name)])
            after(sequence, .install(taken, as: name))
        case .plan(let plan, let encoded):
            do {
                try publish(plan, encoded, taken, identity)
            } catch {
                acceptFailed(taken, error)
            }
        }
    }

    private func publish(
        _ plan: Plan, _ encoded: [UInt8], _ taken: TakenName, _ identity: DropIdentity?
    ) throws(Errno) {
        let file = taken.id.description
        let isLarge = encoded.count > Self.longestCarriedPlan
        noteSize(encoded)
        try spool.write(encoded, to: file, .tmp, durable: isLarge)
        try spool.move(file, .tmp, to: file, .ready)
        if isLarge { try syncReady(file) }
        let sequence = recordAccept(
            taken.id, name: taken.name, plan, encoded, identity, isRecovered: false)
        after(sequence, .removeTaken(taken))
        noteLinks(taken)
        if !isLarge { noteUnsynced(taken.id) }
        enter(taken.id, plan, name: UnitName.of(taken.name), .ready, RunFileName(run: taken.id))
    }

    // Its content was copied; whoever has the other name still has the file.
    private func noteLinks(_ taken: TakenName) {
        guard let status = try? File.status(taken.text, at: spool.number(.tmp)), status.links > 1
        else { return }
        record(
            .note, taken.id.description,
            [.init("what", "links"), .init("links", String(status.links))])
    }

    /// Rule 5 for a plan that is in ready/: one that may not be there after a power failure is taken out
    /// again, or its drop would run a second time (models/spool.c, `undo`).
    func syncReady(_ file: String) throws(Errno) {
        do {
            try spool.sync(.ready)
        } catch {
            try spool.move(file, .ready, to: file, .tmp)
            throw error
        }
    }

    /// Journals an accept; its plan once a digest and segment.
    func recordAccept(
        _ id: TaskID, name: String, _ plan: Plan, _ encoded: [UInt8], _ identity: DropIdentity?,
        isRecovered: Bool, firing fired: [EventLine.Field] = []
    ) -> UInt64 {
        let digest = Plan.digest(ofEncoded: encoded) ?? ""
        var fields: [EventLine.Field] = [
            .init("name", name), .init("unit", UnitName.of(name)), .init("digest", digest),
            .init("tasks", String(plan.tasks.count)),
        ]
        if let items = Self.counts(of: plan) { fields.append(items) }
        if let root = plan.root, root.number != plan.tasks.last?.number {
            fields.append(.init("root", String(root.number)))
        }
        if let identity { fields.append(contentsOf: Self.fields(of: identity)) }
        fields += fired
        if let key = plan.key, fired.isEmpty {
            fields.append(.init("key", String(key.prefix(100))))
            noteKey(plan, id, digest: digest)
        }
        if isRecovered {
            fields += recoveredFiring(id, UnitName.of(name))
            fields.append(.init("recovered", "yes"))
        }
        if encoded.count <= Self.longestCarriedPlan, carried.isNew(digest, in: journal.segment) {
            fields.append(.init("plan", String(decoding: encoded, as: UTF8.self)))
        }
        return record(.accept, id.description, fields)
    }

    /// By which a drop that a power failure brings back is known (rule 3).
    static func fields(of identity: DropIdentity) -> [EventLine.Field] {
        [
            .init("inode", String(identity.inode)), .init("mtime", String(identity.modified)),
            .init("ctime", String(identity.changed)),
        ]
    }

    /// Makes a run live.
    func enter(
        _ id: TaskID, _ plan: Plan, name: String, _ directory: SpoolDirectory, _ file: RunFileName,
        _ progress: [RunInput.Progress] = []
    ) {
        enter(
            RunRecord(plan: plan, name: name, directory: directory, file: file),
            RunInput(id: id, generation: file.generation, plan: plan, progress: progress))
    }

    func enter(_ run: RunRecord, _ past: RunInput) {
        let id = run.file.run
        runs[id] = run
        mostRuns = max(mostRuns, runs.count)
        unloadOneOfMany(id)
        var input = past
        input.isHeld = run.directory == .hold
        if run.file.token != nil {
            cluster.claims.insert(id)
            input.isBarred = !cluster.isLeased
        }
        engine.handle(.accepted(input), at: now())
        perform(engine.takeActions())
    }

    private func acceptFailed(_ taken: TakenName, _ error: Errno) {
        report.error(
            "unable to accept \(taken.name): \(error), it waits in tmp/\(taken.text) and is taken "
                + "up again in 1 s")
        try? spool.remove(taken.id.description, .tmp)
        do {
            try spool.moveNew(taken.text, .tmp, to: taken.text, .incoming)
            // Its accept will name it as it is now: a power failure must not bring it back as it was (rule 3).
            try spool.sync(.incoming)
        } catch {
            report.error(
                "unable to put \(taken.text) back into incoming/: \(error), start taskd again")
        }
        closedUntil = Clock.boot() + 1_000_000
    }

    func newID() -> TaskID {
        TaskID(
            milliseconds: UInt64(now() / 1000), upper: UInt16(truncatingIfNeeded: random.bits64()),
            lower: random.bits64())
    }
}
