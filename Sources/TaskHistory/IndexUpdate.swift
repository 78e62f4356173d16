// SPDX-License-Identifier: Apache-2.0
import CSQLite
import Linux
import SystemPackage
import TaskJournal

/// Brings `journal/index.sqlite` up to date with the segments beside it.
///
/// One process at a time does it, under a lock; others read the state before. Each batch of events
/// and the place that was read to are one transaction, so that a crash repeats nothing.
struct IndexUpdate {
    static let file = "index.sqlite"
    /// An index in this process's memory, which lives as long as some connection to it.
    static let memory = "file:index?mode=memory&cache=shared"
    private static let lockFile = "index.sqlite.lock"
    /// Events a transaction.
    private static let batch = 20_000

    private let journal: Int32
    private let path: String
    private let progress: (Int) -> Void

    /// The index knows something that the journal no longer says: it is built anew.
    private struct Stale: Error {}

    init(journal: Int32, path: String, progress: @escaping (Int) -> Void) {
        self.journal = journal
        self.path = path
        self.progress = progress
    }

    /// Updates, or waits at most `patience` microseconds for whoever does.
    func run(patience: Int64 = 300_000) throws(HistoryError) {
        if path == Self.memory { return try attempt { try update() } }
        let held: Lock?
        do {
            held = try lock(patience)
        } catch {
            throw .index("\(path): \(error)")
        }
        guard let held else { return }
        defer { held.release() }
        try attempt { try updateOrRebuild() }
    }

    private func attempt(_ body: () throws -> Void) throws(HistoryError) {
        do {
            try body()
        } catch let error as HistoryError {
            throw error
        } catch {
            throw .index("\(path): \(error)")
        }
    }

    // What is stale or damaged is built again: all that is in it stands in the journal.
    private func updateOrRebuild() throws {
        do {
            return try update()
        } catch is Stale {
        } catch HistoryError.damaged {
        }
        for suffix in ["", "-wal", "-shm"] { try? File.unlink(Self.file + suffix, at: journal) }
        try update()
    }

