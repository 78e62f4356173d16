// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskEngine
import TaskJournal
import TaskModel
import TaskSpool

/// Where many runs wait, memory holds what decides their turn; their plans stay in their files.
extension Daemon {
    /// So many plans are kept in memory, whatever they are.
    private static let keptPlans = 1000

    /// Plans of further runs that wait are not kept.
    var keepsNoMorePlans: Bool { runs.count >= Self.keptPlans }

    /// Forgets the plan of a run that does not run, where there are many.
    func unloadOneOfMany(_ id: TaskID) {
        if runs.count > Self.keptPlans { runs[id]?.unload() }
    }

    /// What is to be had of a live run's plan.
    enum Found {
        case plan(Plan)
        /// Descriptors or memory are short, or the disk failed: nothing is known of it for now.
        case notNow(String)
        case removed
        case damaged
    }

    /// A live run's plan with its item lists, from its file.
    func wholePlan(of id: TaskID) -> Found {
        let found = plan(of: id)
        guard case .plan(let plan) = found, plan.hasItemLists, let run = runs[id] else {
            return found
        }
        return read(id, run)
    }

    /// Whether an attempt that could not be handed over can be now.
    private enum Needs {
        case met
        case unmet(Found)
        /// A result that it is to be given is not there any more.
        case withoutInput(String)
    }

    private func needs(of ref: TaskRef) -> Needs {
        let found = plan(of: ref.run)
        guard case .plan(let plan) = found else { return .unmet(found) }
        switch itemText(of: ref, plan) {
        case .text: break
        case .notNow(let why): return .unmet(.notNow(why))
        case .removed: return .unmet(.removed)
        case .damaged: return .unmet(.damaged)
        }
        guard let task = ref.task.flatMap({ runs[ref.run]?.task($0) }) else { return .met }
        switch inputs(of: task, in: ref.run) {
        case .blobs: return .met
        case .notNow(let why): return .unmet(.notNow(why))
        case .gone(let why): return .withoutInput(why)
        }
    }

    /// A live run's plan, from memory, else from its file, wherever that is by now; a damaged one from
    /// its accept record.
    func plan(of id: TaskID) -> Found {
        guard let run = runs[id] else { return .removed }
        return run.plan.map { .plan($0) } ?? read(id, run)
    }

    private func read(_ id: TaskID, _ run: RunRecord) -> Found {
        var state = readState(PlanPlace(run.directory, run.file))
        do {
            if case .gone = state, let (directory, file) = try find(id) {
                state = readState(PlanPlace(directory, file))  // of which the next turn hears
            }
        } catch {
            return .notNow(error.description)
        }
        switch state {
        case .valid(let plan, _):
            runs[id]?.load(plan)
            return .plan(plan)
        case .gone: return .removed
        case .unreadable(let error): return .notNow("\(error)")
        case .torn(let why):
            let found = recordedPlan(of: id)
            guard case .plan(let plan) = found else { return found }
            report.error("the plan of \(id) was damaged: \(why), that of its accept record runs")
            runs[id]?.load(plan)
            return found
        }
    }

    /// Reads the whole journal: only a damaged disk leads here.
    private func recordedPlan(of id: TaskID) -> Found {
        var fold = JournalFold(interesting: [id], inodes: [])
        do {
            try writeJournal()
            let reader = try JournalReader(at: spool.number(.journal))
            while let event = try reader.nextEvent() {
                guard event.line.ref?.run == id else { continue }
                fold.add(event.line, isThisBoot: true)
            }
        } catch {
            return .notNow("unable to \(error.sentence)")
        }
        guard let past = fold.runs[id] else { return .damaged }
        wanted = WantedPlans(fold)
        defer { wanted = nil }
        do {
            return try plan(of: id, past).map { .plan($0) } ?? .damaged
        } catch {
            return .notNow(error.sentence)
        }
    }

    /// Attempts that could not be handed over. Each end may start another one such: a loop, no recursion.
    func tryUnreadable() {
        if unreadable.isEmpty || Clock.boot() < readAgain { return }
        var later: [(ref: TaskRef, attempt: Int)] = []
        while let (ref, attempt) = unreadable.popLast() {
            if pool.killed[ref] == attempt {
                openGate(ref, attempt)
                continue
            }
            guard pool.sent[ref] == attempt else { continue }
            switch needs(of: ref) {
            case .met, .unmet(.plan): openGate(ref, attempt)
            case .unmet(.notNow(let why)):
                if readAgain == 0 {
                    report.error(
                        "unable to read what \(ref) needs: \(why), it is tried each second")
                }
                readAgain = Clock.boot() + 1_000_000
                later.append((ref, attempt))
            case .unmet(.removed): endRemoved(ref, attempt)
            case .unmet(.damaged): endDamaged(ref, attempt)
            case .withoutInput(let why): endWithoutInput(ref, attempt, why)
            }
        }
        unreadable = later
        if later.isEmpty { readAgain = 0 }
    }

    private func endRemoved(_ ref: TaskRef, _ attempt: Int) {
        cancelRemoved(ref.run)
        let fields: [EventLine.Field] = [
            .init("a", String(attempt)), .init("state", TaskState.cancelled.word),
            .init("what", "its plan was removed"),
        ]
        handle(EventLine(Clock.real(), .end, ref.description, named(ref, fields)))
    }

    private func endDamaged(_ ref: TaskRef, _ attempt: Int) {
        guard let run = runs[ref.run] else { return }
        let why = "it was damaged, and its accept record does not hold it"
        setAside(PlanPlace(run.directory, run.file), why)
        runs[ref.run]?.isRemoved = true
        let fields: [EventLine.Field] = [
            .init("a", String(attempt)), .init("state", TaskState.failure.word),
            .init("reason", FailureReason.changed.rawValue),
            .init("what", "its plan was damaged: it is in rejected/"),
        ]
        handle(EventLine(Clock.real(), .end, ref.description, named(ref, fields)))
    }

    /// Its owner removed the file of a live run.
    func cancelRemoved(_ id: TaskID) {
        runs[id]?.isRemoved = true
        record(
            .cancel, id.description,
            [.init("by", String(spool.owner)), .init("what", "rm")])
        engine.handle(.cancel(TaskRef(run: id)), at: now())
        perform(engine.takeActions())
    }
}
