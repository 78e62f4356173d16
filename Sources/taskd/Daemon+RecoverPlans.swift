// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskEngine
import TaskJournal
import TaskModel
import TaskSpool

/// Start-up: the plans in the state directories.
extension Daemon {
    /// One plan of a run: where somebody copied it, the one that the journal names stays.
    ///
    /// - Throws: where a place cannot be looked at for now.
    func choose(
        _ id: TaskID, _ places: [PlanPlace], _ past: RunPast
    ) throws(SpoolError) -> PlanPlace? {
        if places.count == 1 { return places[0] }
        // One that moved while the directories were read was seen twice.
        var there: [PlanPlace] = []
        for place in places {
            let isThere = try SpoolError.naming("look at \(place)") { () throws(Errno) in
                try spool.has(place.file.description, place.directory)
            }
            if isThere { there.append(place) }
        }
        guard let best = there.max(by: { rank($0, past) < rank($1, past) }) else { return nil }
        for other in there where other != best {
            setAside(other, "the run \(id) is in \(best), which its journal names")
        }
        return best
    }

    /// Higher is what the journal rather names.
    private func rank(_ place: PlanPlace, _ past: RunPast) -> Int {
        guard case .valid(_, let bytes) = readState(place) else {
            return PlanRank.of(place, past, digest: nil)
        }
        return PlanRank.of(place, past, digest: Plan.digest(ofEncoded: bytes))
    }

    /// - Throws: where a damaged plan cannot be written for now, or descriptors or memory are short.
    func recoverPlan(
        _ id: TaskID, _ place: PlanPlace, _ past: RunPast, _ taken: TakenName?
    ) throws(SpoolError) {
        if past.ends[place.file.generation] != nil {  // rule 4
            return try recoverEnded(id, place, past, taken)
        }
        if place.directory == .failed, past.isAtRest(place.file.generation) {  // rule 9
            if let taken { after(journal.lastSequence, .removeTaken(taken)) }
            return
        }
        if let plan = acceptedPlan(place, past) {
            return recoverLive(id, place, past, taken, plan, [])
        }
        switch readState(place) {
        case .valid(let plan, let encoded): recoverLive(id, place, past, taken, plan, encoded)
        case .unreadable(let error):
            try leaveUnread(id, SpoolError("read \(place)", error)) { () throws(SpoolError) in
                try self.recoverPlan(id, place, past, taken)
            }
        case .torn(let why): try recoverTorn(id, place, past, taken, why)
        case .gone: try recoverMoved(id, past, taken)
        }
    }

    /// What a waiting run's file holds, as its accept says. Where many wait and nothing was lost since, it is
    /// read and verified before the run starts, not now. Nil: it is to be read.
    private func acceptedPlan(_ place: PlanPlace, _ past: RunPast) -> Plan? {
        guard isCleanBoot, keepsNoMorePlans, place.directory == .ready, place.file.generation == 0,
            let accept = past.accept, let digest = accept.digest
        else { return nil }
        let plan =
            parsed.plan(digest: digest)
            ?? accept.plan.flatMap { try? parsed.plan(parsing: Array($0.utf8)) }
        return plan.flatMap { $0.isSingle ? $0 : nil }
    }

    /// Its owner moved or removed it while the directories were read.
    func recoverMoved(
        _ id: TaskID, _ past: RunPast, _ taken: TakenName?
    ) throws(SpoolError) {
        let place: (SpoolDirectory, RunFileName)?
        do {
            place = try find(id)
        } catch {
            throw SpoolError("look for run \(id)", error)
        }
        if let (directory, file) = place {
            try recoverPlan(id, PlanPlace(directory, file), past, taken)
        } else {
            if let taken { after(journal.lastSequence, .removeTaken(taken)) }
            endRemoved(id, past, "its plan was removed")
        }
    }

