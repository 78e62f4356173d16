// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage

/// The segments of `journal/` or `log/` as files: how large they are, and their removal.
public struct SegmentStore {
    private let place: SegmentCompression.Place
    private let directory: Int32

    /// - Parameter directory: `journal/` or `log/`.
    public init(_ place: SegmentCompression.Place, at directory: Int32) {
        self.place = place
        self.directory = directory
    }

    private var suffixes: [String] {
        switch place {
        case .journal: ["sealed", "zst", "open", "torn"]
        case .log: ["log", "zst"]
        }
    }

    /// All segments, by name. One that somebody writes is needed: in the journal that is in its name; of the
    /// log `isWritten` tells.
    public func segments() throws(JournalError) -> [StoredSegment] {
        var found: [SegmentName: StoredSegment] = [:]
        for file in try JournalDirectory.names(in: directory) {
            for suffix in suffixes {
                guard let name = SegmentName(file: file, suffix: suffix) else { continue }
                guard let status = try? File.status(file, at: directory), status.isRegular else {
                    continue
                }
                var segment = found[name] ?? StoredSegment(name, bytes: 0, modified: 0)
                segment.bytes += status.size
                segment.modified = max(segment.modified, status.modified)
                if suffix == "open" { segment.isNeeded = true }
                found[name] = segment
            }
        }
        return found.values.sorted { $0.name < $1.name }
    }

    /// Whether somebody compresses there just now: of whoever does nothing is removed.
    public func isBusy() throws(JournalError) -> Bool {
        if try lock() != nil { return false }
        return true
    }

    private func lock() throws(JournalError) -> Descriptor? {
        let lock = try named("open", "") { () throws(Errno) in
            try File.openDirectory(".", at: directory)
        }
        let number = lock.number
        let isFree = try named("lock", "") { () throws(Errno) in try File.tryLock(number) }
        if isFree { return lock }
        return nil
    }

    /// What became of a segment.
    public enum Outcome: Equatable, Sendable {
        case removed
        /// Somebody writes it, or compresses just now.
        case inUse
    }

    /// Removes all files of a segment; one that is gone is removed.
    public func remove(_ name: SegmentName) throws(JournalError) -> Outcome {
        // Who compresses a segment makes a file of its name.
        guard let lock = try lock() else { return .inUse }
        defer { withExtendedLifetime(lock) {} }
        if place == .log, try isWritten(name) { return .inUse }
        for suffix in suffixes where suffix != "open" {
            let file = "\(name.stem).\(suffix)"
            try named("remove", file) { () throws(Errno) in
                do throws(Errno) {
                    try File.unlink(file, at: directory)
                } catch .noSuchFileOrDirectory {
                    return
                }
            }
        }
        return .removed
    }

    /// Whether somebody has a segment of the log open for writing: a writer holds no lock. Where no lease is
    /// to be had nothing is known, and it counts as written.
    public func isWritten(_ name: SegmentName) throws(JournalError) -> Bool {
        let file = "\(name.stem).log"
        do {
            let descriptor = try File.open(file, at: directory, flags: [.noFollow, .nonBlocking])
            guard (try? File.tryReadLease(descriptor.number)) ?? false else { return true }
            try? File.releaseLease(descriptor.number)
            return false
        } catch Errno.noSuchFileOrDirectory {
            return false
        } catch {
            throw .io(verb: "open", name: "log/\(file)", errno: error)
        }
    }

    private func named<Result: ~Copyable>(
        _ verb: String, _ file: String, _ call: () throws(Errno) -> Result
    ) throws(JournalError) -> Result {
        try JournalError.io(verb, "\(place.rawValue)/\(file)", call)
    }
}
