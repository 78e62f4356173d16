// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskEngine
import TaskJournal
import TaskModel
import TaskSpool

/// `mv` is a command: the owner's renames among the state directories are obeyed (rule 9).
extension Daemon {
    func readWatcher() {
        do {
            for hint in try watch.watcher?.read() ?? [] { handle(hint) }
        } catch {
            report.error("unable to read directory events: \(error), scanning instead")
            incoming.isScanWanted = true
            firing.isScanWanted = true
        }
    }

    private func handle(_ hint: Watcher.Hint) {
        switch hint {
        case .came(.incoming, let name): incoming.add(name)
        case .came(.units, let name), .left(.units, let name):
            firing.changed.insert(String(decoding: name, as: UTF8.self))
        case .came(let directory, let name): handleArrival(directory, name)
        case .left(let directory, let name):
            guard let file = RunFileName(bytes: name[...]), let run = runs[file.run] else { return }
            // An event that agrees with memory's place is one's own.
            if run.directory == directory, run.file == file, !run.isEnded {
                vanished.insert(file.run)
            }
        case .overflow:
            incoming.isScanWanted = true
            firing.isScanWanted = true
            rescanStates()
        case .touched(let isMoved): checkSpool(isMoved: isMoved)
        }
    }

    /// A file came into a state directory: mostly by taskd's own rename.
    private func handleArrival(_ directory: SpoolDirectory, _ name: [UInt8]) {
        guard let file = RunFileName(bytes: name[...]) else { return }
        // Looked for again when the pool's table is complete.
        if reconcile?.suspects[file.run] != nil || unread[file.run] != nil { return }
        guard let run = runs[file.run] else {
            // An event of before it went, or of its going.
            if cluster.isGone(file.run) { return }
            return handleUnknown(directory, file)
        }
        if run.directory == directory && run.file == file || run.isEnded { return }
        guard spool.exists(file.description, directory) else { return }  // an old event
        if spool.exists(run.file.description, run.directory) {  // not moved: copied
            let place = PlanPlace(directory, file)
            return setAside(
                place, "the run \(file.run) is in \(PlanPlace(run.directory, run.file))")
        }
        obey(file.run, run, directory, file)
    }

    private func obey(
        _ id: TaskID, _ old: RunRecord, _ directory: SpoolDirectory, _ file: RunFileName
    ) {
        runs[id]?.directory = directory
        runs[id]?.file = file
        vanished.remove(id)
        let by = EventLine.Field("by", String(spool.owner))
        switch directory {
        case .hold:
            record(.hold, id.description, [by])
            engine.handle(.hold(id), at: now())
        case .ready where old.directory == .hold:
            record(.release, id.description, [by])
            engine.handle(.release(id), at: now())
        case .ready where old.directory == .deferred:
            record(.release, id.description, [by])
            engine.handle(.hurry(id), at: now())
        case .failed:
            record(.cancel, id.description, [by])
            runs[id]?.cancelled.insert(TaskRef(run: id))
            engine.handle(.cancel(TaskRef(run: id)), at: now())
        default:
            // A move that says nothing is undone.
            var run = old
            (run.directory, run.file) = (directory, file)
            move(id, &run, to: old.directory, attempt: old.file.attempt)
            runs[id] = run
        }
        perform(engine.takeActions())
    }

    /// A plan that memory does not know: a retry, a plan put there by hand, or one of a run that ended
    /// while its owner moved it.
    private func handleUnknown(_ directory: SpoolDirectory, _ file: RunFileName) {
        guard directory != .failed, file.token == nil, spool.exists(file.description, directory)
        else { return }
        if let ended = elsewhere[file.run], ended.run.file.generation == file.generation {
            elsewhere[file.run] = nil
            runs[file.run] = ended.run
            return finish(file.run, ended.state)
        }
        guard file.generation > 0 else {
            strangers[file.run] = PlanPlace(directory, file)
            return
        }
        guard let (plan, _) = readPlan(file, directory) else { return }
        isRetryUnsynced = true
        let by = EventLine.Field("by", String(spool.owner))
        // While its parent is open a subtask is the parent's, whoever had it run again.
        if let (parent, child) = engine.parent(of: file.run) {
            let drop = SubtaskDrop(child: child, parent: parent, bytes: [])
            return runAgain(drop, plan, PlanPlace(directory, file), by)
        }
        let name = plan.name ?? ""
        record(
            .retry, file.run.description,
            [.init("g", String(file.generation)), by, .init("name", name)] + Self.rest(of: plan))
        noteUnsynced(file.run)
        enter(file.run, plan, name: name, directory, file)
    }

