// SPDX-License-Identifier: Apache-2.0
import Linux
import TaskJournal
import TaskModel
import Testing

@testable import TaskHistory

/// The index that was brought up to date while segments were removed, and the one that is built from what
/// is left, give the same answers.
@Suite struct RemovedSegmentTests {
    private let early = HistoryFixture.run(21)
    private let across = HistoryFixture.run(22)
    private let array = HistoryFixture.run(23)
    private let late = HistoryFixture.run(24)

    private func dump(_ fixture: HistoryFixture) throws -> [String] {
        let database = try Database(
            "\(fixture.spool)/journal/index.sqlite", flags: 1)  // SQLITE_OPEN_READONLY
        var rows: [String] = []
        for (table, columns) in [
            ("run", "*"), ("task", "*"), ("attempt", "*"), ("items", "*"), ("item_state", "*"),
            ("item_time", "*"), ("segment", "*"),
            ("event", "job_id, status, timestamp, verb, attempt, by, detail"),
        ] {
            let order = table == "event" ? "id" : "1, 2"
            let found = try database.prepare("select \(columns) from \(table) order by \(order)")
            while try found.step() {
                rows.append(
                    "\(table): "
                        + (0..<25).map { found.text($0) ?? "-" }.joined(separator: "|"))
            }
        }
        return rows
    }

    private func rebuilt(_ fixture: HistoryFixture) throws -> [String] {
        for suffix in ["", "-wal", "-shm", ".lock"] {
            try? File.unlink("index.sqlite" + suffix, at: fixture.journal)
        }
        _ = try fixture.history()
        return try dump(fixture)
    }

    private func fill(_ fixture: HistoryFixture, isFollowed: Bool) throws {
        func look() throws { if isFollowed { _ = try fixture.history() } }
        try fixture.siteRun(early)
        try fixture.event("accept \(across) name=site unit=site.task tasks=2 by=1000")
        try fixture.event("start \(across).0 a=1 name=libpng.service as=test")
        try fixture.event(
            "end \(across).0 a=1 state=success exit=0 final=yes log=00000001-taskd-000001:99+5")
        try look()
        try fixture.event("accept \(array) name=big unit=big.task tasks=1 items=0:4")
        for item in 0..<2 {
            try fixture.event("start \(array).0.\(item) a=1 name=big")
            try fixture.event("end \(array).0.\(item) a=1 state=success exit=0 final=yes")
        }
        try look()
        try fixture.nextSegment()
        try fixture.event("start \(across).1 a=1 name=site as=test")
        try fixture.event("note - what=test")
        for item in 2..<4 {
            try fixture.event("start \(array).0.\(item) a=1 name=big")
            try fixture.event("end \(array).0.\(item) a=1 state=failure exit=1 final=yes")
        }
        try look()
        try fixture.nextSegment()
        try fixture.event(
            "end \(across).1 a=1 state=failure exit=7 final=yes log=00000001-taskd-000002:1+2")
        try fixture.event("end \(across) state=failure reason=exit final=yes")
        try fixture.event("end \(array).0 state=failure final=yes")
        try fixture.event("end \(array) state=failure final=yes")
        try fixture.siteRun(late)
        _ = try fixture.history()
    }

    @Test(arguments: [false, true]) func theIndexSaysWhatTheJournalSays(isFollowed: Bool) throws {
        let fixture = try HistoryFixture()
        try fill(fixture, isFollowed: isFollowed)
        let all = try dump(fixture)
        #expect(try rebuilt(fixture).count == all.count)

        try File.unlink("00000001-taskd-000001.sealed", at: fixture.journal)
        let history = try fixture.history()
        #expect(try history.run(early) == nil)
        #expect(try history.run(late)?.name == "site")
        // Of a run that was under way what is left is known.
        #expect(try history.run(across)?.state == .failure)
        #expect(
            try history.attempts(of: TaskRef(run: across)).map(\.logs)
                == [[try #require(LogPlace("00000001-taskd-000002:1+2"))]])
        let first = try dump(fixture)
        #expect(first.count < all.count)
        #expect(try rebuilt(fixture) == first)

        try File.unlink("00000002-taskd-000001.sealed", at: fixture.journal)
        _ = try fixture.history()
        let second = try dump(fixture)
        #expect(second.count < first.count)
        #expect(try rebuilt(fixture) == second)
    }

    @Test func severalAtOnceAndOneThatComesBack() throws {
        let fixture = try HistoryFixture()
        try fill(fixture, isFollowed: true)
        let all = try dump(fixture).filter { !$0.hasPrefix("event") }
        let file = try File.open("00000001-taskd-000001.sealed", at: fixture.journal)
        let bytes = try #require(try File.readAll(file.number, limit: 1 << 20))
        for epoch in 1...2 {
            try File.unlink("0000000\(epoch)-taskd-000001.sealed", at: fixture.journal)
        }
        _ = try fixture.history()
        let left = try dump(fixture)
        #expect(try rebuilt(fixture) == left)
        let back = try File.open(
            "00000001-taskd-000001.sealed", at: fixture.journal, flags: [.writeOnly, .create])
        try File.writeAll(bytes, to: back.number)
        let history = try fixture.history()
        #expect(try history.run(early)?.name == "site")
        let again = try dump(fixture)
        #expect(try rebuilt(fixture) == again)
        #expect(again.count > left.count && again.count < all.count + 100)
    }
}
