// SPDX-License-Identifier: Apache-2.0

/// Why the history does not answer.
public enum HistoryError: Error, Equatable, Sendable {
    /// The user's SQL is wrong, or asks for more than reading: SQLite's message.
    case query(String)
    /// The user's SQL took longer than it may, in seconds.
    case tooLong(Int)
    /// The index cannot be read or written; it can always be built again from the journal.
    case index(String)
    /// The index is damaged or of another version: it is built anew.
    case damaged(String)
    /// The journal cannot be read.
    case journal(String)

    /// The rest of a message `unable to …`.
    public var sentence: String {
        switch self {
        case .query(let message): "answer the query: \(message)"
        case .tooLong(let seconds): "answer the query: it took more than \(seconds) s"
        case .index(let message), .damaged(let message): "use the index of the history: \(message)"
        case .journal(let message): message
        }
    }
}
