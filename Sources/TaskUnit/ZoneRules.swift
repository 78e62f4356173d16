// SPDX-License-Identifier: Apache-2.0
import TaskModel

/// What the clocks of a place show at any instant: the transitions of a TZif file (tzfile(5), RFC
/// 8536, version 2 and later), and behind the last one its rule.
public struct ZoneRules: Sendable {
    /// Instants at which the clocks change, seconds since 1970, ascending, and what they are changed to:
    /// seconds east of UTC.
    let changes: [(at: Int64, offset: Int64)]
    /// Before the first change.
    let first: Int64
    /// Behind the last change.
    let rule: ZoneRule?

    /// Universal time.
    public static let utc = ZoneRules(changes: [], first: 0, rule: nil)

    init(changes: [(at: Int64, offset: Int64)], first: Int64, rule: ZoneRule?) {
        self.changes = changes
        self.first = first
        self.rule = rule
    }

    /// Seconds that the clocks are ahead of UTC at an instant.
    public func offset(at second: Int64) -> Int64 {
        let index = firstChange(after: second)
        if index == changes.count, let rule { return rule.offset(at: second) }
        return index == 0 ? first : changes[index - 1].offset
    }

    /// The next instant after this one at which the offset may be another; nil when there is none.
    public func nextChange(after second: Int64) -> Int64? {
        let index = firstChange(after: second)
        return index < changes.count ? changes[index].at : rule?.nextChange(after: second)
    }

    private func firstChange(after second: Int64) -> Int {
        var (low, high) = (0, changes.count)
        while low < high {
            let middle = (low + high) / 2
            if changes[middle].at > second { high = middle } else { low = middle + 1 }
        }
        return low
    }

    // No zone was ever further from UTC, nor changed by more.
    private static let day: Int64 = 26 * 3600

    /// The instant at which the clocks show this (seconds since 1970 as if in UTC): the first of two
    /// where they are set back, the end of the gap where they are set forward past it.
    public func instant(showing local: Int64) -> Int64 {
        var from = local - Self.day
        while true {
            let offset = offset(at: from)
            let end = nextChange(after: from) ?? .max
            // In a gap the clocks before the change come to `local` only after it.
            if local - offset < end { return max(local - offset, from) }
            from = end
        }
    }
}
