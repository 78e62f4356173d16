// SPDX-License-Identifier: Apache-2.0
import Linux
import TaskJournal
import TaskLedger
import TaskModel

/// Follows all segments of a journal, each from its beginning, and collects what the ledger lacks of them.
///
/// What lies before the ledger's cursor is read as well: it says how the runs are called that end behind it.
/// Writers are read one after another, not merged by time: an end needs only what its own writer wrote before.
final class JournalTail {
    private struct Segment {
        var cursor: SegmentCursor?
        /// The last record that the ledger has looked at; nil: it was not asked.
        var told: Int64?
        /// Nothing comes any more, and all of it was read.
        var isRead = false
        /// Where the memory of an earlier process ends in it, and what the ledger had looked at by then.
        var memory: TailMemory.Place?
    }

    private let journal: Int32
    private var fold = HistoryFold()
    private var segments: [SegmentName: Segment] = [:]
    /// Segments that come later are not asked for: nobody has shipped of them.
    private var isAsked = false
    /// Something was read since the memory was taken.
    private var isChanged = false
    /// Records that are bad or missing were met.
    private(set) var damages = 0
    private var missed: [String] = []

    /// How long a turn reads at most, in microseconds: signals and the lease wait meanwhile.
    private static let turn: Int64 = 100_000

    init(_ journal: Int32) { self.journal = journal }

    /// Forgets what was read and where the ledger is: it is asked again.
    ///
    /// - Parameter memory: what an earlier process had read, and was told that it is committed.
    func reset(_ memory: TailMemory? = nil) {
        segments = [:]
        fold = HistoryFold()
        isAsked = false
        isChanged = false
        guard let memory else { return }
        for place in memory.places {
            segments[place.segment] = Segment(isRead: place.isRead, memory: place)
        }
        for line in memory.lines { _ = fold.add(line) }
    }

    /// What was read, for a later process. Only while nothing that was collected waits for its commit.
    func takeMemory() -> TailMemory? {
        guard isAsked, isChanged else { return nil }
        isChanged = false
        var memory = TailMemory()
        for (name, segment) in segments {
            guard let told = segment.told, segment.isRead || segment.cursor != nil else { continue }
            memory.places.append(
                TailMemory.Place(
                    segment: name, told: told, isRead: segment.isRead,
                    offset: segment.cursor?.offset ?? 0, sequence: segment.cursor?.sequence ?? 0))
        }
        fold.lines { memory.lines.append($0) }
        return memory
    }

    /// Segments that were removed before they were read to their end, once.
    func takeMissed() -> [String] {
        defer { missed = [] }
        return missed
    }

    // MARK: The ledger's cursors

    /// Segments of which the ledger is to be asked, some at a time; empty once it was asked for all.
    func unasked() throws(JournalError) -> [String] {
        if isAsked { return [] }
        let entries = try JournalDirectory(reading: journal).segments
        let open = entries.filter { segments[$0.name]?.told == nil }
        isAsked = open.isEmpty
        return open.prefix(LedgerLimits.questions).map(\.name.stem)
    }

    /// The ledger's word on a question, or on a shipment.
    ///
    /// - Returns: false where it is another place than the one that was read to: all is to be read again.
    func told(_ shipment: Shipment, _ place: Int64) -> Bool {
        guard let name = SegmentName(stem: shipment.segment) else { return true }
        let isQuestion = shipment.from < 0
        let memory = segments[name]?.memory
        segments[name, default: Segment()].told = place
        segments[name]?.memory?.told = place
        // A ledger that lost some of what is remembered is shipped that again.
        return isQuestion ? place >= memory?.told ?? 0 : place == shipment.to
    }

    // MARK: Reading

    /// What was collected, and whether there is more at once.
    struct Batch {
        var shipments: [Shipment] = []
        var bytes = 0
        var hasMore = false
    }

    /// Reads on. The records of what is returned are on disk.
    func collect() throws(JournalError) -> Batch {
        let end = Clock.boot() + Self.turn
        var batch = Batch()
        let entries = try JournalDirectory(reading: journal).segments
        forgetRemoved(entries)
        for (index, entry) in entries.enumerated() {
            if segments[entry.name] == nil, isAsked { segments[entry.name] = Segment(told: 0) }
            guard let segment = segments[entry.name], segment.told != nil, !segment.isRead else {
                continue
            }
            let next = entries[(index + 1)...].first { $0.name.writer == entry.name.writer }
            var known = segment.cursor
            if known == nil { known = try open(entry.name, segment.memory) }
            guard let cursor = known else {
                segments[entry.name]?.isRead = true  // `tasklog verify` names it
                damages += 1
                continue
            }
            segments[entry.name]?.cursor = cursor
            if let next { try limit(cursor, by: next.name) }
            try read(entry, cursor, into: &batch, until: end)
            if batch.hasMore { break }
        }
        return batch
    }

    private func forgetRemoved(_ entries: [JournalDirectory.Entry]) {
        let present = Set(entries.map(\.name))
        for (name, segment) in segments where !present.contains(name) {
            if !segment.isRead { missed.append(name.stem) }
            segments[name] = nil
        }
    }

    private func open(
        _ name: SegmentName, _ memory: TailMemory.Place? = nil
    ) throws(JournalError) -> SegmentCursor? {
        do {
            let cursor = try SegmentCursor(
                name, at: journal, offset: memory?.offset ?? 0, sequence: memory?.sequence ?? 0)
            // One that was cut after a crash is read from its beginning: what was shipped of it is not shipped again.
            if let memory, let cursor, try !cursor.reaches(memory.offset) { return try open(name) }
            return cursor
        } catch JournalError.format {
            return nil
        } catch {
            throw error
        }
    }

    // Records that are written again in the segment that follows come from there.
    private func limit(_ cursor: SegmentCursor, by next: SegmentName) throws(JournalError) {
        guard cursor.supersededFrom == nil, let successor = try open(next),
            successor.header.previous?.segment == cursor.name
        else { return }
        cursor.supersededFrom = successor.header.firstSequence
    }

    private func read(
        _ entry: JournalDirectory.Entry, _ cursor: SegmentCursor, into batch: inout Batch,
        until end: Int64
    ) throws(JournalError) {
        var shipment = Shipment(segment: entry.name.stem, from: segments[entry.name]?.told ?? 0)
        var count = 0
        reading: while true {
            if count & 255 == 255, Clock.boot() >= end { batch.hasMore = true }
            if batch.bytes + shipment.bytes >= LedgerLimits.round { batch.hasMore = true }
            if batch.hasMore { break }
            count += 1
            switch try cursor.next() {
            case .record(let record):
                isChanged = true
                add(record, &shipment)
            case .damaged: damages += 1
            case .end:
                if entry.isSealed {
                    segments[entry.name]?.isRead = true
                    segments[entry.name]?.cursor = nil
                }
                break reading
            }
        }
        guard !shipment.ends.isEmpty else { return }
        // Who told the ledger of a record that a power failure takes back would never tell of the next one with
        // its number.
        if !entry.isSealed { try cursor.sync() }
        batch.bytes += shipment.bytes
        batch.shipments.append(shipment)
    }

    private func add(_ record: JournalRecord, _ shipment: inout Shipment) {
        let sequence = Int64(clamping: record.sequence)
        shipment.to = max(sequence, shipment.from)
        guard HistoryFold.concerns(record.line), let line = try? EventLine(parsing: record.line),
            let end = fold.add(line)
        else { return }
        if sequence > shipment.from { shipment.append(end) }
    }
}
