// SPDX-License-Identifier: Apache-2.0

/// A place in a file that a person can go to. Lines and columns count from 1, columns in bytes.
public struct Place: Hashable, Sendable, CustomStringConvertible {
    public var file: String
    public var line: Int
    public var column: Int

    public init(file: String, line: Int, column: Int = 1) {
        self.file = file
        self.line = line
        self.column = column
    }

    /// `file:line`.
    public var description: String { "\(file):\(line)" }
}

/// What is wrong with a unit, where, and what is allowed.
public struct Diagnostic: Hashable, Sendable, Error {
    /// Whether the unit is refused.
    public enum Severity: Sendable { case error, warning }

    public var severity: Severity
    public var place: Place
    public var what: String
    public var allowed: String

    public init(_ severity: Severity, _ place: Place, _ what: String, _ allowed: String) {
        self.severity = severity
        self.place = place
        self.what = what
        self.allowed = allowed
    }

    /// `file:line:column: what is wrong: what is allowed`, with `warning: ` before the latter two.
    public var text: String {
        let word = severity == .warning ? "warning: " : ""
        return "\(place.file):\(place.line):\(place.column): \(word)\(what): \(allowed)"
    }
}

/// The diagnostics of a parse, all of them up to a limit.
struct DiagnosticList {
    /// More are counted, not kept: a file of garbage shall not make a megabyte of text.
    static let limit = 100
    private(set) var all: [Diagnostic] = []
    private var left = 0

    /// What is not kept is not worded either: the nearest known key costs more than its line.
    mutating func error(
        _ place: Place, _ what: @autoclosure () -> String, _ allowed: @autoclosure () -> String
    ) {
        if isFull { countMore() } else { all.append(Diagnostic(.error, place, what(), allowed())) }
    }

    mutating func warning(_ place: Place, _ what: String, _ allowed: String) {
        add(Diagnostic(.warning, place, what, allowed))
    }

    mutating func add(_ diagnostic: Diagnostic) {
        if isFull { countMore() } else { all.append(diagnostic) }
    }

    private var isFull: Bool { all.count >= Self.limit }

    private mutating func countMore() {
        left += 1
        all[Self.limit - 1].what = "\(left + 1) more problems"
        all[Self.limit - 1].allowed = "correct those above first"
        all[Self.limit - 1].severity = .error
    }

    /// File by file, from the top of each down.
    var sorted: [Diagnostic] {
        var files: [String: Int] = [:]
        for diagnostic in all where files[diagnostic.place.file] == nil {
            files[diagnostic.place.file] = files.count
        }
        func rank(_ diagnostic: Diagnostic) -> (Int, Int, Int) {
            let place = diagnostic.place
            return (files[place.file] ?? 0, place.line, place.column)
        }
        return all.sorted { rank($0) < rank($1) }
    }
}
