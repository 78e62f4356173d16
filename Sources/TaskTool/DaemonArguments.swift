// SPDX-License-Identifier: Apache-2.0

/// What the command line of a daemon asks for. It has options alone: `--name=value`, `--name value`, flags.
///
/// The daemons do without ArgumentParser, which brings FoundationEssentials.
public enum DaemonArguments<Options> {
    case run(Options)
    case help
    case version
    /// The sentence that says what is wrong, and what is allowed or where to look.
    case wrong(String)

    /// Reads arguments up to the first that decides: `--help`, `--version`, or what is wrong.
    ///
    /// - Parameters:
    ///   - program: whose `--help` is named.
    ///   - names: the options that take a value, and those that take none.
    ///   - defaults: what is not given.
    ///   - set: takes a value, that of a flag is empty; what is allowed instead, nil: it was taken.
    public static func read(
        _ arguments: some Sequence<String>, of program: String, _ names: DaemonOptionNames,
        defaults: Options, set: (inout Options, _ name: String, _ value: String) -> String?
    ) -> Self {
        var options = defaults
        var rest = Array(arguments)[...]
        while let argument = rest.popFirst() {
            if argument == "--help" || argument == "-h" { return .help }
            if argument == "--version" || argument == "-V" { return .version }
            if names.flags.contains(argument) {
                _ = set(&options, argument, "")
                continue
            }
            let parts = argument.split(
                separator: "=", maxSplits: 1, omittingEmptySubsequences: false
            ).map(String.init)
            guard let name = parts.first, names.valued.contains(name) else {
                return .wrong("unknown argument \(argument): see \(program) --help")
            }
            guard let value = parts.count > 1 ? parts[1] : rest.popFirst() else {
                return .wrong("\(name) needs a value: see \(program) --help")
            }
            if let allowed = set(&options, name, value) {
                return .wrong("\(name)=\(value): \(allowed)")
            }
        }
        return .run(options)
    }
}

/// The options that a daemon knows, as they are written.
public struct DaemonOptionNames: Sendable {
    public var valued: Set<String>
    public var flags: Set<String>

    public init(valued: Set<String>, flags: Set<String> = []) {
        self.valued = valued
        self.flags = flags
    }
}

extension DaemonArguments: Equatable where Options: Equatable {}
extension DaemonArguments: Sendable where Options: Sendable {}
