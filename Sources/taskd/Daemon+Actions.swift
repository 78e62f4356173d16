// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskEngine
import TaskModel
import TaskSpool
import TaskUnit

/// Carries out what the engine decides, in order.
extension Daemon {
    /// - Parameter line: the event that led to the decisions, where the pool told one.
    func perform(_ actions: [EngineAction], for line: EventLine? = nil) {
        for action in actions { perform(action, for: line) }
    }

    private func perform(_ action: EngineAction, for line: EventLine?) {
        switch action {
        case .start(let ref, let attempt): start(ref, attempt)
        case .kill(let ref, let attempt): kill(ref, attempt)
        case .wake(let ref, let attempt): wake(ref, attempt)
        case .attemptEnded(let ref, let attempt, let verdict):
            endAttempt(ref, attempt, verdict, line)
        case .retry(let ref, let attempt, let due):
            record(
                .retry, ref.description,
                named(ref, [.init("a", String(attempt)), .init("due", String(due))]))
        case .retryClosed(let ref, let attempt, let due, let because):
            record(
                .retry, ref.description,
                named(
                    ref,
                    [
                        .init("a", String(attempt)), .init("due", String(due)),
                        .init("reason", FailureReason.dependency.rawValue),
                        .init("what", "\(because), which it dropped, failed"),
                    ]))
        case .taskEnded(let ref, let state, let reason, let because):
            endTask(ref, state, reason, because)
        case .itemsEnded(let ref, let result): endItems(ref, result)
        case .place(let id, let placement): place(id, placement)
        case .parked(let id, let ref):
            record(
                .hold, id.description,
                [
                    .init(
                        "what",
                        "\(name(of: ref)) was lost three times in a row: task release \(id) to try again"
                    )
                ])
        case .runEnded(let id, let state, let reason, let because):
            endRun(id, state, reason, because)
        }
    }

    // MARK: Starting

    private func start(_ ref: TaskRef, _ attempt: Int) {
        guard var run = runs[ref.run] else { return }
        cluster.starts += 1
        if run.isSingle, run.file.attempt != attempt {
            move(ref.run, &run, to: .active, attempt: attempt)
            runs[ref.run] = run
        }
        pool.sent[ref] = attempt
        if spares(ref, attempt) { return }
        let isCautious = attempt > 1 || Clock.boot() < cautiousUntil
        guard isCautious else { return sendJob(ref, attempt) }
        pool.gated.insert(ref)
        let sequence = record(.start, ref.description, named(ref, [.init("a", String(attempt))]))
        pool.announced.insert(ref)
        after(sequence, .startGated(ref, attempt: attempt))
    }

    /// What an attempt had to wait for is there. A kill that came before that has nobody to end it but this;
    /// and one that would come before the table of a new connection would be missed in it (rule 10).
    func openGate(_ ref: TaskRef, _ attempt: Int) {
        guard pool.sent[ref] == attempt else { return }
        guard pool.isReady || pool.killed[ref] == attempt else {
            pool.early[ref] = attempt
            return
        }
        pool.gated.remove(ref)
        guard pool.killed[ref] == attempt else { return sendJob(ref, attempt) }
        let fields: [EventLine.Field] = [
            .init("a", String(attempt)), .init("state", TaskState.cancelled.word),
            .init("what", "killed before it ran"),
        ]
        handle(EventLine(Clock.real(), .end, ref.description, named(ref, fields)))
    }

    /// The task's name as its events carry it.
    func name(of ref: TaskRef) -> String {
        guard let run = runs[ref.run] else { return ref.description }
        return ref.task.flatMap { run.name(of: $0) } ?? run.name
    }

    func named(_ ref: TaskRef, _ fields: [EventLine.Field]) -> [EventLine.Field] {
        fields + [.init("name", name(of: ref))]
    }

    // MARK: Ends

    private func endAttempt(
        _ ref: TaskRef, _ attempt: Int, _ verdict: Verdict, _ line: EventLine?
    ) {
        guard var line else { return }
        switch verdict {
        case .final: line.set("final", "yes")
        case .cancelled:
            line.set("state", TaskState.cancelled.word)
            line.set("final", "yes")
        case .skipped:
            line.fields.removeAll { $0.key == "reason" }
            line.set("state", TaskState.skipped.word)
            line.set("final", "yes")
        case .waits(let state):
            if state != .failure { line.fields.removeAll { $0.key == "reason" } }
            line.set("state", state.word)
            line.set("wait", "yes")
        case .retried, .parked: break
        }
        if let generation = runs[ref.run]?.file.generation, generation > 0 {
            line.set("g", String(generation))
        }
        if case .final = verdict, line["of"] == nil {
            let state = line["state"].flatMap { TaskState(word: $0) } ?? .failure
            for field in remain(ref, state, ResultPlace(line)) { line.set(field.key, field.value) }
        }
        append(line)
        if line["final"] == "yes" || line["wait"] == "yes" { noteResult(ref, line) }
        syncLater(line)
        if line["final"] == "yes" {
            note(ref, line["state"].flatMap { TaskState(word: $0) } ?? .failure)
        }
    }

