// SPDX-License-Identifier: Apache-2.0
import TaskModel
import TaskSpool
import TaskUnit
import Testing

@Suite struct JournalFoldTests {
    private let run = "01hzy3v7k8m2n4p6q8r0s2t4v6"

    private func fold(
        _ lines: [String], interesting: Bool = false, inodes: Set<UInt64>? = [],
        isThisBoot: Bool = true
    ) throws -> JournalFold {
        let id = try #require(TaskID(run))
        var fold = JournalFold(interesting: interesting ? [id] : [], inodes: inodes)
        for line in lines {
            let text = line.replacing("RUN", with: run)
            fold.add(try EventLine(parsing: Array(text.utf8)[...]), isThisBoot: isThisBoot)
        }
        return fold
    }

    @Test func anEndedRunIsForgottenUnlessItsFilesLie() throws {
        let lines = [
            "1 accept RUN name=a", "2 start RUN.0 a=1", "3 end RUN state=success final=yes",
        ]
        #expect(try fold(lines).runs.isEmpty)
        let kept = try fold(lines, interesting: true)
        #expect(kept.runs.values.first?.ends == [0: .success])
    }

    @Test func acceptsSkipsAndRejectsOfSlotsAreAccountedFor() throws {
        let firings = try fold([
            "1 accept RUN name=a.task unit=a cron=60000000", "2 end RUN state=success final=yes",
            "3 skip RUN name=a unit=a cron=120000000", "4 reject RUN unit=a cron=180000000",
            "5 accept RUN name=a.task unit=a cron=900000000 missed=11 late=yes",
            "6 accept RUN name=b.task unit=b boot=B1", "7 arm - unit=c boot=B1",
            "8 accept RUN name=d.task unit=d",
        ]).firings
        #expect(firings["a"]?.slots.text == "60000000-180000000,900000000-900000000")
        #expect(firings["b"]?.boot == "B1" && firings["c"]?.boot == "B1")
        #expect(firings.keys.sorted() == ["a", "b", "c"])
    }

    @Test func aFiringsIdSaysWhatItIsOf() {
        let id = FiringPast.id(slot: 1_764_000_000_000_000, unit: "site", owner: 7)
        func fields(_ id: TaskID, _ unit: String, _ owner: UInt32) -> [EventLine.Field]? {
            FiringPast.fields(of: id, unit: unit, owner: owner, boot: "b")
        }
        #expect(fields(id, "site", 7) == [.init("cron", "1764000000000000")])
        #expect(fields(id, "other", 7) == nil && fields(id, "site", 8) == nil)
        let boot = FiringPast.id(boot: "b", at: 5_000_000, unit: "site", owner: 7)
        #expect(fields(boot, "site", 7) == [.init("boot", "b")])
        #expect(FiringPast.fields(of: boot, unit: "site", owner: 7, boot: "c") == nil)
    }

    @Test func whereIncomingIsReadAfterwardsAllThatMayLieThereIsKept() throws {
        let id = try #require(TaskID(run))
        let lines = [
            "1 accept RUN name=a inode=5 mtime=1 ctime=2", "3 end RUN state=success final=yes",
        ]
        #expect(try fold(lines).ended.isEmpty)
        let here = try fold(lines, inodes: nil)
        #expect(here.ended == [id] && here.knownBefore.isEmpty && here.runs.isEmpty)
        let before = try fold(lines, inodes: nil, isThisBoot: false)
        let identity = DropIdentity(inode: 5, modified: 1, changed: 2)
        #expect(before.knownBefore == [KnownDrop(name: "a", identity: identity): id])
    }

    @Test func attemptsFailuresAndLossesAreCounted() throws {
        let past = try fold([
            "1 accept RUN name=a", "2 start RUN.0 a=1",
            "3 end RUN.0 a=1 state=failure reason=exit exit=1", "4 retry RUN.0 a=2 due=99",
            "5 start RUN.0 a=2", "6 lost RUN.0 a=2", "7 start RUN.0 a=3",
        ]).runs.values.first?.tasks[0]
        #expect(past?.attempt == 3 && past?.failures == 1 && past?.losses == 1)
        #expect(past?.isOpen == true && past?.due == nil)
    }

    // A start waits for no disk: after kill -9 its record may be missing, and the pool tells only the end again.
    @Test func aLossWhoseStartIsNotOnRecordCounts() throws {
        let past = try fold(["1 accept RUN name=a", "2 lost RUN.0 a=2"]).runs.values.first?.tasks[0]
        #expect(past?.attempt == 2 && past?.losses == 1 && past?.isOpen == false)
    }

