// SPDX-License-Identifier: Apache-2.0
public import TaskModel

/// A plan's tasks and edges as text, with the states of a run's tasks where they are known. Linear.
public struct Drawing {
    private let name: String
    private let plan: Plan
    private let states: [Int: TaskState]
    private let names: [Int: String]

    /// - Parameter states: of tasks of a run, by number.
    public init(name: String, plan: Plan, states: [Int: TaskState] = [:]) {
        self.name = name
        self.plan = plan
        self.states = states
        names = Dictionary(
            plan.tasks.map { ($0.number, $0.spec.name) }, uniquingKeysWith: { first, _ in first })
    }

    /// Graphviz's language.
    public var dot: [UInt8] {
        var text = Array("digraph \(Self.quoted(name)) {\n    rankdir=LR;\n".utf8)
        text += "    node [shape=box];\n".utf8
        for task in plan.tasks {
            text += "    \(Self.quoted(task.spec.name))\(attributes(task));\n".utf8
        }
        for edge in plan.edges {
            text += "    \(quoted(edge.from)) -> \(quoted(edge.to))\(Self.style(edge.kind));\n".utf8
        }
        text += "}\n".utf8
        return text
    }

    /// In the order of the levels: a name, and what it waits for.
    public var text: [UInt8] {
        var sources: [Int: [PlanEdge]] = [:]
        for edge in plan.edges { sources[edge.to, default: []].append(edge) }
        var text: [UInt8] = []
        for task in plan.tasks {
            let state = states[task.number].map { " " + $0.word } ?? ""
            text += "\(task.spec.name)\(state)\n".utf8
            for edge in sources[task.number] ?? [] {
                text += "    \(Self.words(edge.kind)) \(names[edge.from] ?? "\(edge.from)")\n".utf8
            }
        }
        return text
    }

    private func attributes(_ task: PlanTask) -> String {
        let isOptional = task.spec.flag(.optional)
        guard let state = states[task.number] else { return isOptional ? " [style=dashed]" : "" }
        return
            " [style=\"filled\(isOptional ? ",dashed" : "")\", fillcolor=\"\(Self.colour(state))\", "
            + "label=\(Self.quoted(task.spec.name).dropLast())\\n\(state.word)\"]"
    }

    /// Green ended well, red badly, yellow was stopped, blue goes on.
    static func colour(_ state: TaskState?) -> String {
        switch state {
        case .success: "#c8e6c9"
        case .failure, .rejected, .lost: "#ffcdd2"
        case .cancelled, .skipped: "#fff3c4"
        case .running, .waiting: "#bbdefb"
        case .created, .pending, .ready, nil: "#f4f4f4"
        }
    }

    private static func words(_ kind: PlanEdge.Kind) -> String {
        switch kind {
        case .ok: "after success of"
        case .end: "after the end of"
        case .fail: "after failure of"
        }
    }

    private static func style(_ kind: PlanEdge.Kind) -> String {
        switch kind {
        case .ok: ""
        case .end: " [style=dashed]"
        case .fail: " [style=dotted, label=\"failure\"]"
        }
    }

    private func quoted(_ number: Int) -> String { Self.quoted(names[number] ?? "\(number)") }

    private static func quoted(_ name: String) -> String {
        "\"\(name.replacing("\\", with: "\\\\").replacing("\"", with: "\\\""))\""
    }
}
