// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage

/// What the owner does with the journal before it acts on anything: makes durable what the page
/// cache knows, cuts torn tails, seals what dead writers left open. A crash in the middle is
/// harmless: the next recovery does the same again.
///
/// A power failure may keep a later block of what was not synced and lose an earlier one. Records behind
/// such a hole are a torn tail, too: nobody was promised them, and they may speak of what is lost. What
/// tells it from corruption is a record behind it that says that all before it was durable, a successor,
/// or that the machine is still in the segment's boot.
public struct JournalRecovery: Sendable {
    /// What was found, torn tails first; to be written down as notes.
    public var damages: [Damage] = []
    /// Where the writer's chain ended; nil when it has none.
    public var end: ChainEnd?
    private let boot: String

    /// Recovers a journal directory. The caller holds the owner's lock.
    ///
    /// - Parameters:
    ///   - directory: `journal/`.
    ///   - writer: whose chain goes on (`taskd`). Its open segments are dead ones; those of others
    ///     are left alone while their writers hold their locks.
    ///   - boot: the boot id of now, this machine's unless given.
    public init(at directory: Int32, writer: String, boot: String? = nil) throws(JournalError) {
        self.boot = boot ?? Host.boot()
        let segments = try JournalDirectory(reading: directory).segments
        let copies = try SegmentCopies(at: directory)
        for entry in segments where !entry.isSealed {
            let successor = segments.first {
                $0.name.writer == entry.name.writer && $0.name > entry.name
            }
            let next = try successor.flatMap { name throws(JournalError) in
                try SegmentCursor.readable(name.name, at: directory)
            }
            try settle(
                entry.name, own: entry.name.writer == writer,
                isFollowed: next?.header.previous?.segment == entry.name, copies)
        }
        try copies.removeAll()
        if let last = segments.last(where: { $0.name.writer == writer })?.name {
            end = try Self.chainEnd(last, in: segments.map(\.name), at: directory)
        }
    }

    private mutating func settle(
        _ name: SegmentName, own: Bool, isFollowed: Bool, _ copies: SegmentCopies
    ) throws(JournalError) {
        let directory = copies.directory
        var descriptor = try Self.open(name, at: directory)
        let isDead = (try? File.tryLock(descriptor.number)) ?? false
        guard own || isDead else {
            let number = descriptor.number
            return try JournalError.io("sync", name.stem + ".open") { () throws(Errno) in
                try File.syncData(number)
            }
        }
        if try !copies.sync(descriptor.number, of: name) {
            descriptor = try Self.open(name, at: directory)
            _ = try? File.tryLock(descriptor.number)
        }
        let cursor: SegmentCursor?
        do {
            cursor = try SegmentCursor(name, at: directory)
        } catch JournalError.format {
            return try setAside(name, at: directory)
        }
        guard let cursor else { return }
        // The lock is held by `descriptor`: to the cursor that looks like a writer's.
        cursor.isOwn = isDead
        let end = try readThrough(
            cursor,
            trusting: isFollowed || cursor.header.boot == boot || cursor.header.version == 1)
        try cut(cursor, descriptor.number, to: end, copies)
    }

    private static func open(
        _ name: SegmentName, at directory: Int32
    ) throws(JournalError) -> Descriptor {
        let file = name.stem + ".open"
        return try JournalError.io("open", file) { () throws(Errno) in
            try File.open(file, at: directory, flags: [.readWrite, .noFollow])
        }
    }

    /// - Parameter all: whatever can be read was durable.
    /// - Returns: where what counts ends.
    private mutating func readThrough(
        _ cursor: SegmentCursor, trusting all: Bool
    ) throws(JournalError) -> Int64 {
        // The first hole of which nothing behind it says that what is lost was durable.
        var hole: (offset: Int64, known: Int)?
        while true {
            switch try cursor.next() {
            case .record(let record):
                if record.isAfterSync { hole = nil }
            case .damaged(let damage):
                if hole == nil, damage.kind == .corrupt { hole = (damage.offset, damages.count) }
                damages.append(damage)
            case .end:
                guard let hole, !all else { return cursor.offset }
                damages.removeSubrange(hole.known...)
                return hole.offset
            }
        }
    }

    // The file was created, its header never written whole: no record of it was acknowledged.
    private mutating func setAside(
        _ name: SegmentName, at directory: Int32
    ) throws(JournalError) {
        damages.append(Damage(.header, name))
        try JournalError.io("rename", name.stem + ".open") { () throws(Errno) in
            try File.rename(
                name.stem + ".open", at: directory, to: name.stem + ".torn", at: directory)
            try File.sync(directory)
        }
    }

    private mutating func cut(
        _ cursor: SegmentCursor, _ number: Int32, to length: Int64, _ copies: SegmentCopies
    ) throws(JournalError) {
        let directory = copies.directory
        let torn = try cursor.torn(from: length)
        if !torn.isEmpty {
            try Self.keep(torn, of: cursor.name, at: directory)
            damages.append(
                Damage(.torn, cursor.name, offset: length, bytes: Int64(torn.count)))
        }
        let name = cursor.name.stem
        try JournalError.io("cut", name + ".open") { () throws(Errno) in
            try File.truncate(number, to: length)
        }
        _ = try copies.sync(number, of: cursor.name)
        try JournalError.io("seal", name + ".open") { () throws(Errno) in
            try File.rename(name + ".open", at: directory, to: name + ".sealed", at: directory)
            try File.sync(directory)
        }
    }

    // Durable before the segment is cut.
    private static func keep(
        _ tail: ArraySlice<UInt8>, of name: SegmentName, at directory: Int32
    ) throws(JournalError) {
        let file = name.stem + ".torn"
        let bytes = Array(tail)
        try JournalError.io("write", file) { () throws(Errno) in
            let descriptor = try File.open(
                file, at: directory, flags: [.writeOnly, .create, .truncate])
            try File.writeAll(bytes, to: descriptor.number)
            try File.sync(descriptor.number)
            try File.sync(directory)
        }
    }

    // The last segment's digest and last number. An empty last segment ends where its header says.
    private static func chainEnd(
        _ last: SegmentName, in names: [SegmentName], at directory: Int32
    ) throws(JournalError) -> ChainEnd? {
        var candidates = names.filter { $0.writer == last.writer }
        while let name = candidates.popLast() {
            guard let cursor = try SegmentCursor.readable(name, at: directory) else { continue }
            reading: while true {
                if case .end = try cursor.next() { break reading }
            }
            let digest = try SegmentDigest(of: name, bytes: cursor.offset, at: directory)
            return ChainEnd(digest: digest, sequence: cursor.sequence)
        }
        return nil
    }
}

extension SegmentDigest {
    /// Computes the digest of a segment's first bytes.
    init(of name: SegmentName, bytes: Int64, at directory: Int32) throws(JournalError) {
        var checksum: UInt32 = 0
        var at: Int64 = 0
        guard let source = try SegmentCursor.open(name, at: directory) else {
            throw .io(verb: "open", name: name.stem, errno: .noSuchFileOrDirectory)
        }
        while at < bytes {
            var part = [UInt8](repeating: 0, count: Int(min(256 << 10, bytes - at)))
            let count = try JournalError.io("read", name.stem) { () throws(Errno) in
                try source.read(into: &part, at: at)
            }
            if count == 0 { break }
            checksum = Checksum.crc32c(part[..<count], continuing: checksum)
            at += Int64(count)
        }
        self.init(segment: name, bytes: at, checksum: checksum)
    }
}
