// SPDX-License-Identifier: Apache-2.0
import Linux
import TaskModel
import Testing

@testable import TaskHistory

@Suite struct ArrayTests {
    private let run = HistoryFixture.run(21)

    /// Three tasks, of which the second has seven items: three succeed (one at its second attempt), one
    /// fails, one runs, one waits, one has not begun.
    private func begin(_ fixture: HistoryFixture) throws {
        try fixture.event("accept \(run) name=a.task unit=a tasks=3 root=2 items=1:7")
        try fixture.event("start \(run).0 a=1 name=lib")
        try fixture.event("end \(run).0 a=1 state=success final=yes name=lib us=5")
        for item in 0..<6 { try fixture.event("start \(run).1.\(item) a=1 name=a") }
        try fixture.event("end \(run).1.0 a=1 state=success final=yes name=a us=1000")
        try fixture.event("end \(run).1.3 a=1 state=success final=yes name=a us=1023")
        try fixture.event(
            "end \(run).1.1 a=1 state=failure reason=exit exit=3 final=yes name=a us=70000 what=no")
        for item in [2, 4] {
            try fixture.event(
                "end \(run).1.\(item) a=1 state=failure reason=exit exit=3 name=a us=9")
            try fixture.event("retry \(run).1.\(item) a=2 due=99")
        }
        try fixture.event("start \(run).1.2 a=2 name=a")
        try fixture.event("end \(run).1.2 a=2 state=success final=yes name=a us=1024")
    }

    @Test func itemsAreCountedByState() throws {
        let fixture = try HistoryFixture()
        try begin(fixture)
        let history = try fixture.history()
        let arrays = try history.arrays(ofRun: run)
        let array = try #require(arrays.first)
        #expect(arrays.count == 1 && array.id == "\(run).1" && array.total == 7 && array.done == 4)
        #expect(
            array.states.filter { $0.value > 0 } == [
                .success: 3, .failure: 1, .pending: 1, .running: 1,
            ])
        #expect(array.times == [10: 2, 11: 1, 17: 1])
        let tasks = try history.tasks(ofRun: run)
        #expect(tasks.map(\.id) == ["\(run).0", "\(run).1"])
        #expect(tasks.map(\.state) == [.success, .running] && tasks.map(\.item) == [nil, nil])
        let failed = try history.failedItems(ofRun: run, limit: 9)
        #expect(failed.map(\.item) == [1] && failed[0].exit == 3 && failed[0].message == "no")
        #expect(try history.task(TaskRef(run: run, task: 1, item: 4))?.state == .pending)
        let latest = try history.latestItems(ofRun: run, limit: 2)
        #expect(latest.map(\.task) == ["\(run).1.2", "\(run).0"] || latest.first?.number == 2)
    }

    @Test func theEndOfTheArrayIsItsOwn() throws {
        let fixture = try HistoryFixture()
        try begin(fixture)
        try fixture.event("end \(run).1.4 a=2 state=success final=yes name=a us=9")
        try fixture.event("end \(run).1.5 a=1 state=success final=yes name=a us=9")
        try fixture.event(
            "end \(run).1 state=failure reason=exit what=1%20of%207 items=7 failure=1 final=yes name=a"
        )
        try fixture.event("end \(run) state=failure reason=exit final=yes")
        let history = try fixture.history()
        let array = try #require(try history.task(TaskRef(run: run, task: 1)))
        #expect(array.state == .failure && array.message == "1 of 7" && array.started != nil)
        #expect(try history.arrays(ofRun: run)[0].states[.running] ?? 0 == 0)
    }

    @Test func aRetryCountsAnew() throws {
        let fixture = try HistoryFixture()
        try begin(fixture)
        try fixture.event("end \(run) state=failure reason=exit final=yes")
        try fixture.event("retry \(run) g=1 by=7")
        try fixture.event("start \(run).1.1 a=1 name=a")
        let history = try fixture.history()
        let array = try #require(try history.arrays(ofRun: run).first)
        #expect(array.done == 0 && array.states[.failure] ?? 0 == 0 && array.states[.running] == 2)
        #expect(array.states[.success] == 3)
        #expect(try history.task(TaskRef(run: run, task: 1))?.state == .running)
    }

    @Test func aRetryOfOneItemLeavesTheOthersFailed() throws {
        let fixture = try HistoryFixture()
        try begin(fixture)
        try fixture.event("end \(run).1.4 a=2 state=failure reason=oom final=yes name=a us=9")
        try fixture.event("end \(run) state=failure reason=exit final=yes")
        try fixture.event("retry \(run) g=1 by=7 rest=yes")
        try fixture.event("start \(run).1.4 a=1 name=a")
        let history = try fixture.history()
        let array = try #require(try history.arrays(ofRun: run).first)
        #expect(array.states[.failure] == 1 && array.states[.running] == 2)
    }

    @Test func aCancelledRunHasNoItemThatWaits() throws {
        let fixture = try HistoryFixture()
        try begin(fixture)
        try fixture.event("cancel \(run) by=7")
        try fixture.event("end \(run) state=cancelled final=yes")
        let history = try fixture.history()
        let array = try #require(try history.arrays(ofRun: run).first)
        #expect(array.states.filter { $0.value > 0 } == [.success: 3, .failure: 1, .cancelled: 2])
        #expect(try history.canceller(of: run) == "7")
    }

    @Test func theViewHasTheNumbersSideBySide() throws {
        let fixture = try HistoryFixture()
        try begin(fixture)
        let history = try fixture.history()
        let rows = try history.database.prepare(
            "select name, state, total, success, failure, running from arrays")
        #expect(try rows.step())
        #expect(rows.text(0) == "a" && rows.text(1) == "running")
        #expect((2...5).map { rows.int($0) } == [7, 3, 1, 1])
    }

    @Test(
        arguments: [(0, 0), (1, 1), (2, 2), (3, 2), (4, 3), (1023, 10), (1024, 11)]
            as [(Int64, Int)])
    func timesFallIntoClasses(span: Int64, bucket: Int) {
        #expect(ItemTimes.bucket(of: span) == bucket)
    }
}
