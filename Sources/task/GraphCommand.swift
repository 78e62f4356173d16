// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Linux
import SystemPackage
import TaskHistory
import TaskModel
import TaskOptions
import TaskPlan
import TaskSpool
import TaskTool

/// `task graph`: a run's plan with the states of its tasks; a file is `taskdep graph`'s.
struct GraphCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "graph", abstract: "Draws a run with the states of its tasks, or a unit.",
        discussion: """
            Of a run that is under way, or lies in failed/, its plan with the state of each task. A \
            file, and -, is what `taskdep graph` draws. text: each task, and below it what it waits \
            for. dot: for graphviz. svg: a picture, a column a level.
            """)

    enum Format: String, ExpressibleByArgument, CaseIterable { case text, dot, svg }

    @OptionGroup var spool: SpoolOptions

    @Option(help: ArgumentHelp("text, dot or svg.", valueName: "format"))
    var format = Format.text

    @Argument(
        help: ArgumentHelp("A run, or a unit's file.", valueName: "run"), completion: .runs)
    var word = "-"

    func run() throws {
        if word == "-" || (try? File.status(word, following: true))?.isRegular ?? false {
            try Sibling.execute("taskdep", ["graph", "--format=\(format.rawValue)", "--", word])
        }
        let graph = try RunGraph(word, spool.choice)
        let output = Output(paged: false)
        switch format {
        case .text: try output.write(graph.drawing.text)
        case .dot: try output.write(graph.drawing.dot)
        case .svg: try output.write(graph.picture.svg)
        }
        try output.finish()
    }
}

/// The plan of a run that has a file in the spool, and how its tasks stand.
private struct RunGraph {
    private let name: String
    private let plan: Plan
    private let states: [Int: TaskState]

    var drawing: Drawing { Drawing(name: name, plan: plan, states: states) }
    var picture: Picture { Picture(name: name, plan: plan, states: states) }

    init(_ word: String, _ choice: SpoolPath) throws(ToolError) {
        let live = try LiveRuns(choice)
        let history = try History.open(choice, for: reporter)
        let ref = try history.find(word, in: choice, for: reporter)
        if ref.task != nil {
            throw ToolError(
                "unable to draw \(ref): a graph is a run's, nothing was drawn; `task graph "
                    + "\(ref.run.short)` draws it", status: ExitStatus.usage)
        }
        let run = ref.run
        // The plan first: what ends meanwhile is seen, what starts meanwhile is no contradiction.
        guard let bytes = try live.plan(of: run) else {
            throw try Self.absence(of: run, live, history)
        }
        do {
            plan = try Plan(parsing: bytes)
        } catch {
            throw ToolError(
                "unable to read the plan of \(run): \(error.sentence), nothing was drawn",
                status: ExitStatus.no)
        }
        name = plan.name ?? run.short
        let isParked = try live.places(of: run).last?.directory == .hold
        do {
            try history.refresh()
            var known: [Int: TaskState] = [:]
            for row in try history.tasks(ofRun: run) {
                guard let number = row.k, row.item == nil else { continue }
                if row.state.rawValue >= TaskState.running.rawValue || row.due != nil {
                    known[number] = row.state
                }
            }
            states = plan.states(known, isParked: isParked)
        } catch {
            throw ToolError(error)
        }
    }

    private static func absence(
        of run: TaskID, _ live: LiveRuns, _ history: History
    ) throws(ToolError) -> ToolError {
        let row = (try? history.run(run)) ?? nil
        if let row, row.state.isFinal {
            let name = row.name ?? run.short
            return ToolError(
                "unable to draw \(name) (\(run.short)): it ended, \(row.state.word), and its plan is gone; "
                    + "`task graph FILE` draws a unit, `task status \(run.short)` says how its tasks ended",
                status: ExitStatus.no)
        }
        return ToolError(
            "unable to draw \(run): it has no plan yet, nothing was drawn; try again",
            status: ExitStatus.tryLater)
    }
}
