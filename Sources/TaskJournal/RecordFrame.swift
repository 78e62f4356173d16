// SPDX-License-Identifier: Apache-2.0
import Linux
import TaskModel

/// A record of a journal segment: `CRC32C LENGTH SEQ ` and an event line of LENGTH bytes.
///
/// A `+` before SEQ: all records before this one were durable when it was framed.
///
/// The checksum covers everything behind it up to and with the line end, and starts from that of
/// the segment's name: a record that strayed in from another segment is not taken for one's own.
enum RecordFrame {
    /// Checksum, blanks, digits and line end around an event line: at most this many bytes.
    static let overhead = 8 + 1 + 5 + 1 + 1 + 20 + 1 + 1
    static let longest = EventLine.longest + overhead

    /// Where the checksums of a segment start.
    static func seed(_ segment: SegmentName) -> UInt32 {
        Checksum.crc32c(Array(segment.stem.utf8)[...])
    }

    /// Appends one record.
    ///
    /// - Parameter isAfterSync: every record before it is durable.
    static func append(
        _ line: ArraySlice<UInt8>, sequence: UInt64, isAfterSync: Bool, seed: UInt32,
        to buffer: inout [UInt8]
    ) {
        let start = buffer.count
        buffer.append(contentsOf: repeatElement(UInt8(ascii: "0"), count: 8))
        buffer.append(UInt8(ascii: " "))
        Decimal.append(line.count, to: &buffer)
        buffer.append(UInt8(ascii: " "))
        if isAfterSync { buffer.append(UInt8(ascii: "+")) }
        Decimal.append(sequence, to: &buffer)
        buffer.append(UInt8(ascii: " "))
        buffer.append(contentsOf: line)
        buffer.append(UInt8(ascii: "\n"))
        let checksum = Checksum.crc32c(buffer[(start + 8)...], continuing: seed)
        for index in 0..<8 {
            let digit = UInt8(checksum >> UInt32(28 - 4 * index) & 15)
            buffer[start + index] = digit < 10 ? 48 + digit : 87 + digit
        }
    }

    /// A record found in a buffer.
    struct Found {
        var sequence: UInt64
        var isAfterSync: Bool
        var line: Range<Int>
        /// Behind the record's line end.
        var end: Int
    }

    /// What stands at a place of a buffer.
    enum Parsed {
        case record(Found)
        /// The buffer ends before the record does.
        case short
        /// Not a record; where the next one would begin if the length is right.
        case bad(next: Int?)
    }

    /// Parses the record at `start`, without a look at its checksum when it is cut off.
    static func parse(_ buffer: [UInt8], at start: Int, seed: UInt32) -> Parsed {
        buffer.withUnsafeBytes { bytes in
            var at = start
            guard let crc = hex(bytes, &at), blank(bytes, &at), let length = number(bytes, &at),
                blank(bytes, &at), let isAfterSync = plus(bytes, &at),
                let sequence = number(bytes, &at), blank(bytes, &at)
            else { return at >= bytes.count ? .short : .bad(next: nil) }
            guard length <= EventLine.longest else { return .bad(next: nil) }
            let end = at + Int(length) + 1
            guard end <= bytes.count else { return .short }
            let covered = UnsafeRawBufferPointer(rebasing: bytes[(start + 8)..<end])
            guard bytes[end - 1] == UInt8(ascii: "\n"),
                Checksum.crc32c(covered, continuing: seed) == crc
            else { return .bad(next: end) }
            return .record(
                Found(
                    sequence: sequence, isAfterSync: isAfterSync, line: at..<(end - 1), end: end))
        }
    }

    /// The parts of a record that this process framed itself: the checksum is not looked at.
    static func split(_ buffer: [UInt8], at start: Int) -> (line: Range<Int>, end: Int)? {
        buffer.withUnsafeBytes { bytes in
            var at = start + 8
            guard blank(bytes, &at), let length = number(bytes, &at), blank(bytes, &at),
                plus(bytes, &at) != nil, number(bytes, &at) != nil, blank(bytes, &at)
            else { return nil }
            return (at..<(at + Int(length)), at + Int(length) + 1)
        }
    }

    private static func hex(_ bytes: UnsafeRawBufferPointer, _ at: inout Int) -> UInt32? {
        var value: UInt32 = 0
        for _ in 0..<8 {
            guard at < bytes.count else { return nil }
            let byte = bytes[at]
            switch byte {
            case 48...57: value = value << 4 | UInt32(byte - 48)
            case 97...102: value = value << 4 | UInt32(byte - 87)
            default: return nil
            }
            at += 1
        }
        return value
    }

    private static func blank(_ bytes: UnsafeRawBufferPointer, _ at: inout Int) -> Bool {
        guard at < bytes.count, bytes[at] == UInt8(ascii: " ") else { return false }
        at += 1
        return true
    }

    // nil where the bytes end.
    private static func plus(_ bytes: UnsafeRawBufferPointer, _ at: inout Int) -> Bool? {
        guard at < bytes.count else { return nil }
        guard bytes[at] == UInt8(ascii: "+") else { return false }
        at += 1
        return true
    }

    private static func number(_ bytes: UnsafeRawBufferPointer, _ at: inout Int) -> UInt64? {
        var value: UInt64 = 0
        let start = at
        while at < bytes.count, (48...57).contains(bytes[at]) {
            guard at - start < 19 else { return nil }
            value = value * 10 + UInt64(bytes[at] - 48)
            at += 1
        }
        return at > start ? value : nil
    }
}
