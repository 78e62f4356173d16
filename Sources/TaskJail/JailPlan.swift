// SPDX-License-Identifier: Apache-2.0
import CLinux
import TaskModel

/// A jail as data: the steps that build it, in the order in which they are performed, for printing
/// and for `Launcher.start`. A value; making one opens nothing.
public struct JailPlan: Sendable {
    /// Who performs a step.
    public enum Place: String, Sendable {
        /// Once for all jails: the launchers.
        case once
        case parent
        /// The slot's launcher, for each attempt.
        case launcher
        case initial = "init"
        case task
    }

    /// One printed step.
    public struct Line: Equatable, Sendable {
        public var place: Place
        public var what: String
        public var detail: String
        public var comment: String?
        /// `NAME OBJECT` of its system calls, in their order; for `-o json`.
        public var calls: [String] = []
    }

    public private(set) var request: JailRequest
    /// The environment of every program, but for what names the attempt.
    public let environment: [String]
    /// Limits that are weaker than asked for, by directive name: for `weak=` of the start event.
    public let weak: [String]
    /// What this machine or this user leaves open, a sentence each.
    public let warnings: [String]
    /// The printed steps.
    public let lines: [Line]
    let title: String
    let facts: HostFacts
    let ops: JailOps
    /// Its private files lie in a quota directory.
    let usesQuota: Bool
    /// The steps as the launcher reads them.
    private(set) var image: RequestImage
    #if DEBUG
        /// Makes a step fail, for a test.
        package var fault: JailFault?
    #endif

    /// Compiles a request for this machine.
    ///
    /// - Parameter facts: those of the launcher that will run it (`Launcher.facts`).
    /// - Throws: 226 where user namespaces are refused, 219 for a limit that cannot be had (strict,
    ///   or as root), 200 for a directory that cannot be used, 203 for an empty program and for more
    ///   arguments, environment and files than 2 MiB hold.
    public init(_ request: JailRequest, facts: HostFacts) throws(JailError) {
        var builder = JailBuilder(request, facts)
        try builder.build()
        self.request = request
        environment = builder.environment
        weak = builder.weak
        warnings = builder.warnings
        lines = builder.lines
        title = builder.title
        self.facts = facts
        ops = builder.ops
        usesQuota = builder.usedQuota != nil
        image = try RequestImage(builder)
    }

    /// The same jail for other programs, as many: the jail does not hang on them. What is printed stays.
    ///
    /// - Throws: 203 for an empty or a bad word, and for more than 2 MiB.
    public func running(_ programs: [JailProgram]) throws(JailError) -> JailPlan {
        for word in programs.flatMap(\.arguments) where word.utf8.contains(0) {
            throw JailError(.execute, "unable to pass an argument: it contains a NUL byte")
        }
        for program in programs where program.arguments.first?.isEmpty ?? true {
            throw JailError(.execute, "unable to execute a program without a name")
        }
        var plan = self
        plan.request.programs = programs
        plan.image = try image.running(programs)
        return plan
    }

    /// The plan as `taskrun --plan` prints it.
    public func text() -> String {
        var text = "# \(SafeText.printable(title))\n"
        for (index, line) in lines.enumerated() {
            let number = String(index + 1)
            text += String(repeating: " ", count: max(0, 2 - number.utf8.count)) + number + " "
            text += Self.padded(line.place.rawValue, 8) + " " + Self.padded(line.what, 9) + " "
            text += SafeText.printable(line.detail)
            if let comment = line.comment { text += "  # " + comment }
            text += "\n"
        }
        for warning in warnings { text += "warning: \(SafeText.printable(warning))\n" }
        return text + "weak: " + (weak.isEmpty ? "none" : weak.joined(separator: ",")) + "\n"
    }

    /// The same as one JSON object (`-o json`), schema `task/1`.
    public func json() -> String {
        let steps = lines.enumerated().map { index, line in
            var text = "{\"n\":\(index + 1),\"where\":\(Self.quoted(line.place.rawValue))"
            text += ",\"what\":\(Self.quoted(line.what)),\"detail\":\(Self.quoted(line.detail))"
            if let comment = line.comment { text += ",\"comment\":\(Self.quoted(comment))" }
            return text + ",\"calls\":" + Self.list(line.calls) + "}"
        }
        let who = request.identity
        return "{\"schema\":\"task/1\",\"unit\":\(Self.quoted(request.unit))"
            + ",\"user\":\(Self.quoted(who.user)),\"uid\":\(who.uid)"
            + ",\"as\":\(who.outside?.uid ?? 0)"
            + ",\"kernel\":\(Self.quoted(facts.kernel)),\"landlock\":\(facts.landlock)"
            + ",\"cgroup\":\(Self.quoted(facts.cgroups))"
            + ",\"weak\":" + Self.list(weak) + ",\"warnings\":" + Self.list(warnings)
            + ",\"steps\":[\(steps.joined(separator: ","))]}"
    }

    private static func list(_ words: [String]) -> String {
        "[" + words.map(quoted).joined(separator: ",") + "]"
    }

    private static func padded(_ word: String, _ width: Int) -> String {
        word + String(repeating: " ", count: max(0, width - word.utf8.count))
    }

    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\t": result += "\\t"
            default:
                if scalar.value >= 0x20 {
                    result.unicodeScalars.append(scalar)
                } else {
                    let digits = String(scalar.value, radix: 16)
                    result += "\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits
                }
            }
        }
        return result + "\""
    }
}
