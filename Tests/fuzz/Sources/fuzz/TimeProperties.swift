// SPDX-License-Identifier: Apache-2.0
import TaskModel
import TaskUnit

/// Calendars and zones: time goes forward, and an answer does not depend on when it is asked for.
enum TimeProperties {
    /// Three lines: an expression, a rule as in TZ=, and where to begin.
    static func cron(_ bytes: [UInt8]) {
        let lines = bytes.split(separator: 0x0a, maxSplits: 2, omittingEmptySubsequences: false)
        let text = String(decoding: lines[0], as: UTF8.self)
        guard let expression = try? CronExpression(text) else { return }
        require((try? CronExpression(expression.text)) == expression, "cron: parse, print, parse")
        let rule = lines.count > 1 ? Array(lines[1]) : []
        let zone = ZoneRules(parsing: file(rule)) ?? .utc
        let number = lines.count > 2 ? Decimal.parse(lines[2].trimmingBlanks()) ?? 0 : 1_700_000_000
        follow(expression, zone, from: Int64(number % (1 << 38)), steps: 6)
    }

    /// A file of the zone database.
    static func zone(_ bytes: [UInt8]) {
        guard let zone = ZoneRules(parsing: bytes) else { return }
        var at = Int64(-1) << 35
        for _ in 0..<40 {
            guard let next = zone.nextChange(after: at) else { break }
            require(next > at, "a change forwards")
            let between = at + (next - at) / 2
            require(zone.offset(at: between) == zone.offset(at: at), "one offset between changes")
            shows(zone, next + zone.offset(at: next))
            shows(zone, next + zone.offset(at: at) - 1)
            at = next
        }
        let begin = Int64(choice(bytes) % (1 << 34)) - (1 << 33)
        for text in ["* * * * *", "30 2 * * *", "0 0 29 2 *", "*/7 1-5 1,31 * 0", "0 * * * *"] {
            if let expression = try? CronExpression(text) {
                follow(expression, zone, from: begin, steps: 3)
            }
        }
    }

    private static func shows(_ zone: ZoneRules, _ local: Int64) {
        let instant = zone.instant(showing: local)
        if instant + zone.offset(at: instant) == local { return }
        // A gap ends at the instant.
        require(instant + zone.offset(at: instant) > local, "the end of a gap")
        require(zone.nextChange(after: instant - 1) == instant, "a gap without a change")
    }

    private static func follow(
        _ expression: CronExpression, _ zone: ZoneRules, from begin: Int64, steps: Int
    ) {
        var at = begin
        for step in 0..<steps {
            guard let next = expression.next(after: at, in: zone) else { return }
            require(next > at, "next() goes forward")
            require(expression.next(after: next - 1, in: zone) == next, "next() just before it")
            let between = at + Int64(choice(expression.text.utf8, UInt64(step)) % UInt64(next - at))
            require(
                expression.next(after: between, in: zone) == next,
                "next() between: \(at) \(between)")
            at = next
        }
    }

    /// A zone file of version 2 that has only a rule.
    private static func file(_ rule: [UInt8]) -> [UInt8] {
        let counts: [UInt8] = [
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1,
        ]
        let part = Array("TZif2".utf8) + [UInt8](repeating: 0, count: 15) + counts
        let type: [UInt8] = [0, 0, 0, 0, 0, 0, 0]
        return part + type + part + type + [0x0a] + rule + [0x0a]
    }
}
