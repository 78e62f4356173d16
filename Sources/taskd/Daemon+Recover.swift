// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskEngine
import TaskJournal
import TaskModel
import TaskSpool

/// Start-up: the table of task-spool(7), read from the directories and the journal.
extension Daemon {
    /// What lies in the spool.
    private struct Inventory {
        var taken: [TaskID: TakenName] = [:]
        var building: Set<TaskID> = []
        var full: Set<TaskID> = []
        var plans: [TaskID: (SpoolDirectory, RunFileName)] = [:]
        var retriable: [TaskID: RunFileName] = [:]
        var incoming: [(name: String, identity: DropIdentity, id: TaskID?)] = []

        var ids: Set<TaskID> {
            Set(taken.keys).union(building).union(full).union(plans.keys).union(retriable.keys)
                .union(incoming.compactMap(\.id))
        }
    }

    /// Brings memory, journal and directories into agreement. Watches stand before it (rule 8).
    func recover() throws(Errno) {
        for directory in [SpoolDirectory.incoming, .tmp] + SpoolDirectory.states {
            try spool.sync(directory)  // rule 1
        }
        let inventory = try takeInventory()
        let fold = replay(inventory)
        reconcile = Reconciliation()
        for (id, file) in inventory.plans {
            recoverPlan(id, file, fold.runs[id] ?? RunPast(), inventory.taken[id])
        }
        for id in inventory.full { recoverFull(id, fold.runs[id] ?? RunPast()) }
        for (id, taken) in inventory.taken where inventory.plans[id] == nil {
            recoverTaken(taken, fold.runs[id] ?? RunPast(), inventory)
        }
        for id in inventory.building { removeQuietly(id.description, .tmp) }
        for (id, past) in fold.runs where !inventory.ids.contains(id) {
            recoverLost(id, past, fold)
        }
        recoverIncoming(inventory, fold)
        removeStale()
    }

    private func takeInventory() throws(Errno) -> Inventory {
        var inventory = Inventory()
        try spool.names(in: .tmp) { name in
            if let taken = TakenName(name) {
                inventory.taken[taken.id] = taken
            } else if let id = TaskID(bytes: name[...]) {
                inventory.building.insert(id)
            } else if name.suffix(5) == Array(".full".utf8)[...],
                let id = TaskID(bytes: name.dropLast(5))
            {
                inventory.full.insert(id)
            }
        }
        for directory in SpoolDirectory.live {
            try spool.names(in: directory) { name in
                guard let file = RunFileName(bytes: name[...]) else { return }
                inventory.plans[file.run] = (directory, file)
            }
        }
        try spool.names(in: .failed) { name in
            guard let file = RunFileName(bytes: name[...]), inventory.plans[file.run] == nil
            else { return }
            inventory.retriable[file.run] = file
        }
        try spool.names(in: .incoming) { bytes in
            let name = String(decoding: bytes, as: UTF8.self)
            guard case .unit(_, let id) = DropName(bytes),
                let status = try? File.status(name, at: self.spool.number(.incoming))
            else { return }
            let identity = DropIdentity(
                inode: status.inode, modified: status.modified, changed: status.changed)
            inventory.incoming.append((name, identity, id))
        }
        return inventory
    }

    private func replay(_ inventory: Inventory) -> JournalFold {
        let start = readCheckpoint()
        hasCheckpoint = start != nil
        var fold = JournalFold(
            interesting: inventory.ids, inodes: Set(inventory.incoming.map(\.identity.inode)),
            runs: start?.content.runs ?? [:])
        var boots: [SegmentName: Bool] = [:]
        if let segment = start?.position.segment { boots[segment] = isOfThisBoot(segment) }
        do {
            let reader = try JournalReader(at: spool.number(.journal), after: start?.position)
            while let event = try reader.nextEvent() {
                let segment = event.at.segment
                // `tasklog append` writes of runs that are not this spool's to schedule.
                guard segment.writer == "taskd" else { continue }
                let isHere = boots[segment] ?? isOfThisBoot(segment)
                boots[segment] = isHere
                fold.add(event.line, isThisBoot: isHere)
            }
            for damage in reader.takeDamages() {
                report.error("\(damage.sentence); the directories remain the truth")
                append(damage.note(at: Clock.real()))
            }
        } catch {
            report.error("unable to \(error.sentence), the directories alone decide")
        }
        isCleanBoot = boots.isEmpty || boots.values.contains(true)
        if !isCleanBoot {
            cautiousUntil = Clock.boot() + 600_000_000
            carriedPlans = findCarriedPlans(fold)
        }
        return fold
    }

