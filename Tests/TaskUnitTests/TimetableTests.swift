// SPDX-License-Identifier: Apache-2.0
import TaskModel
import Testing

@testable import TaskUnit

private let second: Int64 = 1_000_000
private let minute = 60 * second
private let hour = 60 * minute
private let day = 24 * hour

/// Microseconds of a day's hour and minute in UTC.
private func at(_ date: CivilDate, _ h: Int64, _ m: Int64 = 0, _ s: Int64 = 0) -> Int64 {
    date.daysSince1970 * day + h * hour + m * minute + s * second
}

private func at(_ h: Int64, _ m: Int64 = 0, _ s: Int64 = 0) -> Int64 {
    at(CivilDate(year: 2026, month: 11, day: 25), h, m, s)
}

/// A timetable with one unit, whose decisions are carried out as taskd does.
private struct Bench {
    var table = Timetable()
    var isBusy = false
    var boot: Int64 = 0
    let unit = "site"

    init(
        _ cron: [String], _ misfire: Misfire = .once, _ overlap: Overlap = .skip,
        zone: ZoneRules = .utc, every: Int64? = nil, since: Int64, slots: FiredSlots = .init(),
        isBootDue: Bool = false, at real: Int64? = nil
    ) throws {
        let expressions = try cron.map { text throws in try CronExpression(text) }
        table.arm(
            unit,
            FiringTerms(
                expressions: expressions, zone: zone, misfire: misfire, overlap: overlap,
                every: every),
            since: since, slots: slots, isBootDue: isBootDue, real: real ?? since, boot: 0)
    }

    var slots: FiredSlots { table.entries[unit]?.slots ?? .init() }

    /// What is due then, as `run HH:MM missed`, in the order of carrying it out.
    mutating func look(_ real: Int64, carriesOut: Bool = true) -> [String] {
        let firings = table.due(real: real, boot: boot, isRunning: { [isBusy] _ in isBusy })
        for firing in firings where carriesOut {
            switch firing {
            case .run(let unit, .boot, _, _): table.accountForBoot(of: unit)
            case .run(let unit, let kind, let slot, let missed):
                table.account(for: slot, of: unit, missed: missed, real: real)
                if kind == .condition { table.accountForPoll(of: unit, boot: boot) }
            case .skip(let unit, let slot, let missed, _):
                table.account(for: slot, of: unit, missed: missed, real: real)
            }
        }
        return firings.map(Self.text)
    }

    private static func clock(_ slot: Int64) -> String {
        let minutes = slot.floored(by: day).remainder / minute
        func two(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "\(two(minutes / 60)):\(two(minutes % 60))"
    }

    private static func text(_ firing: Firing) -> String {
        switch firing {
        case .run(_, let kind, let slot, let missed):
            let others = missed == 0 ? "" : " +\(missed)"
            return kind == .boot ? "boot" : "\(clock(slot))\(others)"
        case .skip(_, let slot, let missed, let because):
            let others = missed == 0 ? "" : " +\(missed)"
            return "no \(clock(slot))\(others) \(because)"
        }
    }
}

@Suite struct Timetables {
    @Test func `a slot fires when its time has come, and once`() throws {
        var bench = try Bench(["0 3 * * *"], since: at(1))
        #expect(bench.table.nextDeadlines().real == at(3))
        #expect(bench.look(at(2, 59, 59)) == [])
        #expect(bench.look(at(3)) == ["03:00"])
        #expect(bench.look(at(3)) == [])
        #expect(bench.table.nextDeadlines().real == at(3) + day)
    }

    @Test func `a decision stands until it was carried out`() throws {
        var bench = try Bench(["0 3 * * *"], since: at(1))
        #expect(bench.look(at(3), carriesOut: false) == ["03:00"])
        #expect(bench.look(at(3, 0, 1)) == ["03:00"])
        #expect(bench.look(at(3, 0, 2)) == [])
    }

    @Test func `several cron= lines at the same minute are one slot`() throws {
        var bench = try Bench(["0 3 * * *", "0 * * * *"], since: at(2, 30))
        #expect(bench.look(at(3)) == ["03:00"])
        #expect(bench.look(at(4)) == ["04:00"])
    }

