// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import TaskTool

/// `taskdep plan`: the plan's bytes on standard output.
struct PlanCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan",
        abstract: "Prints the plan of a unit and of all that it requires.",
        discussion: """
            Equal units give equal bytes. A FILE that is a plan is verified and printed. \
            All errors are reported at once, as file:line:column; then it exits 2.
            """)

    @Argument(
        help: ArgumentHelp("A unit, or - for standard input.", valueName: "file"),
        completion: .file())
    var file = "-"

    func run() throws {
        let output = Output(paged: false)
        try output.write(try compile(file).encoded)
        try output.finish()
    }
}

/// Compiles an operand.
///
/// - Throws: exit 2 without a sentence where diagnostics have been printed.
func compile(_ operand: String) throws -> UnitSource.Outcome {
    guard let outcome = try UnitSource(operand).compile() else {
        throw ExitCode(ExitStatus.usage)
    }
    return outcome
}
