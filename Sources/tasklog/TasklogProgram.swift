// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import TaskOptions
import TaskTool

/// `tasklog`: writes event lines into a spool's journal, and answers from it.
@main
struct TasklogProgram: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tasklog",
        abstract: "Keeps and shows the history of tasks.",
        discussion: """
            RUN is an id, the end of one (4 characters or more), a unit's name (its latest run) or \
            `last`; RUN.K is one task of a run. Without RUN it is the latest. See tasklog(1).
            """,
        version: ToolMain.version(of: "tasklog"),
        subcommands: [
            AppendCommand.self, LogsCommand.self, AuditCommand.self, StatusCommand.self,
            ListCommand.self, QueryCommand.self, ExportCommand.self, MetricsCommand.self,
            VerifyCommand.self, CompressCommand.self,
        ])

    static func main() { ToolMain.run(Self.self) }
}

/// What every message of this program begins with.
let reporter = Reporter("tasklog")

/// Which run or task, and how it is printed: the operands that most commands share.
struct RunQuestion: ParsableArguments {
    @OptionGroup var spool: SpoolOptions
    @OptionGroup var format: FormatOptions

    @Argument(
        help: ArgumentHelp(
            "An id, the end of one, a unit's name, or last. Default: last.", valueName: "run"),
        completion: .runs)
    var run: String?
}
