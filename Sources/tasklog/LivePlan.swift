// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskHistory
import TaskModel
import TaskSpool

/// The plan of a run that is under way, where the journal does not have it: an accept carries a plan
/// of 4 KiB at most, so of a larger one the history knows a task only when it starts.
enum LivePlan {
    private static let directories: [SpoolDirectory] = [.ready, .deferred, .hold, .active, .failed]

    /// Adds the tasks that nothing is known of yet, in plan order.
    static func completing(
        _ tasks: [TaskRow], of run: RunRow, spool: String
    ) throws(HistoryError) -> [TaskRow] {
        guard !run.state.isFinal, tasks.count < run.tasks ?? 0,
            let outline = outline(run, spool)
        else { return tasks }
        var known: [Int: TaskRow] = [:]
        for task in tasks where !(task.id.split(separator: ".").count > 2) {
            if let k = task.k { known[k] = task }
        }
        let rest = outline.tasks.filter { known[$0.number] == nil }.map { task in
            TaskRow(
                TaskRef(run: run.id, task: task.number), name: task.name,
                state: task.waits ? .pending : .ready, created: run.created)
        }
        return (tasks + rest).sorted { ($0.k ?? 0) < ($1.k ?? 0) }
    }

    /// Whether a run that waits lies in hold/.
    static func isParked(_ run: RunRow, spool: String) -> Bool {
        guard !run.state.isFinal,
            let stream = try? DirectoryStream(
                "\(spool)/\(SpoolDirectory.hold.rawValue)", at: File.here)
        else { return false }
        while let name = (try? stream.next()) ?? nil {
            if RunFileName(bytes: name[...])?.run == run.id { return true }
        }
        return false
    }

    // Only a run of one task carries its attempt in its file's name, and of that all is known.
    private static func outline(_ run: RunRow, _ spool: String) -> PlanOutline? {
        let file = RunFileName(run: run.id, generation: run.generation).description
        for directory in directories {
            let path = "\(spool)/\(directory.rawValue)/\(file)"
            guard let plan = try? File.open(path, flags: .noFollow),
                let bytes = try? File.readAll(plan.number, limit: Spool.longestPlan)
            else { continue }
            return PlanOutline(bytes)
        }
        return nil
    }
}
