// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import TaskPlan
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