    @Test(arguments: [
        (Misfire.skip, [String]()), (.once, []), (.all, []),
    ])
    func `what was due before it was armed is not made up for`(
        _ misfire: Misfire, _ expected: [String]
    ) throws {
        var bench = try Bench(["0 * * * *"], misfire, since: at(9, 30), at: at(9, 45))
        #expect(bench.look(at(9, 46)) == expected)
    }

    @Test(arguments: [
        (Misfire.skip, ["no 12:00 +2 missed"]),
        (.once, ["12:00 +2"]),
        (.all, ["10:00", "11:00", "12:00"]),
    ])
    func `three slots passed while nothing ran`(_ misfire: Misfire, _ expected: [String]) throws {
        var bench = try Bench(["0 * * * *"], misfire, .allow, since: at(9, 30), at: at(12, 30))
        #expect(bench.look(at(12, 30)) == expected)
        #expect(bench.look(at(12, 31)) == [])
        #expect(bench.look(at(13)) == ["13:00"])
    }

    @Test(arguments: [
        (Misfire.skip, ["no 12:00 +2 missed", "13:00"]),
        (.once, ["13:00 +3"]),
        (.all, ["10:00", "11:00", "12:00", "13:00"]),
    ])
    func `slots passed, and one is due now`(_ misfire: Misfire, _ expected: [String]) throws {
        var bench = try Bench(["0 * * * *"], misfire, .allow, since: at(9, 30), at: at(13, 0, 5))
        #expect(bench.look(at(13, 0, 5)) == expected)
        #expect(bench.look(at(13, 0, 6)) == [])
    }

    @Test(arguments: [(Int64(59), ["03:00"]), (Int64(60), ["no 03:00 missed"])])
    func `a minute late is missed`(_ seconds: Int64, _ expected: [String]) throws {
        var bench = try Bench(["0 3 * * *"], .skip, since: at(1))
        #expect(bench.look(at(3, 0, seconds)) == expected)
    }

    @Test func `all has a cap, the latest count`() throws {
        var bench = try Bench(["* * * * *"], .all, .allow, since: at(1))
        let found = bench.look(at(6))
        #expect(found.first == "no 04:20 +199 missed")
        #expect(found.dropFirst().first == "04:21")
        #expect(found.last == "06:00")
        #expect(found.count == 1 + Timetable.mostMadeUp)
        #expect(bench.look(at(6)) == [])
        #expect(bench.slots.spans.count == 1)
    }

    // MARK: Jumps

    @Test(arguments: [
        (Misfire.skip, ["no 12:29 +998 missed", "12:30"]), (.once, ["12:30 +999"]),
    ])
    func `a year ahead is one decision`(_ misfire: Misfire, _ expected: [String]) throws {
        var bench = try Bench(["* * * * *"], misfire, since: at(12, 29))
        #expect(bench.look(at(12, 30)) == ["12:30"])
        #expect(bench.look(at(12, 30) + 365 * day) == expected)
    }