    private func endTask(
        _ ref: TaskRef, _ state: TaskState, _ reason: FailureReason?, _ because: String?
    ) {
        var fields: [EventLine.Field] = [.init("state", state.word)]
        if let because, state == .skipped {
            fields.append(.init("what", "\(because) \(what(because, ref, reason))"))
        } else if let reason {
            fields.append(.init("reason", reason.rawValue))
            if let because, reason == .dependency, runs[ref.run]?.hadSubtasks.contains(ref) ?? false
            {
                fields.append(.init("what", "\(because), which it dropped, failed"))
            } else if let because, reason == .dependency {
                fields.append(.init("what", "\(because), which it requires, failed"))
            }
        }
        if let task = ref.task, runs[ref.run]?.task(task)?.spec.flag(.rest) ?? false {
            fields.append(.init("rest", "yes"))
        }
        fields += remain(ref, state, ref.task.flatMap { runs[ref.run]?.left[$0] })
        fields.append(.init("final", "yes"))
        if let generation = runs[ref.run]?.file.generation, generation > 0 {
            fields.append(.init("g", String(generation)))
        }
        record(.end, ref.description, named(ref, fields))
        note(ref, state)
    }

    // Why a task is skipped, behind the name of the one that decided.
    private func what(_ because: String, _ ref: TaskRef, _ reason: FailureReason?) -> String {
        let isCondition =
            runs[ref.run]?.plan?.tasks.contains {
                $0.spec.name == because && $0.spec.flag(.condition)
            } ?? false
        if isCondition { return "says no" }
        return reason == .dependency ? "did not succeed" : "did not fail"
    }

    /// Remembers a task's result for the reduced plan.
    private func note(_ ref: TaskRef, _ state: TaskState) {
        guard let task = ref.task, ref.item == nil else { return }
        // No copy of the run is held meanwhile: its tables would be copied with each end.
        if runs[ref.run]?.hasSubtasks(task) ?? false {
            runs[ref.run]?.closeSubtasks(of: task, state, attempt: engine.attempts(of: ref))
        }
        if runs[ref.run]?.isSingle == false { runs[ref.run]?.results[task] = state }
    }

    private func endRun(
        _ id: TaskID, _ state: TaskState, _ reason: FailureReason?, _ because: String?
    ) {
        guard let run = runs[id] else { return }
        var fields: [EventLine.Field] = [.init("state", state.word)]
        if let reason { fields.append(.init("reason", reason.rawValue)) }
        if let because, run.plan?.tasks.count ?? 1 > 1 {
            fields.append(.init("what", "\(because) failed"))
        }
        if run.file.generation > 0 { fields.append(.init("g", String(run.file.generation))) }
        fields.append(.init("name", run.name))
        if let kin = run.kin {
            fields.append(.init("parent", kin.parent.description))
            fields += leavings(of: run, state)
        }
        fields.append(.init("final", "yes"))
        // Under a token it is what happened here; the ledger says what it comes to.
        if run.file.token != nil { fields.removeLast() }
        let end = EventLine(Clock.real(), .end, id.description, fields)
        let sequence = append(end)
        runs[id]?.isEnded = true
        announceEnd(id, run, state, reason)
        firing.table.ended(run.name)
        if let kin = run.kin { noteEnd(of: id, end, kin) }
        after(sequence, .finish(id, state))
    }

    // MARK: What waited for the disk

    func perform(_ action: AfterSync) {
        switch action {
        case .removeTaken(let taken):
            if !removeQuietly(taken.text, .tmp) { checkpoint.undone.append(action) }
        case .removeCommand(let name):
            commands.remove(name)
            if !removeQuietly(name, .incoming) { checkpoint.undone.append(action) }
        case .moveRejected(let taken, let name):
            if !moveRejected(taken, as: name) { checkpoint.undone.append(action) }
        case .install(let taken, let name):
            if !install(taken, name) { checkpoint.undone.append(action) }
        case .enterSubtask(let id): if !enterSubtask(id) { checkpoint.undone.append(action) }
        case .finish(let id, let state): finish(id, state)
        case .recoverFull(let id, let past, let places):
            do {
                try recoverFull(id, past, places)
            } catch {
                report.error("\(error.sentence), it is tried again in 60 s")
                checkpoint.undone.append(action)
            }
        case .removeLeft(let id, let name, let directory):
            // Of a run that ends again it may be the plan that step 6 has there just now.
            if runs[id]?.isEnded ?? false || !removeQuietly(name, directory) {
                checkpoint.undone.append(action)
            }
        case .startGated(let ref, let attempt): openGate(ref, attempt)
        case .remove(let batch): remove(batch)
        case .handOver(let id): finishHandOver(id)
        case .settle(let name, let plan, let verdict): finishSettled(name, plan, verdict)
        case .removeOutgoing(let name):
            do {
                try cluster.outgoing?.remove(name)
                cluster.recorded.remove(name)
            } catch {
                checkpoint.undone.append(action)
            }
        case .acknowledge(let sequence, let connection):
            acknowledge(sequence, connection: connection)
        }
    }

    /// Whether the name is gone.
    @discardableResult
    func removeQuietly(_ name: String, _ directory: SpoolDirectory) -> Bool {
        do {
            try spool.remove(name, directory)
        } catch {
            if error == .noSuchFileOrDirectory { return true }
            report.error(
                "unable to remove \(directory.rawValue)/\(name): \(error), it is left there")
            return false
        }
        return true
    }

    private func install(_ taken: TakenName, _ name: String) -> Bool {
        do {
            try spool.move(taken.text, .tmp, to: name, .units)
        } catch {
            if error == .noSuchFileOrDirectory { return true }
            report.error("unable to install \(name) into units/: \(error), it stays in tmp/")
            return false
        }
        return true
    }
}
