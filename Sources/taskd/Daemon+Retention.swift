// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskJournal
import TaskModel
import TaskSpool
import TaskUnit

/// What of the past goes, and when it is looked at (task-spool(7), Retention).
struct RetentionState {
    /// What is looked at, one after another.
    enum Subject: CaseIterable {
        case rejected, failed, log, journal
    }

    /// One thing that goes.
    enum Expired {
        case segment(SegmentCompression.Place, StoredSegment)
        case plan(RunFileName)
        case rejected(String)
    }

    /// The segment of the checkpoint's position: recovery needs it, and all after it. nil: not known.
    var needed: SegmentName?
    /// The segments that were written at the last look: others mean that one is complete.
    var journal: SegmentName?
    var log: SegmentName?
    /// When to look next, in CLOCK_BOOTTIME.
    var due: Int64 = 0
    /// What is still to be looked at, the next last.
    var subjects: [Subject] = []
    /// What goes, the next last.
    var expired: [Expired] = []
    /// A directory that is being read.
    var scan: FileScan?
    /// Its notes are not durable yet.
    var isWaiting = false
    /// The run whose records keep more of the journal than is allowed: said once.
    var saidKeeper: TaskID?
    /// Said once, until a removal succeeds.
    var saidFailure = false

    var isIdle: Bool { subjects.isEmpty && expired.isEmpty && scan == nil }

    static let interval: Int64 = 3_600_000_000
    /// After a seal: what was sealed is compressed first, for the limits are those of what is on disk.
    static let afterSeal: Int64 = 3_000_000
    /// So long a compression is waited for.
    static let patience: Int64 = 600_000_000
    /// Where somebody writes or compresses a segment just now.
    static let again: Int64 = 5_000_000
    /// Unlinking a segment may take a while.
    static let segmentsPerTurn = 2
    static let filesPerTurn = 50
    static let namesPerTurn = 500
    /// Clocks of those who gave runs their ids.
    static let slack: Int64 = 60_000_000
}

extension Daemon {
    /// When there is something to do, in CLOCK_BOOTTIME; nil: not before something else happens.
    var retentionDue: Int64? {
        guard reconcile == nil, unread.isEmpty, !retention.isWaiting else { return nil }
        if !retention.isIdle { return 0 }
        let isPacking = compression.child != nil || compression.due != nil
        return retention.due + (isPacking ? RetentionState.patience : 0)
    }

    /// Goes on with the removal of what is older than task.conf(5) lets stay: a few names, or a few files,
    /// in a turn.
    func maybeRetain() {
        noteCompleted()
        guard let due = retentionDue, due <= Clock.boot(), !isStopping, !isPaused else { return }
        if retention.isIdle {
            retention.subjects = RetentionState.Subject.allCases
            retention.due = Clock.boot() + RetentionState.interval
        }
        if !retention.expired.isEmpty {
            retire(takeExpired())
        } else if retention.scan != nil {
            goOnScanning()
        } else if let subject = retention.subjects.popLast() {
            look(at: subject)
        }
    }

    private func noteCompleted() {
        let needed = retention.needed
        // With the first log segment of a start the pool has closed that of the taskd before.
        if retention.journal != needed || retention.log != pool.logSegment {
            retention.due = min(retention.due, Clock.boot() + RetentionState.afterSeal)
        }
        retention.journal = needed
        retention.log = pool.logSegment
    }

    private func look(at subject: RetentionState.Subject) {
        do {
            switch subject {
            case .journal: try expireJournal()
            case .log: try expireLog()
            case .failed, .rejected:
                let kind = subject == .failed ? FileScan.Kind.failed : .rejected
                let most = configuration.count(subject == .failed ? .failedMax : .rejectedMax)
                if most < .max { retention.scan = try FileScan(kind, spool, most: most) }
            }
        } catch {
            sayKept("look for what is old: \(error)")
        }
    }

    // MARK: Segments

    private func expireJournal() throws {
        guard let needed = retention.needed else { return }
        let store = SegmentStore(.journal, at: spool.number(.journal))
        if try isBusy(store) { return }
        var segments = try store.segments()
        let lastSealed = segments.last { $0.name.writer == "taskd" && !$0.isNeeded }?.name ?? needed
        let oldest = runs.keys.min()
        let since = oldest.map { Int64($0.milliseconds) * 1000 - RetentionState.slack } ?? .max
        for index in segments.indices where segments[index].name.writer == "taskd" {
            let segment = segments[index]
            if segment.name >= min(needed, lastSealed) || segment.modified >= since {
                segments[index].isNeeded = true
            }
        }
        let limit = configuration.bytes(.journalMax, of: try File.freeSpace(spool.rootNumber).total)
        let names = Retention.journal(segments, limit: limit, writer: "taskd")
        expire(.journal, names, of: segments)
        let gone = Set(names)
        let left = segments.filter { !gone.contains($0.name) }
        let isHeld = left.contains { $0.name < min(needed, lastSealed) && $0.modified >= since }
        if left.reduce(0, { $0 + $1.bytes }) > limit, isHeld, let oldest {
            sayKeeper(oldest, limit)
        }
    }

