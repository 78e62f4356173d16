// SPDX-License-Identifier: Apache-2.0
import TaskModel

/// PostgreSQL's text form of an array (SQL manual, "Array Input and Output Syntax"): `{1,NULL,"a b"}`.
///
/// A column of equal values is written as one of them: the functions of the ledger spread it again.
enum ArrayText {
    /// - Parameters:
    ///   - isWhole: each value is written, also where all are equal.
    ///   - element: appends one value; `nil` values are written as NULL.
    static func of<Value: Equatable>(
        _ values: [Value?], isWhole: Bool = false, _ element: (Value, inout [UInt8]) -> Void
    ) -> [UInt8] {
        let isUniform = !isWhole && values.dropFirst().allSatisfy { $0 == values.first }
        var bytes = [UInt8(ascii: "{")]
        for value in isUniform ? values.prefix(1) : values[...] {
            if bytes.count > 1 { bytes.append(UInt8(ascii: ",")) }
            guard let value else {
                bytes += Array("NULL".utf8)
                continue
            }
            element(value, &bytes)
        }
        bytes.append(UInt8(ascii: "}"))
        return bytes
    }

    static func uuids(_ ids: [TaskID]) -> [UInt8] {
        of(ids.map { UUID($0) }, isWhole: true) { $0.append(to: &$1) }
    }

    static func number(_ value: some BinaryInteger, _ bytes: inout [UInt8]) {
        bytes += Array(String(value).utf8)
    }

    /// Always quoted: a bare NULL would be none. A NUL, which no text of PostgreSQL can hold, is left out, and
    /// so is what is more than a name may have.
    static func text(_ value: String, _ bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "\""))
        var left = LedgerLimits.name
        for scalar in value.unicodeScalars where scalar.value != 0 {
            let utf8 = UTF8.encode(scalar).map { Array($0) } ?? []
            left -= utf8.count
            if left < 0 { break }
            if scalar == "\"" || scalar == "\\" { bytes.append(UInt8(ascii: "\\")) }
            bytes += utf8
        }
        bytes.append(UInt8(ascii: "\""))
    }
}

/// What one round carries at most.
public enum LedgerLimits {
    /// Bytes of ends in a round (task-ledger(7)).
    public static let round = 256 << 10
    /// Bytes of a name or a unit.
    static let name = 255
    /// Segments whose cursor is asked for in a round.
    public static let questions = 100
}
