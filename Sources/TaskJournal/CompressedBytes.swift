// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage

/// The plain bytes of a compressed segment. One frame is in memory, the last that was needed.
///
/// A frame that is bad reads as 0xFF, which no record has: whoever reads finds bad bytes in its place and
/// goes on behind them.
final class CompressedBytes {
    let table: FrameTable
    /// The table is as it was written; else the frames were found one after another.
    let isTableWhole: Bool
    private let decompressor: FrameDecompressor
    private var current = -1
    private var plain: [UInt8] = []
    private static let bad: UInt8 = 0xff

    /// Reads the table of an open file.
    ///
    /// - Returns: nil when no frame is found.
    init?(_ file: Int32, _ segment: SegmentName) throws(Errno) {
        guard let decompressor = FrameDecompressor() else { throw .noMemory }
        self.decompressor = decompressor
        let size = try File.status(of: file).size
        if let table = try Self.table(file, size, segment) {
            (self.table, isTableWhole) = (table, true)
        } else {
            table = try FrameWalk.table(file, size)
            isTableWhole = false
            if table.frames.isEmpty { return nil }
        }
    }

    private static func table(
        _ file: Int32, _ size: Int64, _ segment: SegmentName
    ) throws(Errno) -> FrameTable? {
        let end = try File.bytes(of: file, at: max(0, size - 16), count: 16)
        guard let count = FrameTable.count(end[...]) else { return nil }
        let length = FrameTable.tailBytes(frames: count)
        guard Int64(length) < size else { return nil }
        let tail = try File.bytes(of: file, at: size - Int64(length), count: length)
        return FrameTable(tail, count: count, fileBytes: size, for: segment)
    }

    /// As pread(2): fewer bytes only at the end.
    func read(
        _ file: Int32, into bytes: inout [UInt8], at position: Int64
    ) throws(Errno) -> Int {
        var done = 0
        while done < bytes.count, position + Int64(done) < table.plainBytes {
            let at = position + Int64(done)
            let index = Int(at / Int64(FrameTable.frameBytes))
            try load(file, index)
            let start = Int(at % Int64(FrameTable.frameBytes))
            let count = min(bytes.count - done, plain.count - start)
            bytes.replaceSubrange(done..<(done + count), with: plain[start..<(start + count)])
            done += count
        }
        return done
    }

    private func load(_ file: Int32, _ index: Int) throws(Errno) {
        if index == current { return }
        current = -1
        let frame = table.frames[index]
        let packed = try File.bytes(of: file, at: frame.offset, count: frame.packed)
        if plain.count != frame.plain { plain = [UInt8](repeating: 0, count: frame.plain) }
        let isWhole =
            packed.count == frame.packed
            && frame.checksum.map { $0 == Checksum.crc32c(packed[...]) } ?? true
        if !isWhole || !decompressor.fill(&plain, from: packed[...]) {
            plain = [UInt8](repeating: Self.bad, count: frame.plain)
        }
        current = index
    }
}

/// Finds the frames of a file whose table is bad.
private enum FrameWalk {
    static func table(_ file: Int32, _ size: Int64) throws(Errno) -> FrameTable {
        var table = FrameTable()
        while table.packedBytes < size {
            let part = try File.bytes(
                of: file, at: table.packedBytes, count: 2 * FrameTable.longestFrame)
            guard let (packed, plain) = frame(part),
                table.add(packed: packed, plain: plain, checksum: nil)
            else { break }
        }
        return table
    }

    // A bad one reaches to where the next begins, and had the length that all have.
    private static func frame(_ part: [UInt8]) -> (packed: Int, plain: Int)? {
        guard let magic = part[...].little(at: 0), magic != FrameTable.checksMagic else {
            return nil
        }
        if magic == FrameTable.frameMagic,
            let (packed, plain) = FrameDecompressor.measure(part[...]),
            plain <= UInt64(FrameTable.frameBytes)
        {
            return (packed, Int(plain))
        }
        for place in part.indices.dropFirst(4) {
            let next = part[...].little(at: place)
            if next == FrameTable.frameMagic || next == FrameTable.checksMagic {
                return (place, FrameTable.frameBytes)
            }
        }
        return nil
    }
}

extension File {
    /// So many bytes at a place; fewer only at the end of the file.
    static func bytes(of file: Int32, at position: Int64, count: Int) throws(Errno) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var done = try read(file, into: &bytes, at: position)
        while done > 0, done < count {
            var rest = [UInt8](repeating: 0, count: count - done)
            let got = try read(file, into: &rest, at: position + Int64(done))
            if got == 0 { break }
            bytes.replaceSubrange(done..<(done + got), with: rest[..<got])
            done += got
        }
        bytes.removeLast(count - done)
        return bytes
    }
}
