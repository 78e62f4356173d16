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

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Key= of the one file: a second one with it on the same day is the first.",
            valueName: "text"))
    var key: String?

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
        if let key, key.isEmpty || files.count != 1 {
            throw ToolError(
                "unable to use --key=\(key): it is the text of one run, for one file; nothing was "
                    + "submitted",
                status: ExitStatus.usage)
        }
        let live = try LiveRuns(spool.choice)
        let submitter = Submitter(spool: spool.choice, runs: live, key: key)
        let submitted = try submitter.submit(files, name: name)
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
        if key != nil {
            throw ToolError(
                "unable to use --key within a task: the name of a subtask is its key; nothing was "
                    + "submitted",
                status: ExitStatus.usage)
        }
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
    /// `Key=` of what is submitted, in place of the unit's.
    let key: String?

    init(spool: SpoolPath, runs: LiveRuns, key: String? = nil) {
        self.spool = spool
        self.runs = runs
        self.key = key
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
            var stream = try UnitStream(reading: name, compiler)
            try setKey(of: &stream.plan, isDefinition: stream.definition != nil)
            return (stream.drop, stream.tasks, false)
        }
        guard var compiled = try compiler.compile(operand) else { throw Self.wrong }
        try setKey(of: &compiled.plan, isDefinition: compiled.definition != nil)
        if let problem = DropFileName.problem(compiled.file) {
            throw ToolError(
                "unable to submit \(operand): \(problem); rename it, or submit it by standard input "
                    + "and --name",
                status: ExitStatus.usage)
        }
        return (compiled.drop, [nil], compiled.definition != nil)
    }

    private func setKey(of plan: inout Plan, isDefinition: Bool) throws(ToolError) {
        guard let key else { return }
        guard !isDefinition, let root = plan.root?.number,
            let place = plan.tasks.firstIndex(where: { $0.number == root })
        else {
            throw ToolError(
                "unable to use --key=\(key): a unit with [RunIf] runs once for each of its times",
                status: ExitStatus.usage)
        }
        plan.tasks[place].spec[.key] = [key]
    }

    // Its diagnostics are printed.
    private static let wrong = ToolError("", status: ExitStatus.usage)
}