    private final class Lock {
        private let descriptor: Descriptor
        init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }
        var number: Int32 { descriptor.number }
        func release() { try? File.unlock(descriptor.number) }
    }

    // nil when another goes on building. Who has no index at all waits for it.
    private func lock(_ patience: Int64) throws -> Lock? {
        let lock = Lock(try File.open(Self.lockFile, at: journal, flags: [.readWrite, .create]))
        let end = Clock.boot() + patience
        let loop = try EventLoop()
        while try !File.tryLock(lock.number) {
            if Clock.boot() > end, (try? File.status(Self.file, at: journal)) != nil { return nil }
            _ = try loop.turn(until: Clock.boot() + 5000)
        }
        return lock
    }

    private func update() throws {
        let database = try open()
        var known = try positions(database)
        let entries: [JournalDirectory.Entry]
        do {
            entries = try JournalDirectory(reading: journal).segments
        } catch {
            throw HistoryError.journal(error.sentence)
        }
        try forgetRemoved(database, entries, &known)
        let reader = try SegmentIndexer(database)
        var done = 0
        for (index, entry) in entries.enumerated() {
            if known[entry.name.stem]?.isDone == true { continue }
            let successor = entries[(index + 1)...].first { $0.name.writer == entry.name.writer }
            let position = known[entry.name.stem] ?? IndexPosition()
            guard let cursor = try cursor(entry.name, position, &known) else { continue }
            try limit(cursor, by: successor?.name)
            var isAtEnd = false
            while !isAtEnd {
                isAtEnd = try reader.run(cursor, most: Self.batch, isSealed: entry.isSealed)
                done += reader.count
                progress(done)
            }
        }
    }

    private func open() throws(HistoryError) -> Database {
        if path == Self.memory { return try prepare(Database(path, flags: SQLITE_OPEN_READWRITE)) }
        // SQLite would make it readable for others; what it makes beside it follows. Only where
        // there is none: closing a descriptor of it would take away the locks (fcntl(2)) of a
        // connection that this process has, and another's end would then end the log under it.
        if (try? File.status(Self.file, at: journal)) == nil {
            _ = try? File.open(Self.file, at: journal, flags: [.readWrite, .create], mode: 0o600)
        }
        let database = try Database(path, flags: SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE)
        try database.execute(
            """
            pragma journal_mode = wal; pragma synchronous = normal; pragma cache_size = -65536;
            pragma wal_autocheckpoint = 8000; pragma temp_store = memory;
            """)
        return try prepare(database)
    }

    /// Makes the tables where there are none.
    private func prepare(_ database: Database) throws(HistoryError) -> Database {
        switch try database.number("pragma user_version") {
        case Schema.version: return database
        case 0:
            try database.execute("begin immediate;")
            try database.execute(Schema.tables + Schema.statuses + Schema.views)
            try database.execute("pragma user_version = \(Schema.version); commit;")
            return database
        default: throw .damaged("\(path): it has another version")
        }
    }

    private func positions(_ database: Database) throws(HistoryError) -> [String: IndexPosition] {
        var known: [String: IndexPosition] = [:]
        let rows = try database.prepare("select stem, offset, seq, done from segment")
        while try rows.step() {
            guard let stem = rows.text(0) else { continue }
            known[stem] = IndexPosition(
                offset: rows.integer(1) ?? 0, sequence: UInt64(rows.integer(2) ?? 0),
                isDone: rows.integer(3) == 1)
        }
        return known
    }

    /// The rows of segments that are not there any more go: the index says what the journal says.
    private func forgetRemoved(
        _ database: Database, _ entries: [JournalDirectory.Entry],
        _ known: inout [String: IndexPosition]
    ) throws {
        let present = Set(entries.map(\.name.stem))
        // A name may be missed while it changes.
        let removed = try known.keys.filter { stem in
            guard !present.contains(stem), let name = SegmentName(stem: stem) else { return false }
            return try cursor(name) == nil
        }
        if !removed.isEmpty {
            for stem in removed { known[stem] = nil }
            try RemovedSegments(database, journal: journal).forget(removed, entries, known)
        }
        // One that came back, or that was not read when later ones were.
        var latest: [String: SegmentName] = [:]
        for name in known.keys.compactMap({ SegmentName(stem: $0) }) {
            latest[name.writer] = max(latest[name.writer] ?? name, name)
        }
        for entry in entries where known[entry.name.stem] == nil {
            guard let later = latest[entry.name.writer], entry.name < later else { continue }
            if try cursor(entry.name) != nil { throw Stale() }
        }
    }

    /// nil when it is gone; one that cannot be read is as one without a record.
    private func cursor(_ name: SegmentName) throws(HistoryError) -> SegmentCursor? {
        do {
            return try SegmentCursor(name, at: journal)
        } catch JournalError.format {
            return nil
        } catch {
            throw .journal(error.sentence)
        }
    }

    private func cursor(
        _ name: SegmentName, _ position: IndexPosition, _ known: inout [String: IndexPosition]
    ) throws -> SegmentCursor? {
        let cursor: SegmentCursor?
        do {
            cursor = try SegmentCursor(
                name, at: journal, offset: position.offset, sequence: position.sequence)
        } catch JournalError.format {
            return nil  // `tasklog verify` names it
        } catch {
            throw HistoryError.journal(error.sentence)
        }
        guard let cursor else { return nil }
        if position.offset > 0, try !cursor.reaches(position.offset) { throw Stale() }
        // Records that were read are written again here: their first writing was never durable.
        if let previous = cursor.header.previous?.segment, position.offset == 0,
            let before = known[previous.stem], before.sequence >= cursor.header.firstSequence
        {
            throw Stale()
        }
        known[name.stem] = position
        return cursor
    }

    private func limit(_ cursor: SegmentCursor, by successor: SegmentName?) throws {
        guard let successor, let next = try? SegmentCursor(successor, at: journal),
            next.header.previous?.segment == cursor.name
        else { return }
        cursor.supersededFrom = next.header.firstSequence
    }
}

/// How far a segment was read.
struct IndexPosition {
    var offset: Int64 = 0
    var sequence: UInt64 = 0
    var isDone = false
}
