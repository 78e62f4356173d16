// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Linux
import SystemPackage
import TaskModel
import TaskOptions
import TaskTool

/// What an acknowledgement promises.
enum Acknowledgement: String, CaseIterable, ExpressibleByArgument {
    /// The drop survives this machine's power failure.
    case local
}

struct SubmitCommand: ManyOperands {
    static let configuration = CommandConfiguration(
        commandName: "submit", abstract: "Hands units to taskd and prints their ids.",
        discussion: """
            Each file is checked and compiled with all that it depends on, then dropped into \
            incoming/ so that it survives a power failure: what was compiled is what runs. All \
            files are submitted, or none. With - units are read from standard input, divided by \
            lines of ---; together they are one run, and a unit's id is RUN.K. Works with and \
            without a running taskd. Within a task ($TASK_SUBMIT) the files are dropped as its \
            subtasks, as they are, and their names are printed.
            """)

    @OptionGroup var spool: SpoolOptions

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Name of the unit on standard input, with its suffix.", valueName: "name"))
    var name: String = "stdin.task"

    @Option(
        name: .long,
        help: ArgumentHelp(
            "What a printed id promises: local (safe on this disk).", valueName: "how"))
    var ack: Acknowledgement = .local

    @Flag(name: .long, help: "Wait until all have ended and return their status, as task wait.")
    var wait = false

    @Argument(
        help: ArgumentHelp(
            "Unit files, scripts, pipelines, names of installed units, or -.", valueName: "file"),
        completion: .file())
    var files: [String]

    var operandWords: [String] {
        get { files }
        set { files = newValue }
    }

    func run() throws {
        if let place = SubtaskDrops.place, spool.spool == nil { return try dropSubtasks(place) }
        let live = try LiveRuns(spool.choice)
        let submitted = try Submitter(spool: spool.choice, runs: live).submit(files, name: name)
        let output = Output(paged: false)
        for drop in submitted { try output.write("\(drop.ref)\n") }
        try output.finish()
        for file in submitted.compactMap(\.installs) {
            reporter.notice(
                "\(file) has [RunIf]: it is installed in units/, not run, and its id names no run")
        }
        guard wait else { return }
        let runs = submitted.filter { $0.installs == nil }.map(\.ref.description)
        let waiting = try Waiting(spool.choice, runs)
        _ = try waiting.wait(until: nil)
        try waiting.makeDurable()
        throw ExitCode(waiting.status)
    }

    private func dropSubtasks(_ place: String) throws {
        if wait {
            throw ToolError(
                "unable to wait within a task: it ends when its subtasks have ended; nothing was "
                    + "submitted",
                status: ExitStatus.usage)
        }
        let output = Output(paged: false)
        for name in try SubtaskDrops(place: place).submit(files, name: name) {
            try output.write("\(name)\n")
        }
        try output.finish()
    }
}

/// Compiles operands and drops them: all, or none.
struct Submitter {
    let spool: SpoolPath
    let runs: LiveRuns

    init(spool: SpoolPath, runs: LiveRuns) {
        self.spool = spool
        self.runs = runs
    }

    /// - Parameter name: what standard input is called.
    /// - Returns: an id for each operand, and one for each unit of standard input.
    func submit(_ operands: [String], name: String) throws(ToolError) -> [Submitted] {
        let compiler = UnitCompiler(spool: spool)
        var drops: [Drop] = []
        var installs: [String?] = []
        var tasks: [[Int?]] = []
        var isWrong = false
        for operand in operands {
            do throws(ToolError) {
                let (drop, numbers, isDefinition) = try compile(operand, name, compiler)
                drops.append(drop)
                installs.append(isDefinition ? drop.name : nil)
                tasks.append(numbers)
            } catch {
                if error.status != ExitStatus.usage { throw error }
                if !error.sentence.isEmpty { reporter.error(error.sentence) }
                isWrong = true
            }
        }
        if isWrong {
            throw ToolError("nothing was submitted: correct what stands above", status: 2)
        }
        let ids = try Submission(spool: runs.spool).publish(drops)
        return drops.indices.flatMap { index in
            tasks[index].map {
                Submitted(ref: TaskRef(run: ids[index], task: $0), installs: installs[index])
            }
        }
    }

    /// What has an id now.
    struct Submitted {
        var ref: TaskRef
        /// The file's name where it is a unit that is installed, not run.
        var installs: String?
    }

    /// One drop, the numbers of the tasks that were asked for (nil is the whole run), and whether it
    /// is a unit to install.
    private func compile(
        _ operand: String, _ name: String, _ compiler: UnitCompiler
    ) throws(ToolError) -> (Drop, [Int?], Bool) {
        if operand == "-" {
            let stream = try UnitStream(reading: name, compiler)
            return (stream.drop, stream.tasks, false)
        }
        guard let compiled = try compiler.compile(operand) else { throw Self.wrong }
        if let problem = DropFileName.problem(compiled.file) {
            throw ToolError(
                "unable to submit \(operand): \(problem); rename it, or submit it by standard input "
                    + "and --name",
                status: ExitStatus.usage)
        }
        return (compiled.drop, [nil], compiled.definition != nil)
    }

    // Its diagnostics are printed.
    private static let wrong = ToolError("", status: ExitStatus.usage)
}
