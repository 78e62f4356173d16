// SPDX-License-Identifier: Apache-2.0
import TaskModel
import TaskSpool
import Testing

/// What a restart knows of successes that count again.
@Suite struct RemainPastTests {
    private let run = "01hzy3v7k8m2n4p6q8r0s2t4v6"
    private let kept = ResultPlace(place: "1-taskd-1:7+9", digest: "cd")

    private func remaining(_ lines: [String]) throws -> [String: Remaining] {
        var fold = JournalFold(interesting: [], inodes: [])
        for line in lines {
            let text = line.replacing("RUN", with: run)
            fold.add(try EventLine(parsing: Array(text.utf8)[...]), isThisBoot: true)
        }
        var checkpoint = Checkpoint(epoch: 1, segment: "s", sequence: 1, runs: [:])
        checkpoint.remaining = fold.remaining
        #expect(Checkpoint(parsing: checkpoint.encode())?.remaining == fold.remaining)
        return fold.remaining
    }

    @Test(
        arguments: [
            (
                [
                    "2 end RUN.0 a=1 state=success result=1-taskd-1:7+9 digest=cd final=yes remain=ab until=99"
                ], true
            ),
            (
                [
                    "2 end RUN.0 a=1 state=success result=1-taskd-1:7+9 digest=cd wait=yes",
                    "3 end RUN.0 state=success remain=ab until=99 final=yes",
                ], true
            ),
            (["2 end RUN.0 a=1 state=success final=yes remain=ab until=99"], false),
        ] as [([String], Bool)])
    func aSuccessIsKeptAfterItsRun(lines: [String], hasResult: Bool) throws {
        let found = try remaining(
            ["1 accept RUN name=a"] + lines + ["4 end RUN state=success final=yes"])
        let ref = try #require(TaskRef("\(run).0"))
        #expect(found == ["ab": Remaining(until: 99, ref: ref, result: hasResult ? kept : nil)])
    }

    @Test func itIsKnownByAllThatTheUnitSays() throws {
        func key(_ fields: String, name: String = "a", number: Int = 0) throws -> String? {
            let spec = try TaskSpec(name: name, parsing: Array(fields.utf8)[...])
            return PlanTask(number: number, spec: spec).remainKey
        }
        let one = try key("RemainAfterExit=1h command=x")
        #expect(try key("RemainAfterExit=1h command=x optional=yes", number: 7) == one)
        #expect(try key("RemainAfterExit=1h command=x input=a:b:1+2:c") == one)
        #expect(try key("RemainAfterExit=1h command=y") != one)
        #expect(try key("RemainAfterExit=1h command=x", name: "b") != one)
        #expect(try key("command=x") == nil)
    }
}
