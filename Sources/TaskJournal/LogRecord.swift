// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
public import TaskModel

/// A piece of a task's output: `ID:N STEP FD MICROSECONDS LENGTH CRC\n`, then LENGTH raw bytes.
///
/// CRC is the CRC32C, 8 hexadecimal digits, of the line before it and of the bytes. Pieces of many
/// attempts follow one another in a log segment; each attempt's are in order. task.journal(5).
public struct LogRecord: Equatable, Sendable {
    public var ref: TaskRef
    /// From 1.
    public var attempt: Int
    /// 0 the command, n the n-th check.
    public var step: Int
    /// 1 standard output, 2 standard error, 3 (`result`) the task's result.
    public var stream: Int
    /// Microseconds since 1970.
    public var microseconds: Int64
    public var payload: ArraySlice<UInt8>

    /// The stream of a task's result, which is no output.
    public static let result = 3
    /// The most bytes of one piece.
    public static let largestPayload = 1 << 20
    /// The longest first line with its line end.
    public static let longestHead = 160

    public init(
        ref: TaskRef, attempt: Int, step: Int, stream: Int, microseconds: Int64,
        payload: ArraySlice<UInt8>
    ) {
        self.ref = ref
        self.attempt = attempt
        self.step = step
        self.stream = stream
        self.microseconds = microseconds
        self.payload = payload
    }

    /// Appends the record to a buffer.
    public func append(to bytes: inout [UInt8]) {
        let start = bytes.count
        ref.append(to: &bytes)
        bytes.append(UInt8(ascii: ":"))
        Decimal.append(attempt, to: &bytes)
        for number in [step, stream, Int(microseconds), payload.count] {
            bytes.append(UInt8(ascii: " "))
            Decimal.append(number, to: &bytes)
        }
        bytes.append(UInt8(ascii: " "))
        let head = Checksum.crc32c(bytes[start...])
        Hex.append(Checksum.crc32c(payload, continuing: head), to: &bytes)
        bytes.append(UInt8(ascii: "\n"))
        bytes.append(contentsOf: payload)
    }

    /// What stands at a place of a buffer.
    public enum Parsed: Sendable {
        /// A record, and where the next one begins.
        case record(LogRecord, end: Int)
        /// The buffer ends before the record does.
        case short
        case bad
    }

    /// Parses the record that begins at `start`.
    public static func parse(_ buffer: [UInt8], at start: Int) -> Parsed {
        let window = buffer[start...].prefix(longestHead)
        guard let lineEnd = window.firstIndex(of: UInt8(ascii: "\n")) else {
            return window.count < longestHead ? .short : .bad
        }
        let parts = buffer[start..<lineEnd].split(
            separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        guard parts.count == 6, parts[5].count == 8, let crc = Hex.parse(parts[5]),
            let colon = parts[0].lastIndex(of: UInt8(ascii: ":")),
            let ref = TaskRef(bytes: parts[0][..<colon]),
            let attempt = Decimal.parse(parts[0][(colon + 1)...]),
            let step = Decimal.parse(parts[1]), let stream = Decimal.parse(parts[2]),
            let time = Decimal.parse(parts[3]), let length = Decimal.parse(parts[4]),
            length <= largestPayload
        else { return .bad }
        let end = lineEnd + 1 + length
        guard end <= buffer.count else { return .short }
        let payload = buffer[(lineEnd + 1)..<end]
        let head = Checksum.crc32c(buffer[start..<parts[5].startIndex])
        guard Checksum.crc32c(payload, continuing: head) == crc else { return .bad }
        let record = LogRecord(
            ref: ref, attempt: attempt, step: step, stream: stream, microseconds: Int64(time),
            payload: payload)
        return .record(record, end: end)
    }
}

extension LogRecord {
    /// The one record at a place; nil where the segment is gone, or holds something else there.
    ///
    /// - Parameter directory: `log/`.
    public static func read(
        _ place: LogPlace, at directory: Int32
    ) throws(JournalError) -> LogRecord? {
        let longest = Int64(largestPayload + longestHead)
        guard place.length <= longest else { return nil }
        guard
            let source = try SegmentSource.open(
                place.segment, [".log"], at: directory, in: "log/")
        else { return nil }
        var bytes = [UInt8](repeating: 0, count: Int(place.length))
        var count = 0
        while count < bytes.count {
            var rest = [UInt8](repeating: 0, count: bytes.count - count)
            let position = place.offset + Int64(count)
            let got = try JournalError.io("read", "log/\(place.segment).log") { () throws(Errno) in
                try source.read(into: &rest, at: position)
            }
            if got == 0 { return nil }
            bytes.replaceSubrange(count..<(count + got), with: rest[..<got])
            count += got
        }
        guard case .record(let record, let end) = parse(bytes, at: 0), end == bytes.count else {
            return nil
        }
        return record
    }
}

/// A place in a log segment: `SEGMENT:OFFSET+LENGTH`, the value of `log=`. All pieces of the attempt
/// are within it; pieces of others may be too. An attempt that began in one segment and went on in
/// another has a `log=` for each.
public struct LogPlace: Hashable, Sendable {
    public var segment: SegmentName
    public var offset: Int64
    public var length: Int64

    public init(segment: SegmentName, offset: Int64, length: Int64) {
        self.segment = segment
        self.offset = offset
        self.length = length
    }

    public init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":"), let plus = text[colon...].firstIndex(of: "+"),
            let segment = SegmentName(stem: text[..<colon]),
            let offset = Int64(text[text.index(after: colon)..<plus]),
            let length = Int64(text[text.index(after: plus)...]), offset >= 0, length >= 0
        else { return nil }
        self.init(segment: segment, offset: offset, length: length)
    }

    public var text: String { "\(segment):\(offset)+\(length)" }
}
