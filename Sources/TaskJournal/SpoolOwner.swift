// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage

/// Who holds a spool, as its file `owner` says:
/// `host=… boot=… pid=… start=… epoch=…`, one line.
///
/// The lock (flock) on that file decides; the line tells people, and the next owner, what was.
public struct OwnerRecord: Equatable, Sendable {
    public var host: String
    public var boot: String
    /// 0 when nobody holds the spool and the epoch was only counted up.
    public var pid: Int32
    /// Clock ticks since boot at which the process started.
    public var start: UInt64
    public var epoch: Int

    /// The line that stands in the file.
    public var line: String {
        "host=\(host) boot=\(boot) pid=\(pid) start=\(start) epoch=\(epoch)\n"
    }

    public init(host: String, boot: String, pid: Int32, start: UInt64, epoch: Int) {
        self.host = host
        self.boot = boot
        self.pid = pid
        self.start = start
        self.epoch = epoch
    }

    /// This process on this host.
    public init(ownWith epoch: Int) {
        let own = Host.own()
        self.init(
            host: Host.name(), boot: Host.boot(), pid: own.pid, start: own.start, epoch: epoch)
    }

    init?(parsing bytes: [UInt8]) {
        var values: [Substring: Substring] = [:]
        let text = String(decoding: bytes, as: UTF8.self)
        for part in text.split(whereSeparator: { $0 == " " || $0 == "\n" }) {
            let pair = part.split(separator: "=", maxSplits: 1)
            if pair.count == 2 { values[pair[0]] = pair[1] }
        }
        guard let host = values["host"], let boot = values["boot"],
            let pid = values["pid"].flatMap({ Int32($0) }),
            let start = values["start"].flatMap({ UInt64($0) }),
            let epoch = values["epoch"].flatMap({ Int($0) }),
            (0...SegmentName.most).contains(epoch)
        else { return nil }
        self.init(
            host: String(host), boot: String(boot), pid: pid, start: start, epoch: epoch)
    }

    /// That very process is running, on this boot of this host.
    public var isAlive: Bool {
        pid > 0 && boot == Host.boot() && start == Host.start(of: pid)
    }
}

/// The spool's lock: held by one process, for life.
public final class SpoolOwner {
    /// What an attempt to take a spool comes to.
    public enum Taken {
        case owner(SpoolOwner)
        /// Another process holds it: what it wrote about itself, if that can be read.
        case held(OwnerRecord?)
    }

    private let descriptor: Descriptor
    /// What `owner` says now.
    public let record: OwnerRecord
    /// What it said before; nil for a new spool.
    public let previous: OwnerRecord?

    /// The last owner of this spool ran on another boot, or the spool is new: what the cache knew
    /// is gone.
    public var isNewBoot: Bool { previous?.boot != record.boot }

    private init(_ descriptor: consuming Descriptor, _ record: OwnerRecord, _ old: OwnerRecord?) {
        self.descriptor = descriptor
        self.record = record
        previous = old
    }

    /// Takes the lock and the next epoch, and makes both known.
    ///
    /// The epoch is one more than `owner` and the journal's segments know, so that a torn `owner`
    /// does no harm.
    ///
    /// - Parameters:
    ///   - spool: the spool's directory.
    ///   - forLife: write this process down as the owner; false only counts the epoch up.
    public static func take(
        spool: Int32, forLife: Bool = true
    ) throws(JournalError) -> Taken {
        let descriptor = try JournalError.io("open", "owner") { () throws(Errno) in
            try File.open("owner", at: spool, flags: [.readWrite, .create, .noFollow])
        }
        let number = descriptor.number
        let locked = try JournalError.io("lock", "owner") { () throws(Errno) in
            try File.tryLock(number)
        }
        let old = try content(number)
        guard locked else { return .held(old) }
        // The last one that a segment can have is no epoch that somebody got to by counting.
        let known = [old?.epoch ?? 0, try lastEpoch(spool)].filter { $0 < SegmentName.most }
        let epoch = (known.max() ?? 0) + 1
        var record = OwnerRecord(ownWith: epoch)
        if !forLife { (record.pid, record.start) = (0, 0) }
        let bytes = Array(record.line.utf8)
        try JournalError.io("write", "owner") { () throws(Errno) in
            try File.writeAll(bytes, to: number, at: 0)
            try File.truncate(number, to: Int64(bytes.count))
            try File.syncData(number)
        }
        return .owner(SpoolOwner(descriptor, record, old))
    }

    /// Gives a writer beside the owner its epoch for as long as it creates its segment: the living
    /// owner's, or one of its own, counted up under the lock.
    public static func withEpoch<Result>(
        spool: Int32, _ create: (Int) throws(JournalError) -> Result
    ) throws(JournalError) -> Result {
        let end = Clock.boot() + 10_000_000
        while true {
            switch try take(spool: spool, forLife: false) {
            case .owner(let owner):
                let result = try create(owner.record.epoch)
                return withExtendedLifetime(owner) { result }
            case .held(let record):
                if let record, record.isAlive { return try create(record.epoch) }
                // Another writer has it for this moment, or an owner is about to write itself down.
                guard Clock.boot() < end else {
                    throw .io(verb: "lock", name: "owner", errno: .wouldBlock)
                }
                try JournalError.io("wait for", "owner") { () throws(Errno) in
                    _ = try EventLoop().turn(until: Clock.boot() + 1000)
                }
            }
        }
    }

    /// `PID.START` of this process: the writer's name of whoever is not the owner.
    public static var ownWriterName: String {
        let own = Host.own()
        return "\(own.pid).\(own.start)"
    }

    /// Reads `owner` without taking anything; nil when there is none that can be read.
    public static func read(spool: Int32) throws(JournalError) -> OwnerRecord? {
        do {
            let descriptor = try File.open("owner", at: spool, flags: .noFollow)
            return try content(descriptor.number)
        } catch let error as JournalError {
            throw error
        } catch {
            return nil
        }
    }

    private static func content(_ number: Int32) throws(JournalError) -> OwnerRecord? {
        try JournalError.io("read", "owner") { () throws(Errno) in
            var bytes = [UInt8](repeating: 0, count: 4096)
            let count = try File.read(number, into: &bytes, at: 0)
            return OwnerRecord(parsing: Array(bytes[..<count]))
        }
    }

    private static func lastEpoch(_ spool: Int32) throws(JournalError) -> Int {
        let journal: Descriptor
        do {
            journal = try File.openDirectory("journal", at: spool)
        } catch Errno.noSuchFileOrDirectory {
            return 0
        } catch {
            throw .io(verb: "open", name: "journal/", errno: error)
        }
        return try JournalDirectory(reading: journal.number).lastEpoch
    }
}
