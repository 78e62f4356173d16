// SPDX-License-Identifier: Apache-2.0
import TaskModel

/// A rule for all years, as at the end of a TZif file and in TZ: `CET-1CEST,M3.5.0,M10.5.0/3`
/// (POSIX.1, "Other Environment Variables": a zone is at most 24 hours from UTC; RFC 8536 allows
/// changes at hours from -167 to 167).
struct ZoneRule: Equatable, Sendable {
    /// Seconds east of UTC.
    let standard: Int64
    /// nil where the clocks are not changed.
    let summer: Summer?

    struct Summer: Equatable, Sendable {
        var offset: Int64
        var begin: Day
        var end: Day
    }

    /// A day of each year, and the time of that day, in seconds, by the clocks before the change.
    struct Day: Equatable, Sendable {
        var kind: Kind
        var time: Int64

        enum Kind: Equatable, Sendable {
            /// 1 to 365; 29 February is never counted.
            case julian(Int64)
            /// 0 to 365.
            case zeroBased(Int64)
            /// The week is 1 to 5, 5 the last; the weekday 0 (Sunday) to 6.
            case weekday(month: Int64, week: Int64, weekday: Int64)
        }

        /// Seconds since 1970 by the clocks before the change.
        func local(in year: Int64) -> Int64 { day(in: year) * 86_400 + time }

        private func day(in year: Int64) -> Int64 {
            let january = CivilDate(year: year, month: 1, day: 1).daysSince1970
            switch kind {
            case .zeroBased(let day): return january + day
            case .julian(let day):
                let isLeap = CivilDate(year: year, month: 2, day: 29).isReal
                return january + day - 1 + (isLeap && day >= 60 ? 1 : 0)
            case .weekday(let month, let week, let weekday):
                let first = CivilDate(year: year, month: month, day: 1)
                let shift = (weekday - first.weekday).floored(by: 7).remainder
                var day = CivilDate(year: year, month: month, day: 1 + shift + 7 * (week - 1))
                if !day.isReal { day.day -= 7 }
                return day.daysSince1970
            }
        }
    }

    func offset(at second: Int64) -> Int64 {
        guard let summer else { return standard }
        let year = CivilDate(daysSince1970: (second + standard).floored(by: 86_400).quotient).year
        let (begin, end) = edges(summer, year)
        let isSummer =
            begin < end ? begin <= second && second < end : second < end || begin <= second
        return isSummer ? summer.offset : standard
    }

    func nextChange(after second: Int64) -> Int64? {
        guard let summer else { return nil }
        let year = CivilDate(daysSince1970: (second + standard).floored(by: 86_400).quotient).year
        let (now, next) = (edges(summer, year), edges(summer, year + 1))
        var all = [now.begin, now.end, next.begin, next.end]
        // A year knows its own edges only: where their order changes, or one lies in another year, New Year
        // changes the clocks as well.
        let newYear = CivilDate(year: year + 1, month: 1, day: 1).daysSince1970 * 86_400 - standard
        if offset(at: newYear - 1) != offset(at: newYear) { all.append(newYear) }
        return all.filter { $0 > second }.min()
    }

    private func edges(_ summer: Summer, _ year: Int64) -> (begin: Int64, end: Int64) {
        (summer.begin.local(in: year) - standard, summer.end.local(in: year) - summer.offset)
    }
}

extension ZoneRule {
    /// Parses a rule; nil for what is none.
    init?(_ text: String) {
        var rest = Array(text.utf8)[...]
        guard Self.name(&rest), let west = Self.time(&rest, hours: 24) else { return nil }
        standard = -west
        if rest.isEmpty {
            summer = nil
            return
        }
        guard Self.name(&rest) else { return nil }
        var offset = standard + 3600
        if rest.first != UInt8(ascii: ",") {
            guard let west = Self.time(&rest, hours: 24) else { return nil }
            offset = -west
        }
        guard let begin = Self.day(&rest), let end = Self.day(&rest), rest.isEmpty else {
            return nil
        }
        summer = Summer(offset: offset, begin: begin, end: end)
    }

    /// `CET`, `<+0330>`.
    private static func name(_ rest: inout ArraySlice<UInt8>) -> Bool {
        if rest.first == UInt8(ascii: "<") {
            guard let end = rest.firstIndex(of: UInt8(ascii: ">")) else { return false }
            rest = rest[(end + 1)...]
            return true
        }
        let letters = rest.prefix { $0.isASCIILetter }
        rest = rest.dropFirst(letters.count)
        return letters.count >= 3
    }

    /// `[+-]HH[:MM[:SS]]`, in seconds.
    private static func time(_ rest: inout ArraySlice<UInt8>, hours most: Int64 = 167) -> Int64? {
        var sign: Int64 = 1
        if let first = rest.first, first == UInt8(ascii: "-") || first == UInt8(ascii: "+") {
            sign = first == UInt8(ascii: "-") ? -1 : 1
            rest = rest.dropFirst()
        }
        guard let hours = number(&rest), hours <= most else { return nil }
        var total = hours * 3600
        for scale in [60, 1] as [Int64] where rest.first == UInt8(ascii: ":") {
            rest = rest.dropFirst()
            guard let part = number(&rest), part < 60 else { return nil }
            total += part * scale
        }
        return sign * total
    }

    /// `,M3.5.0[/TIME]`, `,J60`, `,59`.
    private static func day(_ rest: inout ArraySlice<UInt8>) -> Day? {
        guard rest.first == UInt8(ascii: ",") else { return nil }
        rest = rest.dropFirst()
        guard let kind = kind(&rest) else { return nil }
        guard rest.first == UInt8(ascii: "/") else { return Day(kind: kind, time: 7200) }
        rest = rest.dropFirst()
        return time(&rest).map { Day(kind: kind, time: $0) }
    }

    private static func kind(_ rest: inout ArraySlice<UInt8>) -> Day.Kind? {
        switch rest.first {
        case UInt8(ascii: "J"):
            rest = rest.dropFirst()
            guard let day = number(&rest), (1...365).contains(day) else { return nil }
            return .julian(day)
        case UInt8(ascii: "M"):
            rest = rest.dropFirst()
            guard let month = number(&rest), (1...12).contains(month), dot(&rest),
                let week = number(&rest), (1...5).contains(week), dot(&rest),
                let weekday = number(&rest), (0...6).contains(weekday)
            else { return nil }
            return .weekday(month: month, week: week, weekday: weekday)
        default:
            guard let day = number(&rest), (0...365).contains(day) else { return nil }
            return .zeroBased(day)
        }
    }

    private static func dot(_ rest: inout ArraySlice<UInt8>) -> Bool {
        guard rest.first == UInt8(ascii: ".") else { return false }
        rest = rest.dropFirst()
        return true
    }

    private static func number(_ rest: inout ArraySlice<UInt8>) -> Int64? {
        let digits = rest.prefix { $0.isASCIIDigit }
        guard !digits.isEmpty, digits.count <= 3 else { return nil }
        rest = rest.dropFirst(digits.count)
        return digits.reduce(0) { $0 * 10 + Int64($1 - UInt8(ascii: "0")) }
    }
}
