// SPDX-License-Identifier: Apache-2.0
public import SystemPackage

/// What goes wrong with journal and log segments.
public enum JournalError: Error, Equatable, Sendable {
    /// A system call on a file failed: what was tried, on which name.
    case io(verb: String, name: String, errno: Errno)
    /// No space and no reserve is left. What was appended is kept in memory: call `flush` again.
    case full(errno: Errno)
    /// A line longer than `EventLine.longest`, in bytes.
    case tooLong(Int)
    /// fdatasync failed three times in a row on three segments: nothing can be made durable.
    case notDurable(errno: Errno)
    /// A compressed segment does not read as the one that it was made of.
    case unlike(name: String)
    /// A segment of a newer, or no, format.
    case format(name: String)

    /// The rest of a message `unable to …`: verb, object, reason.
    public var sentence: String {
        switch self {
        case .io(let verb, let name, let errno): "\(verb) \(name): \(errno)"
        case .full(let errno): "write the journal: \(errno), and its reserve is used up"
        case .tooLong(let count): "append a line of \(count) bytes: at most 16384 are allowed"
        case .notDurable(let errno): "make the journal durable: \(errno), three times in a row"
        case .unlike(let name): "compress \(name): what was written reads otherwise"
        case .format(let name): "read \(name): its format is not version 1"
        }
    }

    /// Runs a call and says what it was for when it fails.
    static func io<Result: ~Copyable>(
        _ verb: String, _ name: String, _ call: () throws(Errno) -> Result
    ) throws(JournalError) -> Result {
        do {
            return try call()
        } catch {
            throw .io(verb: verb, name: name, errno: error)
        }
    }
}
