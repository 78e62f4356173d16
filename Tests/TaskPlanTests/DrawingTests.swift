// SPDX-License-Identifier: Apache-2.0
import TaskModel
import TaskPlan
import Testing

/// A run's plan with the states of its tasks.
@Suite struct DrawingTests {
    private static let plan = Plan(
        tasks: ["a", "b", "c", "d"].enumerated().map {
            // A reduced plan has gaps.
            PlanTask(number: $0 * 2, spec: TaskSpec(name: $1))
        },
        edges: [
            PlanEdge(from: 0, to: 2, kind: .ok), PlanEdge(from: 1, to: 4, kind: .ok),
            PlanEdge(from: 2, to: 6, kind: .end), PlanEdge(from: 4, to: 6, kind: .ok),
        ])

    @Test(
        arguments: [
            ([:], false, "ready pending ready pending"),
            ([0: .success], false, "success ready ready pending"),
            ([0: .success], true, "success pending pending pending"),
            ([0: .running], false, "running pending ready pending"),
            ([0: .success, 2: .failure, 4: .success], false, "success failure success ready"),
            ([0: .success, 2: .waiting, 4: .pending], false, "success waiting pending pending"),
        ] as [([Int: TaskState], Bool, String)])
    func states(known: [Int: TaskState], isParked: Bool, words: String) {
        let states = Self.plan.states(known, isParked: isParked)
        #expect(
            Self.plan.tasks.map { states[$0.number]?.word ?? "" }.joined(separator: " ") == words)
    }

    @Test func textAndDotNameThem() {
        let states = Self.plan.states([0: .success, 2: .running])
        let drawing = Drawing(name: "x", plan: Self.plan, states: states)
        let text = String(decoding: drawing.text, as: UTF8.self)
        #expect(
            text == """
                a success
                b running
                    after success of a
                c ready
                    after success of 1
                d pending
                    after the end of b
                    after success of c

                """)
        let dot = String(decoding: drawing.dot, as: UTF8.self)
        #expect(
            dot.contains(
                ##"    "b" [style="filled", fillcolor="#bbdefb", label="b\nrunning"];"## + "\n"))
        #expect(dot.contains(#"    "b" -> "d" [style=dashed];"#))
        #expect(
            String(decoding: Picture(name: "x", plan: Self.plan, states: states).svg, as: UTF8.self)
                .contains(">b <tspan font-style=\"italic\">running</tspan></text>"))
    }

    @Test func aHundredThousandInAChain() {
        let count = 100_000
        let plan = Plan(
            tasks: (0..<count).map { PlanTask(number: $0, spec: TaskSpec(name: "t\($0)")) },
            edges: (1..<count).map { PlanEdge(from: $0 - 1, to: $0, kind: .ok) })
        let states = plan.states([:])
        #expect(states[0] == .ready && states[count - 1] == .pending)
        #expect(Drawing(name: "x", plan: plan, states: states).dot.count > 100 * count)
        #expect(Picture(name: "x", plan: plan, states: states).svg.count > 100 * count)
    }
}
