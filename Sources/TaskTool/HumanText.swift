// SPDX-License-Identifier: Apache-2.0

import TaskModel

/// Spans, sizes and foreign text as people read them.
public enum HumanText {
    /// `0s`, `850us`, `12ms`, `1.5s`, `3min 04s`, `1h 02min`, `3d 04h`.
    public static func span(_ microseconds: Int64) -> String {
        if microseconds < 0 { return "-" + span(-max(microseconds, -Int64.max)) }
        let seconds = microseconds / 1_000_000
        switch microseconds {
        case 0: return "0s"
        case ..<1000: return "\(microseconds)us"
        case ..<1_000_000: return "\(microseconds / 1000)ms"
        case ..<10_000_000: return tenths(microseconds, unit: 1_000_000) + "s"
        case ..<60_000_000: return "\(seconds)s"
        case ..<3_600_000_000: return two(seconds, 60, "min", "s")
        case ..<86_400_000_000: return two(seconds / 60, 60, "h", "min")
        default: return two(seconds / 3600, 24, "d", "h")
        }
    }

    private static func two(_ value: Int64, _ base: Int64, _ big: String, _ small: String) -> String
    {
        let rest = value % base
        return "\(value / base)\(big) \(rest < 10 ? "0" : "")\(rest)\(small)"
    }

    // Rounded down to tenths; whole tens and more without.
    private static func tenths(_ value: Int64, unit: Int64) -> String {
        let whole = value / unit
        let tenth = value % unit / (unit / 10)
        return tenth == 0 || whole >= 100 ? String(whole) : "\(whole).\(tenth)"
    }

    /// What is said of output that was not kept.
    public static func aboveLogLimit(_ name: String, _ bytes: Int64) -> String {
        "\(name) wrote \(size(bytes)) more than its LogLimit= keeps: that part is in no log"
    }

    /// `512`, `1.5K`, `12M`, `8G`: powers of 1024, as the unit files spell them.
    public static func size(_ bytes: Int64) -> String {
        if bytes < 0 { return "-" + size(-max(bytes, -Int64.max)) }
        var unit: Int64 = 1
        var suffix = ""
        for next in ["K", "M", "G", "T", "P", "E"] {
            if bytes / unit < 1024 { break }
            unit *= 1024
            suffix = next
        }
        // unit / 10 of 1024 is 102: the tenth can come out as 10.
        let tenth = min(9, bytes % unit / max(1, unit / 10))
        let whole = bytes / unit
        return tenth == 0 || whole >= 100 || unit == 1
            ? "\(whole)\(suffix)" : "\(whole).\(tenth)\(suffix)"
    }

    private static let spanUnits: [(String, Int64)] = [
        ("us", 1), ("ms", 1000), ("s", 1_000_000), ("sec", 1_000_000), ("m", 60_000_000),
        ("min", 60_000_000), ("h", 3_600_000_000), ("hr", 3_600_000_000), ("d", 86_400_000_000),
        ("day", 86_400_000_000), ("days", 86_400_000_000), ("w", 604_800_000_000),
        ("week", 604_800_000_000), ("", 1_000_000),
    ]

    /// Reads a span of an option: `90`, `2s`, `1h 30min`. A bare number is seconds.
    /// - Returns: microseconds, nil when it is none or overflows.
    public static func parseSpan(_ text: String) -> Int64? {
        var rest = text[...]
        var total: Int64 = 0
        var seen = false
        while true {
            rest = rest.drop { $0 == " " }
            if rest.isEmpty { return seen ? total : nil }
            let digits = rest.prefix { $0.isASCII && $0.isNumber }
            rest = rest.dropFirst(digits.count)
            let unit = rest.prefix { $0.isASCII && $0.isLetter }
            rest = rest.dropFirst(unit.count)
            guard let number = Int64(digits), let scale = spanUnits.first(where: { $0.0 == unit })
            else { return nil }
            let (product, overflow) = number.multipliedReportingOverflow(by: scale.1)
            let (sum, carry) = total.addingReportingOverflow(product)
            if overflow || carry { return nil }
            total = sum
            seen = true
        }
    }

    /// Text of a task or a file name, made harmless for a terminal: control characters become
    /// `\xNN`, so that no name can move the cursor or forge a line.
    public static func printable(_ text: String) -> String {
        SafeText.printable(text)
    }
}
