// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskEngine
import TaskModel
import TaskPlan
import TaskSpool

/// Subtasks: what an attempt drops comes from the pool as `note what=submit`, and is a run whose id is
/// made of the parent and the drop's name (task-spool(7), "Subtasks").
extension Daemon {
    /// Children of one task that have not ended, at most.
    static let mostOpenChildren = 10_000

    /// A drop on its way in.
    struct SubtaskDrop {
        var child: Subtask
        var parent: TaskRef
        var bytes: [UInt8]
    }

    /// Accepts, adopts, runs again or refuses it: one record, after which the pool need not keep it.
    func takeSubtask(_ line: EventLine, of parent: TaskRef, _ attempt: Int) {
        // No copy of the run is held: its table of subtasks would be copied with each.
        guard
            let (depth, generation) = runs[parent.run].map({
                (($0.kin?.depth ?? 0) + 1, $0.file.generation)
            }), pool.sent[parent] == attempt, let name = line["name"],
            let text = line["unit"], case .unit = DropName(Array(name.utf8))
        else { return }
        if isPaused || !hasSpace() { return stallPool("there is no space") }
        let child = Subtask(
            id: Subtask.id(of: name, parent: parent, generation: generation), name: name,
            attempt: attempt, depth: depth, digest: SHA256.hex(text.utf8))
        let drop = SubtaskDrop(child: child, parent: parent, bytes: Array(text.utf8))
        defer { if pool.connection != nil { isStalled = false } }
        guard let found = engine.child(child.id, of: parent) else {
            // Damage of the journal has lost whose it is: it runs by itself.
            if let run = runs[child.id], !run.isEnded { return takeUp(drop, child, run) }
            return accept(drop)
        }
        let known = whole(found, of: parent)
        if known.attempt == attempt, known.digest == child.digest {  // told again
            return tellEnd(known, to: parent)
        }
        if known.digest != child.digest { return refuseChanged(drop, known) }
        if known.state == .rejected { return accept(drop) }
        if known.isOpen || !known.hasFailed { return adopt(drop, known) }
        runAgain(drop, known)
    }

    /// Nothing can be taken for now: the pool tells what is not acknowledged again.
    func stallPool(_ why: String) {
        if !isStalled { report.warning("subtasks wait: \(why), it is tried each second") }
        isStalled = true
        dropPool(why)
        pool.nextAttempt = Clock.boot() + 1_000_000
    }

    /// What an event of a subtask says of its parent.
    private func fields(of drop: SubtaskDrop) -> [EventLine.Field] {
        [
            .init("parent", drop.parent.description), .init("a", String(drop.child.attempt)),
            .init("depth", String(drop.child.depth)), .init("drop", drop.child.digest),
        ]
    }

    private func tell(_ child: Subtask, to parent: TaskRef) {
        runs[parent.run]?.hadSubtasks.insert(parent)
        if let task = parent.task { runs[parent.run]?.set(child, of: task) }
        engine.handle(.dropped(child, parent: parent), at: now())
        perform(engine.takeActions())
    }

    // MARK: New

    private func accept(_ drop: SubtaskDrop) {
        let parent = drop.parent
        if parent.item != nil { return refuse(drop, "an item of an array has no subtasks") }
        if engine.openChildren(of: parent) >= Self.mostOpenChildren {
            return refuse(
                drop,
                "\(Self.mostOpenChildren) subtasks of \(name(of: parent)) have not ended: "
                    + "no more are allowed at once")
        }
        guard let plan = compile(drop) else { return }
        do {
            try publish(drop, plan, plan.encode())
        } catch {
            stallPool("\(drop.child.name) can't be written: \(error)")
        }
    }

    /// Its plan; nil where it is refused, as is said of the child as it is known, or can't be had for now.
    private func compile(_ drop: SubtaskDrop, _ known: Subtask? = nil) -> Plan? {
        if Spool.isPlan(drop.bytes) {
            refuse(drop, "it is a plan: a subtask is a unit, a script or a pipeline", known)
            return nil
        }
        compiler.lookAgain()
        switch compiler.compile(subtask: drop.child.name, drop.bytes) {
        case .bad(let text): refuse(drop, text, known)
        case .definition: refuse(drop, "it has [RunIf]: a subtask runs once, and now", known)
        case .later(let error): stallPool("a definition can't be read: \(error)")
        case .plan(let plan, _): return bound(drop, plan, known)
        }
        return nil
    }

