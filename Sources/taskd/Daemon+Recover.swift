// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskEngine
import TaskJournal
import TaskModel
import TaskSpool

/// Start-up: the table of task-spool(7), read from the directories and the journal.
extension Daemon {
    /// Brings memory, journal and directories into agreement. Watches stand before it (rule 8).
    ///
    /// A crash in the middle is harmless: until the note at its end is on record, the next start
    /// takes the boot for an unclean one again and does the same.
    func recover() throws {
        for directory in [SpoolDirectory.incoming, .tmp] + SpoolDirectory.states {
            try SpoolError.naming("sync \(spool.path)/\(directory.rawValue)") { () throws(Errno) in
                try spool.sync(directory)  // rule 1
            }
        }
        try SpoolError.naming("list \(spool.path)/outgoing") { () throws(Errno) in
            try recoverOutgoing()
        }
        var inventory = try SpoolError.naming("list \(spool.path)") { () throws(Errno) in
            try SpoolInventory(reading: spool)
        }
        var (fold, claims) = try replay(inventory)
        if fold.runs.keys.contains(where: { !hasRun($0, inventory) }) {
            let seen = inventory.ids
            try SpoolError.naming("list \(spool.path)") { () throws(Errno) in
                try inventory.addPlans(spool)  // rule 8: moved while the directories were read
            }
            // Of what was not seen the journal's end was not kept.
            if inventory.ids != seen { (fold, claims) = try replay(inventory) }
        }
        wanted = WantedPlans(fold)
        firing.pasts = fold.firings
        keys = fold.keys
        remaining = fold.remaining
        reconcile = Reconciliation()
        runs.reserveCapacity(inventory.plans.count)
        engine.reserve(inventory.plans.count)
        for (id, taken) in inventory.taken {
            if let rejection = fold.runs[id]?.rejection {
                rejecting.insert(rejection["as"] ?? taken.name)
            }
        }
        try enterBuilt(&inventory, fold)
        for (id, places) in inventory.plans {
            let past = fold.runs[id] ?? RunPast()
            guard let place = try choose(id, places, past) else { continue }
            try recoverPlan(id, place, past, inventory.taken[id])
            if !inventory.full.contains(id) { fold.release(id) }
        }
        for id in inventory.full {
            try recoverFull(id, fold.runs[id] ?? RunPast(), inventory.plans[id] ?? [])
        }
        for (id, taken) in inventory.taken where inventory.plans[id] == nil {
            if cluster.away[id] != nil {
                // A power failure brought it back: what was sent starts by claim alone.
                after(journal.lastSequence, .removeTaken(taken))
                continue
            }
            try recoverTaken(taken, fold.runs[id] ?? RunPast(), isFull: inventory.full.contains(id))
        }
        for id in inventory.building { removeQuietly(id.description, .tmp) }
        for (id, past) in fold.runs where !hasRun(id, inventory) { try recoverLost(id, past) }
        for place in inventory.claims {
            try recoverClaim(place, claims.runs[place.file.run] ?? RunPast())
        }
        noteSettled(fold)
        try SpoolError.naming("list \(spool.path)/incoming") { () throws(Errno) in
            try recoverIncoming(fold)
        }
        if !isNotedBoot { recoverReasons() }
        removeStale()
        sayRecovered(inventory, fold)
        try concludeRecovery()
    }

    /// What a taskd that did not end in order has left, in one line.
    private func sayRecovered(_ inventory: SpoolInventory, _ fold: JournalFold) {
        if isQuietStart { return }
        let ended = inventory.plans.filter { id, places in
            places.contains { fold.runs[id]?.ends[$0.file.generation] != nil }
        }
        let taken = inventory.taken.keys.filter { inventory.plans[$0] == nil }
        let (live, full) = (runs.count + (reconcile?.suspects.count ?? 0), inventory.full.count)
        let finished = ended.count + full
        let going = max(0, live - ended.count)
        if going + finished + taken.count == 0 { return }
        report.notice(
            "the last taskd did not end in order: runs that go on: \(going), ended and now finished: "
                + "\(finished), drops taken up again: \(taken.count)")
    }

