// SPDX-License-Identifier: Apache-2.0
import DequeModule
import Linux
import SystemPackage
import TaskEngine
import TaskJournal
import TaskModel
import TaskSpool

/// The checkpoint (rule 7): what start-up need not replay.
struct CheckpointState {
    /// Live plans that only their accept record holds durably.
    var unsynced = Deque<TaskID>()
    /// The last record that the checkpoint on disk accounts for.
    var sequence: UInt64 = 0
    var segment: SegmentName?
    var writtenAt: Int64 = 0
    /// Steps of records that failed (a full disk): the position does not pass them.
    var undone: [AfterSync] = []
    /// Tried and failed: not again before the next interval.
    static let interval: Int64 = 60_000_000
    /// So long after it was due a checkpoint waits for no quiet moment any more: it makes one.
    static let patience: Int64 = 5_000_000
    /// More records than that at start-up, and the next checkpoint is due early: soon, but after tasks
    /// have started.
    static let longReplay = 20_000
    static let afterLongReplay: Int64 = 2_000_000
    static let syncsPerTurn = 8
    static let syncsPerUrgentTurn = 64
    static let syncsAtStop = 256
    /// How long starts are durable before they run, after an unclean boot: a task that takes the
    /// machine down is then known, and parked after three times.
    static let caution: Int64 = 600_000_000
}

extension Daemon {
    /// When the next checkpoint is due, in CLOCK_BOOTTIME; nil when the last one says all.
    var checkpointDue: Int64? {
        let isNew = journal.lastSequence != checkpoint.sequence || !checkpoint.undone.isEmpty
        guard isNew, reconcile == nil, unread.isEmpty else { return nil }
        if let segment = checkpoint.segment, segment != journal.segment { return 0 }
        return checkpoint.writtenAt + CheckpointState.interval
    }

    /// In a stream of drops and ends no moment is quiet: nothing is accepted until the checkpoint is
    /// written, or the next start would replay all of the stream.
    func isCheckpointUrgent(at boot: Int64) -> Bool {
        checkpointDue != nil
            && checkpoint.writtenAt + CheckpointState.interval + CheckpointState.patience <= boot
    }

    /// Notes a plan that only its accept record holds durably. Bounded by the live runs.
    func noteUnsynced(_ id: TaskID) {
        checkpoint.unsynced.append(id)
        if checkpoint.unsynced.count > 2 * runs.count + 1000 {
            checkpoint.unsynced = Deque(checkpoint.unsynced.filter { runs[$0] != nil })
        }
    }

    /// Writes a checkpoint at a moment when every journaled step is done in the directories, too.
    func maybeCheckpoint() {
        let boot = Clock.boot()
        guard let due = checkpointDue, due <= boot else { return }
        let isUrgent = isCheckpointUrgent(at: boot)
        if isUrgent { settleJournal(force: true, now: true) }
        guard afterSync.isEmpty, !journal.needsSync else { return }
        do {
            if tryUndone() {
                let count =
                    isUrgent ? CheckpointState.syncsPerUrgentTurn : CheckpointState.syncsPerTurn
                guard try syncPlans(atMost: count), syncSegment() else { return }
                try writeCheckpoint(isStop: false)
            }
        } catch {
            report.warning(
                "unable to write the checkpoint: \(error), the next start replays more of the journal"
            )
        }
        checkpoint.writtenAt = boot
    }

    /// Steps that failed are tried again; true when none is left, and none has led to a record whose own step
    /// is still to be done: a subtask that enters late may end at once, with all above it.
    private func tryUndone() -> Bool {
        let steps = checkpoint.undone
        checkpoint.undone = []
        for step in steps { perform(step) }
        return checkpoint.undone.isEmpty && afterSync.isEmpty && !journal.needsSync
    }

    /// At a clean stop, where that is quickly done: the next start replays nothing.
    func checkpointAtStop() {
        guard exitStatus == 0, reconcile == nil, unread.isEmpty, afterSync.isEmpty,
            !journal.needsSync,
            checkpoint.unsynced.count <= CheckpointState.syncsAtStop, tryUndone()
        else { return }
        do {
            if try syncPlans(atMost: CheckpointState.syncsAtStop), syncSegment() {
                try writeCheckpoint(isStop: true)
            }
        } catch {
            report.warning("unable to write the checkpoint: \(error), the last one stands")
        }
    }

    // A segment without a record is not synced otherwise. The checkpoint names it: without it the next
    // start reads all segments, and old ones may have been removed.
    private func syncSegment() -> Bool {
        do {
            try journal.syncSegment()
            return true
        } catch {
            report.warning("unable to \(error.sentence), the last checkpoint stands")
            return false
        }
    }

