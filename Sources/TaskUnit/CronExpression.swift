// SPDX-License-Identifier: Apache-2.0
public import TaskModel

/// When a unit runs: `MINUTE HOUR DAY MONTH WEEKDAY`, `@daily` and the like, or `@reboot`.
///
/// The syntax of crontab(5): lists, ranges, steps, names of months and days (0 and 7: Sunday).
public struct CronExpression: Hashable, Sendable {
    /// The expression, blanks made single.
    public let text: String
    /// Bit n: minute, hour, day, month, weekday n (Sunday 0) matches; nil for `@reboot`.
    public let fields: [UInt64]?
    /// Whether the day and the weekday field begin with `*`.
    public let isAnyDay: Bool
    public let isAnyWeekday: Bool
    /// Whether the minute or the hour field begins with `*`.
    public let followsClock: Bool

    private struct Field {
        let name: String
        let range: ClosedRange<Int>
        let names: [String]
    }

    private static let parts = [
        Field(name: "minute", range: 0...59, names: []),
        Field(name: "hour", range: 0...23, names: []),
        Field(name: "day", range: 1...31, names: []),
        Field(
            name: "month", range: 1...12,
            names: [
                "", "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov",
                "dec",
            ]),
        Field(
            name: "weekday", range: 0...7,
            names: ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]),
    ]

    /// Parses an expression.
    ///
    /// - Throws: which field is wrong, and what it may be.
    public init(_ text: String) throws(ValueProblem) {
        let words = text.utf8.split { $0 <= 0x20 }.map { String($0) ?? "" }
        self.text = words.joined(separator: " ")
        if self.text == "@reboot" {
            (fields, isAnyDay, isAnyWeekday, followsClock) = (nil, true, true, true)
            return
        }
        let five = try Self.five(words)
        var masks: [UInt64] = []
        for (word, part) in zip(five, Self.parts) {
            masks.append(try Self.mask(word, part))
        }
        if masks[4] & 1 << 7 != 0 { masks[4] = masks[4] & ~(1 << 7) | 1 }
        fields = masks
        isAnyDay = five[2].hasPrefix("*")
        isAnyWeekday = five[4].hasPrefix("*")
        followsClock = five[0].hasPrefix("*") || five[1].hasPrefix("*")
    }

    private static func five(_ words: [String]) throws(ValueProblem) -> [String] {
        if words.count == 5 { return words }
        let allowed = "five fields, or @yearly @monthly @weekly @daily @hourly @reboot"
        guard words.count == 1, words[0].hasPrefix("@") else {
            throw ValueProblem(what: "\(words.count) fields", allowed: allowed)
        }
        switch words[0] {
        case "@yearly", "@annually": return ["0", "0", "1", "1", "*"]
        case "@monthly": return ["0", "0", "1", "*", "*"]
        case "@weekly": return ["0", "0", "*", "*", "0"]
        case "@daily", "@midnight": return ["0", "0", "*", "*", "*"]
        case "@hourly": return ["0", "*", "*", "*", "*"]
        default: throw ValueProblem(what: "unknown \(words[0])", allowed: allowed)
        }
    }

    private static func mask(_ word: String, _ field: Field) throws(ValueProblem) -> UInt64 {
        var mask: UInt64 = 0
        for item in word.split(separator: ",", omittingEmptySubsequences: false) {
            guard let bits = bits(item, field) else {
                throw ValueProblem(
                    what: "\(field.name) \(word) is not understood",
                    allowed: "* or \(field.range.lowerBound)-\(field.range.upperBound), with , - /"
                        + (field.names.isEmpty ? "" : ", or names such as \(field.names[1])"))
            }
            mask |= bits
        }
        return mask
    }

    /// `*`, `N`, `A-B`, each with `/STEP`.
    private static func bits(_ item: Substring, _ field: Field) -> UInt64? {
        let halves = item.split(separator: "/", omittingEmptySubsequences: false)
        guard halves.count <= 2, let body = halves.first else { return nil }
        var step = 1
        if halves.count == 2 {
            guard let number = decimal(halves[1]), number > 0 else { return nil }
            step = number
        }
        guard let range = range(body, field), body == "*" || halves.count == 1 || body.contains("-")
        else { return nil }
        return stride(from: range.lowerBound, through: range.upperBound, by: step)
            .reduce(0) { $0 | 1 << UInt64($1) }
    }

    private static func range(_ body: Substring, _ field: Field) -> ClosedRange<Int>? {
        if body == "*" { return field.range }
        let ends = body.split(separator: "-", omittingEmptySubsequences: false)
        guard ends.count <= 2, let low = number(ends[0], field) else { return nil }
        guard ends.count == 2 else { return low...low }
        guard let high = number(ends[1], field), high >= low else { return nil }
        return low...high
    }

    private static func number(_ word: Substring, _ field: Field) -> Int? {
        if let index = field.names.firstIndex(of: word.lowercased()), !word.isEmpty {
            return index
        }
        return decimal(word).flatMap { field.range.contains($0) ? $0 : nil }
    }

    private static func decimal(_ word: Substring) -> Int? {
        guard !word.isEmpty, word.utf8.count <= 4, word.utf8.allSatisfy({ $0.isASCIIDigit }) else {
            return nil
        }
        return Int(word)
    }
}
