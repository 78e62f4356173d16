// SPDX-License-Identifier: Apache-2.0
import TaskModel
import TaskSpool
import Testing

/// What a restart knows of subtasks: the journal's lines, and the same by way of a checkpoint.
@Suite struct SubtaskPastTests {
    private let parent = "01hzy3v7k8m2n4p6q8r0s2t4v6"
    private let child = "01hzy3v7k8m2n4p6q8r0s2t4v7"

    private func past(_ fold: JournalFold, _ id: String) throws -> RunPast? {
        let id = try #require(TaskID(id))
        return fold.runs[id]
    }

    private func fold(_ lines: [String]) throws -> JournalFold {
        var fold = JournalFold(interesting: [], inodes: [])
        for line in lines {
            let text = line.replacing("RUN", with: parent).replacing("KID", with: child)
            fold.add(try EventLine(parsing: Array(text.utf8)[...]), isThisBoot: true)
        }
        return fold
    }

    /// The child as the parent's task 0 knows it: attempt, generation, state, whether it is refused.
    private func told(_ fold: JournalFold) throws -> String {
        let past = try #require(try self.past(fold, parent))
        guard let child = past.children[0]?.values.first else { return "none" }
        let state = child.state?.word ?? "open"
        return "\(child.name) a=\(child.attempt) g=\(child.generation) \(state)"
            + (child.isRefused ? " refused" : "")
    }

    private static let accepted = [
        "1 accept RUN name=a", "2 start RUN.0 a=1",
        "3 accept KID name=fetch parent=RUN.0 a=1 depth=1 drop=ab",
    ]

    @Test(
        arguments: [
            ([], "fetch a=1 g=0 open"),
            (["4 end KID state=success parent=RUN.0 final=yes"], "fetch a=1 g=0 success"),
            (
                ["4 end KID state=failure reason=exit parent=RUN.0 final=yes"],
                "fetch a=1 g=0 failure"
            ),
            (["4 adopt KID name=fetch parent=RUN.0 a=2 drop=ab"], "fetch a=2 g=0 open"),
            (
                [
                    "4 end KID state=success parent=RUN.0",
                    "5 adopt KID name=fetch parent=RUN.0 a=2",
                ],
                "fetch a=2 g=0 success"
            ),
            (
                [
                    "4 end KID state=failure parent=RUN.0",
                    "5 retry KID g=1 by=parent name=fetch parent=RUN.0 a=2",
                ], "fetch a=2 g=1 open"
            ),
            (
                [
                    "4 end KID state=failure parent=RUN.0", "5 retry KID g=1 by=0",
                    "6 end KID g=1 state=success final=yes",
                    "7 adopt KID name=fetch g=1 state=success parent=RUN.0 a=2",
                ], "fetch a=2 g=1 success"
            ),
            (
                ["4 reject KID name=fetch reason=changed parent=RUN.0 a=2"],
                "fetch a=2 g=0 open refused"
            ),
            (["4 end RUN.0 a=1 state=success wait=yes"], "fetch a=1 g=0 open"),
            (["4 retry RUN g=1"], "none"),
        ] as [([String], String)])
    func whatTheParentKnows(lines: [String], told: String) throws {
        let fold = try fold(Self.accepted + lines)
        #expect(try self.told(fold) == told)
        let checkpoint = Checkpoint(epoch: 1, segment: "s", sequence: 1, runs: fold.runs)
        let again = try #require(Checkpoint(parsing: checkpoint.encode()))
        #expect(again.runs.mapValues(\.children) == fold.runs.mapValues(\.children))
        #expect(again.runs.mapValues(\.kin) == fold.runs.mapValues(\.kin))
    }

    private static let left =
        "4 end KID state=success parent=RUN.0 exit=0 result=1-taskd-1:7+9 digest=cd final=yes"

