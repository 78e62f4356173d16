// SPDX-License-Identifier: Apache-2.0
import CSQLite
import Linux
import SystemPackage
public import TaskModel

/// The history of a spool: an SQLite index over its journal, rebuildable at any time, which
/// whoever asks brings up to date. Every lookup is a seek.
public final class History {
    private let directory: String
    private let journal: Descriptor
    private(set) var database: Database
    /// The file that `database` has open: another takes its place when the index is built anew.
    private var inode: UInt64 = 0
    private let progress: (Int) -> Void
    /// The index's place, for the SQL of users: a path, or a URI of memory.
    public let indexPath: String
    /// Why the index was not brought up to date; nil when it was.
    public let failure: HistoryError?
    /// There is no index that can be used or made, on a full disk for one: the journal is read into
    /// memory.
    public let isInMemory: Bool

    /// Opens the history of a spool.
    ///
    /// - Parameters:
    ///   - spool: the spool's path.
    ///   - progress: told now and then how many events were read; called only while reading.
    public init(spool: String, progress: @escaping (Int) -> Void = { _ in }) throws(HistoryError) {
        directory = spool + "/journal"
        do {
            journal = try File.openDirectory(directory)
        } catch {
            throw .journal("open \(directory): \(error)")
        }
        self.progress = progress
        let path = "\(directory)/\(IndexUpdate.file)"
        do throws(HistoryError) {
            try IndexUpdate(journal: journal.number, path: path, progress: progress).run()
            failure = nil
        } catch {
            failure = error
        }
        inode = Self.inode(journal.number)
        if let found = Self.open(path) {
            (database, indexPath, isInMemory) = (found, path, false)
        } else {
            database = try Database(IndexUpdate.memory, flags: SQLITE_OPEN_READWRITE)
            (indexPath, isInMemory) = (IndexUpdate.memory, true)
            try refresh()
        }
    }

    /// An index that has its tables.
    private static func open(_ path: String) -> Database? {
        guard let database = try? Database(path, flags: SQLITE_OPEN_READONLY),
            (try? database.number("pragma user_version")) == Schema.version
        else { return nil }
        return database
    }

    /// Reads what the journal has got since.
    public func refresh() throws(HistoryError) {
        try IndexUpdate(journal: journal.number, path: indexPath, progress: progress).run()
        if isInMemory { return }
        let present = Self.inode(journal.number)
        guard present != inode, let found = Self.open(indexPath) else { return }
        (database, inode) = (found, present)
    }

    private static func inode(_ journal: Int32) -> UInt64 {
        (try? File.status(IndexUpdate.file, at: journal))?.inode ?? 0
    }

    // MARK: Which run

    /// The run that was made last.
    public func latestRun() throws(HistoryError) -> TaskID? {
        try id("select max(id) from run")
    }

    /// The latest run of a unit.
    public func latestRun(named name: String) throws(HistoryError) -> TaskID? {
        try id("select max(id) from run where name = ?1", name)
    }

    /// The latest task with a name that is another unit's dependency: `RUN.K`.
    public func latestTask(named name: String) throws(HistoryError) -> TaskRef? {
        let rows = try database.prepare("select max(id) from task where name = ?1")
        rows.bind(1, name)
        return try rows.step() ? rows.text(0).flatMap { TaskRef($0) } : nil
    }

    /// Runs whose id ends so, newest first.
    public func runs(endingIn suffix: String, limit: Int = 6) throws(HistoryError) -> [TaskID] {
        let tail = String(decoding: suffix.lowercased().utf8.reversed(), as: UTF8.self)
        let rows = try database.prepare(
            "select id from run where tail >= ?1 and tail < ?1 || '~' order by id desc limit ?2")
        rows.bind(1, tail)
        rows.bind(2, Int64(limit))
        var found: [TaskID] = []
        while try rows.step() {
            if let id = rows.text(0).flatMap({ TaskID($0) }) { found.append(id) }
        }
        return found
    }

    /// How many runs of a unit there are before this one.
    public func countEarlier(named name: String, than run: TaskID) throws(HistoryError) -> Int {
        let rows = try database.prepare("select count(*) from run where name = ?1 and id < ?2")
        rows.bind(1, name)
        rows.bind(2, run.description)
        return try rows.step() ? rows.int(0) ?? 0 : 0
    }

    private func id(_ sql: String, _ text: String? = nil) throws(HistoryError) -> TaskID? {
        let rows = try database.prepare(sql)
        if let text { rows.bind(1, text) }
        return try rows.step() ? rows.text(0).flatMap { TaskID($0) } : nil
    }
}

extension Statement {
    func state(_ column: Int32) -> TaskState? {
        integer(column).flatMap { UInt8(exactly: $0) }.flatMap { TaskState(rawValue: $0) }
    }
}
