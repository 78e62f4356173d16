// SPDX-License-Identifier: Apache-2.0
import TaskJournal
import TaskModel

/// systemd's journal hears of each run's end, where it listens; it is never waited for.
extension Daemon {
    func announceEnd(_ id: TaskID, _ run: RunRecord, _ state: TaskState, _ reason: FailureReason?) {
        let why = reason.map { " (\($0.rawValue))" } ?? ""
        journald.send {
            JournaldEntry(
                "\(run.name) \(state.word)\(why): task audit \(id.short)",
                priority: state == .failure ? .error : .info,
                id: run.isSingle ? "\(id).\(run.first)" : id.description,
                name: run.name, run: id.description, state: state.word)
        }
    }
}
