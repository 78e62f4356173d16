// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import TaskModel
import TaskOptions
import TaskTool

/// `taskdep lint`: what is wrong, and nothing else.
struct LintCommand: ManyOperands {
    static let configuration = CommandConfiguration(
        commandName: "lint",
        abstract: "Says what is wrong with units, all errors at once.",
        discussion: "Lines file:line:column: what is wrong: what is allowed. Exits 2 on an error.")

    @Argument(
        help: ArgumentHelp("Units, or - for standard input.", valueName: "file"),
        completion: .file())
    var files: [String]

    var operandWords: [String] {
        get { files }
        set { files = newValue }
    }

    func run() throws {
        var isWrong = false
        for file in files {
            do throws(ToolError) {
                let source = try UnitSource(file)
                guard let outcome = source.lint() else {
                    isWrong = true
                    continue
                }
                reporter.lines(outcome.plan.notYet.map { "\(source.file):1:1: warning: \($0)" })
            } catch {
                reporter.error(error.sentence)
                isWrong = true
            }
        }
        if isWrong { throw ExitCode(ExitStatus.usage) }
    }
}
