// SPDX-License-Identifier: Apache-2.0
import TaskModel
import Testing

@testable import TaskLedger

/// Lines as taskd writes them become ends as the ledger keeps them.
@Suite struct HistoryFoldTests {
    private let run = "01m8ev7wba8w81dqf3a8td9aw2"

    private func ends(_ lines: String...) throws -> [LedgerEnd] {
        var fold = HistoryFold()
        return try ends(lines, &fold)
    }

    private func ends(_ lines: [String], _ fold: inout HistoryFold) throws -> [LedgerEnd] {
        try lines.compactMap { text in
            let line = text.replacing("RUN", with: run)
            return fold.add(try EventLine(parsing: Array(line.utf8)[...]))
        }
    }

    @Test func aTaskHasTheNamesOfItsAcceptAndTheTimesOfItsLines() throws {
        let found = try ends(
            "100 accept RUN name=a.task unit=a tasks=1", "200 start RUN.0 a=1 name=a",
            "350 end RUN.0 a=1 state=success exit=0 us=999 cpu=11 mem=4096 final=yes",
            "360 end RUN state=success name=a final=yes")
        try #require(found.count == 2)
        var task = LedgerEnd(run: try #require(TaskID(run)), state: .success, ended: 350)
        (task.attempt, task.task, task.name, task.unit) = (1, 0, "a", "a.task")
        (task.code, task.span, task.cpu, task.memory) = (0, 150, 11, 4096)
        #expect(found[0] == task)
        var whole = LedgerEnd(run: task.run, state: .success, ended: 360)
        (whole.attempt, whole.name, whole.unit, whole.span) = (1, "a", "a.task", 160)
        #expect(found[1] == whole)
    }

    @Test func whatDidNotStartHasNoSpan() throws {
        let found = try ends(
            "1 accept RUN name=c.task unit=c tasks=2", "2 start RUN.0 a=1 name=b",
            "3 end RUN.0 a=1 state=failure reason=exit exit=1 us=1 final=yes",
            "4 end RUN.1 state=failure reason=dependency what=b final=yes name=c")
        #expect(found.map(\.task) == [0, 1])
        #expect(found.map(\.span) == [1, nil])
        #expect(found.map(\.name) == ["b", "c"])
        #expect(found.map(\.unit) == [nil, "c.task"])
        #expect(found.map(\.attempt) == [1, 0])
        #expect(found.map(\.reason) == [.exit, .dependency])
    }

    @Test func ofAFailedCheckTheNameIsNotTheTasks() throws {
        let found = try ends(
            "1 accept RUN name=a.task unit=a tasks=1", "2 start RUN.0 a=1 name=a",
            "3 end RUN.0 a=1 state=failure reason=check exit=3 name=has-key final=yes")
        #expect(found.first?.name == "a" && found.first?.code == 3)
    }

    @Test func anAttemptThatIsRetriedIsNotFinal() throws {
        let found = try ends(
            "1 accept RUN name=a.task unit=a tasks=1", "10 start RUN.0 a=1 name=a",
            "20 end RUN.0 a=1 state=failure reason=exit exit=1 us=1",
            "21 retry RUN.0 a=2 due=30 name=a", "30 start RUN.0 a=2 name=a",
            "35 lost RUN.0 a=2", "40 start RUN.0 a=3 name=a",
            "45 end RUN.0 a=3 state=success exit=0 us=1 final=yes")
        #expect(found.map(\.isFinal) == [false, false, true])
        #expect(found.map(\.state) == [.failure, .lost, .success])
        #expect(found.map(\.attempt) == [1, 2, 3])
        #expect(found.map(\.span) == [10, 5, 5])
    }

    @Test func whatItsSubtasksDecideIsOneEnd() throws {
        let found = try ends(
            "1 accept RUN name=p.task unit=p tasks=1", "10 start RUN.0 a=2 name=p",
            "20 end RUN.0 a=2 state=success exit=0 us=9 cpu=7 mem=8 wait=yes",
            "50 end RUN.0 state=failure reason=dependency what=x final=yes name=p")
        try #require(found.count == 1)
        #expect(found[0].attempt == 2 && found[0].code == 0 && found[0].cpu == 7)
        #expect(found[0].span == 40 && found[0].state == .failure)
    }

    @Test func placesOfItemsAreCountedOneByOne() throws {
        let found = try ends(
            "1 accept RUN name=a.task unit=a tasks=4 items=1:3,2:2",
            "2 end RUN.0 state=cancelled final=yes name=w",
            "3 end RUN.1.0 a=1 state=success us=1 final=yes",
            "3 end RUN.1.2 a=1 state=success us=1 final=yes",
            "3 end RUN.2.1 a=1 state=success us=1 final=yes",
            "3 end RUN.2 state=success items=2 success=2 final=yes name=y",
            "3 end RUN.3 state=success final=yes name=z")
        #expect(found.map(\.item) == [0, 1, 3, 5, 4, 6])
        #expect(found.map(\.first) == [nil, 1, 1, 4, nil, nil])
        #expect(found.map(\.unit) == [nil, nil, nil, nil, nil, "a.task"])
    }

    @Test func anArrayBeginsWithItsFirstItem() throws {
        let found = try ends(
            "1 accept RUN name=a.task unit=a tasks=1 items=0:2", "5 start RUN.0.1 a=1 name=a",
            "6 start RUN.0.0 a=1 name=a", "8 end RUN.0.1 a=1 state=success exit=0 final=yes",
            "9 end RUN.0.0 a=1 state=success exit=0 final=yes",
            "11 end RUN.0 state=success items=2 success=2 failure=0 cancelled=0 final=yes name=a")
        #expect(found.map(\.span) == [3, 3, 6])
        #expect(found.map(\.attempt) == [1, 1, 0])
    }

    @Test func aRetryByHandIsAnotherGenerationAndKeepsItsNames() throws {
        var fold = HistoryFold()
        let found = try ends(
            [
                "1 accept RUN name=a.task unit=a tasks=1 parent=01m8ev9z6jmzg31v8v20qe46d6.0",
                "2 start RUN.0 a=1 name=a",
                "3 end RUN.0 a=1 state=failure reason=exit exit=1 final=yes",
                "4 end RUN state=failure reason=exit final=yes name=a",
                "9 retry RUN g=1 by=0 name=a",
                "10 start RUN.0 a=1 name=a", "12 end RUN.0 a=1 state=success exit=0 final=yes g=1",
                "13 end RUN state=success final=yes g=1 name=a",
            ], &fold)
        #expect(found.map(\.generation) == [0, 0, 1, 1])
        #expect(found.map(\.unit) == ["a.task", "a.task", "a.task", "a.task"])
        #expect(found.map(\.span) == [1, 2, 2, 3])
        #expect(Set(found.map(\.parent)) == [TaskID("01m8ev9z6jmzg31v8v20qe46d6")])
    }

    @Test func whatIsRefusedEndsAtOnce() throws {
        let found = try ends(
            "1 reject RUN name=bad.task state=rejected what=x inode=1",
            "2 skip RUN name=night unit=night cron=5 what=x",
            "3 reject RUN reason=changed name=x")
        #expect(found.map(\.state) == [.rejected, .skipped])
        #expect(found.map(\.task) == [-1, -1])
        #expect(found.map(\.name) == ["bad", "night"])
    }

    @Test func whatDidNotRunThisTimeStandsAsItStood() throws {
        let found = try ends("1 end RUN.0 state=success rest=yes final=yes name=a")
        #expect(found.isEmpty)
    }

    @Test func aLineOfAnotherKindEndsNothing() throws {
        let found = try ends(
            "1 note - what=recovered", "2 note RUN.0 what=progress", "3 end foreign state=success",
            "4 end RUN.0 state=running", "5 end RUN.0", "6 hold RUN", "7 cancel RUN by=0")
        #expect(found.isEmpty)
    }

    @Test(arguments: [
        ("1 note - what=x", false), ("1 check RUN.0 a=1", false), ("1 cancel RUN", false),
        ("1 end RUN state=success", true), ("1 accept RUN", true), ("1 start RUN.0", true),
        ("1 lost RUN.0", true), ("1 reject RUN", true), ("1 skip RUN", true), ("", false),
    ])
    func whatMayMatterIsSeenFromTheVerb(text: String, concerns: Bool) {
        #expect(HistoryFold.concerns(Array(text.utf8)[...]) == concerns)
    }

    /// Of however many queued and ended runs.
    @Test func memoryIsBounded() throws {
        var fold = HistoryFold(mostRuns: 1000, mostEnded: 100)
        for index in 0..<1050 {
            let id = TaskID(milliseconds: 1, upper: 0, lower: UInt64(index))
            _ = fold.add(EventLine(1, .accept, id.description, [.init("name", "n\(index)")]))
        }
        #expect(fold.runs.count == 1000)
        for index in 0..<1000 {
            let id = TaskID(milliseconds: 1, upper: 0, lower: UInt64(index))
            _ = fold.add(EventLine(2, .end, id.description, [.init("state", "success")]))
        }
        #expect(fold.runs.count == 100)
        let beyond = TaskID(milliseconds: 1, upper: 0, lower: UInt64(1000))
        let end = fold.add(
            EventLine(3, .end, beyond.description, [.init("state", "success"), .init("name", "n")]))
        #expect(end?.name == "n" && end?.unit == nil)
    }

    /// What is remembered is read again as it was.
    @Test func linesLeadToTheSame() throws {
        var fold = HistoryFold()
        _ = try ends(
            [
                "1 accept RUN name=a.task unit=a tasks=9 root=7 items=2:3 parent=01m8ev9z6jmzg31v8v20qe46d6.0",
                "2 retry RUN g=4 by=0 name=a", "3 start RUN.0 a=1 name=b",
                "4 end RUN.0 a=1 state=success final=yes g=4", "5 start RUN.1 a=2 name=c",
                "6 end RUN.1 a=2 state=failure reason=exit exit=1", "7 start RUN.2.1 a=1 name=d",
                "8 start RUN.3 a=1 name=e",
                "9 end RUN.3 a=1 state=failure signal=KILL cpu=3 mem=4 wait=yes",
                "9 accept 01m8ev9z6jmzg31v8v20qe46d6 name=x.task unit=x tasks=1",
                "9 end 01m8ev9z6jmzg31v8v20qe46d6 state=failure final=yes name=x",
                "9 accept 01m8ev7wba8w81dqf3a8td9aw3 name=y.yaml unit=y tasks=2",
                "9 retry 01m8ev7wba8w81dqf3a8td9aw4 g=1 name=z",
            ], &fold)
        var again = HistoryFold()
        var count = 0
        fold.lines {
            count += 1
            _ = again.add($0)
        }
        #expect(fold.runs.count == 4 && count > 10)
        #expect(again.runs == fold.runs)
        #expect(Array(again.retired) == Array(fold.retired))
        let end = "30 end RUN.2.1 a=1 state=success exit=0 final=yes g=4"
        #expect(try ends([end], &again) == ends([end], &fold))
    }
}
