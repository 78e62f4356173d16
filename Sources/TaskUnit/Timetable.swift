// SPDX-License-Identifier: Apache-2.0
import TaskModel

/// What to do with slots that passed while nothing could run.
public enum Misfire: String, CaseIterable, Sendable { case skip, once, all }

/// What to do with a slot when the unit's run before has not ended.
public enum Overlap: String, CaseIterable, Sendable { case skip, queue, allow }

/// When a unit runs by itself: its [RunIf].
public struct FiringTerms: Sendable {
    public var expressions: [CronExpression]
    public var zone: ZoneRules
    public var misfire: Misfire
    public var overlap: Overlap
    /// How often the condition is asked where no cron= says when; microseconds.
    public var every: Int64?

    public init(
        expressions: [CronExpression], zone: ZoneRules = .utc, misfire: Misfire = .once,
        overlap: Overlap = .skip, every: Int64? = nil
    ) {
        self.expressions = expressions
        self.zone = zone
        self.misfire = misfire
        self.overlap = overlap
        self.every = every
    }

    /// What a unit's [RunIf] says; what is no expression is left out.
    ///
    /// - Parameter zone: the rules of its TimeZone=, else of the machine's.
    public init(_ unit: UnitDefinition, zone: ZoneRules) {
        let cron = unit.settings(.cron).compactMap { try? CronExpression($0.value) }
        let spec = unit.spec
        self.init(
            expressions: cron, zone: zone,
            misfire: spec.text(.misfire).flatMap { Misfire(rawValue: $0) } ?? .once,
            overlap: spec.text(.overlap).flatMap { Overlap(rawValue: $0) } ?? .skip,
            every: cron.isEmpty ? spec.span(.every).microseconds : nil)
    }

    /// The first slot after a time; both in microseconds since 1970.
    public func next(after time: Int64) -> Int64? {
        let second = time.floored(by: 1_000_000).quotient
        return expressions.compactMap { $0.next(after: second, in: zone) }.min()
            .map { $0 * 1_000_000 }
    }

    /// Whether it runs once after each boot of the machine.
    public var isAtBoot: Bool { expressions.contains { $0.fields == nil } }
}

/// A slot that has come.
public enum Firing: Equatable, Sendable {
    /// The unit runs; `missed` slots before this one passed without a run and get none.
    case run(unit: String, Kind, slot: Int64, missed: Int)
    /// It does not; nor for `missed` slots before this one.
    case skip(unit: String, slot: Int64, missed: Int, Because)

    /// What makes it run.
    public enum Kind: Equatable, Sendable { case time, condition, boot }

    /// Why a slot has no run.
    public enum Because: Equatable, Sendable {
        /// It had passed, and Misfire= does not want it.
        case missed
        /// The run before has not ended.
        case overlap
    }
}

/// The armed units and when each is due: a value without clock, file or process.
///
/// Times are microseconds: `real` since 1970, may step; `boot` (conditions) never does. A decision stands
/// until `account(for:)` says that it was carried out, so that a full disk only delays it.
public struct Timetable: Sendable {
    struct Entry {
        var terms: FiringTerms
        /// What came before is not made up for.
        var armed: Int64
        var slots: FiredSlots
        /// When to look again; `.max`: never.
        var next: Int64 = .max
        /// A slot that waits for the run before (Overlap=queue), and what it stands for.
        var queued: (slot: Int64, missed: Int)?
        /// The run before has ended: what is queued may start.
        var isReleased = false
        /// The machine was started, and this has not run since.
        var isBootDue = false
        /// When the condition is asked next, in the clock that never steps.
        var poll: Int64?
    }

    /// Later than this a slot was missed.
    public static let patience: Int64 = 60_000_000
    /// Misfire=all makes up for so many slots at most, the latest.
    public static let mostMadeUp = 100
    /// More missed slots are not counted.
    public static let mostCounted = 1000

    var entries: [String: Entry] = [:]
    /// The last real time that was seen.
    var seen: Int64 = .min
    private var deadlines: (real: Int64, boot: Int64)?

    public init() {}

    public var isEmpty: Bool { entries.isEmpty }
    public func isArmed(_ unit: String) -> Bool { entries[unit] != nil }

    /// Arms a unit, or arms it anew with what it says now.
    ///
    /// - Parameters:
    ///   - since: when its file last changed: what was due before is not made up for.
    ///   - slots: what is accounted for.
    ///   - isBootDue: for @reboot: the machine was started since it last ran.
    public mutating func arm(
        _ unit: String, _ terms: FiringTerms, since: Int64, slots: FiredSlots, isBootDue: Bool,
        real: Int64, boot: Int64
    ) {
        var entry = Entry(terms: terms, armed: min(since, real), slots: slots)
        entry.isBootDue = isBootDue && terms.isAtBoot
        if let every = terms.every {
            let last = slots.latest.flatMap { $0 >= since ? $0 : nil }
            let wait = last.map { min(max($0 + every - real, 0), every) } ?? 0
            entry.poll = boot + wait
        }
        entry.look(at: real)
        entries[unit] = entry
        deadlines = nil
        if seen == .min { seen = real }
    }

    /// What it says of the time is the same; the rules of its zone are others.
    public mutating func change(zone: ZoneRules, of unit: String, real: Int64) {
        entries[unit]?.terms.zone = zone
        entries[unit]?.look(at: real)
        deadlines = nil
    }

    public mutating func disarm(_ unit: String) {
        entries[unit] = nil
        deadlines = nil
    }

    /// A run of the unit has ended: what waited for that may start.
    public mutating func ended(_ unit: String) {
        guard entries[unit]?.queued != nil else { return }
        entries[unit]?.isReleased = true
        deadlines = nil
    }

    /// The slot has its run, or its record that it has none.
    ///
    /// - Parameter missed: so many before it have neither.
    public mutating func account(for slot: Int64, of unit: String, missed: Int, real: Int64) {
        guard var entry = entries[unit] else { return }
        entry.slots.add(slot, continues: missed == 0)
        if let queued = entry.queued, queued.slot <= slot {
            entry.queued = nil
            entry.isReleased = false
        }
        entry.look(at: real)
        entries[unit] = entry
        deadlines = nil
    }

    /// @reboot has had its run.
    public mutating func accountForBoot(of unit: String) {
        entries[unit]?.isBootDue = false
        deadlines = nil
    }

    /// The condition was asked: once more at the next point of its grid.
    public mutating func accountForPoll(of unit: String, boot: Int64) {
        entries[unit]?.passPoll(boot)
        deadlines = nil
    }

    /// When something is due next, in either clock; `.max`: never.
    public mutating func nextDeadlines() -> (real: Int64, boot: Int64) {
        if let deadlines { return deadlines }
        var next = (real: Int64.max, boot: Int64.max)
        for entry in entries.values {
            let isNow = entry.isBootDue || entry.isReleased
            next.real = min(next.real, isNow ? .min : entry.next)
            next.boot = min(next.boot, entry.poll ?? .max)
        }
        deadlines = next
        return next
    }

    /// The clock may have been set: what is due when is reckoned again.
    mutating func notice(_ real: Int64) {
        defer { seen = real }
        guard real < seen else { return }
        for unit in entries.keys { entries[unit]?.look(at: real) }
        deadlines = nil
    }

    mutating func forgetDeadlines() { deadlines = nil }
}