    /// A plan of a run that has not ended.
    func recoverLive(
        _ id: TaskID, _ place: PlanPlace, _ past: RunPast, _ taken: TakenName?, _ plan: Plan,
        _ encoded: [UInt8]
    ) {
        let dropName = taken?.name ?? past.accept?.name ?? plan.name ?? ""
        var sequence = journal.lastSequence
        if past.accept == nil, place.file.generation == 0 || taken != nil {
            makeDurable(place.file, place.directory, encoded)
            sequence = recordAccept(id, name: dropName, plan, encoded, nil, isRecovered: true)
        }
        if let taken { after(sequence, .removeTaken(taken)) }
        // One that a checkpoint has a line for was synced before that.
        if past.accept.map({ $0.digest != nil }) ?? true { noteUnsynced(id) }
        var suspect = Reconciliation.Suspect(
            id: id, plan: plan.withoutItemLists,
            name: past.accept?.unit ?? UnitName.of(dropName),
            place: place, past: past)
        recordMove(&suspect)
        if reconcile == nil, isSuspect(suspect) || pool.sent.keys.contains(where: { $0.run == id })
        {
            resumeUnread(suspect)
        } else if isSuspect(suspect) || lacksRetry(suspect) {
            if !lacksRetry(suspect) { putBack(&suspect) }
            reconcile?.suspects[id] = suspect
        } else {
            enter(suspect, progress(of: suspect), items(of: suspect))
        }
    }

    /// Moves of the owner that are not on record, and records whose rename did not reach the disk:
    /// the place decides.
    func recordMove(_ suspect: inout Reconciliation.Suspect) {
        let (id, file) = (suspect.id.description, suspect.place.file)
        let owner = [
            EventLine.Field("by", String(spool.owner)), .init("recovered", "yes"),
            .init("name", suspect.name),
        ]
        if file.generation > suspect.past.generation {
            isRetryUnsynced = true
            record(
                .retry, id,
                [.init("g", String(file.generation))] + owner + Self.rest(of: suspect.plan))
            let (accept, kin) = (suspect.past.accept, suspect.past.kin)
            suspect.past = RunPast()
            (suspect.past.accept, suspect.past.kin) = (accept, kin)
            suspect.past.generation = file.generation
        }
        switch suspect.place.directory {
        case .failed where !suspect.past.isCancelled:
            record(.cancel, id, owner)
            suspect.past.isCancelled = true
        case .hold where !suspect.past.isHeld: record(.hold, id, owner)
        case .hold, .failed: break
        default: if suspect.past.isHeld { record(.release, id, owner) }
        }
        if reconcile == nil { recordDue(&suspect) }
        if suspect.place.directory == .ready { hurry(&suspect, owner) }
    }

    /// What lies in ready/ waits for no time: it was due, or its owner put it there.
    private func hurry(_ suspect: inout Reconciliation.Suspect, _ owner: [EventLine.Field]) {
        var waiting = suspect.past.tasks.values.filter { $0.final == nil }.compactMap(\.due)
        for items in suspect.past.items.values { waiting += items.begun.values.compactMap(\.due) }
        if waiting.isEmpty { return }
        for task in suspect.past.tasks.keys where suspect.past.tasks[task]?.final == nil {
            suspect.past.tasks[task]?.due = nil
        }
        for task in suspect.past.items.keys { suspect.past.items[task]?.forgetTimes() }
        if waiting.contains(where: { $0 > now() }) {
            record(.release, suspect.id.description, owner)
        }
    }

    /// It lies in deferred/ for an attempt of which the journal does not know. The end of the one before may
    /// have come, and the record of it not been written: then the pool tells it again.
    func lacksRetry(_ suspect: Reconciliation.Suspect) -> Bool {
        guard suspect.place.directory == .deferred, suspect.plan.isSingle,
            let task = suspect.plan.tasks.first?.number
        else { return false }
        let past = suspect.past.tasks[task] ?? .init()
        return past.attempt < suspect.place.file.attempt && past.due == nil
    }

    /// The name and the time of a file in deferred/ know better than a journal that lost its tail.
    func recordDue(_ suspect: inout Reconciliation.Suspect) {
        let file = suspect.place.file
        guard lacksRetry(suspect), let task = suspect.plan.tasks.first?.number else { return }
        let status = try? File.status(
            file.description, at: spool.number(suspect.place.directory))
        let due = status?.modified ?? 0
        var past = suspect.past.tasks[task] ?? .init()
        past.isOpen = false
        past.due = due
        past.failures = max(past.failures, file.attempt - 1 - past.losses)
        suspect.past.tasks[task] = past
        record(
            .retry, "\(suspect.id).\(task)",
            [
                .init("a", String(file.attempt)), .init("due", String(due)),
                .init("recovered", "yes"), .init("name", suspect.name),
            ])
    }

