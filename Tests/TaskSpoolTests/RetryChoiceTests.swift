// SPDX-License-Identifier: Apache-2.0
import TaskModel
import TaskSpool
import Testing

/// What of a failed run a retry of single tasks and items runs.
@Suite struct RetryChoiceTests {
    private static let run = "01hzy3v7k8m2n4p6q8r0s2t4v6"

    /// 0 a, 2 b after a, 3 c after b; 5 an array, 6 after it and c; 8 u and 9 its [Then]; 10 hangs on a's failure.
    private static func plan(rest: String = "") throws -> Plan {
        let text = """
            taskplan 1
            task 0 a command=x
            task 2 b command=x\(rest)
            task 3 c command=x
            task 5 many command=x
            task 6 all
            task 8 u command=x
            task 9 u.then command=x then=yes
            task 10 alarm command=x optional=yes
            edge 3 6 ok
            edge 0 2 ok
            edge 0 10 fail
            edge 2 3 end
            edge 5 6 ok
            edge 8 9 ok
            items 5 2 0
            items 5 3 7

            """
        return try Plan(parsing: Array((text + "digest \(SHA256.hex(Array(text.utf8)))\n").utf8))
    }

    private static func ref(_ text: String) throws -> TaskRef {
        try #require(TaskRef("\(run)\(text)"))
    }

    /// The tasks that run, and the items of the array that do.
    private func chosen(_ refs: [String], downstream: Bool = false) throws -> String {
        let choice = RetryChoice(try refs.map(Self.ref), hasDownstream: downstream)
        let plan = try choice.applied(to: Self.plan(rest: " rest=yes"))
        #expect(try Plan(parsing: plan.encode()) == plan)
        #expect(plan.edges == (try Self.plan().edges))
        let tasks = plan.tasks.filter { task in
            !task.spec.flag(.rest) && !(plan.items(of: task.number)?.isEmpty ?? false)
        }
        let items = plan.items(of: 5).map { $0.all.flatMap { $0.map(String.init) } } ?? []
        #expect(plan.listedItems(of: 5)?.all == [0..<2, 7..<10])
        return tasks.map(\.spec.name).joined(separator: " ") + " | "
            + items.joined(separator: " ")
    }

    @Test(
        arguments: [
            ([], false, "a b c many all u u.then alarm | 0 1 7 8 9"),
            ([""], true, "a b c many all u u.then alarm | 0 1 7 8 9"),
            ([".0"], false, "a | "),
            ([".0"], true, "a b c all alarm | "),
            ([".5"], false, "many | 0 1 7 8 9"),
            ([".5.1", ".5.8"], false, "a b c many all u u.then alarm | 1 8"),
            ([".5.1"], true, "many all | 1"),
            ([".5.0", ".0"], false, "a many | 0"),
            ([".5.0", ".5"], false, "many | 0 1 7 8 9"),
            ([".8"], false, "u u.then | "),
            ([".0", ""], false, "a b c many all u u.then alarm | 0 1 7 8 9"),
            ([".3"], false, "c | "),
        ] as [([String], Bool, String)])
    func runs(refs: [String], downstream: Bool, what: String) throws {
        #expect(try chosen(refs, downstream: downstream) == what)
    }

    @Test(
        arguments: [
            ([".1"], .absent(task: 1, item: nil)), ([".5.3"], .absent(task: 5, item: 3)),
            ([".0.3"], .absent(task: 0, item: 3)), ([".2"], .requires(task: 2, failed: 0)),
            ([".9"], .requires(task: 9, failed: 8)),
        ] as [([String], RetryChoice.Refusal)])
    func isRefused(refs: [String], why: RetryChoice.Refusal) throws {
        let choice = RetryChoice(try refs.map(Self.ref))
        #expect(throws: why) { try choice.applied(to: Self.plan()) }
    }

    @Test func aHundredThousandInAChain() throws {
        let count = 100_000
        let plan = Plan(
            tasks: (0..<count).map { PlanTask(number: $0, spec: TaskSpec(name: "t\($0)")) },
            edges: (1..<count).reversed().map { PlanEdge(from: $0 - 1, to: $0, kind: .ok) })
        let half = try RetryChoice([Self.ref(".50000")], hasDownstream: true)
        #expect(throws: RetryChoice.Refusal.requires(task: 50000, failed: 49999)) {
            try half.applied(to: plan)
        }
        let all = try RetryChoice([Self.ref(".0")], hasDownstream: true).applied(to: plan)
        #expect(all == plan)
    }

    @Test func whatWasNotAskedForComesBack() throws {
        let plan = try RetryChoice([Self.ref(".0")]).applied(to: Self.plan())
        let reduced = Reduction.reduce(plan, [0: .success])
        #expect(!reduced.tasks.contains { $0.spec.flag(.rest) } && reduced.tasks.count == 7)
        #expect(reduced.items.allSatisfy { !$0.isRest })
    }
}