    @Test func anOperatorsRetryBeginsAgain() throws {
        let past = try fold(
            [
                "1 accept RUN name=a", "2 end RUN.0 a=1 state=failure reason=exit final=yes",
                "3 end RUN state=failure final=yes", "4 retry RUN g=1 by=0",
            ], interesting: true
        ).runs.values.first
        #expect(past?.generation == 1 && past?.ends == [0: .failure] && past?.tasks.isEmpty == true)
    }

    @Test func resultsOfEarlierGenerationsAreKept() throws {
        let past = try fold(
            [
                "1 accept RUN name=a", "2 end RUN.0 a=1 state=success final=yes",
                "3 end RUN.1 a=1 state=failure final=yes", "4 end RUN state=failure final=yes",
                "5 retry RUN g=1", "6 end RUN.1 a=1 state=cancelled final=yes g=1",
            ], interesting: true
        ).runs.values.first
        #expect(past?.results == [0: .success, 1: .cancelled])
        #expect(past?.earlier == [0: .success, 1: .failure])
    }

    @Test func whatTheOwnerSaidLastStands() throws {
        let accept = "1 accept RUN name=a"
        #expect(try fold([accept, "2 hold RUN by=0"]).runs.values.first?.isHeld == true)
        let released = try fold([accept, "2 lost RUN.0 a=1", "3 hold RUN", "4 release RUN by=0"])
        #expect(released.runs.values.first?.isHeld == false)
        #expect(released.runs.values.first?.tasks[0]?.losses == 0)
        let cancelled = try fold([accept, "2 cancel RUN by=0"])
        #expect(cancelled.runs.values.first?.isCancelled == true)
        let again = try fold(
            [accept, "2 cancel RUN", "3 end RUN state=cancelled final=yes", "4 retry RUN g=1"],
            interesting: true)
        #expect(again.runs.values.first?.isCancelled == false)
        #expect(again.runs.values.first?.isLive == true)
    }

    @Test func aFileInFailedIsAtRestUntilItsGenerationWasAskedFor() throws {
        let end = ["1 accept RUN name=a", "2 end RUN state=failure final=yes"]
        let rests = try fold(end, interesting: true).runs.values.first
        #expect(rests?.isAtRest(1) == true && rests?.isAtRest(0) == false)
        let asked = try fold(end + ["3 retry RUN g=1"], interesting: true).runs.values.first
        #expect(asked?.isAtRest(1) == false && asked?.isAtRest(2) == true)
    }

    @Test func onlyAStartUpOfThisBootThatCameToItsEndCounts() throws {
        let note = ["1 note - what=recovered due=9"]
        #expect(try fold(note).recovery?["due"] == "9")
        #expect(try fold(note, isThisBoot: false).recovery == nil)
        #expect(try fold(["1 note - what=dup"]).recovery == nil)
    }

    @Test func aRejectedDropThatCameBackIsKnown() throws {
        let lines = ["1 reject RUN name=a inode=7 mtime=5 ctime=6 what=x"]
        let back = try fold(lines, inodes: [7], isThisBoot: false)
        #expect(back.knownBefore.values.first == TaskID(run))
        #expect(back.runs.values.first?.rejection?["what"] == "x")
        #expect(try fold(lines, inodes: [7]).runs.isEmpty)
        #expect(try fold(lines, interesting: true).runs.values.first?.rejection != nil)
    }

    @Test func onlyEarlierBootsExplainADropThatCameBack() throws {
        let lines = ["1 accept RUN name=a inode=7 mtime=5 ctime=6"]
        let identity = DropIdentity(inode: 7, modified: 5, changed: 6)
        #expect(try fold(lines, inodes: [7]).knownBefore.isEmpty)
        let earlier = try fold(lines, inodes: [7], isThisBoot: false)
        #expect(earlier.knownBefore[KnownDrop(name: "a", identity: identity)] == TaskID(run))
        #expect(try fold(lines, inodes: [8], isThisBoot: false).knownBefore.isEmpty)
        // An inode is given again within the tick of the clock: another name is another drop.
        #expect(earlier.knownBefore[KnownDrop(name: "b", identity: identity)] == nil)
    }

    @Test func aCancelThatComesAfterTheEndMakesNoRun() throws {
        let lines = ["1 accept RUN name=a", "2 end RUN state=success final=yes"]
        #expect(try fold(lines + ["3 cancel RUN.0 by=0"]).runs.isEmpty)
        #expect(try fold(lines + ["3 cancel RUN by=0"]).runs.isEmpty)
        #expect(try fold(lines.prefix(1) + ["3 cancel RUN.0 by=0"]).runs.count == 1)
    }
}
