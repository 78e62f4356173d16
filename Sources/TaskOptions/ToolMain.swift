// SPDX-License-Identifier: Apache-2.0
public import ArgumentParser
import Linux
import SystemPackage
import TaskHistory
import TaskJournal
import TaskModel
import TaskTool

/// The outer frame of a program that people type: parses, runs, and turns what was thrown into a
/// message and an exit status. Wrong usage exits 2 (task(1), EXIT STATUS).
public enum ToolMain {
    /// What `--version` and `-V` print.
    public static func version(of program: String) -> String {
        "\(program) (taskspool) \(Version.text)"
    }

    public static func run(_ program: any ParsableCommand.Type) -> Never {
        let name = program.configuration.commandName ?? "task"
        var arguments = Array(Caller.arguments.dropFirst())
        if arguments.first == "-V" { arguments[0] = "--version" }
        arguments = helpLast(program, commandFirst(arguments))
        if let problem = unknownCommand(program, arguments.first) { Reporter(name).fail(problem) }
        do {
            var command = try direct(program, arguments) ?? program.parseAsRoot(arguments)
            try command.run()
            Caller.exit(ExitStatus.ok)
        } catch let error as ToolError {
            Reporter(name).fail(error)
        } catch {
            explain(error, program, name)
        }
    }

    // `task --spool=DIR status` means `task status --spool=DIR`.
    private static func commandFirst(_ words: [String]) -> [String] {
        var rest = words[...]
        var moved: [String] = []
        while let word = rest.first {
            if word.hasPrefix("--spool=") {
                moved.append(rest.removeFirst())
            } else if word == "--spool", rest.count > 1 {
                moved += rest.prefix(2)
                rest.removeFirst(2)
            } else {
                break
            }
        }
        guard let command = rest.first, !command.hasPrefix("-") else { return words }
        return [command] + moved + rest.dropFirst()
    }

    // `task help status` means `task status --help`: what is passed on tells its options itself.
    private static func helpLast(
        _ program: any ParsableCommand.Type, _ words: [String]
    ) -> [String] {
        guard words.count == 2, words[0] == "help",
            program.configuration.subcommands.contains(where: {
                $0.configuration.commandName == words[1]
            })
        else { return words }
        return [words[1], "--help"]
    }

    // A command that its first word names is parsed by itself: half the time of one that builds the
    // whole tree first. What is wrong, and --help, is for the tree to say.
    private static func direct(
        _ program: any ParsableCommand.Type, _ arguments: [String]
    ) -> (any ParsableCommand)? {
        guard let word = arguments.first, !word.hasPrefix("-") else { return nil }
        let command = program.configuration.subcommands.first {
            $0.configuration.commandName == word
        }
        let rest = Array(arguments.dropFirst())
        // The tree's help has the program's name in it; what is passed on has help of its own.
        let isPassedOn = command is any DirectCommand.Type && !(command is any ManyOperands.Type)
        if !isPassedOn, rest.contains(where: { $0 == "-h" || $0 == "--help" }) { return nil }
        if let command = command as? any DirectCommand.Type { return try? command.direct(rest) }
        return try? command?.parseAsRoot(rest)
    }

    private static func unknownCommand(
        _ program: any ParsableCommand.Type, _ word: String?
    ) -> ToolError? {
        guard let word, !word.hasPrefix("-") else { return nil }
        let names = program.configuration.subcommands.compactMap { $0.configuration.commandName }
        if names.isEmpty || word == "help" || names.contains(word) { return nil }
        let near = names.filter { $0.hasPrefix(word) || word.hasPrefix($0) }
        let shown = near.isEmpty ? names : near
        return ToolError(
            "there is no command \(word), nothing was done: "
                + (near.isEmpty ? "one of " : "you may mean ") + shown.joined(separator: ", "),
            status: ExitStatus.usage)
    }

    private static func explain(
        _ error: any Error, _ program: any ParsableCommand.Type, _ name: String
    ) -> Never {
        let code = program.exitCode(for: error)
        if let exit = error as? ExitCode { Caller.exit(exit.rawValue) }
        if error is HistoryError || error is JournalError || error is Errno {
            Reporter(name).fail(ToolError.reading(error))
        }
        var text = program.fullMessage(for: error)
        if !text.hasSuffix("\n") { text += "\n" }
        guard code != .success else {
            try? File.writeAll(Array(text.utf8), to: 1)
            Caller.exit(ExitStatus.ok)
        }
        if text.hasPrefix("Error: ") {
            text = "\(name): error: " + text.dropFirst("Error: ".utf8.count)
        }
        try? File.writeAll(Array(text.utf8), to: 2)
        Caller.exit(code == .validationFailure ? ExitStatus.usage : code.rawValue)
    }
}