    /// A plan is live unless the journal has its end (rule 9): then step 6 is done again. The whole
    /// journal is read, once for all that came in a turn; nothing but an owner's hand leads here.
    func admitStrangers() {
        if strangers.isEmpty || Clock.boot() < admitAgain { return }
        let pasts: [TaskID: RunPast]
        do {
            pasts = try self.pasts(of: Set(strangers.keys))
            admitAgain = 0
        } catch {
            if admitAgain == 0 {
                report.error(
                    "unable to \(error.sentence), plans that came wait, it is tried each second")
            }
            admitAgain = Clock.boot() + 1_000_000
            return
        }
        let places = strangers
        strangers = [:]
        for (id, place) in places
        where runs[id] == nil && !cluster.isGone(id)
            && spool.exists(place.file.description, place.directory)
        {
            if let past = pasts[id], past.ends[0] != nil {
                recoverStranger(id, place, past)
                continue
            }
            guard let (plan, encoded) = readPlan(place.file, place.directory) else { continue }
            let name = plan.name ?? ""
            makeDurable(place.file, place.directory, encoded)
            _ = recordAccept(id, name: name, plan, encoded, nil, isRecovered: true)
            noteUnsynced(id)
            enter(id, plan, name: name, place.directory, place.file)
        }
    }

    private func recoverStranger(_ id: TaskID, _ place: PlanPlace, _ past: RunPast) {
        do {
            try recoverEnded(id, place, past, nil)
        } catch {
            report.error("\(error.sentence), it is left there until taskd starts again")
        }
    }

    func pasts(of ids: Set<TaskID>) throws(JournalError) -> [TaskID: RunPast] {
        var fold = JournalFold(interesting: ids, inodes: [])
        try writeJournal()
        let reader = try JournalReader(at: spool.number(.journal))
        while let event = try reader.nextEvent() {
            guard event.at.segment.writer == "taskd", let run = event.line.ref?.run,
                ids.contains(run), event.line["gen"] == nil
            else { continue }
            fold.add(event.line, isThisBoot: event.boot == owner.record.boot)
        }
        return fold.runs
    }

    /// A plan that was put into the spool by hand, and that its accept will not carry (rule 5).
    func makeDurable(_ file: RunFileName, _ directory: SpoolDirectory, _ encoded: [UInt8]) {
        guard encoded.count > Self.longestCarriedPlan else { return }
        do {
            try spool.syncFile(file.description, directory)
            try spool.sync(directory)
        } catch {
            report.warning(
                "unable to sync \(directory.rawValue)/\(file): \(error), a power failure may lose it"
            )
        }
    }

    /// A valid plan and its bytes; what is not valid is set aside, with a reason.
    func readPlan(_ file: RunFileName, _ directory: SpoolDirectory) -> (Plan, [UInt8])? {
        do {
            guard
                let bytes = try spool.read(
                    file.description, directory, limit: Spool.longestPlan)
            else { return nil }
            return (try Plan(parsing: bytes), bytes)
        } catch let error as PlanError {
            report.error(
                "\(directory.rawValue)/\(file) is no valid plan: \(error.sentence), it is set aside"
            )
        } catch let error as Errno where error == .noSuchFileOrDirectory {
            return nil
        } catch {
            report.error("unable to read \(directory.rawValue)/\(file): \(error), it is left there")
        }
        return nil
    }

    /// Files that left a directory: moved elsewhere by their owner, or removed, which cancels.
    func lookForVanished() {
        if vanished.isEmpty || Clock.boot() < lookAgain { return }
        let ids = vanished
        vanished.removeAll()
        do {
            let gone = try notInPlace(ids)
            // The directories are read once for all.
            let places = gone.isEmpty ? [:] : try find(gone)
            lookAgain = 0
            for id in gone { follow(id, to: places[id]) }
        } catch {
            // Nothing is known of them: what is there and can't be seen must not count as removed.
            vanished.formUnion(ids)
            if lookAgain == 0 {
                report.error(
                    "unable to look for moved runs: \(error), they are looked for each second")
            }
            lookAgain = Clock.boot() + 1_000_000
        }
    }

    private func notInPlace(_ ids: Set<TaskID>) throws(Errno) -> Set<TaskID> {
        var gone: Set<TaskID> = []
        for id in ids {
            guard let run = runs[id], !run.isEnded, !run.isRemoved else { continue }
            if try !spool.has(run.file.description, run.directory) { gone.insert(id) }
        }
        return gone
    }

    private func follow(_ id: TaskID, to place: (SpoolDirectory, RunFileName)?) {
        guard let run = runs[id], !run.isEnded, !run.isRemoved else { return }
        if let (directory, file) = place { return obey(id, run, directory, file) }
        cancelRemoved(id)
    }

    /// After lost events: what lies in the state directories is compared with memory.
    func rescanStates() {
        vanished.formUnion(runs.keys)
        for directory in SpoolDirectory.live {
            var names: [[UInt8]] = []
            try? spool.names(in: directory) { names.append($0) }
            for name in names { handleArrival(directory, name) }
        }
    }
}
