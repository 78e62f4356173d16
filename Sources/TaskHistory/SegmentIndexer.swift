// SPDX-License-Identifier: Apache-2.0
import TaskJournal

/// Reads events of a segment into the tables, a transaction at a time.
final class SegmentIndexer {
    private let database: Database
    private let events: EventIndexer
    private let setPosition: Statement
    private let extendSpan: Statement
    private let addSpan: Statement
    /// Events of the last run.
    private(set) var count = 0

    init(_ database: Database) throws(HistoryError) {
        self.database = database
        events = try EventIndexer(database)
        setPosition = try database.prepare(
            "insert or replace into segment(stem, offset, seq, done) values(?1, ?2, ?3, ?4)")
        extendSpan = try database.prepare(
            """
            update span set last = ?2 where first = (select max(first) from span) and stem = ?3
                and last = ?1 - 1 returning first
            """)
        addSpan = try database.prepare("insert into span(first, last, stem) values(?1, ?2, ?3)")
    }

    // Which events are of which segment: those of a segment stand together, but for what other segments
    // got between two updates.
    private func saveSpan(_ first: Int64, _ last: Int64, _ name: SegmentName) throws(HistoryError) {
        extendSpan.bind(1, first)
        extendSpan.bind(2, last)
        extendSpan.bind(3, name.stem)
        let isExtended = try extendSpan.step()
        extendSpan.reset()
        if isExtended { return }
        addSpan.bind(1, first)
        addSpan.bind(2, last)
        addSpan.bind(3, name.stem)
        try addSpan.run()
    }

    /// True when the segment has no more for now. Without any news nothing is written.
    func run(_ cursor: SegmentCursor, most: Int, isSealed: Bool) throws -> Bool {
        count = 0
        var span: (first: Int64, last: Int64)?
        events.node = cursor.header.node
        var isAtEnd = false
        while count < most, !isAtEnd {
            switch try step(cursor) {
            case .record(let record):
                if count == 0 { try database.execute("begin immediate") }
                count += 1
                try events.add(record.line)
                if events.isAdded {
                    let row = database.lastRow
                    span = (span?.first ?? row, row)
                }
            case .damaged: continue
            case .end: isAtEnd = true
            }
        }
        try events.items.flush()
        if let span { try saveSpan(span.first, span.last, cursor.name) }
        if count > 0 || (isAtEnd && isSealed) {
            try savePosition(cursor, isDone: isAtEnd && isSealed)
        }
        if count > 0 { try database.execute("commit") }
        return isAtEnd
    }

    private func step(_ cursor: SegmentCursor) throws(HistoryError) -> SegmentCursor.Step {
        do {
            return try cursor.next()
        } catch {
            throw .journal(error.sentence)
        }
    }

    private func savePosition(_ cursor: SegmentCursor, isDone: Bool) throws(HistoryError) {
        setPosition.bind(1, cursor.name.stem)
        setPosition.bind(2, cursor.offset)
        setPosition.bind(3, Int64(cursor.sequence))
        setPosition.bind(4, isDone ? 1 : 0)
        try setPosition.run()
    }
}
