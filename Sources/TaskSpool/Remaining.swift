// SPDX-License-Identifier: Apache-2.0
public import TaskModel

/// A success that counts again for a while: `RemainAfterExit=`.
public struct Remaining: Equatable, Sendable {
    /// Microseconds since 1970.
    public var until: Int64
    /// The task that succeeded.
    public var ref: TaskRef
    /// What it left.
    public var result: ResultPlace?

    public init(until: Int64, ref: TaskRef, result: ResultPlace? = nil) {
        self.until = until
        self.ref = ref
        self.result = result
    }

    /// Appends its line in a checkpoint.
    func append(_ key: String, to bytes: inout [UInt8]) {
        var line = "remain \(key) \(until) \(ref)"
        if let result { line += " \(result.place) \(result.digest)" }
        bytes.append(contentsOf: "\(line)\n".utf8)
    }

    /// From the words behind the key.
    init?(_ words: ArraySlice<String>) {
        let words = Array(words)
        guard words.count == 2 || words.count == 4, let until = Int64(words[0]),
            let ref = TaskRef(words[1])
        else { return nil }
        self.init(
            until: until, ref: ref,
            result: words.count == 4 ? ResultPlace(place: words[2], digest: words[3]) : nil)
    }
}
