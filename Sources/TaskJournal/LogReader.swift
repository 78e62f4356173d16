// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
public import TaskModel

/// Reads the records of a log segment from a place on. Bad bytes are skipped up to the next record
/// and counted.
public final class LogReader {
    private let name: SegmentName
    private let source: SegmentSource
    private var buffer: [UInt8] = []
    private var base: Int64
    private var at = 0
    private let limit: Int64
    /// Bytes that belong to no valid record.
    public private(set) var badBytes: Int64 = 0

    /// The first line is that of this segment. Reading goes on without it; `verify` says so.
    public private(set) var hasOwnHeader = true

    /// The seek table of a compressed segment is as it was written; all others have none.
    public var isTableWhole: Bool { source.isTableWhole }

    /// Where the next record begins.
    public var offset: Int64 { base + Int64(at) }

    /// Opens a segment.
    ///
    /// - Parameters:
    ///   - directory: `log/`.
    ///   - offset: where a record begins; 0 for the first.
    ///   - length: stop behind so many bytes; nil reads to the end, as far as it is by then.
    /// - Returns: nil when the segment is gone.
    public init?(
        _ name: SegmentName, at directory: Int32, offset: Int64 = 0, length: Int64? = nil
    ) throws(JournalError) {
        self.name = name
        guard let source = try SegmentSource.open(name, [".log"], at: directory, in: "log/") else {
            return nil
        }
        self.source = source
        base = offset
        limit = length.map { offset + $0 } ?? .max
        if offset == 0 { try skipHeader() }
    }

    /// Opens a segment behind all that it has.
    public convenience init?(endOf name: SegmentName, at directory: Int32) throws(JournalError) {
        try self.init(name, at: directory, offset: 1)  // no look at the first line
        let source = source
        base = try JournalError.io("read", "log/\(name).log") { () throws(Errno) in
            try source.size()
        }
        (at, buffer) = (0, [])
    }

    private func skipHeader() throws(JournalError) {
        _ = try refill()
        guard buffer.starts(with: "taskoutput 1 ".utf8),
            let end = buffer.firstIndex(of: UInt8(ascii: "\n"))
        else {
            if buffer.isEmpty { return }
            throw .format(name: "log/\(name).log")
        }
        hasOwnHeader = buffer[..<end].elementsEqual("taskoutput 1 segment=\(name.stem)".utf8)
        at = end + 1
    }

    /// The next record, nil at the end for now.
    public func next() throws(JournalError) -> LogRecord? {
        while offset < limit {
            if at < buffer.count {
                switch LogRecord.parse(buffer, at: at) {
                case .record(let record, let end):
                    at = end
                    return record
                case .bad:
                    try skipBad()
                    continue
                case .short: break
                }
            }
            if try refill() { continue }
            guard skipBroken() else { return nil }
        }
        return nil
    }

    /// Bytes behind the last record: a piece that is just being written, or one that a crash cut off.
    public var restBytes: Int64 { Int64(buffer.count - at) }

    // At the end of the file: a piece that seems to be longer than that is broken where another stands
    // behind it.
    private func skipBroken() -> Bool {
        var next = at + 1
        while next < buffer.count {
            if case .record = LogRecord.parse(buffer, at: next) {
                badBytes += Int64(next - at)
                at = next
                return true
            }
            next += 1
        }
        return false
    }

    /// The next record of one attempt, or of any attempt of a task when `attempt` is nil.
    public func next(of ref: TaskRef, attempt: Int?) throws(JournalError) -> LogRecord? {
        while let record = try next() {
            if record.ref == ref, attempt == nil || record.attempt == attempt { return record }
        }
        return nil
    }

    // A record begins with a run's id: the next place where one does, and its checksum is right.
    private func skipBad() throws(JournalError) {
        at += 1
        badBytes += 1
        while at < buffer.count {
            if case .bad = LogRecord.parse(buffer, at: at) {
                at += 1
                badBytes += 1
            } else {
                return
            }
        }
    }

    private func refill() throws(JournalError) -> Bool {
        let had = buffer.count - at
        var fresh = [UInt8](repeating: 0, count: max(256 << 10, 2 * had))
        let from = offset
        let source = source
        var count = 0
        while count < fresh.count {
            let got = try JournalError.io("read", "log/\(name).log") { () throws(Errno) in
                try Self.read(source, into: &fresh, filled: count, at: from + Int64(count))
            }
            if got == 0 { break }
            count += got
        }
        guard count > had else { return false }
        fresh.removeLast(fresh.count - count)
        (base, at) = (from, 0)
        buffer = fresh
        return true
    }

    private static func read(
        _ source: SegmentSource, into bytes: inout [UInt8], filled: Int, at position: Int64
    ) throws(Errno) -> Int {
        if filled == 0 { return try source.read(into: &bytes, at: position) }
        var rest = [UInt8](repeating: 0, count: bytes.count - filled)
        let got = try source.read(into: &rest, at: position)
        bytes.replaceSubrange(filled..<(filled + got), with: rest[..<got])
        return got
    }
}
