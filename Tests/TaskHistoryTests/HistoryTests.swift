// SPDX-License-Identifier: Apache-2.0
import Linux
import TaskJournal
import TaskModel
import Testing

@testable import TaskHistory

@Suite struct HistoryTests {
    private let first = HistoryFixture.run(11)
    private let second = HistoryFixture.run(12)

    @Test func theTaskThatWasAskedForMayHaveOthersBehindIt() throws {
        let plan = """
            taskplan 1
            task 0 site command=true
            task 1 alarm command=true optional=yes
            edge 0 1 fail
            digest -

            """
        let outline = PlanOutline(Array(plan.utf8))
        #expect(outline.root == 0 && outline.tasks.map(\.waits) == [false, true])
        #expect(PlanOutline(Array("task 0 a optional=yes\n".utf8)).root == 0)
        #expect(PlanOutline([]).root == nil)
    }

    @Test func aRunTellsItsWholeStory() throws {
        let fixture = try HistoryFixture()
        try fixture.siteRun(first)
        let history = try fixture.history()
        let run = try #require(try history.run(first))
        #expect(run.name == "site" && run.unit == "site.task" && run.by == "1000")
        #expect(run.state == .failure && run.reason == "exit" && run.tasks == 2)
        #expect(run.node == "node1" && run.root == 1)
        #expect(run.main?.exit == 8 && run.main?.message == "bad luck")
        let tasks = try history.tasks(ofRun: first)
        #expect(tasks.map(\.name) == ["libpng.service", "site"])
        #expect(tasks.map(\.state) == [.success, .failure])
        #expect(tasks.map(\.attempts) == [1, 2])
        #expect(tasks[0].cpu == 1200 && tasks[0].memory == 4096 && tasks[0].user == "test")
        let attempts = try history.attempts(of: TaskRef(run: first, task: 1))
        #expect(attempts.map(\.exit) == [7, 8])
        #expect(attempts[0].logs == [LogPlace("00000001-taskd-000001:9+5")])
        let events = try history.events(of: TaskRef(run: first))
        #expect(
            events.map(\.verb) == [
                "accept", "start", "end", "start", "end", "retry", "start", "end", "end",
            ])
        #expect(
            events.map(\.state) == [
                .created, .running, .success, .running, .failure, .pending, .running, .failure,
                .failure,
            ])
        #expect(events[0].by == "1000" && !events[0].detail.contains("plan="))
    }

    /// What was asked for is the unit with its [Then]; where that did not come to run, the unit failed.
    @Test(arguments: [("site.then", "site", 3), ("site.next", "site.next", nil)])
    func aUnitThatFailsBeforeItsThen(name: String, main: String, exit: Int?) throws {
        let fixture = try HistoryFixture()
        let plan = "taskplan 1%0Atask%200%20site%0Atask%201%20\(name)%0Aedge%200%201%20ok%0A"
            .replacing(" ", with: "%20")
        try fixture.event("accept \(first) name=site.task unit=site tasks=2 plan=\(plan)")
        try fixture.event("start \(first).0 a=1 name=site")
        try fixture.event("end \(first).0 a=1 state=failure reason=exit exit=3 final=yes")
        try fixture.event("end \(first).1 state=failure reason=dependency final=yes name=\(name)")
        try fixture.event("end \(first) state=failure reason=exit name=site")
        let run = try #require(try fixture.history().run(first))
        #expect(run.main?.name == main && run.main?.exit == exit && run.root == 1)
        let outcome = try fixture.history().outcome(of: TaskRef(run: first, task: 1))
        #expect(outcome?.name == main && outcome?.exit == exit)
    }

    @Test func theStateFollowsTheJournal() throws {
        let fixture = try HistoryFixture()
        try fixture.event("accept \(first) name=site tasks=2 plan=\(HistoryFixture.plan)")
        let history = try fixture.history()
        #expect(try history.run(first)?.state == .ready)
        #expect(try history.tasks(ofRun: first).map(\.state) == [.ready, .pending])
        try fixture.event("start \(first).0 a=1 name=libpng.service")
        try fixture.writer.flush()
        try history.refresh()
        #expect(try history.run(first)?.state == .running)
        #expect(try history.tasks(ofRun: first).map(\.state) == [.running, .pending])
        try fixture.event("hold \(first) by=0")
        try fixture.writer.flush()
        try history.refresh()
        #expect(try history.run(first)?.state == .pending)
        // A start that was on its way.
        try fixture.event("start \(first).1 a=1 name=site")
        try fixture.event("end \(first).1 a=1 state=cancelled signal=TERM")
        try fixture.writer.flush()
        try history.refresh()
        #expect(try history.run(first)?.state == .pending)
        try fixture.event("release \(first) by=0")
        try fixture.event("start \(first).1 a=2 name=site")
        try fixture.writer.flush()
        try history.refresh()
        #expect(try history.run(first)?.state == .running)
        try fixture.event("end \(first) state=cancelled final=yes")
        try fixture.writer.flush()
        try history.refresh()
        #expect(try history.run(first)?.state == .cancelled)
        #expect(try history.tasks(ofRun: first).map(\.state) == [.cancelled, .cancelled])
    }

    /// It waits until its end without an attempt; what its process came to stays.
    @Test func aTaskWaitsForItsSubtasks() throws {
        let fixture = try HistoryFixture()
        try fixture.event("start \(first).0 a=1 name=site")
        try fixture.event("end \(first).0 a=1 state=success exit=0 cpu=5 mem=7 wait=yes name=site")
        try fixture.event("accept \(second) name=lib.task unit=lib tasks=1 parent=\(first).0 a=1")
        let history = try fixture.history()
        #expect(try history.tasks(ofRun: first).map(\.state) == [.waiting])
        #expect(try history.run(second)?.parent == "\(first).0")
        try fixture.event("reject \(second) name=lib.task reason=changed parent=\(first).0 a=2")
        try fixture.event("end \(first).0 state=failure reason=dependency final=yes name=site")
        try fixture.writer.flush()
        try history.refresh()
        let task = try #require(try history.tasks(ofRun: first).first)
        #expect(task.state == .failure && task.reason == "dependency" && task.exit == 0)
        #expect(task.cpu == 5 && task.memory == 7)
        #expect(try history.run(second)?.state == .ready)
    }

    @Test func aDropThatWasRefusedMayBeAcceptedLater() throws {
        let fixture = try HistoryFixture()
        try fixture.event("reject \(second) name=lib.task state=rejected parent=\(first).0 a=1")
        let history = try fixture.history()
        #expect(try history.run(second)?.state == .rejected)
        try fixture.event("accept \(second) name=lib.task unit=lib tasks=1 parent=\(first).0 a=2")
        try fixture.writer.flush()
        try history.refresh()
        #expect(try history.run(second)?.state == .ready)
    }

    @Test func aPlanThatIsCarriedOnceNamesTheTasksOfAllItsRuns() throws {
        let fixture = try HistoryFixture()
        try fixture.event(
            "accept \(first) name=site.task unit=site tasks=2 digest=d plan=\(HistoryFixture.plan)")
        let history = try fixture.history()
        try fixture.event("accept \(second) name=site.task unit=site tasks=2 digest=d")
        try fixture.writer.flush()
        try history.refresh()
        #expect(try history.tasks(ofRun: second).map(\.name) == ["libpng.service", "site"])
        #expect(try history.run(second)?.name == "site")
        #expect(try history.run(second)?.unit == "site.task")
        #expect(try history.run(second)?.main?.name == "site")
    }

    @Test func aFailedCheckIsNotTheTasksName() throws {
        let fixture = try HistoryFixture()
        try fixture.event("start \(first).0 a=1 name=site")
        try fixture.event(
            "end \(first).0 a=1 state=failure reason=check exit=4 name=have final=yes")
        try fixture.event("end \(second).0 a=1 state=failure reason=signal signal=KILL final=yes")
        let history = try fixture.history()
        #expect(try history.task(TaskRef(run: first, task: 0))?.name == "site")
        #expect(try history.task(TaskRef(run: second, task: 0))?.signal == 9)
    }

    @Test func attemptsOfEachGenerationAreKept() throws {
        let fixture = try HistoryFixture()
        try fixture.siteRun(first)
        try fixture.event("retry \(first) g=1 by=1000")
        try fixture.event("start \(first).1 a=1 name=site")
        try fixture.event("end \(first).1 a=1 g=1 state=success exit=0 final=yes")
        let attempts = try fixture.history().attempts(of: TaskRef(run: first, task: 1))
        #expect(attempts.map(\.number) == [1, 2, 1])
        #expect(attempts.map(\.exit) == [7, 8, 0])
    }

    @Test func aRunOfWhichNothingRunsWaits() throws {
        let fixture = try HistoryFixture()
        try fixture.event("accept \(first) name=site tasks=1")
        try fixture.event("start \(first).0 a=1 name=site")
        try fixture.event("end \(first).0 a=1 state=failure reason=exit exit=7")
        try fixture.event("retry \(first).0 a=2 due=\(fixture.time + 5_000_000)")
        let history = try fixture.history()
        #expect(try history.run(first)?.state == .pending)
        try fixture.event("start \(first).0 a=2 name=site")
        try fixture.writer.flush()
        try history.refresh()
        #expect(try history.run(first)?.state == .running)
    }

    @Test func aRetryBringsBackWhatFailed() throws {
        let fixture = try HistoryFixture()
        try fixture.siteRun(first)
        try fixture.event("retry \(first) g=1 by=1000")
        let history = try fixture.history()
        #expect(try history.run(first)?.state == .ready)
        #expect(try history.run(first)?.generation == 1)
        #expect(try history.tasks(ofRun: first).map(\.state) == [.success, .pending])
    }

    @Test func runsAreFoundByNameSuffixAndTime() throws {
        let fixture = try HistoryFixture()
        try fixture.siteRun(first)
        try fixture.siteRun(second)
        try fixture.event("accept \(HistoryFixture.run(13)) name=other tasks=1")
        let history = try fixture.history()
        #expect(try history.latestRun() == HistoryFixture.run(13))
        #expect(try history.latestRun(named: "site") == second)
        #expect(try history.latestRun(named: "nothing") == nil)
        #expect(try history.latestTask(named: "libpng.service") == TaskRef(run: second, task: 0))
        #expect(try history.countEarlier(named: "site", than: second) == 1)
        #expect(try history.runs(endingIn: String(first.description.suffix(6))) == [first])
        #expect(try history.runs(endingIn: "0000").isEmpty)
        var filter = HistoryFilter()
        #expect(try history.list(filter).map(\.name) == ["other", "site", "site"])
        filter.states = [.failure]
        filter.limit = 1
        #expect(try history.list(filter).map(\.id) == [second])
        filter = HistoryFilter()
        filter.states = [.ready, .pending]
        #expect(try history.list(filter).map(\.name) == ["other"])
    }

    @Test func anIndexIsBuiltOnceAndAgainWhenItIsDamaged() throws {
        let fixture = try HistoryFixture()
        try fixture.siteRun(first)
        try fixture.writer.flush()
        var counts: [Int] = []
        _ = try History(spool: fixture.spool) { counts.append($0) }
        #expect(counts.last == 9)
        counts = []
        _ = try History(spool: fixture.spool) { counts.append($0) }
        #expect(counts.last == 0)
        let file = try File.open("index.sqlite", at: fixture.journal, flags: .writeOnly)
        try File.writeAll(Array("no database at all".utf8), to: file.number, at: 0)
        try? File.unlink("index.sqlite-wal", at: fixture.journal)
        counts = []
        let history = try History(spool: fixture.spool) { counts.append($0) }
        #expect(counts.last == 9 && history.failure == nil)
        #expect(try history.run(first)?.state == .failure)
    }

    @Test func withoutAnIndexTheJournalIsReadIntoMemory() throws {
        let fixture = try HistoryFixture()
        try fixture.siteRun(first)
        try File.makeDirectory(fixture.spool + "/journal/index.sqlite.lock")
        defer { try? File.removeDirectory("index.sqlite.lock", at: fixture.journal) }
        let history = try fixture.history()
        #expect(history.isInMemory && history.failure != nil)
        #expect(try history.run(first)?.state == .failure)
        try fixture.event("accept \(second) name=late tasks=1")
        try fixture.writer.flush()
        try history.refresh()
        #expect(try history.run(second)?.name == "late")
        let query = try UserQuery("select count(*) from run", at: history.indexPath)
        #expect(try query.next() == [.integer(2)])
        #expect(throws: HistoryError.self) {
            _ = try UserQuery("delete from run", at: history.indexPath)
        }
    }

    @Test func lookupsAreSeeks() throws {
        let fixture = try HistoryFixture()
        let history = try fixture.history()
        let queries = [
            "select max(id) from run where name = 'x'",
            "select id from run where tail >= 'x' and tail < 'x~' order by id desc limit 6",
            "select * from task where id between 'x.' and 'x/'",
            "select * from event where job_id = 'x' or job_id between 'x.' and 'x/'",
            "select * from attempt where id = 'x' or id between 'x.' and 'x/'",
            "select * from run where status in (1, 2) and status < 5 order by id desc limit 9",
        ]
        for sql in queries {
            let plan = try UserQuery.plan(of: sql, at: history.indexPath)
            #expect(!plan.contains { $0.hasPrefix("SCAN") && !$0.contains("USING INDEX run_live") })
            #expect(!plan.isEmpty)
        }
    }

    @Test func fiftyThousandEventsASecondAreIndexed() throws {
        let fixture = try HistoryFixture()
        for number in 100..<5100 {
            let run = HistoryFixture.run(UInt64(number))
            try fixture.event("accept \(run) name=site unit=site.task tasks=1 digest=\(number)")
            try fixture.event("start \(run).0 a=1 name=site as=test")
            try fixture.event("end \(run).0 a=1 state=success exit=0 cpu=900 final=yes name=site")
            try fixture.event("end \(run) state=success final=yes")
        }
        try fixture.writer.flush()
        let start = Clock.boot()
        let history = try History(spool: fixture.spool)
        let rate = 20_000 * 1_000_000 / max(1, Clock.boot() - start)
        #expect(try history.list(HistoryFilter()).count == 1000)
        print("indexed \(rate) events a second")
    }
}

