// SPDX-License-Identifier: Apache-2.0
import Linux
import TaskEngine
import TaskModel
import TaskSpool

/// Runs at start-up whose attempts are unclear until the pool's table is complete.
struct Reconciliation {
    /// A run, where its plan lies, and what the journal says of it.
    struct Suspect {
        var id: TaskID
        var plan: Plan
        var name: String
        var place: PlanPlace
        var past: RunPast
        /// Its owner removed the file; the plan is a stand-in where that was before the start.
        var isRemoved = false
    }

    var suspects: [TaskID: Suspect] = [:]
    /// A cancel that came before the run is live again.
    mutating func cancel(_ ref: TaskRef) {
        guard suspects[ref.run] != nil else { return }
        if let task = ref.task, let item = ref.item {
            suspects[ref.run]?.past.items[task, default: .init()].cancel(item)
        } else if let task = ref.task {
            suspects[ref.run]?.past.tasks[task, default: .init()].isCancelled = true
        } else {
            suspects[ref.run]?.past.isCancelled = true
        }
    }

    /// Events that came with the table, to be handled once the runs are live.
    var events: [PoolEvent] = []
}

/// The pool's table is complete after a restart: what was active goes on, or is lost.
extension Daemon {
    func finishReconciliation() {
        guard let pending = reconcile else { return }
        reconcile = nil
        var ended: [TaskRef: Int] = [:]
        for line in pending.events.lazy.map(\.line) where line.endsAttempt {
            if let ref = line.ref { ended[ref] = line.number("a") ?? 1 }
        }
        let (running, over) = (Self.items(pool.sent), Self.items(ended))
        for suspect in pending.suspects.values {
            let id = suspect.id
            resume(lookAgain(suspect), ended, (running[id] ?? [:], over[id] ?? [:]))
        }
        adoptStrangers(pool.sent.merging(ended) { $1 }, pending.suspects)
        endStrangers(pending.suspects)
        for event in pending.events where pool.connection != nil { handle(event, isHeld: true) }
        for (ref, attempt) in pool.sent
        where pool.table[ref] != attempt && unread[ref.run] == nil { lose(ref, attempt) }
    }

    /// What its owner did with the file since it was seen.
    private func lookAgain(_ old: Reconciliation.Suspect) -> Reconciliation.Suspect {
        var suspect = old
        if old.isRemoved { return suspect }
        let place: (SpoolDirectory, RunFileName)?
        do {
            if try spool.has(old.place.file.description, old.place.directory) { return suspect }
            place = try find(old.id)
        } catch {
            vanished.insert(old.id)  // it can't be seen: looked for again
            return suspect
        }
        if let (directory, file) = place {
            suspect.place = PlanPlace(directory, file)
            recordMove(&suspect)
        } else {
            suspect.isRemoved = true
            suspect.past.isCancelled = true
            record(
                .cancel, old.id.description,
                [.init("by", String(spool.owner)), .init("what", "rm")])
        }
        return suspect
    }

    /// Makes a run live again whose attempts may be under way: they run, have ended, or are lost.
    func resume(
        _ found: Reconciliation.Suspect, _ ended: [TaskRef: Int],
        _ items: (running: [TaskRef: Int], ended: [TaskRef: Int])
    ) {
        var suspect = found
        if !isTold(suspect, ended) { recordDue(&suspect) }
        var progress = progress(of: suspect)
        for task in suspect.plan.tasks {
            let ref = TaskRef(run: suspect.id, task: task.number)
            let past = suspect.past.tasks[task.number]
            if past?.final != nil { continue }
            guard let attempt = pool.sent[ref] ?? news(ended[ref], past) ?? open(past, suspect)
            else { continue }
            pool.sent[ref] = attempt
            if let index = progress.firstIndex(where: { $0.task == task.number }) {
                progress[index].standing = .running
                progress[index].attempt = attempt
            } else {
                progress.append(.init(task: task.number, standing: .running, attempt: attempt))
            }
        }
        let items = resumedItems(of: suspect, items)
        let runs =
            progress.contains { $0.standing == .running }
            || items.contains { $0.begun.contains { $0.standing == .running } }
        // What its end moved to deferred/ stays: that is told again.
        if runs, !lacksRetry(suspect) { putBack(&suspect) }
        enter(suspect, progress, items)
    }

