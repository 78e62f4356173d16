// SPDX-License-Identifier: Apache-2.0
public import ArgumentParser

/// What a shell offers where an operand is due. Each runs a program of ours when Tab is pressed, so
/// that names and options are always today's; nothing is offered where that fails.
extension CompletionKind {
    private static let names =
        "task list -n 500 -o plain --no-headers 2>/dev/null | cut -f 3 | sort -u; echo last"

    /// Names of recent runs, and `last`.
    public static var runs: CompletionKind { .shellCommand(names) }

    /// The long options of a command that another program answers, and names of runs.
    public static func options(of program: String, _ verb: String) -> CompletionKind {
        .shellCommand(
            "\(program) \(verb) --help | grep -oE -- '--[a-z][a-z-]+' | sort -u; \(names)")
    }
}
