// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskEngine
import TaskJournal
import TaskModel
import TaskSpool

/// Start-up: plans that are torn or gone, and their accept records.
extension Daemon {
    /// A plan's file, read and verified.
    enum StateFile {
        case valid(Plan, [UInt8])
        /// Its bytes are no whole plan; why.
        case torn(String)
        case unreadable(Errno)
        /// Its owner moved it since the directory was read.
        case gone
    }

    func readState(_ place: PlanPlace) -> StateFile {
        do {
            let name = place.file.description
            guard let bytes = try spool.read(name, place.directory, limit: Spool.longestPlan)
            else { return .torn("it is too large") }
            noteSize(bytes)
            return .valid(try parsed.plan(parsing: bytes), bytes)
        } catch let error as PlanError {
            return .torn(error.sentence)
        } catch Errno.noSuchFileOrDirectory {
            return .gone
        } catch {
            return .unreadable(error as? Errno ?? .ioError)
        }
    }

    /// Written again from its accept, else compiled again, else set aside; then the run has failed.
    func recoverTorn(
        _ id: TaskID, _ place: PlanPlace, _ past: RunPast, _ taken: TakenName?, _ why: String
    ) throws(SpoolError) {
        if let (plan, there) = try mend(place, past) {
            report.warning("\(there) was damaged: it is written again from its accept record")
            return recoverLive(id, there, past, taken, plan, plan.encode())
        }
        if let taken, past.accept == nil {
            removeQuietly(place.file.description, place.directory)
            return try recoverTaken(taken, past)
        }
        if let taken { after(journal.lastSequence, .removeTaken(taken)) }
        setAside(place, "\(why), and its accept record does not hold it")
        if past.isLive {
            end(id, past, .failure, .changed, "its plan was damaged: it is in rejected/")
        }
    }

    /// Writes a damaged plan again, where it lies; nil when no accept record holds it.
    ///
    /// - Throws: where it cannot be written for now: unlike damage, that is no reason to end a run.
    func mend(
        _ place: PlanPlace, _ past: RunPast
    ) throws(SpoolError) -> (plan: Plan, place: PlanPlace)? {
        guard let plan = try plan(of: place.file.run, past),
            place.file.generation == 0 || plan.isSingle
        else { return nil }
        let name = place.file.run.description
        var there = place
        do throws(Errno) {
            try spool.write(plan.encode(), to: name, .tmp, durable: true)
            while true {
                do throws(Errno) {
                    try spool.replace(there.file.description, there.directory, by: name, .tmp)
                    return (plan, there)
                } catch {
                    // Its owner moved it meanwhile.
                    guard error == .noSuchFileOrDirectory,
                        let (directory, file) = try find(place.file.run)
                    else { throw error }
                    there = PlanPlace(directory, file)
                }
            }
        } catch {
            removeQuietly(name, .tmp)
            throw SpoolError("write \(place) from its accept record", error)
        }
    }

    /// Writes a plan that is gone again, after an unclean boot only (rule 8).
    ///
    /// - Returns: false where no accept record holds it.
    /// - Throws: where it cannot be written for now.
    func recoverFromAccept(_ id: TaskID, _ past: RunPast) throws(SpoolError) -> Bool {
        let place = PlanPlace(past.isHeld ? .hold : .ready, RunFileName(run: id))
        // Only an accept behind the checkpoint: what was accepted before it was on disk then, so that
        // its owner has removed it.
        guard past.generation == 0, past.accept?.digest != nil, let plan = try plan(of: id, past)
        else { return false }
        try SpoolError.naming("write \(place) from its accept record") { () throws(Errno) in
            try spool.write(plan.encode(), to: id.description, .tmp, durable: true)
            try spool.move(id.description, .tmp, to: id.description, place.directory)
        }
        recoverLive(id, place, past, nil, plan, [])
        return true
    }

    /// The plan that an accept record carries, or that another of the same segment carries for it.
    ///
    /// - Throws: where the journal cannot be read for now.
    func plan(of id: TaskID, _ past: RunPast) throws(SpoolError) -> Plan? {
        guard let accept = past.accept else { return nil }
        do {
            return try (accept.plan ?? wanted?.text(id, accept, in: spool)).map { text in
                try parsed.plan(parsing: Array(text.utf8))
            }
        } catch JournalError.io(_, let name, let errno) {
            throw SpoolError("read the plan of \(id) in \(name)", errno)
        } catch {
            report.error("unable to read the plan of \(id) in the journal: \(error)")
            return nil
        }
    }

    /// A run without a file: an accept or a retry, and no end.
    func recoverLost(_ id: TaskID, _ past: RunPast) throws(SpoolError) {
        guard past.isLive else { return }
        if isCleanBoot || past.isCancelled {
            return endRemoved(id, past, "its plan was removed")
        }
        if try recoverFromAccept(id, past) { return }
        // A plan that its accept does not carry was durable before it: nothing but its owner, or
        // the disk, took it away.
        endRemoved(id, past, "its plan is gone, and no accept record holds it")
    }

    /// With subtasks that have not ended it is live until they have (rule 14), as one whose plan is
    /// removed while taskd runs; nothing of it starts.
    func endRemoved(_ id: TaskID, _ past: RunPast, _ why: String) {
        let open = past.children.filter { $0.value.values.contains(where: \.isOpen) }
        if open.isEmpty { return end(id, past, .cancelled, nil, why) }
        let name = past.accept?.unit ?? past.accept?.name ?? ""
        let tasks = tasks(of: past).union(open.keys).sorted()
        var spec = TaskSpec(name: name)
        spec[.command] = ["true"]  // a group would succeed at once
        let plan = Plan(tasks: tasks.map { PlanTask(number: $0, spec: spec) }, edges: [])
        let place = PlanPlace(.hold, RunFileName(run: id, generation: past.generation))
        var suspect = Reconciliation.Suspect(
            id: id, plan: plan, name: name, place: place, past: past, isRemoved: true)
        if !past.isCancelled {
            record(
                .cancel, id.description,
                [
                    .init("by", String(spool.owner)), .init("what", why),
                    .init("recovered", "yes"),
                ])
            suspect.past.isCancelled = true
        }
        if reconcile == nil {
            resumeUnread(suspect)
        } else {
            reconcile?.suspects[id] = suspect
        }
    }

    /// Those that the journal knows.
    private func tasks(of past: RunPast) -> Set<Int> {
        let count = past.generation == 0 ? past.accept?.tasks ?? 0 : 0
        return Set(0..<count).union(past.tasks.keys)
    }

    /// Ends a run that cannot be made live, and its tasks.
    private func end(
        _ id: TaskID, _ past: RunPast, _ state: TaskState, _ reason: FailureReason?, _ why: String
    ) {
        let name = past.accept?.unit ?? past.accept?.name ?? ""
        var fields = [EventLine.Field("state", state.word)]
        if let reason { fields.append(.init("reason", reason.rawValue)) }
        fields.append(.init("what", why))
        if past.generation > 0 { fields.append(.init("g", String(past.generation))) }
        fields.append(contentsOf: [
            .init("recovered", "yes"), .init("name", name), .init("final", "yes"),
        ])
        for task in tasks(of: past).sorted() where past.tasks[task]?.final == nil {
            record(.end, "\(id).\(task)", fields)
        }
        record(.end, id.description, fields)
    }
}
