// SPDX-License-Identifier: Apache-2.0

/// Points in time as text: RFC 3339, always UTC on output.
public enum Timestamp {
    /// `2026-11-25T04:28:58.123456Z`.
    public static func text(_ microseconds: Int64) -> String {
        let (second, micro) = microseconds.floored(by: 1_000_000)
        return date(second) + "." + padded(micro, 6) + "Z"
    }

    /// `2026-11-25T04:28:58Z`: the second that it is in.
    public static func seconds(_ microseconds: Int64) -> String {
        date(microseconds.floored(by: 1_000_000).quotient) + "Z"
    }

    private static func date(_ second: Int64) -> String {
        let (day, inDay) = second.floored(by: 86_400)
        let (year, month, dayOfMonth) = civil(day)
        let clock = [inDay / 3600, inDay / 60 % 60, inDay % 60].map { padded($0, 2) }
        return padded(year, 4) + "-" + padded(month, 2) + "-" + padded(dayOfMonth, 2) + "T"
            + clock.joined(separator: ":")
    }

    private static func padded(_ number: Int64, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
    }

    // Days since 1970 to a date of the Gregorian calendar, and back: H. Hinnant,
    // "chrono-Compatible Low-Level Date Algorithms". Years begin in March there.
    private static func civil(_ day: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let (era, dayOfEra) = (day + 719_468).floored(by: 146_097)
        let yearOfEra =
            (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shifted = (5 * dayOfYear + 2) / 153
        let month = shifted < 10 ? shifted + 3 : shifted - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return (year, month, dayOfYear - (153 * shifted + 2) / 5 + 1)
    }

    private static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
        let (era, yearOfEra) = (month <= 2 ? year - 1 : year).floored(by: 400)
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }

    /// Reads an instant: RFC 3339 (`T` or a blank between date and time, seconds and zone may be
    /// left out: UTC), a bare date, `now`, or a span before now as `-10min` or `10min ago`.
    /// - Returns: microseconds since 1970, or nil.
    public static func parse(_ text: String, now: Int64) -> Int64? {
        if text == "now" { return now }
        if let span = before(text) { return now - span }
        var rest = Array(text.utf8)[...]
        guard let year = number(&rest, 4), skip(&rest, "-"), let month = number(&rest, 2),
            skip(&rest, "-"), let day = number(&rest, 2), (1...12).contains(month),
            (1...31).contains(day)
        else { return nil }
        let midnight = days(year: year, month: month, day: day)
        // The 31st of a short month would be another day.
        guard civil(midnight) == (year, month, day) else { return nil }
        if rest.isEmpty { return midnight * 86_400_000_000 }
        guard skip(&rest, "T") || skip(&rest, "t") || skip(&rest, " "), let clock = clock(&rest),
            let offset = zone(&rest), rest.isEmpty
        else { return nil }
        return midnight * 86_400_000_000 + clock - offset
    }

    private static func before(_ text: String) -> Int64? {
        if text.hasPrefix("-") { return HumanText.parseSpan(String(text.dropFirst())) }
        if text.hasSuffix(" ago") { return HumanText.parseSpan(String(text.dropLast(4))) }
        return nil
    }

    private static func clock(_ rest: inout ArraySlice<UInt8>) -> Int64? {
        guard let hour = number(&rest, 2), hour < 24, skip(&rest, ":"),
            let minute = number(&rest, 2), minute < 60
        else { return nil }
        var total = (hour * 60 + minute) * 60_000_000
        guard skip(&rest, ":") else { return total }
        guard let second = number(&rest, 2), second <= 60 else { return nil }
        total += second * 1_000_000
        guard skip(&rest, ".") else { return total }
        var scale: Int64 = 100_000
        guard let first = rest.first, isDigit(first) else { return nil }
        while let digit = rest.first, isDigit(digit) {
            total += Int64(digit - UInt8(ascii: "0")) * scale
            scale /= 10
            rest.removeFirst()
        }
        return total
    }

    // Microseconds east of UTC.
    private static func zone(_ rest: inout ArraySlice<UInt8>) -> Int64? {
        if rest.isEmpty || skip(&rest, "Z") || skip(&rest, "z") { return 0 }
        let sign: Int64
        if skip(&rest, "+") { sign = 1 } else if skip(&rest, "-") { sign = -1 } else { return nil }
        guard let hour = number(&rest, 2), hour < 24, skip(&rest, ":"),
            let minute = number(&rest, 2), minute < 60
        else { return nil }
        return sign * (hour * 60 + minute) * 60_000_000
    }

    private static func number(_ rest: inout ArraySlice<UInt8>, _ width: Int) -> Int64? {
        guard rest.count >= width, rest.prefix(width).allSatisfy(isDigit) else { return nil }
        let value = rest.prefix(width).reduce(Int64(0)) { $0 * 10 + Int64($1 - UInt8(ascii: "0")) }
        rest = rest.dropFirst(width)
        return value
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    private static func skip(_ rest: inout ArraySlice<UInt8>, _ character: Unicode.Scalar) -> Bool {
        guard rest.first == UInt8(ascii: character) else { return false }
        rest.removeFirst()
        return true
    }
}

extension Int64 {
    // Quotient and a remainder that is never negative.
    func floored(by divisor: Int64) -> (quotient: Int64, remainder: Int64) {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }
}
