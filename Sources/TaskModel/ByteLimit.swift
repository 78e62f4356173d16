// SPDX-License-Identifier: Apache-2.0

/// A number of bytes, or `infinity`: `8G`, `1.5M`, `4096`; K M G T are powers of 1024.
public struct ByteLimit: Hashable, Comparable, Sendable {
    /// Bytes; `Int64.max` is infinity.
    public let bytes: Int64

    /// No limit.
    public static let infinity = ByteLimit(bytes: .max)

    public init(bytes: Int64) { self.bytes = bytes }

    public var isInfinite: Bool { bytes == .max }

    public static func < (left: ByteLimit, right: ByteLimit) -> Bool { left.bytes < right.bytes }

    /// Parses a size; nil for what is none, is negative, or exceeds 2^63 - 2 bytes.
    public init?(_ text: some StringProtocol) {
        let bytes = Array(text.utf8).trimmingBlanks()
        if bytes.elementsEqual("infinity".utf8) {
            self = .infinity
            return
        }
        let whole = bytes.prefix { $0.isASCIIDigit }
        var rest = bytes.dropFirst(whole.count)
        var fraction: ArraySlice<UInt8> = []
        if rest.first == UInt8(ascii: ".") {
            fraction = rest.dropFirst().prefix { $0.isASCIIDigit }
            rest = rest.dropFirst(1 + fraction.count)
            guard !fraction.isEmpty else { return nil }
        }
        guard !whole.isEmpty, whole.count <= 18, let unit = Self.unit(rest.drop { $0.isBlank })
        else { return nil }
        let number = whole.reduce(Int64(0)) { $0 * 10 + Int64($1 - 0x30) }
        let (product, overflow) = number.multipliedReportingOverflow(by: unit)
        let (sum, tooMuch) = product.addingReportingOverflow(Self.part(fraction, of: unit))
        guard !overflow, !tooMuch, sum < .max else { return nil }
        self.init(bytes: sum)
    }

    private static func unit(_ word: ArraySlice<UInt8>) -> Int64? {
        switch String(decoding: word, as: UTF8.self) {
        case "": 1
        case "K": 1 << 10
        case "M": 1 << 20
        case "G": 1 << 30
        case "T": 1 << 40
        default: nil
        }
    }

    /// 0.FRACTION of a unit, from its first nine digits, rounded down.
    private static func part(_ fraction: ArraySlice<UInt8>, of unit: Int64) -> Int64 {
        var numerator: Int64 = 0
        var denominator: Int64 = 1
        for digit in fraction.prefix(6) {
            numerator = numerator * 10 + Int64(digit - 0x30)
            denominator *= 10
        }
        return unit / denominator * numerator + unit % denominator * numerator / denominator
    }
}

extension ByteLimit: CustomStringConvertible {
    /// The canonical text: `infinity`, `0`, or a whole number of the largest unit that fits.
    public var description: String {
        if isInfinite { return "infinity" }
        for (name, shift) in [("T", 40), ("G", 30), ("M", 20), ("K", 10)] as [(String, Int64)]
        where bytes >= 1 << shift && bytes & ((1 << shift) - 1) == 0 {
            return "\(bytes >> shift)\(name)"
        }
        return "\(bytes)"
    }
}
