// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskJournal
import TaskModel
import TaskSpool

/// Start-up: plans of generations that have ended, wherever they lie (rule 4).
extension Daemon {
    /// Step 6. Where a power failure took more than that back, the journal names a later generation:
    /// it is that which goes on, or whose end counts.
    ///
    /// - Throws: where a damaged plan cannot be written for now.
    func recoverEnded(
        _ id: TaskID, _ seen: PlanPlace, _ past: RunPast, _ taken: TakenName?
    ) throws(SpoolError) {
        var place = seen
        if let taken { after(journal.lastSequence, .removeTaken(taken)) }
        let latest = max(past.generation, place.file.generation)
        let state = past.ends[latest]
        let plan: Plan
        switch readState(place) {
        case .valid(let read, _): plan = read
        case .gone: return try recoverMoved(id, past, nil)
        case .unreadable(let error):
            return try leaveUnread(id, SpoolError("read \(place)", error)) {
                () throws(SpoolError) in
                try self.recoverPlan(id, seen, past, taken)
            }
        case .torn(let why):
            if state == .success || state == .skipped {
                return perform(.removeLeft(id, place.file.description, place.directory))
            }
            guard let mended = try mend(place, past) else {
                return setAside(place, "\(why), and its accept record does not hold it")
            }
            (plan, place) = mended
        }
        guard let state else { return try retryAgain(id, place, past, plan) }
        finishAgain(id, place, past, plan, state)
    }

    private func finishAgain(
        _ id: TaskID, _ place: PlanPlace, _ past: RunPast, _ plan: Plan, _ state: TaskState
    ) {
        let latest = max(past.generation, place.file.generation)
        let name = past.accept?.unit ?? plan.name ?? id.description
        var run = RunRecord(plan: plan, name: name, directory: place.directory, file: place.file)
        run.isEnded = true
        (run.results, run.items) = (past.results, past.itemResults)
        for (task, result) in past.left { run.setLeft(result, by: task) }
        run.set(past.subtasks)
        if latest > place.file.generation {
            move(id, &run, as: RunFileName(run: id, generation: latest))
        }
        runs[id] = run
        after(journal.lastSequence, .finish(id, state))
    }

    private func move(_ id: TaskID, _ run: inout RunRecord, as file: RunFileName) {
        do {
            try spool.move(
                run.file.description, run.directory, to: file.description, run.directory)
            run.file = file
        } catch {
            report.error("unable to rename \(run.file) to \(file): \(error), it keeps its name")
        }
    }

    /// A retry is on record and has no end; the renames before it were lost.
    func retryAgain(
        _ id: TaskID, _ place: PlanPlace, _ past: RunPast, _ plan: Plan
    ) throws(SpoolError) {
        let file = RunFileName(run: id, generation: past.generation)
        let there = PlanPlace(past.isHeld ? .hold : .ready, file)
        let reduced = Reduction.reduce(
            plan, past.earlier, past.earlierItems, past.left, past.subtasks)
        do {
            // Before it has the name of a retry: a crash between would leave one that runs everything.
            if reduced != plan {
                try spool.write(reduced.encode(), to: id.description, .tmp, durable: true)
                try spool.replace(
                    place.file.description, place.directory, by: id.description, .tmp)
            }
            try spool.move(
                place.file.description, place.directory, to: file.description, there.directory)
        } catch {
            report.error("unable to make \(there) of \(place): \(error), it is left there")
            return
        }
        try recoverPlan(id, there, past, nil)
    }
}