    /// What the subtask left, as the [Then] of task 0 is given it.
    @Test(
        arguments: [
            ([left], "fetch:1-taskd-1:7+9:cd"),
            ([left, "5 end RUN.0 a=1 state=success final=yes"], "fetch:1-taskd-1:7+9:cd"),
            (
                [
                    left, "5 end RUN.0 a=1 state=success final=yes", "7 retry RUN g=1",
                ], "fetch:1-taskd-1:7+9:cd"
            ),
            ([left, "5 end RUN.0 a=2 state=success final=yes"], ""),
            ([left, "5 end RUN.0 a=1 state=failure final=yes"], ""),
            (
                [
                    left, "5 adopt KID name=fetch parent=RUN.0 a=2",
                    "6 end RUN.0 a=2 state=success final=yes",
                ], "fetch:1-taskd-1:7+9:cd"
            ),
            (["4 end KID state=failure reason=exit exit=3 parent=RUN.0 final=yes"], ""),
            ([left, "5 retry RUN g=1"], ""),
        ] as [([String], String)])
    func whatItLeft(lines: [String], text: String) throws {
        let past = try #require(try past(fold(Self.accepted + lines), parent))
        let results = past.subtasks[0].map { Subtask.results(of: $0).map(\.text) } ?? []
        #expect(results.joined(separator: " ") == text)
    }

    @Test func theReducedPlanCarriesWhatItLeft() throws {
        let text =
            "taskplan 1\ntask 0 a\ntask 1 a.then then=yes\ntask 2 b\nedge 0 1 ok\nedge 0 2 ok\n"
        let plan = try Plan(
            parsing: Array((text + "digest \(SHA256.hex(Array(text.utf8)))\n").utf8))
        let past = try #require(
            try past(
                fold(Self.accepted + [Self.left, "5 end RUN.0 a=1 state=success final=yes"]), parent
            )
        )
        let reduced = Reduction.reduce(plan, past.results, [:], [:], past.subtasks)
        #expect(reduced.tasks.map { $0.spec[.input] } == [["fetch:1-taskd-1:7+9:cd"], []])
    }

    @Test func aBadDropIsAChildThatNeverRan() throws {
        let fold = try fold([
            "1 accept RUN name=a", "2 start RUN.0 a=1",
            "3 reject KID name=fetch state=rejected parent=RUN.0 a=1 depth=1 drop=ab",
        ])
        #expect(try told(fold) == "fetch a=1 g=0 rejected refused")
        #expect(try past(fold, child) == nil)
    }

    @Test func theChildKnowsItsParent() throws {
        let parent = try #require(TaskRef("\(self.parent).0"))
        let past = try past(fold(Self.accepted), child)
        #expect(past?.kin == Kin(parent: parent, depth: 1))
    }

    @Test func whatCameAfterTheParentsEndIsOfNobody() throws {
        let fold = try fold(
            [Self.accepted[0], "2 end RUN state=cancelled final=yes", Self.accepted[2]])
        #expect(fold.runs.count == 1)
        #expect(try past(fold, child)?.kin != nil)
    }

    @Test(
        arguments: [
            (["4 end RUN.0 a=1 state=success wait=yes"], TaskState.success, nil, 0),
            (["4 end RUN.0 a=1 state=failure reason=oom wait=yes"], .failure, .oom, 1),
            (["4 end RUN.0 a=1 state=success wait=yes", "5 start RUN.0 a=2"], nil, nil, 0),
            (
                [
                    "4 end RUN.0 a=1 state=success wait=yes",
                    "5 retry RUN.0 a=2 due=9 reason=dependency",
                ],
                nil, nil, 1
            ),
            (
                ["4 end RUN.0 a=1 state=success wait=yes", "5 end RUN.0 state=success final=yes"],
                nil,
                nil, 0
            ),
            (
                ["4 end RUN.0 a=1 state=failure reason=exit", "5 retry RUN.0 a=2 due=9"], nil, nil,
                1
            ),
        ] as [([String], TaskState?, FailureReason?, Int)])
    func whatWaitsForItsChildren(
        lines: [String], closing: TaskState?, reason: FailureReason?, failures: Int
    ) throws {
        let runs = try fold(Self.accepted + lines).runs
        let id = try #require(TaskID(parent))
        let past = try #require(runs[id]?.tasks[0])
        #expect(past.closing == closing && past.reason == reason && past.failures == failures)
        #expect(!past.isOpen || closing == nil)
        let checkpoint = Checkpoint(epoch: 1, segment: "s", sequence: 1, runs: runs)
        #expect(Checkpoint(parsing: checkpoint.encode())?.runs[id]?.tasks[0] == past)
    }

    @Test func aChildStandsBehindItsParent() throws {
        let text = "taskcheckpoint 1 1\npos s 1\nchild \(parent).0 \(child) name=a a=1\n"
        let bytes = Array("\(text)digest \(SHA256.hex(text.utf8))\n".utf8)
        #expect(Checkpoint(parsing: bytes) == nil)
    }
}
