// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import TaskOptions
import TaskTool

/// `task`: the user's front of the spool. Parses, asks the other programs or the spool itself.
@main
struct TaskProgram: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "task",
        abstract: "Submits tasks to a spool, follows them and moves them.",
        discussion: """
            A task is a file. `task run site.task` runs one now; `task submit site.task` hands it \
            to taskd. RUN is an id, the end of one (4 characters or more), a unit's name (its \
            latest run) or `last`; RUN.K is one task of a run. See task(1).
            """,
        version: ToolMain.version(of: "task"),
        groupedSubcommands: [
            CommandGroup(
                name: "Running",
                subcommands: [SubmitCommand.self, RunCommand.self, WaitCommand.self]),
            CommandGroup(
                name: "Moving",
                subcommands: [
                    CancelCommand.self, HoldCommand.self, ReleaseCommand.self, RetryCommand.self,
                ]),
            CommandGroup(
                name: "Unit",
                subcommands: [
                    LintCommand.self, OrderCommand.self, GraphCommand.self, CheckCommand.self,
                    ImportCrontabCommand.self,
                ]),
            CommandGroup(
                name: "History",
                subcommands: [
                    StatusCommand.self, ListCommand.self, LogsCommand.self, AuditCommand.self,
                    ExplainCommand.self,
                    QueryCommand.self,
                ]),
            CommandGroup(name: "Spool", subcommands: [FsckCommand.self, ConfigCommand.self]),
        ])

    static func main() { ToolMain.run(Self.self) }
}

/// What every message of this program begins with.
let reporter = Reporter("task")
