// SPDX-License-Identifier: Apache-2.0
import Linux
public import TaskModel

/// 128 bits as PostgreSQL's type uuid writes them. A run's id is one, too: it sorts the same way.
public struct UUID: Hashable, Sendable {
    public var high: UInt64
    public var low: UInt64

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    public init(_ id: TaskID) { self.init(high: id.high, low: id.low) }

    /// Random bits (getrandom(2)), none of them fixed: nobody reads a version in it.
    public static func random() -> UUID {
        UUID(high: Random.bits64(), low: Random.bits64())
    }

    /// Parses 32 hexadecimal digits in groups of 8, 4, 4, 4 and 12.
    public init?(_ text: some StringProtocol) {
        let groups = text.utf8.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        guard groups.map(\.count) == [8, 4, 4, 4, 12] else { return nil }
        var words: [UInt64] = [0, 0]
        for (index, digit) in groups.joined().enumerated() {
            guard let value = Hex.digit(digit) else { return nil }
            words[index / 16] = words[index / 16] << 4 | UInt64(value)
        }
        self.init(high: words[0], low: words[1])
    }

    public func append(to bytes: inout [UInt8]) {
        for index in 0..<32 {
            if [8, 12, 16, 20].contains(index) { bytes.append(UInt8(ascii: "-")) }
            let word = index < 16 ? high : low
            let digit = UInt8(truncatingIfNeeded: word >> UInt64(60 - index % 16 * 4) & 15)
            bytes.append(digit < 10 ? 48 + digit : 87 + digit)
        }
    }
}

extension UUID: CustomStringConvertible {
    public var description: String {
        var bytes: [UInt8] = []
        append(to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }
}
