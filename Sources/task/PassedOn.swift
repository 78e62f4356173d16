// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import TaskOptions
import TaskTool

// Commands that another program of the suite answers: it is started in this one's place with the
// same options, so that there is one implementation and one page for each.

/// A command that becomes `PROGRAM VERB ARGUMENTS…`.
protocol PassedOn: DirectCommand {
    static var program: String { get }
    static var verb: String { get }
    var arguments: [String] { get set }
}

extension PassedOn {
    static func configuration(_ abstract: String) -> CommandConfiguration {
        CommandConfiguration(
            commandName: verb, abstract: abstract,
            discussion: "The same as `\(program) \(verb)`, with all of its options.")
    }

    static func direct(_ words: [String]) throws -> any ParsableCommand {
        var command = try parse([])
        command.arguments = words
        return command
    }

    func run() throws { try Sibling.execute(Self.program, [Self.verb] + arguments) }
}

struct LintCommand: PassedOn {
    static let program = "taskdep"
    static let verb = "lint"
    static var configuration: CommandConfiguration {
        configuration("Says what is wrong with units, all errors at once.")
    }
    @Argument(
        parsing: .captureForPassthrough, help: "Options and operands of taskdep lint.",
        completion: .file())
    var arguments: [String] = []
}

struct OrderCommand: PassedOn {
    static let program = "taskdep"
    static let verb = "order"
    static var configuration: CommandConfiguration {
        configuration("Prints what runs before what, level by level.")
    }
    @Argument(
        parsing: .captureForPassthrough, help: "Options and operands of taskdep order.",
        completion: .file())
    var arguments: [String] = []
}

struct CheckCommand: PassedOn {
    static let program = "taskdep"
    static let verb = "check"
    static var configuration: CommandConfiguration {
        configuration("Runs the [Checks] of a unit, and nothing else of it.")
    }
    @Argument(
        parsing: .captureForPassthrough, help: "Options and operands of taskdep check.",
        completion: .file())
    var arguments: [String] = []
}

struct LogsCommand: PassedOn {
    static let program = "tasklog"
    static let verb = "logs"
    static var configuration: CommandConfiguration {
        configuration("Prints the output of a task.")
    }
    @Argument(
        parsing: .captureForPassthrough, help: "Options and operands of tasklog logs.",
        completion: .options(of: program, "logs"))
    var arguments: [String] = []
}

struct AuditCommand: PassedOn {
    static let program = "tasklog"
    static let verb = "audit"
    static var configuration: CommandConfiguration {
        configuration("Prints every change of state of a task.")
    }
    @Argument(
        parsing: .captureForPassthrough, help: "Options and operands of tasklog audit.",
        completion: .options(of: program, "audit"))
    var arguments: [String] = []
}

struct QueryCommand: PassedOn {
    static let program = "tasklog"
    static let verb = "query"
    static var configuration: CommandConfiguration {
        configuration("Answers SQL over the history.")
    }
    @Argument(
        parsing: .captureForPassthrough, help: "Options and operands of tasklog query.",
        completion: .options(of: program, "query"))
    var arguments: [String] = []
}

struct StatusCommand: PassedOn {
    static let program = "tasklog"
    static let verb = "status"
    static var configuration: CommandConfiguration {
        configuration("Shows where a run stands: its tasks, results, the end of its output.")
    }
    @Argument(
        parsing: .captureForPassthrough, help: "Options and operands of tasklog status.",
        completion: .options(of: program, "status"))
    var arguments: [String] = []
}

struct ListCommand: PassedOn {
    static let program = "tasklog"
    static let verb = "list"
    static var configuration: CommandConfiguration {
        configuration("Lists runs, the newest first.")
    }
    @Argument(
        parsing: .captureForPassthrough, help: "Options and operands of tasklog list.",
        completion: .options(of: program, "list"))
    var arguments: [String] = []
}
