// SPDX-License-Identifier: Apache-2.0

/// Where the result of a task lies (`$TASK_RESULT`, task-jail(7)): `result=` and `digest=` of its end.
public struct ResultPlace: Hashable, Sendable {
    /// `SEGMENT:OFFSET+LENGTH`: its record in a log segment (task.journal(5)).
    public var place: String
    /// SHA-256 of its bytes: who reads it later believes nothing else.
    public var digest: String

    /// Bytes of a result, at most.
    public static let largest = 64 * 1024
    /// Bytes of all results that one attempt is given, at most.
    public static let largestInputs = 1 << 20

    public init(place: String, digest: String) {
        self.place = place
        self.digest = digest
    }

    /// Of an attempt's end; nil where it left none.
    public init?(_ end: EventLine) {
        guard let place = end["result"], let digest = end["digest"] else { return nil }
        self.init(place: place, digest: digest)
    }
}

/// A result that a task finds under a name in `$TASK_INPUTS`.
public struct NamedResult: Equatable, Sendable {
    /// Of the task that left it.
    public var name: String
    public var result: ResultPlace

    public init(name: String, result: ResultPlace) {
        self.name = name
        self.result = result
    }

    /// As a plan has it: `NAME:SEGMENT:OFFSET+LENGTH:SHA256`.
    public init?(_ text: String) {
        var parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count >= 4, let digest = parts.popLast(), let place = parts.popLast(),
            let segment = parts.popLast()
        else { return nil }
        self.init(
            name: parts.joined(separator: ":"),
            result: ResultPlace(place: "\(segment):\(place)", digest: String(digest)))
    }

    public var text: String { "\(name):\(result.place):\(result.digest)" }

    /// Whether a file can have that name.
    public static func isFileName(_ name: String) -> Bool {
        (1...128).contains(name.utf8.count) && name.utf8.first != UInt8(ascii: ".")
            && name.utf8.allSatisfy(\.isNameByte)
    }
}
