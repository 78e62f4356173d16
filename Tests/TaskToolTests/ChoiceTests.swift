// SPDX-License-Identifier: Apache-2.0
import TaskModel
import Testing

@testable import TaskTool

/// Goal: which spool, which run, which exit status: the rules of task(1).
@Suite struct ChoiceTests {
    func choose(
        _ option: String?, _ environment: [String: String], shared: Bool = false
    ) -> String {
        SpoolPath.choose(
            option: option, user: "ann", home: "/home/ann", environment: { environment[$0] },
            exists: { shared && $0 == "/var/spool/task/ann" }
        ).path
    }

    @Test func spoolOrder() {
        #expect(choose("/a", ["TASK_SPOOL": "/b"], shared: true) == "/a")
        #expect(choose(nil, ["TASK_SPOOL": "/b"], shared: true) == "/b")
        #expect(choose(nil, [:], shared: true) == "/var/spool/task/ann")
        #expect(choose(nil, ["XDG_STATE_HOME": "/s"]) == "/s/task/spool")
        #expect(choose(nil, [:]) == "/home/ann/.local/state/task/spool")
    }

    @Test func anAbsentSpoolSaysHow() {
        #expect {
            _ = try SpoolPath.choose(option: "/nonexistent/spool").open()
        } throws: { error in
            let error = error as? ToolError
            return error?.status == 69 && error?.sentence.contains("taskd --spool=") == true
        }
    }

    static let older = TaskID("01jd0000000000000000000abc")
    static let newer = TaskID("01je0000000000000000000abd")

    func resolve(_ text: String) -> Selection {
        guard let older = Self.older, let newer = Self.newer else { return .none }
        return Selector(text).resolve(among: [
            KnownRun(run: newer, name: "site"), KnownRun(run: older, name: "site"),
            KnownRun(run: older, name: "abcd"),
        ])
    }

    func ref(_ run: TaskID?, _ task: Int? = nil) -> Selection? {
        run.map { .one(TaskRef(run: $0, task: task)) }
    }

    @Test func selectors() {
        #expect(resolve("last") == ref(Self.newer))
        #expect(resolve("site") == ref(Self.newer))
        #expect(resolve("site.task") == ref(Self.newer))
        #expect(resolve("00000abc") == ref(Self.older))
        #expect(resolve("0ABC.3") == ref(Self.older, 3))
        #expect(resolve("01JD0000000000000000000ABC.1") == ref(Self.older, 1))
        #expect(resolve("site.2") == ref(Self.newer, 2))
        #expect(resolve("nothing") == .none)
        // A unit's name goes before an id that ends so.
        #expect(resolve("abcd") == ref(Self.older))
        #expect(resolve("bc") == .none)
    }

    @Test func ambiguous() {
        guard let older = Self.older, let newer = TaskID("01jf0000000000000000000abc") else {
            Issue.record("ids")
            return
        }
        let known = [older, newer].map { KnownRun(run: $0, name: nil) }
        #expect(Selector("0abc").resolve(among: known) == .ambiguous([older, newer]))
    }

    @Test(
        arguments: [
            (TaskState.success, nil, nil, nil, Int32(0)), (.skipped, nil, nil, nil, 0),
            (.failure, .exit, 7, nil, 7), (.failure, .signal, nil, 9, 137),
            (.failure, .oom, nil, 9, 137), (.failure, .timeout, nil, 15, 124),
            (.failure, .missing, 127, nil, 127),
            (.failure, .missing, 126, nil, 126), (.failure, .jail, 226, nil, 226),
            (.failure, .check, 3, nil, 3), (.failure, .dependency, nil, nil, 1),
            (.failure, .disk, 1, nil, 1), (.cancelled, nil, nil, nil, 130),
            (.rejected, nil, nil, nil, 2), (.pending, nil, nil, nil, 75),
        ] as [(TaskState, FailureReason?, Int?, Int?, Int32)])
    func exitStatus(
        _ state: TaskState, _ reason: FailureReason?, _ exit: Int?, _ signal: Int?, _ want: Int32
    ) {
        #expect(ExitStatus.of(state, reason: reason, exit: exit, signal: signal) == want)
    }
}