    private func isOfThisBoot(_ segment: SegmentName) -> Bool {
        let cursor = try? SegmentCursor(segment, at: spool.number(.journal))
        return cursor?.header.boot == owner.record.boot
    }

    // Plans that another accept of the segment carries, for runs that may need them.
    private func findCarriedPlans(_ fold: JournalFold) -> [String: String] {
        let wanted = Set(
            fold.runs.values.compactMap { past in
                past.accept.flatMap { $0["plan"] == nil ? $0["digest"] : nil }
            })
        var found: [String: String] = [:]
        if wanted.isEmpty { return found }
        do {
            let reader = try JournalReader(at: spool.number(.journal))
            while let event = try reader.nextEvent() {
                guard event.line.verb == .accept, let digest = event.line["digest"],
                    wanted.contains(digest), let plan = event.line["plan"]
                else { continue }
                found[digest] = plan
            }
        } catch {
            report.error("unable to \(error.sentence), plans in it are not found")
        }
        return found
    }

    // A plan in a state directory.
    private func recoverPlan(
        _ id: TaskID, _ place: (SpoolDirectory, RunFileName), _ past: RunPast, _ taken: TakenName?
    ) {
        let (directory, file) = place
        if let state = past.ends[file.generation] {  // rows 4 and 5
            let name = past.accept?["unit"] ?? id.description
            let plan = readPlan(file, directory)?.0 ?? Plan()
            var run = RunRecord(plan: plan, name: name, directory: directory, file: file)
            run.isEnded = true
            run.results = past.tasks.compactMapValues(\.final)
            runs[id] = run
            if let taken { after(journal.lastSequence, .removeTaken(taken)) }
            return after(journal.lastSequence, .finish(id, state))
        }
        guard let (plan, encoded) = readPlan(file, directory) else {
            removeQuietly(file.description, directory)
            if let taken { return recoverTaken(taken, past, Inventory()) }
            recoverFromAccept(id, past)
            return
        }
        let dropName = taken?.name ?? past.accept?["name"] ?? plan.tasks.last?.spec.name ?? ""
        var sequence = journal.lastSequence
        // Before a checkpoint's position it has its accept, unless its drop still lies in tmp/.
        if past.accept == nil, !hasCheckpoint || taken != nil {
            sequence = recordAccept(id, name: dropName, plan, encoded, nil, isRecovered: true)
        }
        if let taken { after(sequence, .removeTaken(taken)) }
        let name = past.accept?["unit"] ?? UnitName.of(dropName)
        checkpoint.unsynced.append(id)
        if directory == .active {
            reconcile?.suspects.append(
                .init(id: id, plan: plan, name: name, file: file, past: past))
        } else {
            if file.generation > past.generation {
                record(
                    .retry, id.description,
                    [
                        .init("g", String(file.generation)), .init("by", String(spool.owner)),
                        .init("name", name),
                    ])
            }
            enter(id, plan, name: name, directory, file, progress(of: past, file, plan))
        }
    }

    /// What the engine must know of the tasks of a run that waits.
    func progress(
        of past: RunPast, _ file: RunFileName, _ plan: Plan
    ) -> [RunInput.Progress] {
        var tasks = file.generation > past.generation ? [:] : past.tasks
        if file.attempt > 1, plan.tasks.count == 1 {
            // The name knows, also when the record did not reach the disk.
            let number = plan.tasks[0].number
            tasks[number, default: RunPast.TaskPast()].attempt = file.attempt - 1
        }
        return tasks.map { number, task in
            let standing: RunInput.Progress.Standing
            if let final = task.final {
                standing = .final(final, task.reason)
            } else if let due = task.due {
                standing = .due(due)
            } else {
                standing = .open
            }
            return .init(
                task: number, standing: standing, attempt: task.attempt, failures: task.failures,
                losses: task.losses)
        }
    }

