// SPDX-License-Identifier: Apache-2.0
public import Linux
import SystemPackage

/// The other programs of the suite: beside this one first, then on PATH.
public enum Sibling {
    /// Where a program is; nil when it is nowhere.
    public static func path(of name: String) -> String? {
        if let own = try? Caller.linkTarget("/proc/self/exe"), let slash = own.lastIndex(of: "/") {
            let beside = own[...slash] + name
            if Caller.isExecutable(String(beside)) { return String(beside) }
        }
        for directory in (Caller.environment("PATH") ?? "/usr/bin:/bin").split(separator: ":") {
            let candidate = "\(directory)/\(name)"
            if candidate.hasPrefix("/"), Caller.isExecutable(candidate) { return candidate }
        }
        return nil
    }

    /// Prepares a start of a sibling with this program's environment.
    public static func program(
        _ name: String, _ arguments: [String]
    ) throws(ToolError) -> Program {
        guard let path = path(of: name) else { throw absent(name) }
        return Program(
            path: path, arguments: [name] + arguments, environment: Caller.environment())
    }

    /// Becomes a sibling.
    public static func execute(_ name: String, _ arguments: [String]) throws(ToolError) -> Never {
        guard let path = path(of: name) else { throw absent(name) }
        do {
            try Caller.execute(
                path: path, arguments: [name] + arguments, environment: Caller.environment())
        } catch {
            throw ToolError(
                unableTo: "start", path, error, "nothing was done",
                status: ExitStatus.notExecutable)
        }
    }

    private static func absent(_ name: String) -> ToolError {
        ToolError(
            "unable to find \(name): it is neither beside this program nor on PATH, "
                + "nothing was done; install all programs of taskspool together",
            status: ExitStatus.missing)
    }
}
