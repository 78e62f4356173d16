// SPDX-License-Identifier: Apache-2.0
import Linux
public import SystemPackage

/// Why a program cannot go on: the sentence after `prog: error: ` and the exit status.
public struct ToolError: Error, Equatable, Sendable {
    public var sentence: String
    public var status: Int32

    public init(_ sentence: String, status: Int32) {
        self.sentence = sentence
        self.status = status
    }

    /// `unable to VERB OBJECT: REASON, CONSEQUENCE`.
    ///
    /// - Parameters:
    ///   - reason: the errno of the failed call.
    ///   - consequence: what it means for the user; nil where the reason says all.
    ///   - status: nil takes what suits the errno: 75 no space, 77 not allowed, else 74.
    public init(
        unableTo verb: String, _ object: String, _ reason: Errno, _ consequence: String? = nil,
        status: Int32? = nil
    ) {
        self.init(
            "unable to \(verb) \(object): \(reason)" + (consequence.map { ", \($0)" } ?? ""),
            status: status ?? Self.status(of: reason))
    }

    private static func status(of reason: Errno) -> Int32 {
        switch reason {
        case .noSpace, .diskQuotaExceeded, .tooManyOpenFiles, .tooManyOpenFilesInSystem, .noMemory:
            ExitStatus.tryLater
        case .permissionDenied, .notPermitted: ExitStatus.noPermission
        default: ExitStatus.ioError
        }
    }
}

/// Messages on standard error: `prog: level: sentence`, one line each.
public struct Reporter: Sendable {
    public enum Level: String, Sendable {
        case error, warning, notice

        /// The number of syslog(3).
        fileprivate var priority: Int {
            switch self {
            case .error: 3
            case .warning: 4
            case .notice: 5
            }
        }
    }

    public let program: String
    /// `--quiet`: notices are left out.
    public var isQuiet = false

    private let hasPriorities: Bool

    public init(_ program: String) {
        self.program = program
        hasPriorities = false
    }

    /// Of a daemon: where systemd takes its lines, each has the priority that sd-daemon(3) reads.
    public init(daemon program: String) {
        self.program = program
        hasPriorities = Caller.environment("JOURNAL_STREAM") != nil
    }

    /// Writes one message; control characters in it are made visible.
    public func say(_ level: Level, _ sentence: String) {
        if level == .notice, isQuiet { return }
        let mark = hasPriorities ? "<\(level.priority)>" : ""
        let line = "\(mark)\(program): \(level.rawValue): \(HumanText.printable(sentence))\n"
        // Nobody is left to be told when standard error is gone.
        try? File.writeAll(Array(line.utf8), to: 2)
    }

    public func error(_ sentence: String) { say(.error, sentence) }
    public func warning(_ sentence: String) { say(.warning, sentence) }
    public func notice(_ sentence: String) { say(.notice, sentence) }

    /// Lines that carry their own place, as `file:line:column: …` of a diagnostic, unprefixed.
    public func lines(_ lines: [String]) {
        var bytes: [UInt8] = []
        for line in lines {
            bytes.append(contentsOf: HumanText.printable(line).utf8)
            bytes.append(UInt8(ascii: "\n"))
        }
        try? File.writeAll(bytes, to: 2)
    }

    /// Says why and ends the program.
    public func fail(_ error: ToolError) -> Never {
        self.error(error.sentence)
        Caller.exit(error.status)
    }
}
