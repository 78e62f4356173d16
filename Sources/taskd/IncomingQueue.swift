// SPDX-License-Identifier: Apache-2.0
import DequeModule
import Linux
import SystemPackage
import TaskSpool

/// Names in incoming/ that wait to be looked at: from hints, and from a scan that streams.
struct IncomingQueue {
    /// From hints, oldest first.
    var names = Deque<[UInt8]>()
    /// Files that somebody still writes, or that must lie still for two seconds.
    private var waiting: Set<[UInt8]> = []
    /// Names that could not be read, of which that has been said.
    var unreadable: Set<String> = []
    /// Files whose change time lies ahead, and since when that is known (CLOCK_BOOTTIME).
    private var unsettled: [String: (since: Int64, boot: Int64)] = [:]
    /// A scan is due: at start-up, after an overflow, and every 300 s.
    var isScanWanted = false
    /// Scans that have begun: what else is looked at as rarely goes with them.
    private(set) var scans = 0
    private var scan: DirectoryStream?
    private var nextScan: Int64 = .max
    private var nextWaitingLook: Int64 = .max

    /// When the last hint came, and until when its sender is left alone, in CLOCK_BOOTTIME.
    private var lastHint: Int64 = 0
    private var graceEnd: Int64 = 0

    /// The mv(1) of coreutils 9 looks at its target once more after the rename, and complains when
    /// it is gone. The hint may even have preempted it: this long it gets to finish. In a stream
    /// of drops nothing waits: giving the CPU away at each would cost more than the complaint.
    private static let grace: Int64 = 60
    private static let mostNames = 4096
    private static let scanEvery: Int64 = 300_000_000
    private static let stillness: Int64 = 2_000_000
    private static let waitingEvery: Int64 = 1_000_000

    /// When something must be looked at though no hint comes, in CLOCK_BOOTTIME.
    var nextLook: Int64 { min(nextScan, nextWaitingLook) }

    /// Whether there is something to look at now.
    func hasWork(_ hasRoom: Bool, at boot: Int64) -> Bool {
        hasRoom && (!names.isEmpty || scan != nil || isScanWanted || nextLook <= boot)
    }

    /// A hint. Too many of them become one scan.
    mutating func add(_ name: [UInt8]) {
        let now = Clock.boot()
        if now - lastHint > 1000 { graceEnd = now + Self.grace }
        lastHint = now
        if names.count >= Self.mostNames {
            names.removeAll()
            isScanWanted = true
        } else if !isScanWanted {
            names.append(name)
        }
    }

    /// Waits until whoever dropped the last file has had time to look at it: at most 60 µs after the
    /// hint, most of which reading and compiling took already.
    func letDropperFinish() {
        Clock.yield(until: graceEnd)
    }

    /// The file is not complete: look again.
    mutating func postpone(_ name: [UInt8], at boot: Int64) {
        waiting.insert(name)
        nextWaitingLook = min(nextWaitingLook, boot + Self.waitingEvery)
    }

    /// Whether a file without a lease has been so for two seconds: by the clock of its change time, or by
    /// this process's where that time lies ahead (the clock was set back).
    mutating func isStill(_ name: String, since: Int64) -> Bool {
        let age = Clock.real() - since
        if age >= Self.stillness {
            unsettled[name] = nil
            return true
        }
        let boot = Clock.boot()
        guard age < 0, let first = unsettled[name], first.since == since else {
            unsettled[name] = age < 0 ? (since, boot) : nil
            return false
        }
        guard boot - first.boot >= Self.stillness else { return false }
        unsettled[name] = nil
        return true
    }

    /// The next name to look at; nil when there is none for now.
    mutating func next(_ spool: Spool, at boot: Int64) throws(Errno) -> [UInt8]? {
        if let name = names.popFirst() { return name }
        if scan == nil, isScanWanted || nextScan <= boot {
            isScanWanted = false
            scans += 1
            nextScan = boot + Self.scanEvery
            scan = try DirectoryStream(".", at: spool.number(.incoming))
        }
        if let stream = scan {
            if let name = try stream.next() { return name }
            scan = nil
        }
        if nextWaitingLook <= boot {
            nextWaitingLook = .max
            names.append(contentsOf: waiting)
            waiting.removeAll()
            return names.popFirst()
        }
        return nil
    }
}