    /// What of the journal the checkpoint does not account for.
    ///
    /// - Throws: where a segment or the directory cannot be read: unlike damage, that may be over in a
    ///   moment, and an end that is not seen is a run that runs again.
    private func replay(
        _ inventory: SpoolInventory
    ) throws -> (own: JournalFold, claims: JournalFold) {
        let start = readCheckpoint()
        retention.needed = start?.position.segment
        var isQuiet = start?.content.isStop ?? false
        let runs = start?.content.runs ?? [:]
        var claims = JournalFold(
            interesting: Set(inventory.claims.map(\.file.run)), inodes: [],
            runs: runs.filter { $0.value.gen > 0 })
        var fold = JournalFold(
            interesting: inventory.ids.union(cluster.away.keys), inodes: nil,
            runs: claims.runs.isEmpty ? runs : runs.filter { $0.value.gen == 0 },
            firings: start?.content.firings ?? [:],
            keys: start?.content.keys ?? [:], remaining: start?.content.remaining ?? [:])
        do {
            let reader = try JournalReader(at: spool.number(.journal), after: start?.position)
            while let event = try reader.nextEvent() {
                // `tasklog append` writes of runs that are not this spool's to schedule.
                guard event.at.segment.writer == "taskd" else { continue }
                isQuiet = false
                replayed += 1
                let isHere = event.boot == owner.record.boot
                if !isHere { hasEarlierBoot = true }
                if event.line["gen"] != nil {
                    claims.addClaim(event.line)
                } else {
                    fold.add(event.line, isThisBoot: isHere)
                }
            }
            for damage in reader.takeDamages() {
                isQuiet = false
                report.error("\(damage.sentence); the directories remain the truth")
                append(damage.note(at: Clock.real()))
            }
        } catch JournalError.io(let verb, let name, let errno) {
            throw JournalError.io(verb: verb, name: name, errno: errno)
        } catch {
            isQuiet = false
            report.error("unable to \(error.sentence), the directories alone decide")
        }
        try judgeBoot(fold, start, isQuiet: isQuiet)
        return (fold, claims)
    }

    private func hasRun(_ id: TaskID, _ inventory: SpoolInventory) -> Bool {
        inventory.hasRun(id) || cluster.away[id] != nil
    }

    /// Of what lies in outgoing/ the journal knows the names, and which end is on record.
    private func noteSettled(_ fold: JournalFold) {
        for id in cluster.away.keys {
            guard let past = fold.runs[id] else { continue }
            if let accept = past.accept {
                cluster.away[id]?.name = accept.unit ?? UnitName.of(accept.name)
            }
            if let generation = past.ends.keys.max() { cluster.settled[id] = generation }
        }
    }

    /// Whether nothing was lost since: a start-up of this boot got to its end (a checkpoint is only
    /// written after that), or the last taskd ended in order and nothing was written after it.
    private func judgeBoot(
        _ fold: JournalFold, _ start: (content: Checkpoint, position: JournalPosition)?,
        isQuiet: Bool
    ) throws(JournalError) {
        let segment = start?.position.segment
        let isCheckpointHere = try segment.map(isOfThisBoot) ?? false
        if segment != nil, !isCheckpointHere { hasEarlierBoot = true }
        isNotedBoot = fold.recovery != nil || isCheckpointHere
        isCleanBoot = isNotedBoot || isQuiet
        isQuietStart = isQuiet
        let noted = fold.recovery?["due"].flatMap { Int64($0) }
        let due = noted ?? (isCheckpointHere ? start?.content.cautiousUntil : nil) ?? 0
        if isCleanBoot {
            let rest = min(due - Clock.real(), CheckpointState.caution)
            if rest > 0 { cautiousUntil = Clock.boot() + rest }
        } else if hasEarlierBoot {
            cautiousUntil = Clock.boot() + CheckpointState.caution
        }
    }