    private func sayKeeper(_ id: TaskID, _ limit: Int64) {
        if retention.saidKeeper == id { return }
        retention.saidKeeper = id
        let name = runs[id].map { " (\($0.name))" } ?? ""
        report.warning(
            "journal/ has more than JournalMax=\(configuration[.journalMax]): the run \(id)\(name) has "
                + "not ended, and nothing since it was made is removed; `task explain \(id)`")
    }

    private func isBusy(_ store: SegmentStore) throws(JournalError) -> Bool {
        guard try store.isBusy() else { return false }
        retention.due = min(retention.due, Clock.boot() + RetentionState.again)
        return true
    }

    private func expireLog() throws {
        let store = SegmentStore(.log, at: spool.number(.log))
        if try isBusy(store) { return }
        var segments = try store.segments()
        var needed = resultSegments
        for run in runs.values { needed.formUnion(run.resultSegments) }
        for index in segments.indices {
            let name = segments[index].name
            if name == pool.logSegment || needed.contains(name) { segments[index].isNeeded = true }
        }
        let limit = configuration.bytes(.logMax, of: try File.freeSpace(spool.rootNumber).total)
        // In place of one that is written another one goes.
        var chosen = Retention.log(segments, limit: limit)
        var asked: Set<SegmentName> = []
        while let name = chosen.first(where: { !asked.contains($0) }) {
            asked.insert(name)
            guard try store.isWritten(name) else { continue }
            if let index = segments.firstIndex(where: { $0.name == name }) {
                segments[index].isNeeded = true
            }
            chosen = Retention.log(segments, limit: limit)
        }
        expire(.log, chosen, of: segments)
    }

    private func expire(
        _ place: SegmentCompression.Place, _ names: [SegmentName], of segments: [StoredSegment]
    ) {
        let known = Dictionary(uniqueKeysWithValues: segments.map { ($0.name, $0) })
        retention.expired = names.reversed().compactMap { name in
            known[name].map { .segment(place, $0) }
        }
    }

    // MARK: On record first, then removed

    private func takeExpired() -> [RetentionState.Expired] {
        var isSegment = false
        if case .segment = retention.expired.last { isSegment = true }
        let most = isSegment ? RetentionState.segmentsPerTurn : RetentionState.filesPerTurn
        let batch = retention.expired.suffix(most)
        retention.expired.removeLast(batch.count)
        return batch.reversed()
    }

    private func retire(_ batch: [RetentionState.Expired]) {
        var last = journal.lastSequence
        for one in batch {
            switch one {
            case .segment(let place, let segment):
                let what = place == .journal ? RetiredNote.journal : RetiredNote.log
                last = record(.note, "-", RetiredNote.fields(what, segment))
            case .plan(let file):
                let generation = EventLine.Field("g", String(file.generation))
                last = record(
                    .note, file.run.description, [.init("what", RetiredPlan.what), generation])
            case .rejected(let name):
                last = record(
                    .note, "-",
                    [.init("what", "rejected.retired"), .init("file", "rejected/\(name)")])
            }
        }
        retention.isWaiting = true
        after(last, .remove(batch))
    }

    /// That they go is on record.
    func remove(_ batch: [RetentionState.Expired]) {
        retention.isWaiting = false
        for one in batch {
            switch one {
            case .segment(let place, let segment): remove(place, segment.name)
            case .plan(let file):
                if runs[file.run] == nil { removeQuietly(file.description, .failed) }
            case .rejected(let name):
                if rejecting.contains(name) { continue }
                removeQuietly(name, .rejected)
                removeQuietly("\(name).reason", .rejected)
            }
        }
    }

    private func remove(_ place: SegmentCompression.Place, _ name: SegmentName) {
        let directory = place == .journal ? SpoolDirectory.journal : .log
        do {
            switch try SegmentStore(place, at: spool.number(directory)).remove(name) {
            case .removed: retention.saidFailure = false
            case .inUse:
                // What is younger does not go before it.
                retention.expired = []
                retention.due = min(retention.due, Clock.boot() + RetentionState.again)
            }
        } catch {
            retention.expired = []
            sayKept(error.sentence)
        }
    }

    func sayKept(_ what: String) {
        if retention.saidFailure { return }
        retention.saidFailure = true
        report.warning("unable to \(what), old segments and files stay for another hour")
    }
}