    private func isTold(_ suspect: Reconciliation.Suspect, _ ended: [TaskRef: Int]) -> Bool {
        suspect.plan.tasks.contains { task in
            let ref = TaskRef(run: suspect.id, task: task.number)
            return (pool.sent[ref] ?? news(ended[ref], suspect.past.tasks[task.number])) != nil
        }
    }

    /// Attempts of items by their run.
    static func items(_ attempts: [TaskRef: Int]) -> [TaskID: [TaskRef: Int]] {
        var items: [TaskID: [TaskRef: Int]] = [:]
        for (ref, attempt) in attempts where ref.item != nil {
            items[ref.run, default: [:]][ref] = attempt
        }
        return items
    }

    /// Items that run, have ended while taskd was away, or are lost: all have the standing of those
    /// that run, and what the pool says follows.
    private func resumedItems(
        of found: Reconciliation.Suspect,
        _ known: (running: [TaskRef: Int], ended: [TaskRef: Int])
    ) -> [RunInput.ItemsProgress] {
        var suspect = found
        for (ref, attempt) in known.ended {
            guard let task = ref.task, let item = ref.item,
                news(attempt, suspect.past.items[task]?.begun[item]) != nil
            else { continue }
            suspect.past.items[task, default: .init()].begin(item, attempt)
        }
        for (ref, attempt) in known.running {
            guard let task = ref.task, let item = ref.item else { continue }
            suspect.past.items[task, default: .init()].begin(item, attempt)
        }
        var items = items(of: suspect)
        for at in items.indices {
            let task = items[at].task
            for index in items[at].begun.indices {
                let item = items[at].begun[index].task
                guard let own = suspect.past.items[task]?.begun[item], own.isOpen else { continue }
                pool.sent[TaskRef(run: suspect.id, task: task, item: item)] = own.attempt
                items[at].begun[index].standing = .running
            }
        }
        return items
    }

    /// The attempt of an end that the pool tells again, unless that is on record: it would be counted
    /// twice.
    private func news(_ attempt: Int?, _ past: RunPast.TaskPast?) -> Int? {
        guard let attempt, let past, !past.isOpen, past.attempt >= attempt else { return attempt }
        return nil
    }

    /// The attempt that was under way as far as the journal and the file's name know.
    private func open(_ past: RunPast.TaskPast?, _ suspect: Reconciliation.Suspect) -> Int? {
        if let past, past.isOpen { return past.attempt }
        // A run of one task in active/ has been handed over: its place says so, unless the end of
        // that attempt is on record.
        guard suspect.place.directory == .active, suspect.plan.isSingle,
            suspect.place.file.attempt > past?.attempt ?? 0
        else { return nil }
        return suspect.place.file.attempt
    }

    /// Attempts whose start is not on record, of runs that lie as if they waited: moved by their owner while
    /// taskd was away.
    private func adoptStrangers(
        _ told: [TaskRef: Int], _ resumed: [TaskID: Reconciliation.Suspect]
    ) {
        for (ref, attempt) in told
        where resumed[ref.run] == nil && unread[ref.run] == nil && runs[ref.run] != nil {
            engine.handle(.found(ref, attempt: attempt), at: now())
            if engine.isRunning(ref, attempt: attempt) { pool.sent[ref] = attempt }
            perform(engine.takeActions())
        }
    }

    /// Attempts in the pool of runs that have ended or were cancelled while taskd was away.
    private func endStrangers(_ resumed: [TaskID: Reconciliation.Suspect]) {
        for (ref, attempt) in pool.sent
        where resumed[ref.run]?.isRemoved ?? true && unread[ref.run] == nil
            && !engine.isRunning(ref, attempt: attempt)
        {
            endStranger(ref, attempt)
        }
    }

    func endStranger(_ ref: TaskRef, _ attempt: Int) {
        pool.connection?.send(.kill(ref, attempt: attempt, grace: 10_000_000))
        pool.forget(ref)
    }
}

extension EventLine {
    /// Whether it is the last that an attempt is told of: its end, or that nobody heard it.
    var endsAttempt: Bool { verb == .end || verb == .lost }
}
