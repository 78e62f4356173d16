// SPDX-License-Identifier: Apache-2.0
import CZstd
import Linux

/// Where the frames of a compressed segment lie: what stands at its end. See task.journal(5).
///
///     frames    each of 256 KiB of plain bytes, the last one of what is left
///     checks    skippable frame 0x184D2A50: a CRC32C a frame, of its compressed bytes; then one of those
///               and of the seek table, started from that of the segment's name
///     seek table  skippable frame 0x184D2A5E, as zstd's "seekable format" has it: the compressed and the
///               plain length of each of these; the number of entries, a zero byte, 0x8F92EAB1
///
/// All numbers are little-endian.
struct FrameTable: Equatable {
    /// Plain bytes of each frame but the last.
    static let frameBytes = 256 << 10
    /// 1 GiB: a larger file is none of ours.
    static let mostFrames = 4096
    /// The longest frame, in compressed bytes.
    static let longestFrame = Int(ZSTD_compressBound(frameBytes)) + 64

    static let frameMagic: UInt32 = 0xfd2f_b528
    static let checksMagic: UInt32 = 0x184d_2a50
    static let tableMagic: UInt32 = 0x184d_2a5e
    private static let endMagic: UInt32 = 0x8f92_eab1
    private static let endBytes = 9
    private static let headBytes = 8

    /// One frame.
    struct Frame: Equatable {
        /// Where it begins in the file.
        var offset: Int64
        /// Bytes in the file.
        var packed: Int
        /// Bytes of the segment.
        var plain: Int
        /// CRC32C of the bytes in the file; nil where only the frame itself has one.
        var checksum: UInt32?
    }

    private(set) var frames: [Frame] = []
    /// Bytes of the segment.
    private(set) var plainBytes: Int64 = 0
    /// Behind the last frame.
    private(set) var packedBytes: Int64 = 0

    init() {}

    /// Adds a frame that follows those before; false where it may not.
    mutating func add(packed: Int, plain: Int, checksum: UInt32?) -> Bool {
        guard frames.count < Self.mostFrames, (1...Self.longestFrame).contains(packed),
            (1...Self.frameBytes).contains(plain),
            frames.last.map({ $0.plain == Self.frameBytes }) ?? true
        else { return false }
        frames.append(Frame(offset: packedBytes, packed: packed, plain: plain, checksum: checksum))
        packedBytes += Int64(packed)
        plainBytes += Int64(plain)
        return true
    }

    /// How many bytes stand behind the frames.
    static func tailBytes(frames: Int) -> Int {
        headBytes + 4 * (frames + 1) + headBytes + 8 * (frames + 1) + endBytes
    }

    /// What stands behind the frames.
    func encode(for segment: SegmentName) -> [UInt8] {
        var checks: [UInt8] = []
        for frame in frames { checks.append(little: frame.checksum ?? 0) }
        var table: [UInt8] = []
        let size = Self.tailBytes(frames: frames.count)
        let checksBytes = Self.headBytes + checks.count + 4
        table.append(little: Self.tableMagic)
        table.append(little: UInt32(size - checksBytes - Self.headBytes))
        for frame in frames {
            table.append(little: UInt32(frame.packed))
            table.append(little: UInt32(frame.plain))
        }
        table.append(little: UInt32(checksBytes))
        table.append(little: 0)
        table.append(little: UInt32(frames.count + 1))
        table.append(0)
        table.append(little: Self.endMagic)
        var tail: [UInt8] = []
        tail.append(little: Self.checksMagic)
        tail.append(little: UInt32(checks.count + 4))
        tail += checks
        let own = Checksum.crc32c(checks[...], continuing: RecordFrame.seed(segment))
        tail.append(little: Checksum.crc32c(table[...], continuing: own))
        return tail + table
    }

    /// How many frames a file says that it has, by its last bytes.
    static func count(_ end: ArraySlice<UInt8>) -> Int? {
        guard end.count >= endBytes else { return nil }
        let last = end.suffix(endBytes)
        guard last.little(at: 5) == endMagic, let entries = last.little(at: 0),
            entries > 1, entries <= UInt32(mostFrames + 1)
        else { return nil }
        return Int(entries) - 1
    }

    /// Reads what stands behind the frames.
    ///
    /// - Parameters:
    ///   - tail: from behind the last frame to the end of the file.
    ///   - fileBytes: how long the file is.
    /// - Returns: nil where anything in it is not as it was written.
    init?(_ tail: [UInt8], count: Int, fileBytes: Int64, for segment: SegmentName) {
        guard tail.count == Self.tailBytes(frames: count) else { return nil }
        let table = Self.headBytes + 4 * (count + 1)
        let entries = tail[(table + Self.headBytes)...]
        for index in 0..<count {
            guard let packed = entries.little(at: 8 * index),
                let plain = entries.little(at: 8 * index + 4),
                let checksum = tail[...].little(at: Self.headBytes + 4 * index),
                add(packed: Int(packed), plain: Int(plain), checksum: checksum)
            else { return nil }
        }
        // The lengths are what they add up to; all else is said once more.
        guard packedBytes + Int64(tail.count) == fileBytes, encode(for: segment) == tail else {
            return nil
        }
    }
}

extension [UInt8] {
    fileprivate mutating func append(little value: UInt32) {
        for shift in stride(from: UInt32(0), to: 32, by: 8) {
            append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }
}

extension ArraySlice<UInt8> {
    /// The number at a place behind the slice's beginning; nil beyond its end.
    func little(at place: Int) -> UInt32? {
        guard place >= 0, place + 4 <= count else { return nil }
        return (0..<4).reduce(0) { $0 | UInt32(self[startIndex + place + $1]) << UInt32(8 * $1) }
    }
}
