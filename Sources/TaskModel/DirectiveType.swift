// SPDX-License-Identifier: Apache-2.0

/// What a directive's value may be.
public enum DirectiveType: Sendable, Equatable {
    case text, token, flag, span, size, outputSize, share, restart, exitStatus, signal, user, path
    case relativePath, bind, unitName, package, commandLine, namedCommand, assignment, file
    case cron, systemCall, semaphore, input, output, credential
    /// Only in task.conf.
    case slots, diskSize
    /// A whole number in a range.
    case integer(ClosedRange<Int>)
    /// A whole number in a range, or infinity.
    case limit(ClosedRange<Int>)
    /// One of these words.
    case choice([String])
}

/// Why a value is none of its type.
public struct ValueProblem: Error, Equatable, Sendable {
    /// What is wrong.
    public let what: String
    /// What is allowed.
    public let allowed: String

    public init(what: String, allowed: String) {
        self.what = what
        self.allowed = allowed
    }
}

extension DirectiveType {
    /// What is allowed, in a few words that end a diagnostic.
    public var allowed: String {
        switch self {
        case .text: "one line of text"
        case .token: "a word without blanks"
        case .flag: "yes, no, true, false, on, off, 1 or 0"
        case .span: "a span such as 2s, 500ms, 1h 30min, or infinity"
        case .size: "a size such as 4096, 64M, 8G (K M G T = 1024), or infinity"
        case .outputSize: "a size such as 64M; 64M:fail where more is a failure"
        case .share: "a percentage such as 50% or 150%, or infinity"
        case .restart: "never, on-failure, or a number of further attempts such as 5"
        case .exitStatus: "a number from 0 to 255, or a signal such as SIGTERM"
        case .signal: "a signal such as SIGTERM or SIGINT"
        case .user: "a name or a number"
        case .path: "an absolute path"
        case .relativePath: "a path below Dir=, without .."
        case .bind: "SOURCE or SOURCE:TARGET, absolute paths"
        case .unitName: "names of units, of the characters A-Z a-z 0-9 @ . _ : -, at most 128"
        case .package: "a package URL such as pkg:pypi/requests@2.31.0"
        case .commandLine: "a program and its arguments"
        case .namedCommand: "NAME=\"COMMAND\", NAME of A-Z a-z 0-9 . _ -"
        case .assignment: "NAME=VALUE, NAME of A-Z a-z 0-9 _, not a digit first, not TASK_..."
        case .file: "PATH:MODE:SHA256"
        case .cron: "five fields such as */5 * * * *, @daily and the like, or @reboot"
        case .systemCall: "names of system calls or @groups, ~ before the first to refuse them"
        case .semaphore: "NAME or NAME:N"
        case .input: "null, file:PATH or text:TEXT"
        case .output: "log, journal, null or file:PATH"
        case .credential: "ID:PATH"
        case .slots: "a whole number from 1 to 4096, or auto"
        case .diskSize:
            "a size such as 512M, 8G (K M G T = 1024), a percentage such as 10%, or infinity"
        case .integer(let range): "a whole number from \(range.lowerBound) to \(range.upperBound)"
        case .limit(let range):
            "a whole number from \(range.lowerBound) to \(range.upperBound), or infinity"
        case .choice(let words): Self.list(words)
        }
    }

    private static func list(_ words: [String]) -> String {
        guard let last = words.last, words.count > 1 else { return words.first ?? "" }
        return words.dropLast().joined(separator: ", ") + " or " + last
    }

    /// The canonical spelling of one value.
    ///
    /// Equal meanings give equal text, so that equal units give equal plans.
    /// - Throws: what is wrong with it and what is allowed.
    public func canonical(_ text: String) throws(ValueProblem) -> String {
        guard text.utf8.allSatisfy({ $0 != 0 && $0 != 0x0a }) else {
            throw ValueProblem(what: "a NUL byte or a line end in a value", allowed: allowed)
        }
        guard let value = canonicalValue(text) else {
            throw ValueProblem(what: wrong(text), allowed: allowed)
        }
        return value
    }

    private func wrong(_ text: String) -> String {
        if text.isEmpty { return "no value" }
        let shown = text.utf8.count > 80 ? String(text.prefix(60)) + "..." : text
        if self == .size || self == .diskSize, let last = text.last, "bB".contains(last) {
            return "\(shown) is no size (write \(text.dropLast()))"
        }
        return "\(shown) is not understood"
    }

    private func canonicalValue(_ text: String) -> String? {
        switch self {
        case .text: text
        case .flag: Self.flag(text).map { $0 ? "yes" : "no" }
        case .span: TimeSpan(text)?.description
        case .size: ByteLimit(text)?.description
        case .outputSize: Self.outputSize(text)
        case .share: Self.share(text)
        case .slots: text == "auto" ? text : Self.number(text, 1...4096)
        case .diskSize: DiskSize(text)?.description
        case .restart: Self.restart(text)
        case .exitStatus: Self.number(text, 0...255) ?? Self.signal(text)
        case .signal: Self.signal(text)
        case .integer(let range): Self.number(text, range)
        case .limit(let range): text == "infinity" ? text : Self.number(text, range)
        case .choice(let words): words.contains(text) ? text : nil
        case .commandLine: (try? ShellWords.split(text))?.isEmpty == false ? text : nil
        case .namedCommand: Self.namedCommand(text)
        case .assignment: Self.assignment(text)
        default: canonicalName(text)
        }
    }

    private func canonicalName(_ text: String) -> String? {
        guard Self.isPlainlyDivided(text) else { return nil }
        return switch self {
        case .path: text.hasPrefix("/") && text.utf8.count < 4096 ? Self.cleaned(text) : nil
        case .relativePath: Self.relative(text)
        case .bind: Self.bind(text)
        case .file: Self.file(text)
        case .unitName: Self.isUnitName(text) ? text : nil
        case .package:
            text.hasPrefix("pkg:") && text.contains("/") && !Self.hasBlank(text) ? text : nil
        case .input: Self.stream(text, ["null"], ["file:/", "text:"])
        case .output: Self.stream(text, ["log", "journal", "null"], ["file:/"])
        case .credential: Self.credential(text)
        case .semaphore: Self.semaphore(text)
        case .systemCall: Self.systemCall(text)
        case .cron: Self.collapsed(text).isEmpty ? nil : Self.collapsed(text)
        default: text.isEmpty || Self.hasBlank(text) ? nil : text
        }
    }
}
