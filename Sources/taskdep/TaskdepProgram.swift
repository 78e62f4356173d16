// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import TaskOptions
import TaskTool

/// `taskdep`: dependencies. Reads units, writes lines; asks systemd for what only it knows.
@main
struct TaskdepProgram: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "taskdep",
        abstract: "Compiles units into plans, and puts what depends on each other into order.",
        discussion: """
            FILE is a unit, a script, a pipeline or a plan. It writes no file. \
            Example: taskdep plan site.task | taskrun -. See taskdep(1).
            """,
        version: ToolMain.version(of: "taskdep"),
        subcommands: [
            PlanCommand.self, LintCommand.self, OrderCommand.self, GraphCommand.self,
            CheckCommand.self, AwaitCommand.self, NextCommand.self,
        ])

    static func main() { ToolMain.run(Self.self) }
}

/// What every message of this program begins with.
let reporter = Reporter("taskdep")
