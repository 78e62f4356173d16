// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskModel

/// One record of a journal.
public struct JournalRecord: Sendable {
    public var segment: SegmentName
    /// Counts the records of one writer's chain, from 1.
    public var sequence: UInt64
    /// The event line's bytes, without its line end.
    public var line: ArraySlice<UInt8>
    /// The boot id of the machine when its segment was made.
    public var boot: String
    /// Every record before it was durable when it was written.
    public var isAfterSync: Bool
    /// The offset behind the record: where a later reader goes on.
    public var end: Int64

    public var position: JournalPosition { JournalPosition(segment: segment, sequence: sequence) }
}

/// Reads one segment from a place on, forwards. It stops at the end for now: a segment that is
/// still written can be asked again.
public final class SegmentCursor {
    /// What `next` found.
    public enum Step: Sendable {
        case record(JournalRecord)
        /// Bad bytes or missing numbers; reading goes on behind them.
        case damaged(Damage)
        /// Zeros, or nothing valid from here on. `tornBytes` says whether something else is there.
        case end
    }

    public let name: SegmentName
    public let header: SegmentHeader
    /// Where the next record begins.
    public private(set) var offset: Int64
    /// The number of the last record that was read; one less than the first before that.
    public private(set) var sequence: UInt64
    /// Records from this number on are written again in the segment that follows: left out here.
    public var supersededFrom: UInt64?
    /// Whoever reads holds the segment's lock: nobody else writes it.
    var isOwn = false

    private let source: SegmentSource
    private let seed: UInt32
    private var buffer: [UInt8] = []
    /// The file offset of the buffer's first byte.
    private var base: Int64 = 0
    private static let chunk = 256 << 10

    /// Opens a segment by its name in `journal/`: open, sealed or compressed.
    ///
    /// - Parameters:
    ///   - offset: where a record begins, 0 for the first one.
    ///   - sequence: the number of the record before it.
    /// - Returns: nil when the segment is gone.
    /// - Throws: `.format` when it has no correct header.
    public init?(
        _ name: SegmentName, at directory: Int32, offset: Int64 = 0, sequence: UInt64 = 0
    ) throws(JournalError) {
        guard let source = try Self.open(name, at: directory) else { return nil }
        var bytes = [UInt8](repeating: 0, count: SegmentHeader.longest)
        let count = try JournalError.io("read", name.stem) { () throws(Errno) in
            try source.read(into: &bytes, at: 0)
        }
        guard let (header, length) = SegmentHeader.parse(bytes[..<count]) else {
            throw .format(name: name.stem)
        }
        self.name = name
        self.header = header
        self.source = source
        seed = RecordFrame.seed(name)
        self.offset = offset == 0 ? Int64(length) : offset
        self.sequence = offset == 0 ? header.firstSequence - 1 : sequence
    }

    /// As `init`, and nil for one without a correct header as well.
    static func readable(
        _ name: SegmentName, at directory: Int32
    ) throws(JournalError) -> SegmentCursor? {
        do {
            return try SegmentCursor(name, at: directory)
        } catch JournalError.format {
            return nil
        } catch {
            throw error
        }
    }

    static func open(
        _ name: SegmentName, at directory: Int32
    ) throws(JournalError) -> SegmentSource? {
        try SegmentSource.open(name, [".open", ".sealed", ".open", ".sealed"], at: directory)
    }

    /// It is compressed: nothing is torn in it, whatever is not right was damaged later.
    var isCompressed: Bool { source.isCompressed }

    /// The seek table of a compressed segment is as it was written; all others have none.
    var isTableWhole: Bool { source.isTableWhole }

    /// True when no process has the segment open for writing.
    public func isAbandoned() -> Bool {
        ((try? File.tryLock(source.number, shared: true)) ?? false)
            && (try? File.unlock(source.number)) != nil
    }

    /// What was read is on disk when this returns (fdatasync(2)): for who tells others of it, which a power failure
    /// would not take back.
    public func sync() throws(JournalError) {
        do {
            try File.syncData(source.number)
        } catch {
            throw .io(verb: "sync", name: name.stem, errno: error)
        }
    }

    /// Whether the segment has so many bytes: a shorter one was made anew, or cut after a crash.
    public func reaches(_ offset: Int64) throws(JournalError) -> Bool {
        do {
            return try source.size() >= offset
        } catch {
            throw .io(verb: "read", name: name.stem, errno: error)
        }
    }

    /// The next record, or what stands in its place.
    public func next() throws(JournalError) -> Step {
        while true {
            switch try parse() {
            case .record(let found):
                return step(found)
            case .short where try refill():
                continue
            case .short:
                return try resync(hint: nil)
            case .bad(let hint):
                return try resync(hint: hint)
            }
        }
    }

    private func parse() throws(JournalError) -> RecordFrame.Parsed {
        let at = Int(offset - base)
        guard at < buffer.count else { return .short }
        return RecordFrame.parse(buffer, at: at, seed: seed)
    }

