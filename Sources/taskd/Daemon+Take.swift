// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskEngine
import TaskJournal
import TaskModel
import TaskSpool

/// A drop that a power failure brought back, and that is on record.
struct ReturnedDrop {
    var identity: DropIdentity
    /// It was rejected, under this id.
    var rejection: (TaskID, EventLine)?
}

/// Taking a drop: step 1 of task-spool(7).
extension Daemon {
    private static let mostPerTurn = 16

    /// Takes what lies in incoming/, a bounded number a turn.
    func acceptDrops() {
        let boot = Clock.boot()
        guard !isPaused, closedUntil <= boot, !isStopping, !isCheckpointUrgent(at: boot) else {
            return
        }
        guard incoming.hasWork(hasRoom, at: boot), hasSpace() else { return sayFull() }
        compiler.lookAgain()
        for _ in 0..<Self.mostPerTurn where hasRoom {
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

    /// Whether one more run may be read: enough is there to choose from, or memory has its share.
    var hasRoom: Bool {
        runs.count < options.mostRuns && runs.count - engine.resting < options.window
    }

    /// Once, until there is room again: what rests may do so for ever, and nothing new is seen.
    private func sayFull() {
        if runs.count < options.mostRuns / 10 * 9 { isFull = false }
        guard !isFull, runs.count >= options.mostRuns else { return }
        isFull = true
        report.warning(
            "\(runs.count) runs are live, \(engine.resting) of them parked or waiting for a time or a "
                + "semaphore: what is dropped waits in incoming/ until some end")
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
        case .claim(let id): takeClaim(id, String(decoding: bytes, as: UTF8.self))
        case .unit(let unit, let id):
            let name = String(decoding: bytes, as: UTF8.self)
            if let back = returned[name], rejectReturned(name, back) { return }
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
        if returned.removeValue(forKey: drop.name)?.identity == drop.identity {
            return removeAgain(drop)
        }
        incoming.unreadable.remove(drop.name)
        var taken = TakenName(id: given ?? newID(), name: drop.unit)
        // Its run may still wait for the pool's table.
        if let suspect = reconcile?.suspects[taken.id] {
            guard let known = whole(suspect) else {
                return incoming.postpone(Array(drop.name.utf8), at: Clock.boot())
            }
            return acceptAgain(drop, taken, known)
        }
        if let away = cluster.away[taken.id],
            cluster.claims.contains(taken.id) || runs[taken.id] == nil
        {
            let sent = cluster.outgoing?.read("\(OutgoingName(away.file, .sent))", limit: 1 << 20)
            guard let sent else {
                return incoming.postpone(Array(drop.name.utf8), at: Clock.boot())
            }
            return acceptAgain(drop, taken, try? Plan(parsing: sent))
        }
        if cluster.leaving[taken.id] != nil {
            return incoming.postpone(Array(drop.name.utf8), at: Clock.boot())
        }
        if runs[taken.id] != nil { return acceptAgain(drop, taken) }
        if unread[taken.id] != nil {
            return incoming.postpone(Array(drop.name.utf8), at: Clock.boot())
        }
        let compiled = compiler.compile(name: taken.name, drop.bytes)
        if case .later(let error) = compiled { return sayStays(drop.name, error) }
        let keyed = keyed(compiled, taken.id)
        switch keyed {
        case .none: break
        case .first(let run): taken.id = run
        case .again, .tooMany: taken.id = newID()
        }
        incoming.letDropperFinish()
        do {
            guard try spool.take(drop.name, as: taken, drop.identity) else { return }
        } catch {
            return sayStays(drop.name, error)
        }
        incoming.unreadable.remove("take \(drop.name)")
        switch keyed {
        case .again(let run, let isSame): return endKeyed(taken, run, isSame: isSame)
        case .tooMany: return refuseKeyed(taken)
        case .none, .first: break
        }
        enter(compiled, taken, drop.identity)
    }

    private func whole(_ suspect: Reconciliation.Suspect) -> Plan? {
        guard suspect.plan.hasItemLists else { return suspect.plan }
        guard case .valid(let plan, _) = readState(suspect.place) else { return nil }
        return plan
    }

    /// Whether it is still the one that has its reject.
    private func rejectReturned(_ name: String, _ back: ReturnedDrop) -> Bool {
        guard let (id, rejection) = back.rejection else { return false }
        returned[name] = nil
        do {
            guard try spool.identity(of: name) == back.identity else { return false }
            try rejectAgain(name, id, rejection)
        } catch Errno.noSuchFileOrDirectory {
            return true
        } catch {
            returned[name] = back
            sayStays(name, error)
        }
        return true
    }

    private func removeAgain(_ drop: Drop) {
        do {
            try spool.remove(drop.name, .incoming)
        } catch Errno.noSuchFileOrDirectory {
            return
        } catch {
            returned[drop.name] = ReturnedDrop(identity: drop.identity)
            sayStays(drop.name, error)
        }
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
    func sayStays(_ name: String, _ error: Errno) {
        incoming.postpone(Array(name.utf8), at: Clock.boot())
        guard incoming.unreadable.insert("take \(name)").inserted else { return }
        report.error(
            "unable to take incoming/\(name): \(error), it stays there and is tried each second")
    }

    /// The same id a second time: the same plan is one run, another is refused.
    private func acceptAgain(_ drop: Drop, _ taken: TakenName) {
        switch wholePlan(of: taken.id) {
        case .plan(let known): acceptAgain(drop, taken, known)
        case .damaged: acceptAgain(drop, taken, nil)
        case .notNow, .removed: incoming.postpone(Array(drop.name.utf8), at: Clock.boot())
        }
    }

    private func acceptAgain(_ drop: Drop, _ taken: TakenName, _ known: Plan?) {
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
        do {
            if ref.task == nil, try cancelAway(ref.run, by: uid) {
                commands.insert(name)
                return after(journal.lastSequence, .removeCommand(name))
            }
        } catch {
            return sayStays(name, error)
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
}