    /// What the parent's task may not do the child may not either.
    private func bound(_ drop: SubtaskDrop, _ compiled: Plan, _ known: Subtask?) -> Plan? {
        if case .notNow(let why) = plan(of: drop.parent.run) {
            stallPool("the plan of \(drop.parent.run) can't be read: \(why)")
            return nil
        }
        guard let own = drop.parent.task.flatMap({ runs[drop.parent.run]?.task($0) }) else {
            refuse(drop, "the plan of its parent is gone: it has no rights to take from", known)
            return nil
        }
        var plan = compiled
        var rights = own.spec
        // A script is what was dropped: the parent had its bytes.
        let script = ":" + drop.child.digest
        rights[.file] += plan.tasks.flatMap { $0.spec[.file].filter { $0.hasSuffix(script) } }
        do {
            for place in plan.tasks.indices {
                plan.tasks[place].spec = try Inheritance.apply(rights, to: plan.tasks[place].spec)
            }
        } catch {
            refuse(drop, "\(drop.child.name): \(error.sentence)", known)
            return nil
        }
        return plan
    }

    /// Its accept comes before its place in ready/: what a crash leaves there without one would be a
    /// run of nobody's.
    private func publish(
        _ drop: SubtaskDrop, _ plan: Plan, _ encoded: [UInt8]
    ) throws(Errno) {
        let id = drop.child.id
        let isLarge = encoded.count > Self.longestCarriedPlan
        try spool.write(encoded, to: id.description, .tmp, durable: isLarge)
        if isLarge { try spool.sync(.tmp) }
        tell(drop.child, to: drop.parent)
        let sequence = recordAccept(
            id, name: drop.child.name, plan, encoded, nil, isRecovered: false,
            firing: fields(of: drop))
        built[id] = (plan, drop)
        after(sequence, .enterSubtask(id))
    }

    /// Its accept is durable. False where its plan could not be moved: that is tried again.
    func enterSubtask(_ id: TaskID) -> Bool {
        guard let (plan, drop) = built[id] else { return true }
        let file = RunFileName(run: id)
        do {
            try spool.move(id.description, .tmp, to: id.description, .ready)
        } catch {
            if error == .noSuchFileOrDirectory {
                try? spool.write(plan.encode(), to: id.description, .tmp, durable: false)
            }
            report.error("unable to move tmp/\(id) to ready/: \(error), it is tried again in 60 s")
            return false
        }
        built[id] = nil
        noteUnsynced(id)
        let name = UnitName.of(drop.child.name)
        enter(RunRecord(plan: plan, name: name, directory: .ready, file: file), plan, drop)
        return true
    }

    private func enter(_ record: RunRecord, _ plan: Plan, _ drop: SubtaskDrop) {
        var run = record
        run.kin = Kin(parent: drop.parent, depth: drop.child.depth)
        var input = RunInput(id: run.file.run, generation: run.file.generation, plan: plan)
        input.kin = run.kin
        enter(run, input)
    }

    // MARK: Known

    /// It runs, or has succeeded: the attempt has it as its own.
    private func adopt(_ drop: SubtaskDrop, _ known: Subtask) {
        var child = known
        (child.attempt, child.isRefused) = (drop.child.attempt, false)
        var own: [EventLine.Field] = [.init("name", child.name)]
        if child.generation > 0 { own.append(.init("g", String(child.generation))) }
        if child.generation > 0, let state = child.state {
            own.append(.init("state", state.word))
        }
        record(.adopt, child.id.description, own + fields(of: drop))
        tell(child, to: drop.parent)
        tellEnd(child, to: drop.parent)
    }

    /// It failed, and runs again by its owner's hand, or since the last taskd had moved it: it is the parent's.
    private func takeUp(_ drop: SubtaskDrop, _ known: Subtask, _ run: RunRecord) {
        var child = known
        (child.attempt, child.isRefused) = (drop.child.attempt, false)
        child.reopen(run.file.generation)
        runs[child.id]?.kin = Kin(parent: drop.parent, depth: drop.child.depth)
        record(
            .adopt, child.id.description,
            [.init("g", String(child.generation)), .init("name", child.name)] + fields(of: drop))
        tell(child, to: drop.parent)
    }

    /// It failed: what did not succeed of it runs as its next generation.
    private func runAgain(_ drop: SubtaskDrop, _ known: Subtask) {
        let id = known.id
        if runs[id] != nil { settleJournal(force: true, now: true) }
        if let run = runs[id] {
            guard run.isEnded else { return takeUp(drop, known, run) }
            return stallPool("the end of \(id) is not on disk")
        }
        do {
            if unread[id] != nil { return stallPool("the plan of \(id) can't be read") }
            guard let (last, plan) = try lastFailure(drop, known) else { return }
            try runAgain(drop, last, plan)
        } catch {
            stallPool("\(id) can't run again: \(error)")
        }
    }

