// SPDX-License-Identifier: Apache-2.0

/// The segments of one writer, in order, read as one stream.
///
/// A record that is written again in the following segment (after an fdatasync that failed) comes
/// once. Missing records at a segment's end are damage, and so are missing segments, unless they were
/// retired: that is said by a later record, so that who reads the chain decides.
final class JournalChain {
    private let directory: Int32
    private var waiting: [SegmentName]
    private(set) var cursor: SegmentCursor?
    /// The record that `peek` found, with its time.
    private var ahead: (record: JournalRecord, time: Int64)?
    private var damages: [Damage] = []
    private var gaps: [Gap] = []
    private let isWhole: Bool
    private var known: Set<SegmentName>
    private var last: (name: SegmentName, sequence: UInt64)?

    /// Damage, unless the segment that is missing was retired.
    struct Gap {
        var missing: SegmentName
        var damage: Damage
    }

    /// - Parameter isWhole: the segments are all that there are: before the first one none is left out.
    init(_ segments: [SegmentName], at directory: Int32, isWhole: Bool) {
        self.isWhole = isWhole
        waiting = segments
        known = Set(segments)
        self.directory = directory
    }

    /// A segment that was made since.
    func add(_ name: SegmentName) {
        if known.insert(name).inserted { waiting.append(name) }
    }

    func takeDamages() -> [Damage] {
        defer { damages = [] }
        return damages
    }

    func takeGaps() -> [Gap] {
        defer { gaps = [] }
        return gaps
    }

    /// Starts behind a record of an earlier reading.
    func skip(through position: JournalPosition) {
        waiting.removeAll { $0 < position.segment }
        skipped = position
    }
    private var skipped: JournalPosition?

    // Only in its own segment: where its end was lost, later ones count on from an earlier number.
    private func isSkipped(_ record: JournalRecord) -> Bool {
        skipped.map { $0.segment == record.segment && record.sequence <= $0.sequence } ?? false
    }
    private var isLastLook = false

    /// The time of the chain's first record; nothing stays open. nil when there is none yet.
    func firstTime() throws(JournalError) -> Int64? {
        guard let name = waiting.first,
            let first = try SegmentCursor.readable(name, at: directory)
        else {
            return try nextTime()
        }
        if case .record(let record) = try first.next() { return RecordTime.of(record.line) }
        return try nextTime()
    }

    /// The time of the next record, nil at the end for now.
    func nextTime() throws(JournalError) -> Int64? {
        if ahead == nil { try advance() }
        return ahead?.time
    }

    func take() -> JournalRecord? {
        defer { ahead = nil }
        return ahead?.record
    }

    private func advance() throws(JournalError) {
        while true {
            guard let cursor else {
                guard try openNext() else { return }
                continue
            }
            switch try cursor.next() {
            case .record(let record):
                isLastLook = false
                if isSkipped(record) { continue }
                ahead = (record, RecordTime.of(record.line))
                return
            case .damaged(let damage):
                damages.append(damage)
            case .end:
                if waiting.isEmpty {
                    guard cursor.isAbandoned() else { return }
                    // It may have been sealed since it was read: once more.
                    guard isLastLook else {
                        isLastLook = true
                        continue
                    }
                }
                try finish(cursor)
            }
            isLastLook = false
        }
    }

    // The successor exists, so nothing comes any more: bytes that are left are a torn tail.
    private func finish(_ cursor: SegmentCursor) throws(JournalError) {
        let torn = try cursor.tornBytes()
        if torn > 0, cursor.supersededFrom.map({ cursor.sequence + 1 < $0 }) ?? true {
            damages.append(
                Damage(
                    cursor.isCompressed ? .corrupt : .torn, cursor.name, offset: cursor.offset,
                    bytes: torn))
        }
        last = (cursor.name, cursor.sequence)
        self.cursor = nil
    }

    private func openNext() throws(JournalError) -> Bool {
        guard let name = waiting.first else { return false }
        waiting.removeFirst()
        do {
            guard let opened = try SegmentCursor(name, at: directory) else { return true }
            check(opened)
            if !opened.isTableWhole { damages.append(Damage(.table, name)) }
            try limit(opened)
            cursor = opened
        } catch JournalError.format {
            damages.append(Damage(.header, name))
        }
        return true
    }

    private func check(_ opened: SegmentCursor) {
        guard let previous = opened.header.previous else { return }
        let first = opened.header.firstSequence
        guard let last else {
            // One that is there and cannot be read is damage of its own.
            if isWhole, !known.contains(previous.segment) {
                gaps.append(Gap(missing: previous.segment, damage: Damage(.gap, opened.name)))
            }
            return
        }
        var damage = Damage(.gap, opened.name)
        if last.sequence + 1 < first { damage.sequences = (last.sequence + 1)...(first - 1) }
        if last.name != previous.segment {
            gaps.append(Gap(missing: previous.segment, damage: damage))
        } else if damage.sequences != nil {
            damages.append(damage)
        }
    }

    // What the successor's header says of where this segment's records end.
    private func limit(_ opened: SegmentCursor) throws(JournalError) {
        guard let next = waiting.first,
            let successor = try SegmentCursor.readable(next, at: directory),
            successor.header.previous?.segment == opened.name
        else { return }
        opened.supersededFrom = successor.header.firstSequence
    }
}

/// The time at the head of an event line.
enum RecordTime {
    static func of(_ line: ArraySlice<UInt8>) -> Int64 {
        var time: Int64 = 0
        for byte in line.prefix(18) {
            guard (48...57).contains(byte) else { break }
            time = time * 10 + Int64(byte - 48)
        }
        return time
    }
}