    private func isOfThisBoot(_ segment: SegmentName) throws(JournalError) -> Bool {
        let cursor = try SegmentCursor(segment, at: spool.number(.journal))
        return cursor?.header.boot == owner.record.boot
    }

    /// All is mended that a power failure did: from here on a plan that is gone was removed.
    private func concludeRecovery() throws(JournalError) {
        if unread.isEmpty { wanted = nil }
        if isNotedBoot { return }
        var fields: [EventLine.Field] = [.init("what", JournalFold.recovered)]
        if let until = cautiousUntilReal { fields.append(.init("due", String(until))) }
        record(.note, "-", fields)
        // Durable before anything else: a boot that lost all its records must not look like none.
        if isCleanBoot {
            try writeJournal()
            try journal.sync()
        }
        isCleanBoot = true
    }

    /// Until when starts are durable before they run, in microseconds since 1970; nil: they need
    /// not be.
    var cautiousUntilReal: Int64? {
        let rest = cautiousUntil - Clock.boot()
        return rest > 0 ? Clock.real() + rest : nil
    }

    // Drops that an earlier boot accepted and a power failure brought back (rule 3), or that somebody
    // put back. A million may lie there: the names are read in constant memory, and only where the
    // journal knows something that could be there; each file is looked at only after a power failure.
    // One that has an id in its name is known by that.
    private func recoverIncoming(_ fold: JournalFold) throws(Errno) {
        guard hasEarlierBoot || !fold.ended.isEmpty else { return }
        try spool.names(in: .incoming) { bytes throws(Errno) in
            // Without earlier boots only a name with an id says something.
            if fold.knownBefore.isEmpty, TakenName(bytes) == nil { return }
            try recoverIncoming(bytes, fold)
        }
    }

    private func recoverIncoming(_ bytes: [UInt8], _ fold: JournalFold) throws(Errno) {
        var id: TaskID?
        switch DropName(bytes) {
        case .unit(_, let given): id = given
        case .cancel: break
        case .temporary, .unsafe, .claim: return
        }
        let text = String(decoding: bytes, as: UTF8.self)
        let identity = fold.knownBefore.isEmpty ? nil : try spool.identity(of: text)
        let known = identity.flatMap { fold.knownBefore[KnownDrop(name: text, identity: $0)] }
        if let id = id ?? known, let rejection = fold.runs[id]?.rejection {
            try rejectAgain(text, id, rejection)
        } else if known != nil || id.map({ isPast($0, fold) }) ?? false {
            try removeReturned(text)
        }
    }

    /// One that cannot be removed for now is not taken for a new one: it is tried again as others are that
    /// cannot be taken.
    private func removeReturned(_ name: String) throws(Errno) {
        guard let identity = try spool.identity(of: name) else { return }
        if !removeQuietly(name, .incoming) { returned[name] = ReturnedDrop(identity: identity) }
    }

    /// The run ended, or an earlier boot accepted it.
    private func isPast(_ id: TaskID, _ fold: JournalFold) -> Bool {
        if fold.ended.contains(id) { return true }
        return fold.runs[id].map { $0.accept != nil && $0.isOfEarlierBoot } ?? false
    }

    /// What no row names and is a day old in tmp/ is a leftover of a writer that died; so is at once what
    /// only taskd makes there.
    private func removeStale() {
        let before = Clock.real() - 86_400_000_000
        var stale: [String] = []
        try? spool.names(in: .tmp) { bytes in
            let name = String(decoding: bytes, as: UTF8.self)
            guard TakenName(bytes) == nil, !name.hasSuffix(".full"),
                let status = try? File.status(name, at: self.spool.number(.tmp)),
                status.isRegular, status.modified < before || Self.isOwn(name)
            else { return }
            stale.append(name)
        }
        for name in stale { removeQuietly(name, .tmp) }
    }

    private static func isOwn(_ name: String) -> Bool {
        if name == "checkpoint.new" { return true }
        guard let dot = name.firstIndex(of: "."), TaskID(name[..<dot]) != nil else { return false }
        return [".reason", ".reduced"].contains(name[dot...])
    }
}
