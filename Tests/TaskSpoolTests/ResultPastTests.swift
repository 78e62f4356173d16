// SPDX-License-Identifier: Apache-2.0
import TaskModel
import TaskSpool
import Testing

/// What a restart, and a retry, knows of results.
@Suite struct ResultPastTests {
    private let run = "01hzy3v7k8m2n4p6q8r0s2t4v6"
    private let kept = ResultPlace(place: "1-taskd-1:7+9", digest: "ab")

    private func left(_ lines: [String]) throws -> [Int: ResultPlace] {
        var fold = JournalFold(interesting: [], inodes: [])
        for line in ["1 accept RUN name=a"] + lines {
            let text = line.replacing("RUN", with: run)
            fold.add(try EventLine(parsing: Array(text.utf8)[...]), isThisBoot: true)
        }
        let checkpoint = Checkpoint(epoch: 1, segment: "s", sequence: 1, runs: fold.runs)
        let again = try #require(Checkpoint(parsing: checkpoint.encode()))
        let id = try #require(TaskID(run))
        #expect(again.runs[id]?.left == fold.runs[id]?.left)
        return fold.runs[id]?.left ?? [:]
    }

    private static let end = "2 end RUN.0 a=1 state=success result=1-taskd-1:7+9 digest=ab"

    @Test(
        arguments: [
            ([Self.end + " final=yes"], true),
            ([Self.end + " wait=yes"], true),
            ([Self.end + " wait=yes", "3 end RUN.0 state=success final=yes"], true),
            ([Self.end + " wait=yes", "3 end RUN.0 a=2 state=success final=yes"], false),
            ([Self.end + " final=yes", "3 retry RUN g=1"], true),
            (["2 end RUN.0 a=1 state=failure result=1-taskd-1:7+9 digest=ab"], false),
            (["2 end RUN.0.4 a=1 state=success result=1-taskd-1:7+9 digest=ab"], false),
            ([Self.end + " final=yes", "3 end RUN.1 a=1 state=failure final=yes"], true),
        ] as [([String], Bool)])
    func isKept(lines: [String], isThere: Bool) throws {
        #expect(try left(lines) == (isThere ? [0: kept] : [:]))
    }

    private func plan(_ body: String) throws -> Plan {
        let text = "taskplan 1\n" + body
        return try Plan(parsing: Array((text + "digest \(SHA256.hex(Array(text.utf8)))\n").utf8))
    }

    @Test func whatRemainsCarriesWhatItIsGiven() throws {
        let whole = try plan(
            "task 0 a\ntask 1 b\ntask 2 c\nedge 0 1 ok\nedge 0 2 fail\nedge 1 2 end\n")
        let results: [Int: TaskState] = [0: .success, 1: .failure]
        let reduced = Reduction.reduce(whole, results, [:], [0: kept])
        #expect(reduced.tasks.map { $0.spec[.input] } == [["a:1-taskd-1:7+9:ab"], []])
        #expect(try Plan(parsing: reduced.encode()) == reduced)
        let again = Reduction.reduce(reduced, [1: .success, 2: .failure], [:], [1: kept])
        #expect(again.tasks.map { $0.spec[.input] } == [["b:1-taskd-1:7+9:ab"]])
    }
}
