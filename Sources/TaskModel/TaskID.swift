// SPDX-License-Identifier: Apache-2.0

/// The identity of a run: a ULID of 128 bits, 48 of milliseconds since 1970 and 80 of entropy.
///
/// Sorts by time; written as 26 characters of Crockford's base 32, lower case on output and either
/// case on input. Nobody coordinates: 80 random bits make a clash within one millisecond unlikely
/// (2^-40 at a million ids), and the table of live runs refuses a second one.
public struct TaskID: Hashable, Comparable, Sendable {
    public var high: UInt64
    public var low: UInt64

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// - Parameters:
    ///   - milliseconds: since 1970; the upper 16 bits of the number are dropped.
    ///   - entropy: 80 bits, 16 in `upper` and 64 in `lower`.
    public init(milliseconds: UInt64, upper: UInt16, lower: UInt64) {
        high = milliseconds << 16 | UInt64(upper)
        low = lower
    }

    /// An id that must exist once: a hash takes the place of the random bits.
    public init(milliseconds: UInt64, derivedFrom key: [UInt8]) {
        let digest = SHA256.digest(key)
        var upper: UInt16 = 0
        var lower: UInt64 = 0
        for byte in digest[0..<2] { upper = upper << 8 | UInt16(byte) }
        for byte in digest[2..<10] { lower = lower << 8 | UInt64(byte) }
        self.init(milliseconds: milliseconds, upper: upper, lower: lower)
    }

    /// What a key stands for on the UTC day of a moment: `Key=`. Of that id's own time it is the same id.
    public init(key: String, milliseconds: UInt64) {
        self.init(
            milliseconds: milliseconds - milliseconds % Self.day,
            derivedFrom: Array("key\0\(key)".utf8))
    }

    /// Milliseconds of a day.
    public static let day: UInt64 = 86_400_000

    /// Milliseconds since 1970.
    public var milliseconds: UInt64 { high >> 16 }

    /// Number of characters of the text form.
    public static let length = 26

    private static let alphabet = Array("0123456789abcdefghjkmnpqrstvwxyz".utf8)

    /// Parses 26 characters, nothing more.
    public init?(_ text: some StringProtocol) {
        self.init(bytes: Array(text.utf8)[...])
    }

    /// Parses 26 bytes.
    public init?(bytes: ArraySlice<UInt8>) {
        guard bytes.count == Self.length else { return nil }
        var high: UInt64 = 0
        var low: UInt64 = 0
        for byte in bytes {
            guard let digit = Self.digit(byte) else { return nil }
            if high >> 59 != 0 { return nil }  // above 7zzz…: more than 128 bits
            high = high << 5 | low >> 59
            low = low << 5 | UInt64(digit)
        }
        self.init(high: high, low: low)
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        let lower = byte | 0x20
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): return byte - UInt8(ascii: "0")
        default: break
        }
        switch lower {
        case UInt8(ascii: "a")...UInt8(ascii: "h"): return lower - UInt8(ascii: "a") + 10
        case UInt8(ascii: "j"), UInt8(ascii: "k"): return lower - UInt8(ascii: "j") + 18
        case UInt8(ascii: "m"), UInt8(ascii: "n"): return lower - UInt8(ascii: "m") + 20
        case UInt8(ascii: "p")...UInt8(ascii: "t"): return lower - UInt8(ascii: "p") + 22
        case UInt8(ascii: "v")...UInt8(ascii: "z"): return lower - UInt8(ascii: "v") + 27
        default: return nil
        }
    }

    /// Appends the 26 characters to a buffer.
    public func append(to bytes: inout [UInt8]) {
        var shift = 125
        while shift >= 0 {
            let value =
                shift >= 64
                ? high >> UInt64(shift - 64)
                : shift > 59
                    ? high << UInt64(64 - shift) | low >> UInt64(shift) : low >> UInt64(shift)
            bytes.append(Self.alphabet[Int(value & 31)])
            shift -= 5
        }
    }

    public static func < (left: TaskID, right: TaskID) -> Bool {
        (left.high, left.low) < (right.high, right.low)
    }
}

extension TaskID: CustomStringConvertible {
    public var description: String {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.length)
        append(to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The last 8 characters, as tables show an id.
    public var short: String { String(description.suffix(8)) }
}