    // A drop that was taken, without a plan in a state directory.
    private func recoverTaken(_ taken: TakenName, _ past: RunPast, _ inventory: Inventory) {
        if past.isRejected {
            return after(journal.lastSequence, .moveRejected(taken, original: taken.name))
        }
        if !past.ends.isEmpty || inventory.retriable[taken.id] != nil
            || inventory.full.contains(taken.id)
        {
            return after(journal.lastSequence, .removeTaken(taken))
        }
        if past.accept != nil {
            if isCleanBoot {  // the owner removed the plan: that cancels
                after(journal.lastSequence, .removeTaken(taken))
                return cancelRemoved(taken.id, past)
            }
            if recoverFromAccept(taken.id, past) {
                return after(journal.lastSequence, .removeTaken(taken))
            }
        }
        removeQuietly(taken.id.description, .tmp)
        do {
            let status = try File.status(taken.text, at: spool.number(.tmp))
            guard status.isRegular,
                let bytes = try spool.read(taken.text, .tmp, limit: Spool.longestPlan),
                bytes.count <= Spool.longestUnit || Spool.isPlan(bytes)
            else { return reject(taken, "\(taken.name): it is \(status.kind) or too large") }
            compileTaken(taken, bytes)
        } catch {
            report.error("unable to read tmp/\(taken.text): \(error), it is left there")
        }
    }

    /// Writes a plan again from its accept record, after an unclean boot only.
    @discardableResult
    private func recoverFromAccept(_ id: TaskID, _ past: RunPast) -> Bool {
        guard let accept = past.accept, let plan = plan(of: accept) else { return false }
        let file = RunFileName(run: id)
        let encoded = plan.encode()
        do {
            try spool.write(encoded, to: file.description, .tmp, durable: true)
            try spool.move(file.description, .tmp, to: file.description, .ready)
        } catch {
            report.error("unable to write ready/\(id) from its accept record: \(error)")
            return false
        }
        enter(
            id, plan, name: accept["unit"] ?? "", .ready, file, progress(of: past, file, plan))
        return true
    }

    private func plan(of accept: EventLine) -> Plan? {
        guard let digest = accept["digest"] else { return nil }
        guard let text = accept["plan"] ?? carriedPlans[digest] else { return nil }
        return try? Plan(parsing: Array(text.utf8))
    }

    // An accept without a plan and without an end.
    private func recoverLost(_ id: TaskID, _ past: RunPast, _ fold: JournalFold) {
        guard past.accept != nil, past.ends.isEmpty else { return }
        if isCleanBoot { return cancelRemoved(id, past) }
        if !recoverFromAccept(id, past) {
            report.error("the plan of \(id) is gone and its accept record does not hold it")
        }
    }

    private func cancelRemoved(_ id: TaskID, _ past: RunPast) {
        let name = past.accept?["unit"] ?? ""
        record(
            .end, id.description,
            [
                .init("state", TaskState.cancelled.word), .init("what", "its plan was removed"),
                .init("name", name), .init("final", "yes"),
            ])
    }

    // Step 6 was under way.
    private func recoverFull(_ id: TaskID, _ past: RunPast) {
        let generation = past.ends.keys.max() ?? 0
        let file = RunFileName(run: id, generation: generation + 1)
        removeQuietly("\(id).reduced", .tmp)
        do {
            if spool.exists(file.description, .failed) {
                try spool.remove("\(id).full", .tmp)
            } else {
                try spool.syncFile("\(id).full", .tmp)
                try spool.move("\(id).full", .tmp, to: file.description, .failed)
            }
        } catch {
            report.error("unable to finish tmp/\(id).full: \(error), it is left there")
        }
    }

    // Drops that an earlier boot accepted and a power failure brought back (rule 3).
    private func recoverIncoming(_ inventory: Inventory, _ fold: JournalFold) {
        for drop in inventory.incoming {
            let known =
                drop.id.flatMap { id in fold.runs[id]?.accept != nil ? id : nil }
                ?? fold.acceptedBefore[drop.identity]
            if known != nil { removeQuietly(drop.name, .incoming) }
        }
    }

    /// What no row names and is a day old in tmp/ is a leftover of a writer that died.
    private func removeStale() {
        let before = Clock.real() - 86_400_000_000
        var stale: [String] = []
        try? spool.names(in: .tmp) { bytes in
            let name = String(decoding: bytes, as: UTF8.self)
            guard TakenName(bytes) == nil,
                let status = try? File.status(name, at: self.spool.number(.tmp)),
                status.isRegular, status.modified < before
            else { return }
            stale.append(name)
        }
        for name in stale { removeQuietly(name, .tmp) }
    }
}
