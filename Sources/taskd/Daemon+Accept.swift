// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskEngine
import TaskJournal
import TaskModel
import TaskSpool

/// Acceptance: steps 1 to 4 of task-spool(7).
extension Daemon {
    private static let mostPerTurn = 16
    /// A plan up to this many bytes travels in its accept record; a larger one is fsynced.
    static let longestCarriedPlan = 4096

    /// Takes what lies in incoming/, a bounded number a turn.
    func acceptDrops() {
        let boot = Clock.boot()
        guard !isPaused, closedUntil <= boot, !isStopping else { return }
        guard incoming.hasWork(runs.count < options.window, at: boot), hasSpace() else { return }
        compiler.lookAgain()
        for _ in 0..<Self.mostPerTurn where runs.count < options.window {
            do {
                guard let name = try incoming.next(spool, at: boot) else { return }
                takeDrop(name)
            } catch {
                report.error(
                    "unable to read \(spool.path)/incoming: \(error), looking again in 1 s")
                incoming.isScanWanted = true
                closedUntil = boot + 1_000_000
                return
            }
        }
    }

    /// Below a reserve of space or inodes nothing is accepted; what runs still ends.
    func hasSpace() -> Bool {
        guard let free = try? File.freeSpace(spool.rootNumber) else { return true }
        let least = max(1 << 20, min(64 << 20, free.total / 100))
        let isShort = reserve.map { $0.isShort && !$0.refill() } ?? false
        if free.bytes >= least, free.inodes >= 256, !isShort {
            isShortOfSpace = false
            return true
        }
        if !isShortOfSpace {
            report.error(
                "unable to accept drops: \(free.bytes >> 20) MiB and \(free.inodes) inodes are free "
                    + "at \(spool.path), they wait in incoming/ until there is more")
        }
        isShortOfSpace = true
        closedUntil = Clock.boot() + 1_000_000
        return false
    }

    private func takeDrop(_ bytes: [UInt8]) {
        switch DropName(bytes) {
        case .temporary: return
        case .unsafe: refuseUnsafe(bytes)
        case .cancel(let ref): takeCancel(ref, String(decoding: bytes, as: UTF8.self))
        case .unit(let unit, let id):
            let name = String(decoding: bytes, as: UTF8.self)
            takeLooked(spool.look(at: name), name, unit: unit, id: id)
        }
    }

    private func takeLooked(_ look: DropLook, _ name: String, unit: String, id: TaskID?) {
        switch look {
        case .gone: return
        case .beingWritten: incoming.postpone(Array(name.utf8), at: Clock.boot())
        case .unchanged(let since):
            if !incoming.isStill(name, since: since) {
                incoming.postpone(Array(name.utf8), at: Clock.boot())
            } else {
                takeLooked(spool.lookWithoutLease(at: name), name, unit: unit, id: id)
            }
        case .unreadable(let error):
            incoming.postpone(Array(name.utf8), at: Clock.boot())
            guard incoming.unreadable.insert(name).inserted else { return }
            report.error(
                "unable to read incoming/\(name): \(error), it stays there and is looked at each second"
            )
        case .refused(let why):
            let taken = TakenName(id: id ?? newID(), name: unit)
            guard takeAway(name, taken) else { return }
            reject(taken, "\(unit): \(why)")
        case .complete(let bytes, let identity, let uid):
            accept(Drop(name: name, unit: unit, bytes: bytes, identity: identity, uid: uid), id)
        }
    }

    /// A complete drop.
    private struct Drop {
        var name: String
        var unit: String
        var bytes: [UInt8]
        var identity: DropIdentity
        var uid: UInt32
    }

    private func accept(_ drop: Drop, _ given: TaskID?) {
        incoming.unreadable.remove(drop.name)
        let taken = TakenName(id: given ?? newID(), name: drop.unit)
        // Its run may still wait for the pool's table.
        if let plan = runs[taken.id]?.plan ?? reconcile?.suspects[taken.id]?.plan {
            return acceptAgain(drop, taken, plan)
        }
        let compiled = compiler.compile(name: taken.name, drop.bytes)
        if case .later(let error) = compiled { return sayStays(drop.name, error) }
        incoming.letDropperFinish()
        do {
            guard try spool.take(drop.name, as: taken, drop.identity) else { return }
        } catch {
            return sayStays(drop.name, error)
        }
        incoming.unreadable.remove("take \(drop.name)")
        enter(compiled, taken, drop.identity)
    }