    /// An attempt may be under way: the place says so, or the journal; or its owner cancelled it by a move
    /// from there while no taskd lived.
    private func isSuspect(_ suspect: Reconciliation.Suspect) -> Bool {
        [.active, .failed].contains(suspect.place.directory) || suspect.past.hasOpenAttempt
    }

    /// An attempt is on record whose rename is not to be seen: a power failure took it back, or a
    /// move that says nothing.
    func putBack(_ suspect: inout Reconciliation.Suspect) {
        guard [.ready, .deferred].contains(suspect.place.directory) else { return }
        var file = suspect.place.file
        if suspect.plan.isSingle, let task = suspect.plan.tasks.first?.number {
            file.attempt = max(file.attempt, suspect.past.tasks[task]?.attempt ?? 1)
        }
        do {
            try spool.move(
                suspect.place.file.description, suspect.place.directory, to: file.description,
                .active)
            suspect.place = PlanPlace(.active, file)
        } catch {
            report.error(
                "unable to move \(suspect.place) to active/: \(error), the run goes on from where it is"
            )
        }
    }

    /// What the engine must know of the tasks of a run.
    func progress(of suspect: Reconciliation.Suspect) -> [RunInput.Progress] {
        var tasks = suspect.past.tasks
        let file = suspect.place.file
        if file.attempt > 1, suspect.plan.isSingle {
            // The name knows, also when the record did not reach the disk.
            let number = suspect.plan.tasks[0].number
            let known = tasks[number]?.attempt ?? 0
            tasks[number, default: RunPast.TaskPast()].attempt = max(known, file.attempt - 1)
        }
        return tasks.map { number, task in .init(number, task) }
    }

    /// The same of the items of its arrays.
    func items(of suspect: Reconciliation.Suspect) -> [RunInput.ItemsProgress] {
        suspect.past.items.sorted { $0.key < $1.key }.map { number, items in
            .init(
                task: number, states: items.states,
                failure: items.failed.map { .init(item: $0, reason: items.reason ?? .exit) },
                begun: items.begun.sorted { $0.key < $1.key }.map { .init($0.key, $0.value) })
        }
    }

    /// Makes a run live again, and ends what its owner wants ended.
    func enter(
        _ suspect: Reconciliation.Suspect, _ progress: [RunInput.Progress],
        _ items: [RunInput.ItemsProgress]
    ) {
        let (id, place, past) = (suspect.id, suspect.place, suspect.past)
        var run = RunRecord(
            plan: suspect.plan, name: suspect.name, directory: place.directory, file: place.file)
        run.isRemoved = suspect.isRemoved
        run.kin = past.kin
        for (task, children) in past.children where !children.isEmpty {
            run.hadSubtasks.insert(TaskRef(run: id, task: task))
        }
        if !run.isSingle { (run.results, run.items) = (past.results, past.itemResults) }
        for (task, result) in past.left { run.setLeft(result, by: task) }
        run.set(past.subtasks)
        var input = RunInput(
            id: id, generation: place.file.generation, plan: suspect.plan, progress: progress)
        input.items = items
        input.kin = past.kin
        input.children = past.children.mapValues { $0.values.sorted { $0.id < $1.id } }
        enter(run, input)
        if past.isCancelled { cancelAgain(TaskRef(run: id)) }
        for (task, own) in past.tasks where own.isCancelled && own.final == nil {
            cancelAgain(TaskRef(run: id, task: task))
        }
        for (task, items) in past.items.sorted(by: { $0.key < $1.key }) {
            for (item, own) in items.begun.sorted(by: { $0.key < $1.key }) where own.isCancelled {
                cancelAgain(TaskRef(run: id, task: task, item: item))
            }
        }
    }

    /// A cancel that is on record already.
    private func cancelAgain(_ ref: TaskRef) {
        runs[ref.run]?.cancelled.insert(ref)
        engine.handle(.cancel(ref), at: now())
        perform(engine.takeActions())
    }
}

extension RunInput.Progress {
    /// A past that the journal knows.
    init(_ number: Int, _ past: RunPast.TaskPast) {
        let standing: Standing
        if let final = past.final {
            standing = .final(final, past.reason)
        } else if let closing = past.closing {
            standing = .closing(closing, past.reason)
        } else if let due = past.due {
            standing = .due(due)
        } else {
            standing = .open
        }
        self.init(
            task: number, standing: standing, attempt: past.attempt, failures: past.failures,
            losses: past.losses)
    }
}