    private func writeCheckpoint(isStop: Bool) throws(Errno) {
        for directory in [SpoolDirectory.incoming, .tmp] + SpoolDirectory.states {
            try spool.sync(directory)
        }
        var content = Checkpoint(
            epoch: owner.record.epoch, segment: journal.segment.stem,
            sequence: journal.lastSequence, runs: [:])
        content.cautiousUntil = cautiousUntilReal ?? 0
        content.isStop = isStop
        content.firings = firingPasts()
        forgetKeys()
        content.keys = keys
        forgetRemaining()
        content.remaining = remaining
        // Every live run: one whose file is gone at the next start was removed by its owner.
        let away = cluster.away.keys.filter { runs[$0] == nil }
        let bytes = content.encode(Array(runs.keys) + away) { id in
            runs[id].map { past(of: id, $0) } ?? awayPast(of: id)
        }
        try spool.publish(bytes, as: "checkpoint")
        elsewhere = [:]
        checkpoint.sequence = journal.lastSequence
        checkpoint.segment = journal.segment
        retention.needed = journal.segment
    }

    private func awayPast(of id: TaskID) -> RunPast {
        var past = RunPast()
        guard let away = cluster.away[id] else { return past }
        past.generation = away.file.generation
        past.accept = .init(name: away.name)
        return past
    }

    /// Syncs some live plans; true when none is left.
    private func syncPlans(atMost count: Int) throws(Errno) -> Bool {
        for _ in 0..<count {
            guard let id = checkpoint.unsynced.popFirst() else { return true }
            guard let run = runs[id], !run.isRemoved else { continue }
            do {
                try syncPlan(id, run)
            } catch {
                // Its owner moved it, of which the next turn hears; or the disk failed.
                checkpoint.unsynced.append(id)
                if error == .noSuchFileOrDirectory { return false }
                throw error
            }
        }
        return checkpoint.unsynced.isEmpty
    }

    private func syncPlan(_ id: TaskID, _ run: RunRecord) throws(Errno) {
        let name = run.file.description
        if run.isSyncLost {
            try spool.rewrite(name, run.directory, by: id.description)
            runs[id]?.isSyncLost = false
            return
        }
        do {
            try spool.syncFile(name, run.directory)
        } catch {
            runs[id]?.isSyncLost = error != .noSuchFileOrDirectory
            throw error
        }
    }

    private func past(of id: TaskID, _ run: RunRecord) -> RunPast {
        let progress = engine.progress(of: id)
        var past = RunPast()
        past.isHeld = run.directory == .hold
        past.isCancelled = run.cancelled.contains(TaskRef(run: id))
        past.generation = run.file.generation
        past.gen = run.file.token?.gen ?? 0
        past.accept = .init(name: run.name)
        past.kin = run.kin
        past.left = run.left
        for (task, children) in engine.children(of: id) {
            past.children[task] = Dictionary(uniqueKeysWithValues: children.map { ($0.id, $0) })
        }
        for (task, children) in run.subtasks {
            past.children[task, default: [:]].merge(children) { known, own in
                var child = known
                (child.exit, child.result) = (own.exit, own.result)
                return child
            }
        }
        for task in progress {
            var own = RunPast.TaskPast()
            own.attempt = task.attempt
            own.failures = task.failures
            own.losses = task.losses
            own.isCancelled = run.cancelled.contains(TaskRef(run: id, task: task.task))
            switch task.standing {
            case .final(let state, let reason): (own.final, own.reason) = (state, reason)
            case .running: own.isOpen = true
            case .due(let time): own.due = time
            case .closing(let state, let reason): (own.closing, own.reason) = (state, reason)
            case .open: break
            }
            past.tasks[task.task] = own
        }
        for items in engine.items(of: id) {
            past.items[items.task] = itemsPast(of: items, run)
            // An array that is being cancelled: its items that run must not run again.
            let isOpen = past.tasks[items.task]?.final == nil
            if isOpen, run.cancelled.contains(TaskRef(run: id, task: items.task)) {
                past.tasks[items.task, default: .init()].isCancelled = true
            }
        }
        return past
    }

    private func itemsPast(of items: RunInput.ItemsProgress, _ run: RunRecord) -> RunPast.ItemsPast
    {
        var past = RunPast.ItemsPast()
        past.states = items.states
        (past.failed, past.reason) = (items.failure?.item, items.failure?.reason)
        for item in items.begun {
            var own = RunPast.TaskPast()
            own.attempt = item.attempt
            own.failures = item.failures
            own.losses = item.losses
            let ref = TaskRef(run: run.file.run, task: items.task, item: item.task)
            own.isCancelled = run.cancelled.contains(ref)
            if item.standing == .running { own.isOpen = true }
            if case .due(let time) = item.standing { own.due = time }
            past.begun[item.task] = own
        }
        return past
    }

    /// The checkpoint on disk, where it is whole and its segment is still there.
    func readCheckpoint() -> (content: Checkpoint, position: JournalPosition)? {
        do {
            guard
                let bytes = try spool.readPublished("checkpoint", limit: Checkpoint.longest),
                let content = Checkpoint(parsing: bytes),
                let segment = SegmentName(stem: content.segment),
                try SegmentCursor(segment, at: spool.number(.journal)) != nil
            else { return nil }
            return (content, JournalPosition(segment: segment, sequence: content.sequence))
        } catch {
            report.warning("unable to use the checkpoint: \(error), the whole journal is replayed")
            return nil
        }
    }
}
