// SPDX-License-Identifier: Apache-2.0
import TaskModel

/// A crontab(5) as units: a job a line, with the variables that were set above it.
public struct Crontab: Sendable {
    /// One job.
    public struct Job: Equatable, Sendable {
        public var place: Place
        /// Five fields or @word, as `cron=` takes them.
        public var schedule: String
        /// The user column of /etc/crontab.
        public var user: String?
        /// What the shell gets, `\%` made `%`.
        public var command: String
        /// What follows the first `%`, divided by the others: lines of standard input.
        public var input: [String] = []
        /// Set above the line, in order, the last of a name.
        public var variables: [Variable] = []

        public struct Variable: Equatable, Sendable {
            public var name: String
            public var value: String
        }

        /// The value of a variable; nil where it is not set.
        public subscript(_ name: String) -> String? {
            variables.last { $0.name == name }?.value
        }
    }

    public private(set) var jobs: [Job] = []
    public private(set) var problems: [Diagnostic] = []
    private var variables: [Job.Variable] = []

    /// Reads a table.
    ///
    /// - Parameters:
    ///   - file: what diagnostics call it.
    ///   - isSystem: whether a column names the user, as in /etc/crontab and /etc/cron.d.
    public init(_ bytes: [UInt8], file: String, isSystem: Bool) {
        guard String(validating: bytes, as: UTF8.self) != nil, !bytes.contains(0) else {
            problems.append(
                Diagnostic(.error, Place(file: file, line: 1), "it is no text", "UTF-8"))
            return
        }
        let lines = bytes.split(separator: 0x0a, omittingEmptySubsequences: false)
        for (index, raw) in lines.enumerated() {
            let line = raw.last == 0x0d ? raw.dropLast() : raw
            take(line, Place(file: file, line: index + 1), isSystem)
        }
    }

    private mutating func take(_ line: ArraySlice<UInt8>, _ place: Place, _ isSystem: Bool) {
        var words = Words(rest: line, start: line.startIndex)
        words.skipBlanks()
        guard let first = words.rest.first, first != UInt8(ascii: "#") else { return }
        if let variable = Self.variable(words.rest) {
            variables.removeAll { $0.name == variable.name }
            return variables.append(variable)
        }
        var fields: [String] = []
        let count = first == UInt8(ascii: "@") ? 1 : 5
        for _ in 0..<count { if let word = words.next() { fields.append(word.text) } }
        guard fields.count == count else {
            return error(place, words.column, "\(fields.count) fields of five", "and a command")
        }
        var job = Job(place: place, schedule: fields.joined(separator: " "), command: "")
        if isSystem {
            guard let user = words.next() else {
                return error(place, words.column, "no user", "a user's name before the command")
            }
            job.user = user.text
        }
        words.skipBlanks()
        guard !words.rest.isEmpty else {
            return error(place, words.column, "no command", "a command behind the times")
        }
        (job.command, job.input) = Self.split(words.rest)
        job.variables = variables
        add(job)
    }

    private mutating func add(_ job: Job) {
        do throws(ValueProblem) {
            _ = try CronExpression(job.schedule)
            jobs.append(job)
        } catch {
            self.error(job.place, 1, error.what, error.allowed)
        }
    }

    private mutating func error(
        _ place: Place, _ column: Int, _ what: String, _ allowed: String
    ) {
        let there = Place(file: place.file, line: place.line, column: column)
        problems.append(Diagnostic(.error, there, what, allowed))
    }

    // MARK: - Lines

    /// Words and where they stand.
    private struct Words {
        var rest: ArraySlice<UInt8>
        let start: Int
        var column: Int { rest.startIndex - start + 1 }

        mutating func skipBlanks() { rest = rest.drop { $0.isBlank } }

        mutating func next() -> (text: String, column: Int)? {
            skipBlanks()
            let word = rest.prefix { !$0.isBlank }
            guard !word.isEmpty else { return nil }
            defer { rest = rest.dropFirst(word.count) }
            return (String(decoding: word, as: UTF8.self), column)
        }
    }

    /// `NAME = VALUE`, quotes around either taken off; nil for what is a job. Nothing is expanded.
    private static func variable(_ line: ArraySlice<UInt8>) -> Job.Variable? {
        guard let equals = line.firstIndex(of: UInt8(ascii: "=")) else { return nil }
        let name = unquoted(line[..<equals].trimmingBlanks())
        guard let first = name.first, first.isASCIILetter || first == UInt8(ascii: "_"),
            name.allSatisfy({ $0.isASCIILetter || $0.isASCIIDigit || $0 == UInt8(ascii: "_") })
        else { return nil }
        let value = unquoted(line[(equals + 1)...].trimmingBlanks())
        return Job.Variable(
            name: String(decoding: name, as: UTF8.self),
            value: String(decoding: value, as: UTF8.self))
    }

    private static func unquoted(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        guard text.count >= 2, let first = text.first, first == text.last,
            first == UInt8(ascii: "\"") || first == UInt8(ascii: "'")
        else { return text }
        return text.dropFirst().dropLast()
    }

    /// The command before the first `%` that no backslash quotes, and the lines that follow.
    private static func split(_ text: ArraySlice<UInt8>) -> (String, [String]) {
        var parts: [[UInt8]] = [[]]
        var isEscaped = false
        for byte in text {
            if byte == UInt8(ascii: "%") {
                if isEscaped {
                    parts[parts.count - 1].removeLast()
                } else {
                    parts.append([])
                    continue
                }
            }
            isEscaped = byte == UInt8(ascii: "\\")
            parts[parts.count - 1].append(byte)
        }
        // A last % ends the last line.
        if parts.count > 1, parts.last == [] { parts.removeLast() }
        let lines = parts.map { String(decoding: $0, as: UTF8.self) }
        return (lines[0], Array(lines.dropFirst()))
    }
}
