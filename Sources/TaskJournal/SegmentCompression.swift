// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage

/// Compresses the segments of a directory that nobody writes any more, one after another.
///
/// `NAME.zst.new` is written and synced, read again and compared, renamed to `NAME.zst`, the directory
/// synced, and then the plain segment unlinked. Both stand there after a crash before that: the plain one is
/// what is read, and the next compression makes the other again. The table of all this is in
/// task-spool(7).
public struct SegmentCompression: ~Copyable {
    /// Which directory it is.
    public enum Place: String, Sendable {
        case journal, log

        var suffix: String { self == .journal ? "sealed" : "log" }
    }

    /// What became of a segment.
    public enum Outcome: Equatable, Sendable {
        /// It is compressed: its bytes before and now.
        case compressed(from: Int64, to: Int64)
        /// Somebody has it open for writing.
        case inUse
        /// It is small, or far too large.
        case left
    }

    /// A smaller segment stays as it is: a file takes blocks of 4 KiB.
    public static let smallest: Int64 = 64 << 10
    /// Of taskd's journal segments the last ones that are sealed stay plain: a start reads them.
    static let kept = 2
    private static let unfinished = ".zst.new"

    private static func isUnfinished(_ file: String) -> Bool {
        SegmentName(file: file, suffix: String(unfinished.dropFirst())) != nil
    }

    private let place: Place
    private let lock: Descriptor
    private let compressor: FrameCompressor
    private var directory: Int32 { lock.number }

    /// Takes the directory's lock and removes what a killed one left.
    ///
    /// - Parameter root: the spool.
    /// - Returns: nil when another process compresses there.
    public init?(_ place: Place, in root: Int32) throws(JournalError) {
        let name = place.rawValue
        guard let compressor = FrameCompressor(most: FrameTable.frameBytes) else {
            throw .io(verb: "compress", name: name + "/", errno: .noMemory)
        }
        let lock = try JournalError.io("open", name + "/") { () throws(Errno) in
            try File.openDirectory(name, at: root)
        }
        let number = lock.number
        let isFree = try JournalError.io("lock", name + "/") { () throws(Errno) in
            try File.tryLock(number)
        }
        if !isFree { return nil }
        for file in try JournalDirectory.names(in: number) where Self.isUnfinished(file) {
            try JournalError.io("remove", "\(name)/\(file)") { () throws(Errno) in
                try File.unlink(file, at: number)
            }
        }
        self.place = place
        self.lock = lock
        self.compressor = compressor
    }

    /// The plain segments that may be compressed, the oldest first.
    public func segments() throws(JournalError) -> [SegmentName] {
        let found = try JournalDirectory.names(in: directory)
            .compactMap { SegmentName(file: $0, suffix: place.suffix) }.sorted()
        guard place == .journal else { return found }
        let own = found.filter { $0.writer == "taskd" }.suffix(Self.kept)
        return found.filter { !own.contains($0) }
    }

    /// Compresses one of them. On an error the plain segment is what it was.
    public func compress(_ name: SegmentName) throws(JournalError) -> Outcome {
        let plain = "\(name.stem).\(place.suffix)"
        let file = try named("open", plain) { () throws(Errno) in
            try File.open(plain, at: directory, flags: .noFollow)
        }
        let number = file.number
        let status = try named("read", plain) { () throws(Errno) in try File.status(of: number) }
        guard status.isRegular, status.size >= Self.smallest,
            status.size <= Int64(FrameTable.mostFrames * FrameTable.frameBytes)
        else { return .left }
        // A writer of a log segment holds no lock, but has it open.
        if place == .log, !isUnwritten(number) { return .inUse }
        let packed = name.stem + Self.unfinished
        let size: Int64
        do {
            size = try write(packed, from: number, name, modified: status.modified)
            try check(packed, against: number, name)
            try named("rename", packed) { () throws(Errno) in
                try File.rename(
                    packed, at: directory, to: name.stem + SegmentSource.compressed, at: directory)
            }
        } catch {
            try? File.unlink(packed, at: directory)
            throw error
        }
        // Durable under its name before the other goes.
        try named("sync", "") { () throws(Errno) in try File.sync(directory) }
        try named("remove", plain) { () throws(Errno) in try File.unlink(plain, at: directory) }
        return .compressed(from: status.size, to: size)
    }

    // Where no lease is to be had nothing is known: it stays as it is.
    private func isUnwritten(_ file: Int32) -> Bool {
        guard (try? File.tryReadLease(file)) ?? false else { return false }
        return (try? File.releaseLease(file)) != nil
    }

    private func named<Result: ~Copyable>(
        _ verb: String, _ file: String, _ call: () throws(Errno) -> Result
    ) throws(JournalError) -> Result {
        try JournalError.io(verb, "\(place.rawValue)/\(file)", call)
    }
}

extension SegmentCompression {
    /// - Returns: how many bytes it has.
    private func write(
        _ packed: String, from plain: Int32, _ name: SegmentName, modified: Int64
    ) throws(JournalError) -> Int64 {
        let file = try named("create", packed) { () throws(Errno) in
            try File.open(packed, at: directory, flags: [.readWrite, .create, .exclusive])
        }
        let number = file.number
        var table = FrameTable()
        while true {
            let part = try named("read", name.stem) { () throws(Errno) in
                try File.bytes(of: plain, at: table.plainBytes, count: FrameTable.frameBytes)
            }
            if part.isEmpty { break }
            guard let frame = compressor.frame(part[...]) else {
                throw .io(verb: "compress", name: "\(place.rawValue)/\(name)", errno: .noMemory)
            }
            let (bytes, offset) = (Array(frame), table.packedBytes)
            try named("write", packed) { () throws(Errno) in
                try File.writeAll(bytes, to: number, at: offset)
            }
            guard
                table.add(
                    packed: bytes.count, plain: part.count, checksum: Checksum.crc32c(bytes[...]))
            else { throw .unlike(name: "\(place.rawValue)/\(name)") }
        }
        let (tail, offset) = (table.encode(for: name), table.packedBytes)
        try named("write", packed) { () throws(Errno) in
            try File.writeAll(tail, to: number, at: offset)
            try File.setModified(number, to: modified)
            try File.sync(number)
        }
        return offset + Int64(tail.count)
    }

    /// Compares what was written with what it was made of, by the way of all readers.
    private func check(
        _ packed: String, against plain: Int32, _ name: SegmentName
    ) throws(JournalError) {
        let file = try named("open", packed) { () throws(Errno) in
            try File.open(packed, at: directory, flags: .noFollow)
        }
        let number = file.number
        let isEqual = try named("read", packed) { () throws(Errno) in
            guard let source = try CompressedBytes(number, name), source.isTableWhole,
                try File.status(of: plain).size == source.table.plainBytes
            else { return false }
            var at: Int64 = 0
            var part = [UInt8](repeating: 0, count: FrameTable.frameBytes)
            while true {
                let count = try source.read(number, into: &part, at: at)
                if count == 0 { return true }
                let own = try File.bytes(of: plain, at: at, count: count)
                guard own[...] == part[..<count] else { return false }
                at += Int64(count)
            }
        }
        guard isEqual else { throw .unlike(name: "\(place.rawValue)/\(name)") }
    }
}
