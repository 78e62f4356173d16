// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
public import TaskModel

/// Who writes a chain of segments.
public struct JournalIdentity: Sendable {
    /// The owner's epoch.
    public var epoch: Int
    /// `taskd`, or `PID.START`.
    public var writer: String
    public var node: String
    public var boot: String

    /// This host and boot, unless given.
    public init(epoch: Int, writer: String, node: String? = nil, boot: String? = nil) {
        self.epoch = epoch
        self.writer = writer
        self.node = node ?? Host.name()
        self.boot = boot ?? Host.boot()
    }
}

/// Where a chain of segments ended, so that the next segment goes on from there.
public struct ChainEnd: Equatable, Sendable {
    /// The last segment.
    public var digest: SegmentDigest
    /// The number of the last record.
    public var sequence: UInt64

    public init(digest: SegmentDigest, sequence: UInt64) {
        self.digest = digest
        self.sequence = sequence
    }
}

/// Sizes and times of a journal.
public struct JournalLimits: Sendable {
    /// A segment is sealed before it grows beyond this, in bytes.
    public var segmentBytes: Int64 = 64 << 20
    /// Under load a group is synced at this size …
    public var groupBytes = 256 << 10
    /// … or this age, in microseconds.
    public var groupDelay: Int64 = 5000
    public init() {}
}

/// Appends event lines to a chain of journal segments and makes them durable in groups.
///
/// A record is in memory after `append`, in the file after `flush`, on the disk after `sync`. Records
/// since the last sync stay in memory: when fdatasync fails, its segment is left alone (the kernel
/// has dropped the pages) and they are written again into a new one. One thread.
public final class JournalWriter {
    private let directory: Int32
    private let identity: JournalIdentity
    private let limits: JournalLimits
    private let reserve: SpaceReserve?
    var file: SegmentFile
    /// Framed records since the last sync; the first `flushed` bytes are in the file.
    private var buffer: [UInt8] = []
    private var flushed = 0
    private var flushedSequence: UInt64
    private var scratch: [UInt8] = []
    private var directoryDirty = true
    private var failures = 0
    /// After the last of these nothing is durable any more, whatever a later fdatasync says.
    private var isBroken: Errno?
    private var firstWaits: Int64?
    /// fdatasync(2), replaced by tests.
    var syncData: (Int32) throws(Errno) -> Void = File.syncData

    /// The number of the last record that `append` gave.
    public private(set) var lastSequence: UInt64
    /// Every record up to this number is durable.
    public private(set) var syncedThrough: UInt64
    /// The segment that is written now.
    public var segment: SegmentName { file.name }
    /// Bytes that no `flush` has written yet.
    public var pendingBytes: Int { buffer.count - flushed }
    /// Something was appended since the last `sync`.
    public var needsSync: Bool { lastSequence != syncedThrough }

    /// Creates the first segment; it is durable with the first `sync`.
    ///
    /// - Parameters:
    ///   - directory: `journal/`, open for as long as the writer lives.
    ///   - end: where this writer's chain ended (`JournalRecovery`), nil to begin one.
    ///   - reserve: what ENOSPC may use up; nil for writers that can simply fail.
    public init(
        at directory: Int32, _ identity: JournalIdentity, after end: ChainEnd? = nil,
        limits: JournalLimits = JournalLimits(), reserve: SpaceReserve? = nil
    ) throws(JournalError) {
        self.directory = directory
        self.identity = identity
        self.limits = limits
        self.reserve = reserve
        let last = end?.sequence ?? 0
        lastSequence = last
        syncedThrough = last
        flushedSequence = last
        var name = SegmentName(epoch: identity.epoch, writer: identity.writer, number: 1)
        if let end, end.digest.segment.epoch == name.epoch,
            end.digest.segment.writer == name.writer
        {
            name = end.digest.segment.next
        }
        file = try Self.create(
            name, identity, first: last + 1, previous: end?.digest, at: directory, reserve)
    }

    /// Appends an event line. Nothing is written yet.
    ///
    /// - Returns: the record's number; compare it with `syncedThrough`.
    @discardableResult
    public func append(_ line: EventLine) throws(JournalError) -> UInt64 {
        scratch.removeAll(keepingCapacity: true)
        line.append(to: &scratch)
        return try append(raw: scratch[...])
    }

    /// Appends an event line given as bytes, without a line end.
    @discardableResult
    public func append(raw line: ArraySlice<UInt8>) throws(JournalError) -> UInt64 {
        guard line.count <= EventLine.longest else { throw .tooLong(line.count) }
        lastSequence += 1
        frame(line, lastSequence)
        return lastSequence
    }

    private func frame(_ line: ArraySlice<UInt8>, _ sequence: UInt64) {
        RecordFrame.append(
            line, sequence: sequence, isAfterSync: sequence == syncedThrough + 1, seed: file.seed,
            to: &buffer)
    }

