// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import TaskModel
import TaskTool

/// `taskdep graph`: a unit's dependencies to look at.
struct GraphCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "graph",
        abstract: "Draws a unit's dependencies.",
        discussion: """
            text: each task, and below it what it waits for. dot: for graphviz. svg: a picture, a \
            column a level. Dashed edges wait for the end whatever it was, dotted ones for a \
            failure.
            """)

    enum Format: String, ExpressibleByArgument, CaseIterable { case text, dot, svg }

    @Option(help: ArgumentHelp("text, dot or svg.", valueName: "format"))
    var format = Format.text

    @Argument(
        help: ArgumentHelp("A unit or a plan, - for standard input.", valueName: "file"),
        completion: .file())
    var file = "-"

    func run() throws {
        let outcome = try compile(file)
        let drawing = Drawing(name: outcome.name, plan: outcome.plan)
        let output = Output(paged: false)
        switch format {
        case .text: try output.write(drawing.text)
        case .dot: try output.write(drawing.dot)
        case .svg: try output.write(Picture(name: outcome.name, plan: outcome.plan).svg)
        }
        try output.finish()
    }
}

/// A plan's tasks and edges as text.
struct Drawing {
    let name: String
    let plan: Plan
    private let names: [Int: String]

    init(name: String, plan: Plan) {
        self.name = name
        self.plan = plan
        names = Dictionary(
            plan.tasks.map { ($0.number, $0.spec.name) }, uniquingKeysWith: { first, _ in first })
    }

    /// Graphviz's language.
    var dot: [UInt8] {
        var text = Array("digraph \(Self.quoted(name)) {\n    rankdir=LR;\n".utf8)
        text += "    node [shape=box];\n".utf8
        for task in plan.tasks {
            let style = task.spec.flag(.optional) ? " [style=dashed]" : ""
            text += "    \(Self.quoted(task.spec.name))\(style);\n".utf8
        }
        for edge in plan.edges {
            text += "    \(quoted(edge.from)) -> \(quoted(edge.to))\(Self.style(edge.kind));\n".utf8
        }
        text += "}\n".utf8
        return text
    }

    /// In the order of the levels: a name, and what it waits for.
    var text: [UInt8] {
        var sources: [Int: [PlanEdge]] = [:]
        for edge in plan.edges { sources[edge.to, default: []].append(edge) }
        var text: [UInt8] = []
        for task in plan.tasks {
            text += "\(task.spec.name)\n".utf8
            for edge in sources[task.number] ?? [] {
                text += "    \(Self.words(edge.kind)) \(names[edge.from] ?? "\(edge.from)")\n".utf8
            }
        }
        return text
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
