// SPDX-License-Identifier: Apache-2.0
import Linux
import TaskEngine
import TaskModel
import TaskSpool

/// The pool's table is complete after a restart: what was active goes on, or is lost.
extension Daemon {
    func finishReconciliation() {
        guard let pending = reconcile else { return }
        reconcile = nil
        var ended: [TaskRef: Int] = [:]
        for (_, line) in pending.events where line.verb == .end {
            if let ref = line.ref { ended[ref] = line.number("a") ?? 1 }
        }
        for suspect in pending.suspects {
            pool.sent.merge(resume(suspect, ended)) { $1 }
        }
        endStrangers(Set(pending.suspects.map(\.id)))
        for (_, line) in pending.events { handle(line) }
        for (ref, attempt) in pool.sent where !pool.table.contains(ref) { lose(ref, attempt) }
    }

    /// Makes an active run live again.
    ///
    /// - Returns: its attempts that were under way: they run, have ended, or are lost.
    private func resume(
        _ suspect: Reconciliation.Suspect, _ ended: [TaskRef: Int]
    ) -> [TaskRef: Int] {
        var progress = progress(of: suspect.past, suspect.file, suspect.plan)
        var open: [TaskRef: Int] = [:]
        for task in suspect.plan.tasks {
            let ref = TaskRef(run: suspect.id, task: task.number)
            let index = progress.firstIndex { $0.task == task.number }
            let past = suspect.past.tasks[task.number]
            if past?.final != nil { continue }
            // A run of one task in active/ has been handed over: its place says so.
            let placed = suspect.plan.tasks.count == 1 ? suspect.file.attempt : nil
            let journaled = past.flatMap { $0.isOpen ? $0.attempt : nil }
            guard let attempt = pool.sent[ref] ?? ended[ref] ?? placed ?? journaled else {
                continue
            }
            open[ref] = attempt
            if let index {
                progress[index].standing = .running
                progress[index].attempt = attempt
            } else {
                progress.append(.init(task: task.number, standing: .running, attempt: attempt))
            }
        }
        enter(suspect.id, suspect.plan, name: suspect.name, .active, suspect.file, progress)
        return open
    }

    /// Attempts in the pool of runs that are not active: parked or cancelled while taskd was away.
    private func endStrangers(_ resumed: Set<TaskID>) {
        for (ref, attempt) in pool.sent where !resumed.contains(ref.run) {
            pool.connection?.send(.kill(ref, attempt: attempt, grace: 10_000_000))
            pool.sent[ref] = nil
        }
    }
}