    /// Takes what was not read, to be rejected.
    private func takeAway(_ name: String, _ taken: TakenName) -> Bool {
        incoming.letDropperFinish()
        do {
            try spool.move(name, .incoming, to: taken.text, .tmp)
            return true
        } catch Errno.noSuchFileOrDirectory {
            return false
        } catch {
            sayStays(name, error)
            return false
        }
    }

    /// The disk is full, or failed: once more in a second; said once.
    private func sayStays(_ name: String, _ error: Errno) {
        incoming.postpone(Array(name.utf8), at: Clock.boot())
        guard incoming.unreadable.insert("take \(name)").inserted else { return }
        report.error(
            "unable to take incoming/\(name): \(error), it stays there and is tried each second")
    }

    /// Compiles again what an earlier process had taken.
    func compileTaken(_ taken: TakenName, _ bytes: [UInt8]) {
        enter(compiler.compile(name: taken.name, bytes), taken, nil)
    }

    /// Steps 2 and 3: what was taken gets its plan into ready/, or is rejected.
    private func enter(_ compiled: Compiled, _ taken: TakenName, _ identity: DropIdentity?) {
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
        try spool.write(encoded, to: file, .tmp, durable: isLarge)
        try spool.move(file, .tmp, to: file, .ready)
        if isLarge { try syncReady(file) }
        let sequence = recordAccept(
            taken.id, name: taken.name, plan, encoded, identity, isRecovered: false)
        after(sequence, .removeTaken(taken))
        noteLinks(taken)
        if !isLarge { checkpoint.unsynced.append(taken.id) }
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
        if let root = plan.root, root.number != plan.tasks.last?.number {
            fields.append(.init("root", String(root.number)))
        }
        if let identity { fields.append(contentsOf: Self.fields(of: identity)) }
        fields += fired
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
        runs[id] = RunRecord(plan: plan, name: name, directory: directory, file: file)
        mostRuns = max(mostRuns, runs.count)
        var input = RunInput(
            id: id, generation: file.generation, plan: plan, progress: progress)
        input.isHeld = directory == .hold
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
        } catch {
            report.error(
                "unable to put \(taken.text) back into incoming/: \(error), start taskd again")
        }
        closedUntil = Clock.boot() + 1_000_000
    }

    /// The same id a second time: the same plan is one run, another is refused.
    private func acceptAgain(_ drop: Drop, _ taken: TakenName, _ known: Plan) {
        let other = TakenName(id: newID(), name: drop.name)
        let compiled = compiler.compile(name: taken.name, drop.bytes)
        if case .later(let error) = compiled { return sayStays(drop.name, error) }
        guard (try? spool.take(drop.name, as: other, drop.identity)) == true else { return }
        if case .plan(let plan, _) = compiled, plan == known {
            let sequence = record(.note, taken.id.description, [.init("what", "dup")])
            after(sequence, .removeTaken(other))
        } else {
            reject(
                other, "\(drop.name): the run \(taken.id) exists with another plan: submit it anew")
        }
    }

    private func takeCancel(_ ref: TaskRef, _ name: String) {
        if commands.contains(name) { return }  // on record: it goes when that is durable
        guard case .complete(let bytes, let identity, let uid) = spool.look(at: name) else {
            return incoming.postpone(Array(name.utf8), at: Clock.boot())
        }
        guard bytes.isEmpty else {
            let taken = TakenName(id: newID(), name: name)
            guard takeAway(name, taken) else { return }
            return reject(taken, "\(name): it has content: a command is an empty file")
        }
        let sequence = record(
            .cancel, ref.description, [.init("by", String(uid))] + Self.fields(of: identity))
        runs[ref.run]?.cancelled.insert(ref)
        reconcile?.cancel(ref)
        engine.handle(.cancel(ref), at: now())
        perform(engine.takeActions())
        commands.insert(name)
        after(sequence, .removeCommand(name))
    }

    func newID() -> TaskID {
        TaskID(
            milliseconds: UInt64(now() / 1000), upper: UInt16(truncatingIfNeeded: random.bits64()),
            lower: random.bits64())
    }
}

/// From a file's name to the unit's: NAME less `.task`, `.yaml`, `.yml`.
enum UnitName {
    static func of(_ file: String) -> String {
        for suffix in [".task", ".yaml", ".yml"] where file.hasSuffix(suffix) {
            return String(file.dropLast(suffix.count))
        }
        return file
    }
}
