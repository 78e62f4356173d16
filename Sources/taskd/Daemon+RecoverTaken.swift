// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskJournal
import TaskModel
import TaskSpool

/// Start-up: what lies in tmp/.
extension Daemon {
    /// A drop that was taken, without a plan in a state directory.
    ///
    /// - Throws: where a plan cannot be written for now.
    func recoverTaken(
        _ taken: TakenName, _ past: RunPast, isFull: Bool = false
    ) throws(SpoolError) {
        if let rejection = past.rejection { return recoverRejected(taken, rejection) }
        if let name = past.definition {
            return after(journal.lastSequence, .install(taken, as: name))
        }
        if !past.ends.isEmpty || isFull {
            after(journal.lastSequence, .removeTaken(taken))
            // It stands for the first generation only: a later one whose plan is gone must end, too.
            if !isFull { try recoverLost(taken.id, past) }
            return
        }
        if past.accept != nil {
            if isCleanBoot || past.isCancelled {  // the owner removed the plan: that cancels
                after(journal.lastSequence, .removeTaken(taken))
                return endRemoved(taken.id, past, "its plan was removed")
            }
            if try recoverFromAccept(taken.id, past) {
                return after(journal.lastSequence, .removeTaken(taken))
            }
        }
        try compileAgain(taken, past)
    }

    private func compileAgain(_ taken: TakenName, _ past: RunPast) throws(SpoolError) {
        removeQuietly(taken.id.description, .tmp)
        do {
            let status = try File.status(taken.text, at: spool.number(.tmp))
            guard status.isRegular,
                let bytes = try spool.read(taken.text, .tmp, limit: Spool.longestPlan),
                bytes.count <= Spool.longestUnit || Spool.isPlan(bytes)
            else { return reject(taken, "\(taken.name): it is \(status.kind) or too large") }
            let compiled = compiler.compile(name: taken.name, bytes)
            if case .bad = compiled, past.accept != nil {
                // What was accepted is not rejected: nobody had synced the drop, and who removed the plan
                // after its accept has cancelled it.
                after(journal.lastSequence, .removeTaken(taken))
                return endRemoved(taken.id, past, "its plan is gone, and no accept record holds it")
            }
            // One that came after the first of its key was taken under an id of its own.
            if case .again(let run, let isSame) = keyed(compiled, taken.id), run != taken.id {
                return endKeyed(taken, run, isSame: isSame)
            }
            enter(compiled, taken, nil)
        } catch Errno.noSuchFileOrDirectory {
            return
        } catch {
            let reason = SpoolError("read tmp/\(taken.text)", error)
            try leaveUnread(taken.id, reason) { () throws(SpoolError) in
                try self.compileAgain(taken, past)
            }
        }
    }

    /// Its reject is on record, its rename to tmp/ was lost. One that cannot be moved for now is tried again
    /// as others are that cannot be taken.
    func rejectAgain(_ drop: String, _ id: TaskID, _ rejection: EventLine) throws(Errno) {
        guard case .unit(let name, _) = DropName(Array(drop.utf8)),
            let identity = try spool.identity(of: drop)
        else { return }
        let taken = TakenName(id: id, name: name)
        do {
            try spool.move(drop, .incoming, to: taken.text, .tmp)
            recoverRejected(taken, rejection)
        } catch {
            returned[drop] = ReturnedDrop(identity: identity, rejection: (id, rejection))
            sayStays(drop, error)
        }
    }

    /// Its reject is on record; the reason beside it may not have reached the disk.
    private func recoverRejected(_ taken: TakenName, _ rejection: EventLine) {
        let name = rejection["as"] ?? taken.name
        let status = try? File.status("\(name).reason", at: spool.number(.rejected))
        if status.map({ $0.size == 0 }) ?? true {
            let text = rejection["what"] ?? ""
            if !writeReason(taken, name, text) { unwritten[taken.id] = text }
        }
        after(journal.lastSequence, .moveRejected(taken, as: name))
    }

    /// Step 6 was under way: the end is durable, the plan comes to failed/ reduced and whole
    /// (rule 5).
    func recoverFull(
        _ id: TaskID, _ past: RunPast, _ places: [PlanPlace]
    ) throws(SpoolError) {
        let generation = past.ends.keys.max() ?? past.generation
        let file = RunFileName(run: id, generation: generation + 1)
        removeQuietly("\(id).reduced", .tmp)
        var reduced: Plan?
        do {
            // Its owner may have taken it on from there already, and that may have succeeded: then a
            // power failure took back what was done since.
            let isDone = past.ends[generation].map { $0 == .success || $0 == .skipped } ?? false
            if isDone || places.contains(where: { $0.file.generation > generation }) {
                return perform(.removeLeft(id, "\(id).full", .tmp))
            }
            let bytes = try spool.read("\(id).full", .tmp, limit: Spool.longestPlan)
            if let plan = try bytes.flatMap({ try? Plan(parsing: $0) }) ?? plan(of: id, past) {
                reduced = try park(id, plan, past, as: file)
            } else {
                setAside(
                    id, "\(id).full", .tmp, "it is torn, and its accept record does not hold it")
            }
        } catch {
            report.error("unable to finish tmp/\(id).full: \(error), it is tried again in 60 s")
            checkpoint.undone.append(.recoverFull(id, past, places))
        }
        // Asked for again: that rename was lost as well.
        if let reduced, past.isLive, places.isEmpty {
            try retryAgain(id, PlanPlace(.failed, file), past, reduced)
        }
    }

    /// A failed run's plan is on its way in tmp/ID.full: what did not succeed goes to failed/.
    private func park(
        _ id: TaskID, _ plan: Plan, _ past: RunPast, as file: RunFileName
    ) throws(Errno) -> Plan {
        let reduced =
            plan.isSingle
            ? plan
            : Reduction.reduce(plan, past.results, past.itemResults, past.left, past.subtasks)
        try spool.write(reduced.encode(), to: "\(id).reduced", .tmp, durable: true)
        try spool.move("\(id).reduced", .tmp, to: file.description, .failed)
        perform(.removeLeft(id, "\(id).full", .tmp))
        return reduced
    }
}
