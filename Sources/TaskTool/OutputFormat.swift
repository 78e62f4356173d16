// SPDX-License-Identifier: Apache-2.0

/// How rows are printed: `-o table|json|jsonl|csv|plain`.
public enum OutputFormat: String, CaseIterable, Sendable {
    /// Aligned columns for people.
    case table
    /// One document: `{"schema":"task/1","items":[…]}`.
    case json
    /// One bare JSON object a line.
    case jsonl
    /// RFC 4180 with a header line; lines end with LF.
    case csv
    /// Fields divided by one tab, no header; `-` is absent; tab, LF and `\` are `\t`, `\n`, `\\`.
    case plain

    /// `table|json|jsonl|csv|plain`.
    public static var choices: String { allCases.map(\.rawValue).joined(separator: "|") }
}

/// One column of a table, one key of a JSON object.
public struct Column: Equatable, Sendable {
    /// The JSON key and CSV header: `cpu_us`.
    public var key: String
    /// The heading of a table; nil leaves the column out of tables.
    public var heading: String?
    /// Left out of a table that the terminal is too narrow for.
    public var isExtra: Bool

    public init(_ key: String, _ heading: String?, isExtra: Bool = false) {
        self.key = key
        self.heading = heading
        self.isExtra = isExtra
    }

    /// A column whose heading is its key in capitals.
    public init(_ key: String) {
        self.init(key, key.uppercased())
    }
}
