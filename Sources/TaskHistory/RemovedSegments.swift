// SPDX-License-Identifier: Apache-2.0
import TaskJournal
import TaskModel

/// Takes the rows of segments out of the index that are not in the journal any more.
///
/// What is left is what an index would say that is built from the rest. A run with events in such a
/// segment loses its rows; where it has later events, which are few runs that were under way when the
/// segment was complete, those are read from their segments once more.
struct RemovedSegments {
    private let database: Database
    private let journal: Int32

    init(_ database: Database, journal: Int32) {
        self.database = database
        self.journal = journal
    }

    /// One transaction.
    ///
    /// - Parameters:
    ///   - stems: the segments that are gone.
    ///   - entries: those that are there.
    ///   - known: how far those were read.
    func forget(
        _ stems: [String], _ entries: [JournalDirectory.Entry], _ known: [String: IndexPosition]
    ) throws(HistoryError) {
        try database.execute("begin immediate")
        let runs = try removeEvents(stems)
        let left = try removeRows(runs)
        try readAgain(left, entries, known)
        let forgetSegment = try database.prepare("delete from segment where stem = ?1")
        for stem in stems {
            forgetSegment.bind(1, stem)
            try forgetSegment.run()
        }
        try database.execute("commit")
    }

    /// The runs whose events they were.
    private func removeEvents(_ stems: [String]) throws(HistoryError) -> Set<String> {
        let spans = try database.prepare("select first, last from span where stem = ?1")
        let jobs = try database.prepare(
            "select distinct substr(job_id, 1, \(TaskID.length)) from event where id between ?1 and ?2"
        )
        let remove = try database.prepare("delete from event where id between ?1 and ?2")
        var runs: Set<String> = []
        for stem in stems {
            spans.bind(1, stem)
            while try spans.step() {
                guard let first = spans.integer(0), let last = spans.integer(1) else { continue }
                jobs.bind(1, first)
                jobs.bind(2, last)
                while try jobs.step() {
                    if let run = jobs.text(0), run.utf8.count == TaskID.length { runs.insert(run) }
                }
                jobs.reset()
                remove.bind(1, first)
                remove.bind(2, last)
                try remove.run()
            }
            spans.reset()
        }
        let forget = try database.prepare("delete from span where stem = ?1")
        for stem in stems {
            forget.bind(1, stem)
            try forget.run()
        }
        return runs
    }

    /// Those of the runs that have events left.
    private func removeRows(_ runs: Set<String>) throws(HistoryError) -> Set<String> {
        let later = try database.prepare(
            "select 1 from event e where \(History.belongs("e.job_id")) limit 1")
        var removals = [try database.prepare("delete from run where id = ?1")]
        for table in ["task", "attempt", "items", "item_state", "item_time"] {
            removals.append(
                try database.prepare(
                    "delete from \(table) where id between ?1 || '.' and ?1 || '/'"))
        }
        var left: Set<String> = []
        for run in runs {
            for removal in removals {
                removal.bind(1, run)
                try removal.run()
            }
            later.bind(1, run)
            if try later.step() { left.insert(run) }
            later.reset()
        }
        return left
    }

    private func readAgain(
        _ runs: Set<String>, _ entries: [JournalDirectory.Entry], _ known: [String: IndexPosition]
    ) throws(HistoryError) {
        if runs.isEmpty { return }
        let stems = try segments(of: runs)
        let wanted = Set(runs.map { Array($0.utf8)[...] })
        let events = try EventIndexer(database)
        for entry in entries where stems.contains(entry.name.stem) {
            guard let end = known[entry.name.stem]?.offset else { continue }
            do {
                try read(entry.name, to: end, wanted, events)
            } catch let error as HistoryError {
                throw error
            } catch let error as JournalError {
                throw .journal(error.sentence)
            } catch {
                throw .journal("\(error)")
            }
        }
        try events.items.flush()
    }

    private func segments(of runs: Set<String>) throws(HistoryError) -> Set<String> {
        let rows = try database.prepare(
            """
            select (select stem from span where first <= e.id order by first desc limit 1)
            from event e where \(History.belongs("e.job_id"))
            """)
        var stems: Set<String> = []
        for run in runs {
            rows.bind(1, run)
            while try rows.step() {
                if let stem = rows.text(0) { stems.insert(stem) }
            }
            rows.reset()
        }
        return stems
    }

    private func read(
        _ name: SegmentName, to end: Int64, _ runs: Set<ArraySlice<UInt8>>, _ events: EventIndexer
    ) throws {
        guard let cursor = try SegmentCursor(name, at: journal) else { return }
        events.node = cursor.header.node
        while cursor.offset < end {
            switch try cursor.next() {
            case .record(let record):
                guard record.end <= end, let id = RawEvent(record.line)?.run?.id, runs.contains(id)
                else { continue }
                try events.repeatEvent(record.line)
            case .damaged: continue
            case .end: return
            }
        }
    }
}
