// SPDX-License-Identifier: Apache-2.0
import TaskModel

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

    /// `2026-11-25T06:28:58+02:00`: an instant, written with the clock of a place so many seconds east
    /// of UTC; `Z` for none. Seconds of the offset are left out, as in RFC 3339.
    public static func text(second: Int64, offset: Int64) -> String {
        let minutes = offset.magnitude / 60
        let zone =
            minutes == 0
            ? "Z"
            : (offset < 0 ? "-" : "+") + padded(Int64(minutes / 60), 2) + ":"
                + padded(Int64(minutes % 60), 2)
        return date(second + (minutes == 0 ? 0 : offset)) + zone
    }

    private static func date(_ second: Int64) -> String {
        let (day, inDay) = second.floored(by: 86_400)
        let civil = CivilDate(daysSince1970: day)
        let clock = [inDay / 3600, inDay / 60 % 60, inDay % 60].map { padded($0, 2) }
        return padded(civil.year, 4) + "-" + padded(civil.month, 2) + "-" + padded(civil.day, 2)
            + "T"
            + clock.joined(separator: ":")
    }

    private static func padded(_ number: Int64, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
    }

    /// Reads an instant: RFC 3339 (`T` or a blank between date and time, seconds and zone may be
    /// left out: UTC), a bare date, `now`, or a span before now as `-10min` or `10min ago`.
    /// - Returns: microseconds since 1970, or nil.
    public static func parse(_ text: String, now: Int64) -> Int64? {
        if text == "now" { return now }
        if let span = before(text) { return now - span }
        var rest = Array(text.utf8)[...]
        guard let year = number(&rest, 4), skip(&rest, "-"), let month = number(&rest, 2),
            skip(&rest, "-"), let day = number(&rest, 2)
        else { return nil }
        // The 31st of a short month would be another day.
        let civil = CivilDate(year: year, month: month, day: day)
        guard civil.isReal else { return nil }
        let midnight = civil.daysSince1970
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
