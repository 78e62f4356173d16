// SPDX-License-Identifier: Apache-2.0

/// A length of time in microseconds, or `infinity`, written as systemd.time(7) writes spans.
///
/// `2s`, `1h 30min`, `1.5h`, `300ms20s`; a number without a unit is seconds. Its canonical text has
/// no blanks and no unit longer than a day (`1d2h`), so that it stands in a plan as it is.
public struct TimeSpan: Hashable, Comparable, Sendable {
    /// Microseconds; `Int64.max` is infinity.
    public let microseconds: Int64

    /// No end.
    public static let infinity = TimeSpan(microseconds: .max)
    /// No time at all.
    public static let zero = TimeSpan(microseconds: 0)

    public init(microseconds: Int64) { self.microseconds = microseconds }

    public var isInfinite: Bool { microseconds == .max }

    public static func < (left: TimeSpan, right: TimeSpan) -> Bool {
        left.microseconds < right.microseconds
    }

    /// Parses a span; nil for what is none, is negative, or exceeds 292,000 years.
    public init?(_ text: some StringProtocol) {
        guard let span = Self.parse(Array(text.utf8)) else { return nil }
        self = span
    }

    private static func parse(_ bytes: [UInt8]) -> TimeSpan? {
        let trimmed = bytes.trimmingBlanks()
        if trimmed.elementsEqual("infinity".utf8) { return .infinity }
        var scanner = Scanner(bytes: trimmed)
        var total: Int64 = 0
        guard !scanner.isAtEnd else { return nil }
        while !scanner.isAtEnd {
            guard let part = scanner.part() else { return nil }
            let (sum, overflow) = total.addingReportingOverflow(part)
            guard !overflow, sum < .max else { return nil }
            total = sum
        }
        return TimeSpan(microseconds: total)
    }

    /// Reads `NUMBER[.FRACTION] [UNIT]` after `NUMBER …`.
    private struct Scanner {
        var bytes: ArraySlice<UInt8>

        var isAtEnd: Bool { bytes.isEmpty }

        mutating func part() -> Int64? {
            guard let whole = digits(), whole.count <= 18 else { return nil }
            var fraction: ArraySlice<UInt8> = []
            if bytes.first == UInt8(ascii: ".") {
                bytes.removeFirst()
                guard let found = digits() else { return nil }
                fraction = found
            }
            skipBlanks()
            let word = bytes.prefix { $0 >= 0x80 || $0.isASCIILetter }
            bytes = bytes.dropFirst(word.count)
            skipBlanks()
            guard let unit = TimeSpan.unit(String(decoding: word, as: UTF8.self)) else {
                return nil
            }
            return Self.scaled(whole, fraction, unit)
        }

        private mutating func digits() -> ArraySlice<UInt8>? {
            let found = bytes.prefix { $0.isASCIIDigit }
            bytes = bytes.dropFirst(found.count)
            return found.isEmpty ? nil : found
        }

        private mutating func skipBlanks() {
            bytes = bytes.drop { $0.isBlank }
        }

        private static func scaled(
            _ whole: ArraySlice<UInt8>, _ fraction: ArraySlice<UInt8>, _ unit: Int64
        ) -> Int64? {
            let number = whole.reduce(Int64(0)) { $0 * 10 + Int64($1 - 0x30) }
            let (product, overflow) = number.multipliedReportingOverflow(by: unit)
            guard !overflow else { return nil }
            var rest = unit
            var part: Int64 = 0
            for digit in fraction {
                part += rest / 10 * Int64(digit - 0x30)
                rest /= 10
            }
            let (sum, tooMuch) = product.addingReportingOverflow(part)
            return tooMuch ? nil : sum
        }
    }

    private static func unit(_ word: String) -> Int64? {
        switch word {
        case "usec", "us", "\u{b5}s", "\u{3bc}s": 1
        case "msec", "ms": 1000
        case "", "seconds", "second", "sec", "s": second
        case "minutes", "minute", "min", "m": 60 * second
        case "hours", "hour", "hr", "h": 3600 * second
        case "days", "day", "d": 86400 * second
        case "weeks", "week", "w": 7 * 86400 * second
        case "months", "month", "M": 2_629_800 * second
        case "years", "year", "y": 31_557_600 * second
        default: nil
        }
    }

    private static let second: Int64 = 1_000_000

    private static let printed: [(name: String, microseconds: Int64)] = [
        ("d", 86400 * second), ("h", 3600 * second), ("min", 60 * second), ("s", second),
        ("ms", 1000), ("us", 1),
    ]
}

extension TimeSpan: CustomStringConvertible {
    /// The canonical text: `infinity`, `0s`, `1h30min`, `2s500ms`.
    public var description: String {
        if isInfinite { return "infinity" }
        if microseconds <= 0 { return "0s" }
        var text = ""
        var rest = microseconds
        for (name, size) in Self.printed where rest >= size {
            text += "\(rest / size)\(name)"
            rest %= size
        }
        return text
    }
}