    private func step(_ found: RecordFrame.Found) -> Step {
        if isSuperseded(found.sequence) { return .end }
        if found.sequence > sequence + 1 {
            let lost = (sequence + 1)...(found.sequence - 1)
            sequence = found.sequence - 1
            return .damaged(Damage(.gap, name, offset: offset, sequences: lost))
        }
        offset = base + Int64(found.end)
        sequence = found.sequence
        return .record(
            JournalRecord(
                segment: name, sequence: found.sequence, line: buffer[found.line],
                boot: header.boot, isAfterSync: found.isAfterSync, end: offset))
    }

    private func isSuperseded(_ sequence: UInt64) -> Bool {
        supersededFrom.map { sequence >= $0 } ?? false
    }

    // Reads on from the current record; false when the file has no more than the buffer holds.
    private func refill() throws(JournalError) -> Bool {
        let had = Int64(buffer.count) - (offset - base)
        var fresh = [UInt8](repeating: 0, count: Self.chunk)
        let count = try read(into: &fresh, at: offset)
        guard Int64(count) > max(had, 0) else { return false }
        fresh.removeLast(fresh.count - count)
        buffer = fresh
        base = offset
        return true
    }

    private func read(into bytes: inout [UInt8], at offset: Int64) throws(JournalError) -> Int {
        do {
            return try source.read(into: &bytes, at: offset)
        } catch {
            throw .io(verb: "read", name: name.stem, errno: error)
        }
    }
}

extension SegmentCursor {
    /// Bytes other than the zeros of a fill that stand behind the last record. Ask at the end.
    public func tornBytes() throws(JournalError) -> Int64 {
        Int64(try torn(from: offset).count)
    }

    /// All that stands behind a place, but for the zeros of a fill.
    func torn(from offset: Int64) throws(JournalError) -> ArraySlice<UInt8> {
        let rest = try remaining(from: offset)
        return rest[..<((rest.lastIndex { $0 != 0 } ?? -1) + 1)]
    }

    private func remaining(from offset: Int64) throws(JournalError) -> [UInt8] {
        var rest: [UInt8] = []
        var at = offset
        while true {
            var part = [UInt8](repeating: 0, count: Self.chunk)
            let count = try read(into: &part, at: at)
            if count == 0 { return rest }
            rest.append(contentsOf: part[..<count])
            at += Int64(count)
        }
    }

    // Nothing valid at the offset: is there something behind it? A clean end of zeros is the usual
    // case, and only a segment that is not written any more is searched behind zeros.
    private func resync(hint: Int?) throws(JournalError) -> Step {
        if isSuperseded(sequence + 1) { return .end }
        let at = Int(offset - base)
        let isZero = at < buffer.count && buffer[at] == 0
        let isLive = !isOwn && !isAbandoned()
        if isZero && isLive {
            forget()
            return .end
        }
        // Most damage is small: what is at hand is searched before all the rest is read. But of what is
        // written now an earlier page may have been read before, a later one after.
        if !isLive, let found = find(in: buffer, from: at, hint: hint) { return skip(to: found) }
        buffer = try remaining(from: offset)
        base = offset
        if case .record(let found) = RecordFrame.parse(buffer, at: 0, seed: seed) {
            return step(found)
        }
        let found = find(in: buffer, from: 0, hint: hint.map { $0 - at })
        let step = found.map { skip(to: $0) } ?? .end
        forget()
        return step
    }

    // What was read beyond the end is stale by the next call.
    private func forget() {
        buffer = []
        base = offset
    }

    private func skip(to found: (place: Int, sequence: UInt64)) -> Step {
        let next = found.sequence
        let bytes = base + Int64(found.place) - offset
        let lost = next > sequence + 1 ? (sequence + 1)...(next - 1) : nil
        let damage = Damage(.corrupt, name, offset: offset, bytes: bytes, sequences: lost)
        offset += bytes
        sequence = max(sequence, next - 1)
        return .damaged(damage)
    }

    // The first valid record behind the beginning: where the bad one's length says, else behind
    // any line end or zero.
    private func find(
        in rest: [UInt8], from start: Int, hint: Int?
    ) -> (place: Int, sequence: UInt64)? {
        if let hint, let found = record(rest, at: hint) { return (hint, found) }
        var place = start + 1
        while let next = Self.beginning(in: rest, from: place) {
            if let found = record(rest, at: next) { return (next, found) }
            place = next + 1
        }
        return nil
    }

    // Mostly the zeros ahead of the end are searched: a pass over bare bytes.
    private static func beginning(in bytes: [UInt8], from start: Int) -> Int? {
        bytes.withUnsafeBufferPointer { bytes in
            var place = start
            while place < bytes.count {
                let before = bytes[place - 1]
                if bytes[place] != 0, before == 0 || before == UInt8(ascii: "\n") { return place }
                place += 1
            }
            return nil
        }
    }

    // The number of the record there, where it is a later one.
    private func record(_ bytes: [UInt8], at place: Int) -> UInt64? {
        guard place < bytes.count,
            case .record(let found) = RecordFrame.parse(bytes, at: place, seed: seed),
            found.sequence > sequence
        else { return nil }
        return found.sequence
    }
}