    @Test func `a day back: no slot fires twice`() throws {
        var bench = try Bench(["0 * * * *"], since: at(0, 30))
        for hour in Int64(1)...12 { #expect(bench.look(at(hour)).count == 1) }
        #expect(bench.look(at(12, 10) - day) == [])  // before it was armed: armed anew
        #expect(bench.look(at(13) - day) == ["13:00"])
        #expect(bench.look(at(0, 45)).count == 1)  // 11 slots that never ran
        for hour in Int64(1)...12 { #expect(bench.look(at(hour)) == []) }
        #expect(bench.look(at(13)) == ["13:00"])
    }

    @Test func `a year ahead and back: what did not run comes when its time comes`() throws {
        var bench = try Bench(["0 * * * *"], since: at(0, 30))
        #expect(bench.look(at(1)) == ["01:00"])
        #expect(bench.look(at(1, 30) + 365 * day) == ["01:00 +999"])
        #expect(bench.look(at(1, 40)) == [])
        #expect(bench.table.nextDeadlines().real == at(2))
        #expect(bench.look(at(2)) == ["02:00"])
    }

    @Test func `armed with a wrong clock: what is due by the right one fires`() throws {
        var bench = try Bench(["0 * * * *"], since: at(0, 30) + 365 * day)
        #expect(bench.look(at(4, 30)) == [])
        #expect(bench.table.nextDeadlines().real == at(5))
        #expect(bench.look(at(5)) == ["05:00"])
    }

    @Test func `a file from the future is armed now`() throws {
        var bench = try Bench(["0 * * * *"], since: at(4) + 9 * day, at: at(4))
        #expect(bench.look(at(5)) == ["05:00"])
    }

    // MARK: Zones

    /// Berlin, 2026: ahead on March 29 (02:00 → 03:00), back on October 25 (03:00 → 02:00).
    private static let berlin = ZoneRules(
        changes: [], first: 3600, rule: ZoneRule("CET-1CEST,M3.5.0,M10.5.0/3"))

    @Test(arguments: [
        // In the gap: at its end, 03:00 of the clocks.
        ("30 2 * * *", Int64(3), Int64(29), ["01:00"]),
        // Twice that night: the first time.
        ("30 2 * * *", Int64(10), Int64(25), ["00:30"]),
        // What follows the clocks: not in the gap, both times in the overlap.
        ("30 * * * *", Int64(3), Int64(29), ["00:30", "01:30", "02:30"]),
        ("30 * * * *", Int64(10), Int64(25), ["00:30", "01:30", "02:30"]),
        ("*/30 2 * * *", Int64(3), Int64(29), [String]()),
        ("*/30 2 * * *", Int64(10), Int64(25), ["00:00", "00:30", "01:00", "01:30"]),
    ])
    func `DST in Berlin, by UTC`(
        _ cron: String, _ month: Int64, _ date: Int64, _ expected: [String]
    ) throws {
        let night = CivilDate(year: 2026, month: month, day: date)
        var bench = try Bench([cron], zone: Self.berlin, since: at(night, 0) - minute)
        var found: [String] = []
        for step in Int64(0)...180 { found += bench.look(at(night, 0) + step * minute) }
        #expect(found == expected)
    }

    @Test func `other rules of the zone count at once`() throws {
        var bench = try Bench(["0 3 * * *"], since: at(0))
        bench.table.change(
            zone: ZoneRules(changes: [], first: 3600, rule: nil), of: "site", real: at(1))
        #expect(bench.table.nextDeadlines().real == at(2))
        #expect(bench.look(at(2)) == ["02:00"])
    }

    @Test func `a leap day is due in leap years`() throws {
        var bench = try Bench(["0 0 29 2 *"], since: at(0))
        #expect(
            bench.table.nextDeadlines().real == at(CivilDate(year: 2028, month: 2, day: 29), 0))
        bench = try Bench(
            ["0 0 29 2 *"], since: at(CivilDate(year: 2096, month: 3, day: 1), 0))
        #expect(
            bench.table.nextDeadlines().real == at(CivilDate(year: 2104, month: 2, day: 29), 0))
    }

    // MARK: Overlap

    @Test(arguments: [
        (Overlap.skip, ["no 02:00 overlap"]), (.allow, ["02:00"]), (.queue, []),
    ])
    func `the run before has not ended`(_ overlap: Overlap, _ expected: [String]) throws {
        var bench = try Bench(["0 * * * *"], .once, overlap, since: at(0, 30))
        #expect(bench.look(at(1)) == ["01:00"])
        bench.isBusy = true
        #expect(bench.look(at(2)) == expected)
        #expect(bench.look(at(2, 1)) == [])
    }

    @Test func `queue keeps one, the latest, and runs it behind the run before`() throws {
        var bench = try Bench(["0 * * * *"], .once, .queue, since: at(0, 30))
        #expect(bench.look(at(1)) == ["01:00"])
        bench.isBusy = true
        #expect(bench.look(at(2)) == [])
        #expect(bench.look(at(3)) == ["no 02:00 overlap"])
        bench.table.ended("site")
        #expect(bench.look(at(3, 1)) == [])  // another run of it is there
        bench.isBusy = false
        bench.table.ended("site")
        #expect(bench.look(at(3, 30)) == ["03:00"])
        #expect(bench.look(at(3, 31)) == [])
        #expect(bench.look(at(4)) == ["04:00"])
    }

    @Test func `what was queued when taskd died was missed`() throws {
        var bench = try Bench(["0 * * * *"], .once, .queue, since: at(0, 30))
        #expect(bench.look(at(1)) == ["01:00"])
        bench.isBusy = true
        #expect(bench.look(at(2)) == [])
        var next = try Bench(
            ["0 * * * *"], .once, .queue, since: at(0, 30), slots: bench.slots, at: at(2, 10))
        #expect(next.look(at(2, 10)) == ["02:00"])
    }