    private func runAgain(_ drop: SubtaskDrop, _ last: Subtask, _ plan: Plan) throws(Errno) {
        let file = RunFileName(run: last.id, generation: last.generation + 1)
        try spool.move(file.description, .failed, to: file.description, .ready)
        isRetryUnsynced = true
        var child = last
        (child.attempt, child.isRefused) = (drop.child.attempt, false)
        let again = SubtaskDrop(child: child, parent: drop.parent, bytes: drop.bytes)
        runAgain(again, plan, PlanPlace(.ready, file), .init("by", "parent"))
    }

    /// The same by its owner's hand, too: its plan is in its place.
    func runAgain(
        _ drop: SubtaskDrop, _ plan: Plan, _ place: PlanPlace, _ by: EventLine.Field
    ) {
        var child = drop.child
        let generation = place.file.generation
        child.reopen(generation)
        record(
            .retry, child.id.description,
            [.init("g", String(generation)), by, .init("name", child.name)] + fields(of: drop)
                + Self.rest(of: plan))
        noteUnsynced(child.id)
        tell(child, to: drop.parent)
        let name = UnitName.of(child.name)
        enter(
            RunRecord(plan: plan, name: name, directory: place.directory, file: place.file), plan,
            drop)
    }

    /// What did not succeed of a subtask lies in failed/. Where it is not there the journal is asked: its
    /// owner has run it again since, by itself; or it is gone (a power failure took it, or its owner), and
    /// made once more of what was dropped, which is the same.
    ///
    /// - Returns: nil where there is nothing to run: it succeeded, is refused, or waits.
    private func lastFailure(
        _ drop: SubtaskDrop, _ known: Subtask
    ) throws -> (Subtask, Plan)? {
        if case .valid(let plan, _) = try readFailed(known) { return (known, plan) }
        let past = try pasts(of: [known.id])[known.id] ?? RunPast()
        var last = known
        if past.generation > known.generation, let state = past.ends[past.generation] {
            (last.generation, last.state, last.isRefused) = (past.generation, state, false)
            guard last.hasFailed else {
                adopt(drop, last)
                return nil
            }
            if case .valid(let plan, _) = try readFailed(last) { return (last, plan) }
        }
        guard let whole = compile(drop, known) else { return nil }
        let isSame = past.accept?.digest == Plan.digest(ofEncoded: whole.encode())
        let plan =
            whole.isSingle || !isSame
            ? whole : Reduction.reduce(whole, past.results, past.itemResults, past.left)
        let file = RunFileName(run: last.id, generation: last.generation + 1)
        try spool.write(plan.encode(), to: last.id.description, .tmp, durable: true)
        try spool.move(last.id.description, .tmp, to: file.description, .failed)
        return (last, plan)
    }

    private func readFailed(_ child: Subtask) throws(Errno) -> StateFile {
        let file = RunFileName(run: child.id, generation: child.generation + 1)
        let state = readState(PlanPlace(.failed, file))
        if case .unreadable(let error) = state { throw error }
        return state
    }

    // MARK: Refused

    private func refuseChanged(_ drop: SubtaskDrop, _ known: Subtask) {
        refuse(
            drop,
            "an earlier attempt dropped \(known.name) with other content: a name stands for one "
                + "subtask", known, .changed)
    }

    /// The parent fails of it, and finds out why. `rejected` is one that never ran; what has been accepted
    /// keeps its state.
    private func refuse(
        _ drop: SubtaskDrop, _ why: String, _ known: Subtask? = nil, _ reason: FailureReason? = nil
    ) {
        var child = known ?? drop.child
        child.attempt = drop.child.attempt
        child.isRefused = true
        if known == nil { child.state = .rejected }
        let first = why.split(separator: "\n").first.map(String.init) ?? why
        var own = fields(of: drop)
        // What it stands for is what was accepted.
        if known != nil { own.removeAll { $0.key == "drop" } }
        var fields: [EventLine.Field] = [
            .init("name", child.name), .init("state", TaskState.rejected.word),
            .init("what", String(first.prefix(1000))),
        ]
        if let reason { fields.append(.init("reason", reason.rawValue)) }
        record(.reject, child.id.description, fields + own)
        tell(child, to: drop.parent)
        sendFile(of: child, ".reason", why.hasSuffix("\n") ? why : why + "\n", to: drop.parent)
    }
}
