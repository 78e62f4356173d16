// SPDX-License-Identifier: Apache-2.0
import TaskModel

extension Timetable {
    /// What is due, oldest first a unit; the same again until it is accounted for.
    ///
    /// - Parameter isRunning: whether an earlier firing of a unit has not ended.
    public mutating func due(
        real: Int64, boot: Int64, isRunning: (String) -> Bool
    ) -> [Firing] {
        notice(real)
        let next = nextDeadlines()
        guard next.real <= real || next.boot <= boot else { return [] }
        var firings: [Firing] = []
        for unit in entries.keys.sorted() {
            guard var entry = entries[unit], entry.isDue(real: real, boot: boot) else { continue }
            // Asked for once a unit, and only where it matters.
            var isBusy = entry.terms.overlap != .allow && isRunning(unit)
            entry.collect(unit, real: real, boot: boot, &isBusy, &firings)
            entries[unit] = entry
        }
        forgetDeadlines()
        return firings
    }
}

extension Timetable.Entry {
    func isDue(real: Int64, boot: Int64) -> Bool {
        isBootDue || isReleased || next <= real || poll ?? .max <= boot
    }

    /// Up to where slots have been looked at. A clock that was set back to before it was armed arms it
    /// then.
    private mutating func start(by real: Int64) -> Int64 {
        armed = min(armed, real)
        let queued = queued.flatMap { $0.slot <= real ? $0.slot : nil }
        return max(armed, slots.end(by: real) ?? .min, queued ?? .min)
    }

    /// Finds the next slot that is not accounted for.
    mutating func look(at real: Int64) {
        let start = start(by: real)
        next = nextOpen(after: start) ?? .max
    }

    private func nextOpen(after time: Int64) -> Int64? {
        var time = time
        while let slot = terms.next(after: time) {
            guard let end = slots.end(covering: slot) else { return slot }
            time = end
        }
        return nil
    }

    mutating func collect(
        _ unit: String, real: Int64, boot: Int64, _ isBusy: inout Bool, _ firings: inout [Firing]
    ) {
        if isBootDue {
            firings.append(.run(unit: unit, .boot, slot: real, missed: 0))
            isBusy = isBusy || terms.overlap != .allow
        }
        if isReleased, let waiting = queued, !isBusy {
            firings.append(
                .run(unit: unit, .time, slot: waiting.slot, missed: waiting.missed))
            isBusy = true
        } else {
            isReleased = false
        }
        if next <= real { collectSlots(unit, real, &isBusy, &firings) }
        collectPoll(unit, real, boot, isBusy, &firings)
    }

    // MARK: - Conditions

    private mutating func collectPoll(
        _ unit: String, _ real: Int64, _ boot: Int64, _ isBusy: Bool, _ firings: inout [Firing]
    ) {
        guard let due = poll, due <= boot else { return }
        // A point of the grid is no promise: it is left out without a word.
        if isBusy { return passPoll(boot) }
        // Whole milliseconds, as its id has; later than any before, though the clock was set back.
        let slot = max(real, (slots.latest ?? 0) + 1000).floored(by: 1000).quotient * 1000
        firings.append(.run(unit: unit, .condition, slot: slot, missed: 0))
    }

    mutating func passPoll(_ boot: Int64) {
        guard let due = poll, let every = terms.every, due <= boot else { return }
        poll = due + ((boot - due) / every + 1) * every
    }

    // MARK: - Slots

    private mutating func collectSlots(
        _ unit: String, _ real: Int64, _ isBusy: inout Bool, _ firings: inout [Firing]
    ) {
        let passed = passed(by: real)
        guard let last = passed.slots.last else { return }
        let isLate = real - last >= Timetable.patience
        switch terms.misfire {
        case .skip:
            let missed = isLate ? passed.slots : passed.slots.dropLast()
            if let last = missed.last {
                let others = passed.count - (isLate ? 1 : 2)
                firings.append(.skip(unit: unit, slot: last, missed: others, .missed))
            }
            if !isLate { fire(unit, last, missed: 0, &isBusy, &firings) }
        case .once: fire(unit, last, missed: passed.count - 1, &isBusy, &firings)
        case .all:
            let made = passed.slots.suffix(Timetable.mostMadeUp)
            if let dropped = passed.slots.dropLast(made.count).last {
                let others = passed.count - made.count - 1
                firings.append(.skip(unit: unit, slot: dropped, missed: others, .missed))
            }
            for slot in made { fire(unit, slot, missed: 0, &isBusy, &firings) }
        }
        let start = start(by: real)
        next = nextOpen(after: start) ?? .max
    }

    private mutating func fire(
        _ unit: String, _ slot: Int64, missed: Int, _ isBusy: inout Bool,
        _ firings: inout [Firing]
    ) {
        if !isBusy {
            firings.append(.run(unit: unit, .time, slot: slot, missed: missed))
            isBusy = terms.overlap != .allow
        } else if terms.overlap == .queue {
            // The later one waits: the earlier is accounted for before it.
            if let earlier = queued {
                firings.append(
                    .skip(unit: unit, slot: earlier.slot, missed: earlier.missed, .overlap))
            }
            queued = (slot, missed)
        } else {
            firings.append(.skip(unit: unit, slot: slot, missed: missed, .overlap))
        }
    }

    /// The slots that passed and are not accounted for: the latest, ascending, and how many they are,
    /// `mostCounted` or more.
    private mutating func passed(by real: Int64) -> (slots: [Int64], count: Int) {
        let start = start(by: real)
        let all = slots(after: start, by: real, atMost: Timetable.mostCounted)
        if all.count < Timetable.mostCounted { return (all, all.count) }
        // From the end, in windows that grow: a year of minutes is not walked through.
        var window: Int64 = 7200 * 1_000_000
        while true {
            let latest = slots(after: max(start, real - window), by: real, atMost: .max)
            if latest.count > Timetable.mostMadeUp + 1 || real - window <= start {
                return (latest, all.count)
            }
            window *= 4
        }
    }

    private func slots(after start: Int64, by end: Int64, atMost most: Int) -> [Int64] {
        var found: [Int64] = []
        var time = start
        while found.count < most, let slot = nextOpen(after: time), slot <= end {
            found.append(slot)
            time = slot
        }
        return found
    }
}
