// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskEngine
import TaskModel
import TaskSpool

/// `outgoing/` of a spool that a tasklink serves: its names, and what becomes of them.
final class OutgoingDirectory {
    private let directory: Descriptor
    private let inotify: Inotify?
    private static let events: Inotify.Mask = [.movedTo, .movedFrom, .deleted]

    /// - Throws: `.noSuchFileOrDirectory` where no tasklink has served the spool.
    init(spool: Int32) throws(Errno) {
        directory = try File.openBeneath("outgoing", at: spool, flags: .directory)
        let inotify = try? Inotify()
        let isWatched = (try? inotify?.watch(directory: directory.number, for: Self.events)) != nil
        self.inotify = isWatched ? inotify : nil
    }

    /// The directory, for as long as this lives.
    var number: Int32 { directory.number }
    /// For the loop; nil: there are no events, and it is looked through.
    var events: Int32? { inotify?.number }

    /// Names that came or went; nil: anything may have.
    func changes() -> [[UInt8]]? {
        guard let events = try? inotify?.read() else { return nil }
        return events.contains { $0.isOverflow } ? nil : events.map(\.name)
    }

    func names() throws(Errno) -> [[UInt8]] {
        let stream = try DirectoryStream(".", at: number)
        var names: [[UInt8]] = []
        while let name = try stream.next() { names.append(name) }
        return names
    }

    /// A small file; nil where there is none.
    func read(_ name: String, limit: Int) -> [UInt8]? {
        guard let file = try? File.openBeneath(name, at: number, flags: .noFollow) else {
            return nil
        }
        return (try? File.readAll(file.number, limit: limit)) ?? nil
    }

    /// Whole under its name, or not there. Not durable: what taskd writes here is void after a reboot.
    func write(_ bytes: [UInt8], as name: String) throws(Errno) {
        let temporary = ".\(name).new"
        let file = try File.open(
            temporary, at: number, flags: [.writeOnly, .create, .truncate])
        try File.writeAll(bytes, to: file.number)
        try file.close()
        try File.rename(temporary, at: number, to: name, at: number)
    }

    func remove(_ name: OutgoingName) throws(Errno) {
        do {
            try File.unlink("\(name)", at: number)
        } catch Errno.noSuchFileOrDirectory {
        }
    }
}

/// What taskd knows of the ledger, through outgoing/.
struct ClusterState {
    /// nil: no tasklink has served this spool.
    var outgoing: OutgoingDirectory?
    var lease: Lease?
    /// It held when it was looked at last.
    var isLeased = false
    /// Runs of this spool that lie in outgoing/, with their names: nothing of them starts here.
    var away: [TaskID: Away] = [:]
    /// Those of them that tasklink has not taken, as far as is known.
    var unsent: Set<TaskID> = []
    /// On their way there: the note that says so is not durable yet.
    var leaving: [TaskID: RunRecord] = [:]
    /// Runs that stay, whatever waits: the ledger does not take them, or they are not to be had elsewhere.
    var staying: Set<TaskID> = []
    /// Live runs that were claimed.
    var claims: Set<TaskID> = []
    /// Claims of this session that are over.
    var over: Set<RunFileName> = []
    /// Runs whose claim was given up while attempts of them may still say something.
    var abandoned: Set<TaskID> = []
    /// Ends that are on record and whose files are still there.
    var recorded: Set<OutgoingName> = []
    /// Of runs in outgoing/ the generation whose end was on record at the start.
    var settled: [TaskID: Int] = [:]
    var changed: [[UInt8]] = []
    var isScanWanted = true
    /// When runs that wait are looked at next (CLOCK_BOOTTIME); nil: none waited.
    var nextLook: Int64?
    /// Attempts that started since the last look.
    var starts = 0
    /// What `outgoing/free` says, and not before when it may change.
    var free: Int?
    var freeAt: Int64 = 0

    /// It lies in outgoing/, or is about to.
    func isGone(_ id: TaskID) -> Bool { leaving[id] != nil || away[id] != nil }

    struct Away {
        var file: RunFileName
        var name: String
    }

    /// Runs of this spool in outgoing/ at most.
    static let mostAway = 1000
    /// Handed over at a look, at most.
    static let mostAtOnce = 256
    /// A run that would wait longer is handed over.
    static let patience: Int64 = 1_000_000
    static let freePause: Int64 = 100_000
    /// Older ids than that the ledger may have forgotten.
    static let oldest: Int64 = 86_400_000_000
}