@Suite struct UserQueryTests {
    private func rows(_ sql: String, _ history: History) throws -> [[UserQuery.Cell]] {
        let query = try UserQuery(sql, at: history.indexPath)
        var rows: [[UserQuery.Cell]] = []
        while let row = try query.next() { rows.append(row) }
        return rows
    }

    @Test func statusesAndEventsAnswer() throws {
        let fixture = try HistoryFixture()
        try fixture.siteRun(HistoryFixture.run(11))
        let history = try fixture.history()
        let names = try rows("select name from status order by id", history)
        #expect(names == TaskState.allCases.map { [.text($0.word)] })
        let count = try rows(
            "select count(*) from event e join status s on s.id = e.status where s.name = 'success'",
            history)
        #expect(count == [[.integer(1)]])
        let times = try rows("select created from runs", history)
        #expect(times == [[.text("2023-11-14T22:13:21.000000Z")]])
        #expect(try rows("select * from throughput", history).count == 1)
        #expect(try rows("select name from failures", history) == [[.text("site")]])
        for view in ["runs", "tasks", "events", "attempts"] {
            #expect(try !rows("select * from \(view)", history).isEmpty)
        }
    }

    @Test(arguments: [
        "selct 1", "select * from nothing", "", "delete from event", "vacuum into '/tmp/x'",
        "attach '/tmp/x' as x", "pragma user_version = 3", "select load_extension('x')",
        "create temp table x(a)", "select 1; select 2",
    ])
    func whatIsNoQuestionIsRefused(sql: String) throws {
        let fixture = try HistoryFixture()
        let history = try fixture.history()
        #expect(throws: HistoryError.self) { try rows(sql, history) }
    }

    @Test func anEndlessQueryEnds() throws {
        let fixture = try HistoryFixture()
        let history = try fixture.history()
        let query = try UserQuery(
            "with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) from n",
            at: history.indexPath, seconds: 0)
        #expect(throws: HistoryError.tooLong(0)) { try query.next() }
    }
}

extension UserQuery {
    /// SQLite's words on how it would answer.
    static func plan(of sql: String, at path: String) throws -> [String] {
        let database = try Database(path, flags: 1)
        let rows = try database.prepare("explain query plan " + sql)
        var lines: [String] = []
        while try rows.step() { lines.append(rows.text(3) ?? "") }
        return lines
    }
}
