// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage

/// Reads a whole journal and the log segments and says what is wrong with them.
public struct JournalVerifier {
    /// What is wrong, in the order of reading.
    public private(set) var damages: [Damage] = []
    /// Whole records.
    public private(set) var records = 0
    /// Journal segments.
    public private(set) var segments = 0
    /// Bytes of log segments that belong to no valid record.
    public private(set) var badLogs: [(segment: SegmentName, bytes: Int64)] = []
    /// Compressed log segments whose seek table is bad.
    public private(set) var badTables: [SegmentName] = []
    /// Log segments, and their pieces of output.
    public private(set) var logSegments = 0
    public private(set) var logRecords = 0

    /// Every record's checksum, the numbers, and each segment's digest in its successor's header.
    public init(journal: Int32) throws(JournalError) {
        let reader = try JournalReader(at: journal)
        while let event = try reader.nextEvent() { records += event.at.sequence > 0 ? 1 : 0 }
        damages = reader.takeDamages()
        let entries = try JournalDirectory(reading: journal).segments
        segments = entries.count
        let names = Set(entries.map(\.name))
        for entry in entries {
            guard let cursor = try? SegmentCursor(entry.name, at: journal),
                let previous = cursor.header.previous, names.contains(previous.segment),
                !damages.contains(where: { $0.segment == previous.segment })
            else { continue }
            let found: SegmentDigest
            do {
                found = try SegmentDigest(of: previous.segment, bytes: previous.bytes, at: journal)
            } catch JournalError.io(_, _, .noSuchFileOrDirectory) {
                continue  // retired meanwhile
            }
            if found != previous {
                damages.append(Damage(.corrupt, previous.segment, bytes: previous.bytes))
            }
        }
    }

    /// Every piece of output's checksum. A piece that is just being written is not bad.
    ///
    /// - Parameter pieceTime: how long that may take, in microseconds: one call writes a piece, and what
    ///   is not whole after that was cut off.
    public mutating func addLogs(
        _ directory: Int32, pieceTime: Int64 = 50_000
    ) throws(JournalError) {
        for name in try LogSegment.names(in: directory) {
            logSegments += 1
            do {
                guard let reader = try LogReader(name, at: directory) else { continue }
                try countPieces(reader)
                let offset = reader.offset
                if reader.restBytes > 0 {
                    try Self.wait(pieceTime, for: name)
                    try countPieces(reader)
                }
                let torn = reader.offset == offset ? reader.restBytes : 0
                if reader.badBytes + torn > 0 || !reader.hasOwnHeader {
                    badLogs.append((name, reader.badBytes + torn))
                }
                if !reader.isTableWhole { badTables.append(name) }
            } catch JournalError.format {
                badLogs.append((name, 0))
            }
        }
    }

    private mutating func countPieces(_ reader: LogReader) throws(JournalError) {
        while let record = try reader.next() { logRecords += record.attempt > 0 ? 1 : 0 }
    }

    private static func wait(_ time: Int64, for name: SegmentName) throws(JournalError) {
        try JournalError.io("wait for", "log/\(name).log") { () throws(Errno) in
            _ = try EventLoop().turn(until: Clock.boot() + time)
        }
    }

    public var isClean: Bool { damages.isEmpty && badLogs.isEmpty && badTables.isEmpty }
}
