// SPDX-License-Identifier: Apache-2.0
import TaskJournal

/// The last lines of output, as pieces in their order: memory holds no more than these.
struct RecordTail {
    private let limit: Int
    private var records: ArraySlice<LogRecord> = []
    /// Line ends in `records`.
    private var ends = 0

    /// - Parameter limit: how many lines are kept; one without its end is one.
    init(_ limit: Int) { self.limit = limit }

    mutating func add(_ record: LogRecord) {
        guard !record.payload.isEmpty else { return }
        ends += Self.ends(in: record)
        records.append(record)
        // The first piece goes when what stands behind it is enough, whatever the last line is.
        while let first = records.first, ends - Self.ends(in: first) > limit {
            ends -= Self.ends(in: first)
            records.removeFirst()
        }
    }

    /// Takes what is left of them: at most `limit` lines.
    mutating func take() -> [LogRecord] {
        defer { (records, ends) = ([], 0) }
        let isOpen = records.last?.payload.last != UInt8(ascii: "\n")
        var excess = ends + (isOpen ? 1 : 0) - limit
        var result: [LogRecord] = []
        for var record in records {
            while excess > 0, let end = record.payload.firstIndex(of: UInt8(ascii: "\n")) {
                record.payload = record.payload[(end + 1)...]
                excess -= 1
            }
            // All of it belongs to a line that goes on, and ends, in a piece behind it.
            if excess > 0 || record.payload.isEmpty { continue }
            result.append(record)
        }
        return result
    }

    private static func ends(in record: LogRecord) -> Int {
        record.payload.count { $0 == UInt8(ascii: "\n") }
    }
}