    /// When the group must be synced, in microseconds of CLOCK_BOOTTIME; nil when nothing waits.
    ///
    /// - Parameter idle: the loop has nothing else to do, so that waiting would only cost time.
    public func syncDeadline(now: Int64, idle: Bool) -> Int64? {
        guard needsSync else { return nil }
        if idle || buffer.count >= limits.groupBytes { return now }
        if firstWaits == nil { firstWaits = now }
        return (firstWaits ?? now) + limits.groupDelay
    }

    /// Writes what was appended into the segment; a full one is sealed first.
    ///
    /// Throws `.full` without space or reserve: all stays in memory for the next call.
    public func flush() throws(JournalError) {
        if let isBroken { throw .notDurable(errno: isBroken) }
        while pendingBytes > 0 {
            try rotateWhenFull()
            do {
                try file.write(buffer, from: flushed, limit: limits.segmentBytes)
                flushed = buffer.count
                flushedSequence = lastSequence
            } catch {
                try overcome(error)
            }
        }
    }

    /// Makes all records durable: `syncedThrough` is then `lastSequence`.
    public func sync() throws(JournalError) {
        while needsSync {
            try flush()
            do {
                try syncFile()
            } catch {
                try replaceSegment(after: error)
            }
        }
    }

    /// Makes the segment durable, also one without a record: its header and its name. What names a place
    /// in it, as a checkpoint does, must not outlive it. No work where that is done.
    public func syncSegment() throws(JournalError) {
        try sync()
        if let isBroken { throw .notDurable(errno: isBroken) }
        while directoryDirty {
            do {
                try syncFile()
            } catch {
                try replaceSegment(after: error)
            }
        }
    }

    /// Syncs, seals the segment and ends the chain: the writer takes no more records.
    public func close() throws(JournalError) {
        try sync()
        file.markDurable()
        file.seal(at: directory)
        try JournalError.io("sync", "journal/") { () throws(Errno) in try File.sync(directory) }
    }

    private func syncFile() throws(Errno) {
        try syncData(file.number)
        if directoryDirty { try File.sync(directory) }
        directoryDirty = false
        file.markDurable()
        syncedThrough = flushedSequence
        buffer.removeFirst(flushed)
        flushed = 0
        failures = 0
        firstWaits = nil
    }
}

extension JournalWriter {
    private static func create(
        _ name: SegmentName, _ identity: JournalIdentity, first: UInt64,
        previous: SegmentDigest?, at directory: Int32, _ reserve: SpaceReserve?
    ) throws(JournalError) -> SegmentFile {
        let header = SegmentHeader(
            node: identity.node, boot: identity.boot, created: Clock.real(),
            firstSequence: first, previous: previous)
        while true {
            do {
                return try SegmentFile(creating: name, header, at: directory)
            } catch {
                guard error.isFull else {
                    throw .io(verb: "create", name: "journal/\(name).open", errno: error)
                }
                guard reserve?.release() ?? false else { throw .full(errno: error) }
            }
        }
    }

    // The new segment exists before the old one is sealed: without space for it nothing changes.
    private func rotateWhenFull() throws(JournalError) {
        guard file.used + Int64(pendingBytes) > limits.segmentBytes, file.hasRecords else { return }
        do {
            if flushed > 0 { try syncFile() }
        } catch {
            return try replaceSegment(after: error)
        }
        try startSegment(first: flushedSequence + 1)
    }

    private func overcome(_ error: Errno) throws(JournalError) {
        guard error.isFull else { return try replaceSegment(after: error) }
        guard reserve?.release() ?? false else { throw .full(errno: error) }
    }

    private func replaceSegment(after error: Errno) throws(JournalError) {
        failures += 1
        file.cutToDurable()
        guard failures < 3 else {
            isBroken = error
            throw .notDurable(errno: error)
        }
        flushed = 0
        flushedSequence = syncedThrough
        try startSegment(first: syncedThrough + 1)
    }

    private func startSegment(first: UInt64) throws(JournalError) {
        let old = file
        file = try Self.create(
            old.name.next, identity, first: first, previous: old.durable, at: directory, reserve)
        old.seal(at: directory)
        directoryDirty = true
        reframe()
    }

    // Checksums depend on the segment: what moves to another one is framed anew.
    private func reframe() {
        let old = buffer
        buffer.removeAll(keepingCapacity: true)
        var at = 0
        var sequence = flushedSequence
        while at < old.count {
            guard let found = RecordFrame.split(old, at: at) else { return }
            sequence += 1
            frame(old[found.line], sequence)
            at = found.end
        }
    }
}

extension Errno {
    /// No blocks, no inodes or no quota left: more space helps, a new segment does not.
    var isFull: Bool { self == .noSpace || self == .diskQuotaExceeded }
}
