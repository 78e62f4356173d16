// SPDX-License-Identifier: Apache-2.0

/// One call of a function of the ledger, with its parameters in PostgreSQL's text form.
public struct Statement: Equatable, Sendable {
    public var text: String
    /// nil is NULL.
    public var parameters: [[UInt8]?]

    enum Value {
        case null
        case number(Int64)
        case uuid(UUID?)
        case text(String)
        case bytes([UInt8])

        var parameter: [UInt8]? {
            switch self {
            case .null, .uuid(nil): nil
            case .number(let number): Array(String(number).utf8)
            case .uuid(let uuid?): Array(uuid.description.utf8)
            case .text(let text): Array(text.utf8)
            case .bytes(let bytes): bytes
            }
        }
    }

    /// `SELECT * FROM ledger.FUNCTION($1, …)`.
    init(_ function: String, _ values: [Value]) {
        let places = values.indices.map { "$\($0 + 1)" }.joined(separator: ", ")
        text = "SELECT * FROM ledger.\(function)(\(places))"
        parameters = values.map(\.parameter)
    }
}

/// What a statement answered: its rows, each column as text.
public struct Answer: Equatable, Sendable {
    public var rows: [[String?]]

    public init(rows: [[String?]]) { self.rows = rows }

    /// A column of the first row.
    func text(_ column: Int) -> String? {
        guard let row = rows.first, row.indices.contains(column) else { return nil }
        return row[column]
    }

    func number(_ column: Int) -> Int64? { text(column).flatMap { Int64($0) } }
    func uuid(_ column: Int) -> UUID? { text(column).flatMap { UUID($0) } }
    func isTrue(_ column: Int) -> Bool { text(column) == "t" }
}

/// An error as the server or the library told it.
public struct LedgerFailure: Equatable, Sendable {
    /// SQLSTATE, five characters; nil where there is none.
    public var code: String?
    public var message: String

    public init(code: String?, message: String) {
        self.code = code
        self.message = message
    }
}

/// How a pipelined transaction ended, as far as the connection can tell.
public enum Reply: Equatable, Sendable {
    /// It was committed, with an answer for each statement.
    case answers([Answer])
    /// The server refused it.
    case failed(LedgerFailure)
    /// The connection broke, or a warning came that takes the word for a commit back.
    case lost(LedgerFailure)
}
