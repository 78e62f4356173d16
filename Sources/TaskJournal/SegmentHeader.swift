// SPDX-License-Identifier: Apache-2.0
import Linux
import TaskModel

/// The first line of a journal segment:
/// `taskjournal 2 node=… boot=… created=… seq=… prev=… prevbytes=… prevcrc=… crc=…`.
///
/// `crc` is the CRC32C of the line before it. Readers keep out of a newer version; in version 1 no record
/// says that those before it were durable.
public struct SegmentHeader: Equatable, Sendable {
    /// The host's name.
    public var node: String
    /// The boot id of the kernel (random/boot_id).
    public var boot: String
    /// Microseconds since 1970.
    public var created: Int64
    /// The number of the segment's first record.
    public var firstSequence: UInt64
    /// The segment before this one by the same writer, nil at the beginning of a chain.
    public var previous: SegmentDigest?

    /// The longest header line, in bytes.
    static let longest = 1024
    /// What is written.
    static let version = 2

    /// 1 or 2.
    public private(set) var version = Self.version

    public init(
        node: String, boot: String, created: Int64, firstSequence: UInt64,
        previous: SegmentDigest?
    ) {
        self.node = node
        self.boot = boot
        self.created = created
        self.firstSequence = firstSequence
        self.previous = previous
    }

    /// The line with its line end.
    public var bytes: [UInt8] {
        var bytes = Array("taskjournal \(version) node=".utf8)
        PercentCoding.append(node.utf8, to: &bytes)
        bytes += Array(" boot=\(boot) created=\(created) seq=\(firstSequence)".utf8)
        if let previous {
            bytes += Array(" prev=\(previous.segment) prevbytes=\(previous.bytes) prevcrc=".utf8)
            Hex.append(previous.checksum, to: &bytes)
        }
        let checksum = Checksum.crc32c(bytes[...])
        bytes += Array(" crc=".utf8)
        Hex.append(checksum, to: &bytes)
        bytes.append(UInt8(ascii: "\n"))
        return bytes
    }

    /// Parses the line at the beginning of the bytes and says how long it is.
    ///
    /// - Returns: nil when there is no whole, correct header of version 1 or 2.
    public static func parse(_ bytes: ArraySlice<UInt8>) -> (header: SegmentHeader, length: Int)? {
        guard let end = bytes.prefix(longest).firstIndex(of: UInt8(ascii: "\n")) else { return nil }
        let line = bytes[..<end]
        let parts = line.split(separator: UInt8(ascii: " "))
        guard parts.count > 3, parts[0].elementsEqual("taskjournal".utf8),
            let version = [1, 2].first(where: { parts[1].elementsEqual("\($0)".utf8) }),
            let last = parts.last,
            last.starts(with: "crc=".utf8), let crc = Hex.parse(last.dropFirst(4)),
            crc == Checksum.crc32c(line[..<(last.startIndex - 1)])
        else { return nil }
        var values: [String: String] = [:]
        for part in parts[2...] {
            guard let equals = part.firstIndex(of: UInt8(ascii: "=")) else { return nil }
            values[String(decoding: part[..<equals], as: UTF8.self)] =
                PercentCoding.decodeText(part[(equals + 1)...])
        }
        guard var header = SegmentHeader(values) else { return nil }
        header.version = version
        return (header, end + 1 - bytes.startIndex)
    }

    private init?(_ values: [String: String]) {
        guard let node = values["node"], let boot = values["boot"],
            let created = values["created"].flatMap({ Int64($0) }),
            let first = values["seq"].flatMap({ UInt64($0) }), (1...1 << 63).contains(first)
        else { return nil }
        self.init(
            node: node, boot: boot, created: created, firstSequence: first,
            previous: SegmentDigest(values))
    }
}

/// What a segment's successor says of it: its length and a checksum of all its bytes, so that a
/// missing or shortened segment is noticed.
public struct SegmentDigest: Equatable, Sendable {
    public var segment: SegmentName
    /// Header and records, without the zeros behind them.
    public var bytes: Int64
    /// CRC32C of those bytes.
    public var checksum: UInt32

    public init(segment: SegmentName, bytes: Int64, checksum: UInt32) {
        self.segment = segment
        self.bytes = bytes
        self.checksum = checksum
    }

    init?(_ values: [String: String]) {
        guard let segment = values["prev"].flatMap({ SegmentName(stem: $0) }),
            let bytes = values["prevbytes"].flatMap({ Int64($0) }),
            let checksum = values["prevcrc"].flatMap({ Hex.parse($0.utf8) })
        else { return nil }
        self.init(segment: segment, bytes: bytes, checksum: checksum)
    }
}
