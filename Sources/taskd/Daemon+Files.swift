// SPDX-License-Identifier: Apache-2.0
import DequeModule
import Linux
import SystemPackage
import TaskEngine
import TaskModel
import TaskSpool

/// The plans of live runs move: each transition is one rename, and ENOENT means that the owner
/// moved the plan first: taskd looks where it is and obeys.
extension Daemon {
    func place(_ id: TaskID, _ placement: Placement) {
        guard var run = runs[id], !run.isRemoved else { return }
        switch placement {
        case .ready: move(id, &run, to: .ready, attempt: run.file.attempt)
        case .active: move(id, &run, to: .active, attempt: run.file.attempt)
        case .hold: move(id, &run, to: .hold, attempt: run.file.attempt)
        case .deferred(let until, let attempt):
            // The hint before the rename; the retry record decides.
            try? spool.setModified(run.file.description, run.directory, to: until)
            move(id, &run, to: .deferred, attempt: attempt)
        }
        runs[id] = run
        if run.directory != .active { unloadOneOfMany(id) }
    }

    /// One rename; memory follows the file.
    func move(
        _ id: TaskID, _ run: inout RunRecord, to directory: SpoolDirectory, attempt: Int
    ) {
        var file = run.file
        if run.isSingle { file.attempt = attempt }
        if directory == run.directory, file == run.file { return }
        do {
            try spool.move(
                run.file.description, run.directory, to: file.description, directory)
            run.directory = directory
            run.file = file
        } catch Errno.noSuchFileOrDirectory {
            vanished.insert(id)
        } catch {
            report.error(
                "unable to move \(run.directory.rawValue)/\(run.file) to \(directory.rawValue)/: "
                    + "\(error), the run goes on from where it is")
        }
    }

    /// Step 6: the run's end is durable, its file goes.
    func finish(_ id: TaskID, _ state: TaskState) {
        guard let run = runs.removeValue(forKey: id) else { return }
        if runs.isEmpty { releaseMemory() }
        if run.file.token != nil { return finishClaim(id, run, state) }
        if run.isRemoved { return }
        let name = run.file.description
        do {
            switch state {
            case .success, .skipped: try spool.remove(name, run.directory)
            default: try park(id, run)
            }
        } catch Errno.noSuchFileOrDirectory {
            finishElsewhere(id, run, state)
        } catch {
            report.error(
                "unable to finish \(run.directory.rawValue)/\(name): \(error), it is tried again in "
                    + "60 s; the journal has its end")
            var kept = run
            kept.isSyncLost = true
            runs[id] = kept
            checkpoint.undone.append(.finish(id, state))
        }
    }

    /// Item lists of megabytes are in memory only while a plan is read.
    func noteSize(_ plan: [UInt8]) { if plan.count > 1 << 20 { isBloated = true } }

    /// After a burst taskd is as small as before.
    private func releaseMemory() {
        if mostRuns >= 1000 {
            runs = [:]
            checkpoint.unsynced = []
            incoming.names = []
            Memory.trim()
        }
        mostRuns = 0
    }

    /// The owner moved the file while its end was written: the end wins.
    private func finishElsewhere(_ id: TaskID, _ run: RunRecord, _ state: TaskState) {
        guard let place = (try? find(id)) ?? nil else {
            elsewhere[id] = (run, state)
            return
        }
        var moved = run
        (moved.directory, moved.file) = place
        if state == .success || state == .skipped {
            removeQuietly(moved.file.description, moved.directory)
        } else if moved.directory != .failed || moved.file.generation == run.file.generation {
            do { try park(id, moved) } catch {
                report.error("unable to park \(moved.file) in failed/: \(error), it is left there")
            }
        }
    }

    /// Where a run's file is, whatever memory says.
    func find(_ id: TaskID) throws(Errno) -> (SpoolDirectory, RunFileName)? { try find([id])[id] }

    /// Where the files of runs are; the first of several places.
    func find(_ ids: Set<TaskID>) throws(Errno) -> [TaskID: (SpoolDirectory, RunFileName)] {
        var found: [TaskID: (SpoolDirectory, RunFileName)] = [:]
        for directory in SpoolDirectory.states where found.count < ids.count {
            try spool.names(in: directory) { name in
                guard let file = RunFileName(bytes: name[...]), ids.contains(file.run),
                    found[file.run]?.0 ?? directory == directory
                else { return }
                found[file.run] = (directory, file)
            }
        }
        return found
    }

    /// Puts what failed, and what hung on it, into failed/ as the next generation.
    private func park(_ id: TaskID, _ run: RunRecord) throws(Errno) {
        let parked = RunFileName(run: id, generation: run.file.generation + 1).description
        let full = "\(id).full"
        do {
            try spool.move(run.file.description, run.directory, to: full, .tmp)
        } catch {
            // It lies there since an earlier try.
            if error != .noSuchFileOrDirectory || !spool.exists(full, .tmp) { throw error }
        }
        let whole = run.plan?.hasItemLists ?? false ? try readFull(full) : run.plan
        let reduced =
            run.isSingle
            ? nil
            : whole.map { Reduction.reduce($0, run.results, run.items, run.left, run.subtasks) }
        if let reduced, reduced != whole {
            try spool.write(reduced.encode(), to: "\(id).reduced", .tmp, durable: true)
            try spool.move("\(id).reduced", .tmp, to: parked, .failed)
            try spool.remove(full, .tmp)
        } else {
            if run.isSyncLost {
                try spool.rewrite(full, .tmp, by: "\(id).reduced")
            } else {
                try spool.syncFile(full, .tmp)
            }
            try spool.move(full, .tmp, to: parked, .failed)
        }
    }

    /// A plan with its item lists, which memory does not have.
    private func readFull(_ name: String) throws(Errno) -> Plan? {
        let bytes = try spool.read(name, .tmp, limit: Spool.longestPlan)
        noteSize(bytes ?? [])
        return bytes.flatMap { try? Plan(parsing: $0) }
    }
}
