// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskModel
import TaskSpool
import Testing

@Suite struct ItemPastTests {
    private let run = "01hzy3v7k8m2n4p6q8r0s2t4v6"

    private func past(_ lines: [String]) throws -> RunPast {
        let id = try #require(TaskID(run))
        var fold = JournalFold(interesting: [id], inodes: [])
        for line in ["1 accept RUN name=a"] + lines {
            let text = line.replacing("RUN", with: run)
            fold.add(try EventLine(parsing: Array(text.utf8)[...]), isThisBoot: true)
        }
        return try #require(fold.runs[id])
    }

    @Test func anItemsPastIsTwoBitsOnceItHasEnded() throws {
        let past = try past([
            "2 start RUN.0.0 a=1", "2 start RUN.0.1 a=1", "2 start RUN.0.2 a=1",
            "2 start RUN.0.3 a=1", "3 end RUN.0.1 a=1 state=success final=yes",
            "3 end RUN.0.0 a=1 state=failure reason=oom exit=1 final=yes",
            "4 end RUN.0.2 a=1 state=failure reason=exit", "4 retry RUN.0.2 a=2 due=99",
            "5 lost RUN.0.3 a=1", "5 cancel RUN.0.3", "6 end RUN.0.1 a=1 state=failure final=yes",
        ])
        let items = try #require(past.items[0])
        #expect(items.states[0] == .failure && items.states[1] == .success)
        #expect(items.failed == 0 && items.reason == .oom)
        #expect(items.begun.keys.sorted() == [2, 3])
        #expect(items.begun[2]?.due == 99 && items.begun[2]?.failures == 1)
        #expect(items.begun[3]?.losses == 1 && items.begun[3]?.isCancelled == true)
        #expect(past.tasks.isEmpty && past.isLive && past.waitsForTime && !past.hasOpenAttempt)
    }

    @Test func aRetryBeginsAnewAndKnowsWhatSucceeded() throws {
        let past = try past([
            "2 end RUN.0.0 a=1 state=success final=yes",
            "2 end RUN.0.1 a=1 state=failure final=yes",
            "3 end RUN.0 state=failure reason=exit final=yes", "3 end RUN state=failure final=yes",
            "4 retry RUN g=1", "5 end RUN.0.1 a=1 g=1 state=success final=yes",
        ])
        #expect(past.items[0]?.states[0] == .open && past.items[0]?.states[1] == .success)
        let all = past.itemResults[0]
        #expect(all?[0] == .success && all?[1] == .success)
        #expect(past.earlierItems[0]?[1] == .failure)
    }

    @Test func aCheckpointHasTheItems() throws {
        var past = try past([
            "2 start RUN.4.7 a=3", "3 end RUN.4.1 a=1 state=failure reason=exit final=yes",
            "3 end RUN.4.5 a=1 state=cancelled final=yes",
        ])
        past.accept = .init(name: "a")
        let id = try #require(TaskID(run))
        let checkpoint = Checkpoint(
            epoch: 1, segment: "00000004-taskd-000001", sequence: 9, runs: [id: past])
        let text = String(decoding: checkpoint.encode(), as: UTF8.self)
        #expect(text.contains("\nbits \(run).4 0 ofo3c failed=1 reason=exit\n"))
        #expect(text.contains("\natt \(run).4.7 a=3 open=yes\n"))
        #expect(Checkpoint(parsing: checkpoint.encode()) == checkpoint)
    }

    // MARK: What a retry runs

    private func sealed(_ body: String) throws -> Plan {
        try Plan(parsing: Array((body + "digest \(SHA256.hex(Array(body.utf8)))\n").utf8))
    }

    private func plan(_ text: String) throws -> Plan {
        try sealed(
            "taskplan 1\ntask 0 a\ntask 1 b\nitems 0 6 0\nitems 1 2 0\n"
                + "blob items 0 \(SHA256.hex(Array(text.utf8))) \(text.utf8.count)\n\(text)\n")
    }

    @Test func aReducedPlanHasTheItemsThatDidNotSucceed() throws {
        let plan = try plan("a\nb\nc\nd\ne\nf\n")
        var states = ItemStates()
        for number in [0, 3] { states[number] = .success }
        states[1] = .failure
        let reduced = Reduction.reduce(plan, [0: .failure, 1: .success], [0: states])
        #expect(reduced.tasks.map(\.number) == [0])
        #expect(reduced.items(of: 0)?.all == [1..<3, 4..<6])
        #expect(reduced.itemList(of: 0)?.bytes == Array("b\nc\ne\nf\n".utf8))
        #expect(try Plan(parsing: reduced.encode()) == reduced)
        let again = Reduction.reduce(reduced, [0: .failure], [0: states])
        #expect(again == reduced)
    }

    @Test func whatWasNotAskedForComesBack() throws {
        var plan = try plan("a\nb\nc\nd\ne\nf\n")
        plan.items = [
            PlanItems(task: 0, count: 1, first: 0, isRest: true),
            PlanItems(task: 0, count: 1, first: 1),
            PlanItems(task: 0, count: 4, first: 2, isRest: true),
            PlanItems(task: 1, count: 2, first: 0, isRest: true),
        ]
        var states = ItemStates()
        states[1] = .success
        let reduced = Reduction.reduce(plan, [0: .failure, 1: .failure], [0: states])
        #expect(reduced.items(of: 0)?.all == [0..<1, 2..<6] && !reduced.hasRest(0))
        #expect(reduced.items(of: 1)?.all == [0..<2])
    }

    // MARK: The lists in the file

    @Test(arguments: [1, 600, 5000]) func textsAreReadFromTheFile(count: Int) throws {
        let list = (0..<count).map { "item \($0) \(String(repeating: "x", count: $0 % 90))\n" }
            .joined()
        let body =
            "taskplan 1\ntask 0 a\ntask 1 b\nitems 0 2 0\nitems 1 \(count) 0\n"
            + "blob unit a \(SHA256.hex(Array("blob\nitems 1\n".utf8))) 13\nblob\nitems 1\n\n"
            + "blob items 1 \(SHA256.hex(Array(list.utf8))) \(list.utf8.count)\n\(list)\n"
        let plan = try sealed(body)
        let lists = ItemLists(plan)
        let path = "/tmp/taskspool-items.\(Caller.pid)-\(count)"
        let file = try File.open(path, flags: [.readWrite, .create, .truncate])
        try File.unlink(path, at: File.here)
        try File.writeAll(plan.encode(), to: file.number)
        let kept = plan.withoutItemLists
        #expect(kept.itemList(of: 1)?.bytes == [] && kept.itemList(of: 0) == nil)
        let items = try #require(try ItemFile(of: kept, in: file))
        let id = try #require(TaskID(run))
        var block = ItemFile.Block()
        for number in [0, count - 1, count / 2, 1, 511, 512].filter({ $0 < count }) {
            let ref = TaskRef(run: id, task: 1, item: number)
            if items.text(of: ref, in: block) == nil {
                block = try #require(try items.block(with: ref, in: file))
            }
            #expect(items.text(of: ref, in: block) == lists.text(of: ref))
        }
        let beyond = TaskRef(run: id, task: 1, item: count)
        let none = try items.block(with: beyond, in: file)
        #expect(none.map { _ in true } == nil)
    }
}
