// SPDX-License-Identifier: Apache-2.0
import TaskModel

extension CronExpression {
    /// The first instant after another at which it is due, seconds since 1970; nil when there is none
    /// in 400 years, after which the calendar repeats itself, and for `@reboot`.
    ///
    /// Debian's cron(8): days and weekdays that are both restricted are alternatives; a field that
    /// begins with `*` restricts the other one. Where clocks are set forward, what is due in the gap
    /// is due once, at its end; where they are set back, once, the first time. An expression whose
    /// minute or hour begins with `*` follows the clocks instead: it skips the gap and is due both
    /// times.
    public func next(after second: Int64, in zone: ZoneRules) -> Int64? {
        guard fields != nil else { return nil }
        return followsClock ? nextShown(after: second, zone) : nextFixed(after: second, zone)
    }

    // MARK: - Fixed times

    private func nextFixed(after second: Int64, _ zone: ZoneRules) -> Int64? {
        // Behind a gap what was due in it may still be to come: look a day back.
        var local = second + zone.offset(at: second) - 86_400
        while let due = nextLocal(atOrAfter: local) {
            let instant = zone.instant(showing: due)
            if instant > second { return instant }
            local = due + 60
        }
        return nil
    }

    // MARK: - What follows the clocks

    private func nextShown(after second: Int64, _ zone: ZoneRules) -> Int64? {
        var from = second + 1
        let last = second + Self.period * 86_400
        while from < last {
            let offset = zone.offset(at: from)
            let end = zone.nextChange(after: from) ?? .max
            guard let due = nextLocal(atOrAfter: from + offset) else { return nil }
            if due - offset < end { return due - offset }
            from = end
        }
        return nil
    }

    // MARK: - The calendar

    // Days of 400 years.
    private static let period: Int64 = 146_097

    /// The first minute not before `local` that matches, both as if in UTC.
    private func nextLocal(atOrAfter local: Int64) -> Int64? {
        let begin = (local + 59).floored(by: 60).quotient
        let (today, minute) = begin.floored(by: 1440)
        if matches(day: today), let found = minuteOfDay(from: minute) {
            return (today * 1440 + found) * 60
        }
        guard let first = minuteOfDay(from: 0), let day = nextDay(after: today) else { return nil }
        return (day * 1440 + first) * 60
    }

    private func nextDay(after day: Int64) -> Int64? {
        var next = day + 1
        while next <= day + Self.period {
            let date = CivilDate(daysSince1970: next)
            if !has(.month, date.month) {
                // Whole months at once.
                let (year, month) =
                    date.month == 12 ? (date.year + 1, 1) : (date.year, date.month + 1)
                next = CivilDate(year: year, month: month, day: 1).daysSince1970
            } else if matches(day: next) {
                return next
            } else {
                next += 1
            }
        }
        return nil
    }

    private func matches(day: Int64) -> Bool {
        let date = CivilDate(daysSince1970: day)
        guard has(.month, date.month) else { return false }
        let (isDay, isWeekday) = (has(.day, date.day), has(.weekday, date.weekday))
        return isAnyDay || isAnyWeekday ? isDay && isWeekday : isDay || isWeekday
    }

    /// The first matching minute of a day from one on.
    private func minuteOfDay(from minute: Int64) -> Int64? {
        for hour in minute / 60..<24 where has(.hour, hour) {
            let least = hour == minute / 60 ? minute % 60 : 0
            for candidate in least..<60 where has(.minute, candidate) {
                return hour * 60 + candidate
            }
        }
        return nil
    }

    private enum Part: Int {
        case minute, hour, day, month, weekday
    }

    private func has(_ part: Part, _ number: Int64) -> Bool {
        (fields?[part.rawValue] ?? 0) & 1 << UInt64(number) != 0
    }
}