    @Test func `one missed slot after the other, unless they may run at once`() throws {
        var bench = try Bench(["0 * * * *"], .all, .skip, since: at(0, 30), at: at(3, 30))
        #expect(bench.look(at(3, 30)) == ["01:00", "no 02:00 overlap", "no 03:00 overlap"])
    }

    // MARK: Conditions and boots

    @Test func `a condition is asked at once, and on a grid`() throws {
        var bench = try Bench([], every: minute, since: at(1))
        #expect(bench.table.nextDeadlines().boot == 0)
        #expect(bench.look(at(1, 0, 5)).count == 1)
        #expect(bench.look(at(1, 0, 6)) == [])
        #expect(bench.table.nextDeadlines().boot == minute)
        bench.boot = 3 * minute + second  // late: the grid stays
        #expect(bench.look(at(1, 3)).count == 1)
        #expect(bench.table.nextDeadlines().boot == 4 * minute)
    }

    @Test func `a condition is left out while its run goes on`() throws {
        var bench = try Bench([], every: minute, since: at(1))
        bench.isBusy = true
        #expect(bench.look(at(1)) == [])
        #expect(bench.table.nextDeadlines().boot == minute)
    }

    @Test func `a restart does not ask early, a clock set back not late`() throws {
        var slots = FiredSlots()
        slots.add(at(1), continues: true)
        var bench = try Bench([], every: minute, since: at(0), slots: slots, at: at(1, 0, 20))
        #expect(bench.table.nextDeadlines().boot == 40 * second)
        bench = try Bench([], every: minute, since: at(0), slots: slots, at: at(1) - day)
        #expect(bench.table.nextDeadlines().boot == minute)
        bench.boot = minute
        // Its id comes after the one before, whatever the clock says.
        #expect(
            bench.table.due(real: at(1) - day, boot: minute) { _ in false }
                == [.run(unit: "site", .condition, slot: at(1) + 1000, missed: 0)])
    }

    @Test func `@reboot is due once, when it is armed after a boot`() throws {
        var bench = try Bench(["@reboot"], since: at(1), isBootDue: true)
        #expect(bench.look(at(1)) == ["boot"])
        #expect(bench.look(at(1)) == [])
        #expect(bench.table.nextDeadlines().real == .max)
        bench = try Bench(["@reboot"], since: at(1))
        #expect(bench.look(at(1)) == [])
    }

    // MARK: Many

    @Test func `of many units only what is due is told`() throws {
        var table = Timetable()
        for number in 0..<60 {
            let terms = FiringTerms(expressions: [try CronExpression("\(number) * * * *")])
            table.arm(
                "u\(number)", terms, since: at(0, 59), slots: .init(), isBootDue: false,
                real: at(0, 59), boot: 0)
        }
        let due = table.due(real: at(1, 17, 1), boot: 0) { _ in false }
        #expect(due.count == 18)
        table.disarm("u18")
        for firing in due {
            guard case .run(let unit, _, let slot, _) = firing else { continue }
            table.account(for: slot, of: unit, missed: 0, real: at(1, 17, 1))
        }
        #expect(table.nextDeadlines().real == at(1, 19))
    }
}

@Suite struct SlotSpans {
    @Test func `slots that follow each other are one span`() {
        var slots = FiredSlots()
        for slot in Int64(1)...1000 { slots.add(slot * minute, continues: true) }
        #expect(slots.spans == [.init(from: minute, through: 1000 * minute)])
    }

    @Test func `its text reads as itself`() {
        var slots = FiredSlots()
        slots.add(10, continues: true)
        slots.add(20, continues: true)
        slots.add(90, continues: false)
        #expect(slots.text == "10-20,90-90")
        #expect(FiredSlots(slots.text) == slots)
    }

    @Test(arguments: ["x", "5", "9-5", "1-2,2-3", "1-2-3"])
    func `what is no text of spans is refused`(_ text: String) {
        #expect(FiredSlots(text) == nil)
    }

    @Test func `never more than eight spans`() {
        var slots = FiredSlots()
        for slot in Int64(1)...50 { slots.add(slot * 10, continues: false) }
        #expect(slots.spans.count == FiredSlots.most)
        #expect(slots.spans.first?.from == 10)
        #expect(slots.latest == 500)
    }
}
