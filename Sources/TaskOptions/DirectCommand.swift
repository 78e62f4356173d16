// SPDX-License-Identifier: Apache-2.0
public import ArgumentParser

/// A command that reads its own words where the library would take too long.
public protocol DirectCommand: ParsableCommand {
    /// Parses the words after the command's name.
    ///
    /// - Throws: whatever the library says of them; it is asked again for the message.
    static func direct(_ words: [String]) throws -> any ParsableCommand
}

/// A command with any number of operands, of which thousands are no exception: the library's time
/// for them grows with their square.
public protocol ManyOperands: DirectCommand {
    var operandWords: [String] { get set }
}

extension ManyOperands {
    public static func direct(_ words: [String]) throws -> any ParsableCommand {
        // An option's value may follow it; one operand is left for the library to miss.
        let last = words.lastIndex { $0.hasPrefix("-") }
        let count = min(words.count, last.map { $0 + 3 } ?? 1)
        guard count < words.count, !words.contains("--"),
            var command = try parseAsRoot(Array(words[..<count])) as? Self
        else { return try parseAsRoot(words) }
        command.operandWords += words[count...]
        return command
    }
}
