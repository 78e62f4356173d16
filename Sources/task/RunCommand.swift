// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Linux
import TaskModel
import TaskOptions
import TaskTool

struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Runs a unit now, shows its output, returns its status.",
        discussion: """
            Beside a taskd: submits the unit, waits and follows its output; Ctrl-C leaves it \
            running. Without one it is the pipeline \
            `taskdep plan FILE | taskrun - | tasklog append`, and Ctrl-C cancels it.
            """)

    @OptionGroup var spool: SpoolOptions
    @OptionGroup var format: FormatOptions

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Name of the unit on standard input, with its suffix.", valueName: "name"))
    var name: String = "stdin.task"

    @Flag(name: [.customShort("q"), .long], help: "Say nothing of how the task ended.")
    var quiet = false

    @Argument(
        help: ArgumentHelp(
            "A unit file, a script, a pipeline, the name of an installed unit, or -.",
            valueName: "file"),
        completion: .file())
    var file: String

    func run() throws {
        let choice = spool.choice
        do {
            let (plan, name) = try compile(UnitCompiler(spool: choice))
            if choice.exists {
                let runs = try LiveRuns(choice)
                if Daemon.isAlive(runs.spool) {
                    throw ExitCode(try runThere(plan, name, choice, runs))
                }
            }
            throw ExitCode(try runHere(plan, choice))
        } catch let error as ToolError where error.sentence.isEmpty {
            throw ToolError("nothing was run: correct what stands above", status: error.status)
        }
    }

    private func compile(_ compiler: UnitCompiler) throws(ToolError) -> (Plan, name: String) {
        if file == "-" { return (try UnitStream(reading: name, compiler).plan, name) }
        guard let compiled = try compiler.compile(file) else {
            throw ToolError("", status: ExitStatus.usage)
        }
        return (compiled.plan, compiled.file)
    }

    /// Beside a daemon.
    private func runThere(
        _ plan: Plan, _ name: String, _ choice: SpoolPath, _ runs: LiveRuns
    ) throws -> Int32 {
        if let problem = DropFileName.problem(name) {
            throw ToolError(
                "unable to submit \(name): \(problem); rename it", status: ExitStatus.usage)
        }
        let run = try DaemonRun(plan, spool: choice, runs)
        _ = try tell(try run.run(name: name, showsOutput: format.format == .table))
        return run.status
    }

    /// The pipeline without a daemon.
    private func runHere(_ plan: Plan, _ choice: SpoolPath) throws(ToolError) -> Int32 {
        let id = Submission.ids(1)[0]
        let shows = format.format == .table
        let run = try LocalRun(
            plan, id: id, spool: choice, printer: shows ? OutputPrinter(plan, run: id) : nil)
        try run.run(plan.encode())
        return try tell(run.outcome)
    }

    /// Says how it ended, and returns its status.
    private func tell(_ outcome: RunOutcome) throws(ToolError) -> Int32 {
        guard let root = outcome.root else { return ExitStatus.toolFailed }
        for loss in outcome.tasks.compactMap(\.loss).prefix(10) { reporter.warning(loss) }
        if format.format != .table {
            let output = format.makeOutput()
            var table = format.makeTable(RunOutcome.columns)
            for row in outcome.rows { table.add(row) }
            table.finish()
            try output.write(table.take())
            try output.finish()
        } else if !quiet, root.state.isFinal, root.state != .success {
            for task in outcome.culprits { reporter.error(task.sentence) }
        }
        return outcome.exitStatus
    }
}
