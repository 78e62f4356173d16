// SPDX-License-Identifier: Apache-2.0
import TaskJournal
import TaskModel
import TaskSpool

/// Plans that start-up may need and that the accepts of their runs do not carry: another accept of
/// the segment does, or the checkpoint has taken the accept's place. The journal is read for them
/// once, when the first is asked for; only what is wanted is kept.
struct WantedPlans {
    private var digests: Set<String> = []
    /// Runs whose digest only their accept before the checkpoint names.
    private var ids: Set<TaskID> = []
    private var digestOf: [TaskID: String] = [:]
    private var texts: [String: String]?

    init(_ fold: JournalFold) {
        for (id, past) in fold.runs {
            guard let accept = past.accept, accept.plan == nil else { continue }
            if let digest = accept.digest {
                digests.insert(digest)
            } else {
                ids.insert(id)
            }
        }
    }

    /// The text of the plan that a run's accept stands for; nil when no record carries it.
    mutating func text(
        _ id: TaskID, _ accept: RunPast.Accept, in spool: Spool
    ) throws(JournalError) -> String? {
        if texts == nil { try find(in: spool) }
        return (accept.digest ?? digestOf[id]).flatMap { texts?[$0] }
    }

    private mutating func find(in spool: Spool) throws(JournalError) {
        if !ids.isEmpty {
            try Self.accepts(in: spool) { accept in
                guard let id = accept.ref?.run, ids.contains(id), let digest = accept["digest"]
                else { return }
                digestOf[id] = digest
                digests.insert(digest)
            }
        }
        var found: [String: String] = [:]
        try Self.accepts(in: spool) { accept in
            guard let digest = accept["digest"], digests.contains(digest),
                let plan = accept["plan"]
            else { return }
            found[digest] = plan
        }
        texts = found
    }

    private static func accepts(
        in spool: Spool, _ body: (EventLine) -> Void
    ) throws(JournalError) {
        let reader = try JournalReader(at: spool.number(.journal))
        while let event = try reader.nextEvent() {
            if event.line.verb == .accept { body(event.line) }
        }
    }
}
