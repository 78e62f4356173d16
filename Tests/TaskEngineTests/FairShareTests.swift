// SPDX-License-Identifier: Apache-2.0
import TaskEngine
import Testing

/// Slots in simulated time: each owner has work for ever, of one length, from some moment on.
private struct Shop {
    struct Owner: Sendable {
        var name: String
        /// Microseconds of one task.
        var task: Int64
        var from: Int64 = 0
    }

    var share: FairShare<String>
    var owners: [Owner]
    /// Ends of what runs.
    private var ends: [(time: Int64, owner: String)] = []
    private(set) var now: Int64 = 0
    /// Slot time an owner had, and tasks it ended.
    private(set) var used: [String: Int64] = [:]
    private(set) var ended: [String: Int] = [:]
    /// The longest that an owner waited for a start.
    private(set) var longestWait: [String: Int64] = [:]
    private var waitsSince: [String: Int64] = [:]

    init(slots: Int, _ owners: [Owner]) {
        share = FairShare(slots: slots)
        self.owners = owners
    }

    mutating func run(until end: Int64, measuredFrom start: Int64 = 0) {
        while now < end {
            for owner in owners where owner.from <= now {
                share.set(owner.name, isPresent: true)
                share.set(owner.name, waits: true, at: now)
                if waitsSince[owner.name] == nil { waitsSince[owner.name] = now }
            }
            while let next = share.next(at: now),
                let owner = owners.first(where: { $0.name == next })
            {
                share.started(next, at: now)
                ends.append((now + owner.task, next))
                longestWait[next] = max(longestWait[next] ?? 0, now - (waitsSince[next] ?? now))
                waitsSince[next] = now
            }
            step(until: end, start)
        }
    }

    private mutating func step(until end: Int64, _ start: Int64) {
        let arrivals = owners.map(\.from).filter { $0 > now }
        let next = min((ends.map(\.time) + arrivals).min() ?? end, end)
        let from = max(now, start)
        for (_, owner) in ends where next > from { used[owner, default: 0] += next - from }
        now = next
        for (time, owner) in ends where time <= now {
            share.ended(owner, at: now)
            ended[owner, default: 0] += 1
        }
        ends.removeAll { $0.time <= now }
    }

    func ratio(_ one: String, _ other: String) -> Double {
        Double(used[one] ?? 0) / Double(max(1, used[other] ?? 0))
    }
}

private let second: Int64 = 1_000_000

@Suite struct `fair share` {
    @Test(
        arguments: [
            // slots, task of one, task of the other
            (1, 10_000, 10_000), (1, 1_000_000, 10_000), (8, 1_000_000, 10_000),
            (8, 6_000_000, 5_000), (3, 7_000, 900_000), (64, 300_000, 1_000),
        ] as [(Int, Int64, Int64)])
    func `two who always wait get equal slot time`(_ slots: Int, _ long: Int64, _ short: Int64) {
        var shop = Shop(
            slots: slots, [.init(name: "a", task: long), .init(name: "b", task: short)])
        shop.run(until: max(16 * long, 4 * second))
        let ratio = shop.ratio("a", "b")
        #expect(ratio > 0.85 && ratio < 1.18, "\(ratio)")
    }

    @Test func `five owners with tasks of different length`() {
        let lengths: [Int64] = [1_000, 10_000, 50_000, 200_000, 2_000_000]
        var shop = Shop(
            slots: 4, lengths.enumerated().map { .init(name: "o\($0.offset)", task: $0.element) })
        shop.run(until: 60 * second)
        for index in 1..<5 {
            let ratio = shop.ratio("o0", "o\(index)")
            #expect(ratio > 0.8 && ratio < 1.25, "o0 against o\(index): \(ratio)")
        }
    }

    @Test func `one alone gets every slot, and owes nothing for it later`() {
        var shop = Shop(
            slots: 4,
            [
                .init(name: "early", task: 100_000),
                .init(name: "late", task: 100_000, from: 100 * second),
            ])
        shop.run(until: 100 * second, measuredFrom: 0)
        #expect(shop.used["early"] == 4 * 100 * second)
        shop.run(until: 104 * second, measuredFrom: 100 * second)
        let early = (shop.used["early"] ?? 0) - 4 * 100 * second
        let ratio = Double(early) / Double(shop.used["late"] ?? 1)
        #expect(ratio > 0.85 && ratio < 1.15, "\(ratio)")
    }

    @Test func `short tasks do not wait for long ones behind each other`() {
        var shop = Shop(
            slots: 4, [.init(name: "long", task: 60 * second), .init(name: "short", task: 10_000)])
        shop.run(until: 100 * second)
        // Two of four slots are theirs from the first moment on.
        #expect(shop.longestWait["short"] ?? .max <= 10_000)
        #expect(shop.ended["short"] ?? 0 > 15_000)
    }

    @Test func `who is there and has nothing running finds a slot`() {
        var shop = Shop(
            slots: 8,
            [
                .init(name: "endless", task: .max / 4),
                .init(name: "later", task: 1_000, from: 5 * second),
            ])
        shop.share.set("later", isPresent: true)
        shop.run(until: 6 * second)
        #expect(shop.longestWait["later"] ?? .max <= 1_000)
        #expect(shop.ended["later"] ?? 0 > 900)
    }

    @Test func `… though it owes from before`() {
        var share = FairShare<Int>(slots: 4)
        for owner in 1...2 {
            share.set(owner, isPresent: true)
            share.set(owner, waits: true, at: 0)
        }
        // Both at work, then the second has none, and the first has some without end.
        for _ in 0..<2 { share.started(2, at: 0) }
        for _ in 0..<2 { share.started(1, at: 0) }
        for _ in 0..<2 { share.ended(2, at: 10 * second) }
        for _ in 0..<2 { share.ended(1, at: 10 * second) }
        share.set(2, waits: false, at: 10 * second)
        var started = 0
        while share.next(at: 11 * second) == 1 {
            share.started(1, at: 11 * second)
            started += 1
        }
        #expect(started == 3)
        share.set(2, waits: true, at: 12 * second)
        #expect(share.next(at: 12 * second) == 2)
    }

    @Test func `without others present no slot is kept back`() {
        var share = FairShare<Int>(slots: 8)
        share.set(1, waits: true, at: 0)
        for _ in 0..<8 {
            #expect(share.next(at: 0) == 1)
            share.started(1, at: 0)
        }
        #expect(share.next(at: 0) == nil)
    }

    @Test func `slots free at one moment are divided`() {
        var share = FairShare<Int>(slots: 8)
        for owner in 1...2 { share.set(owner, waits: true, at: 0) }
        var got = [1: 0, 2: 0]
        while let owner = share.next(at: 0) {
            share.started(owner, at: 0)
            got[owner, default: 0] += 1
        }
        #expect(got == [1: 4, 2: 4])
    }

    // It asks for one slot at a time and is never in the queue while its task runs.
    @Test func `asking late does not wipe out what is owed`() {
        var share = FairShare<String>(slots: 1)
        var used: [String: Int64] = [:]
        var now: Int64 = 0
        for _ in 0..<2000 {
            share.set("sly", waits: true, at: now)
            share.set("plain", waits: true, at: now)
            guard let next = share.next(at: now) else { break }
            share.started(next, at: now)
            if next == "sly" { share.set("sly", waits: false, at: now) }
            let task: Int64 = next == "sly" ? 30 * second : 10_000
            now += task
            used[next, default: 0] += task
            share.ended(next, at: now)
        }
        // Of all who wait at the end none is ahead by more than its last task.
        #expect(abs((used["sly"] ?? 0) - (used["plain"] ?? 0)) <= 31 * second)
    }

    @Test func `owners that come and go are forgotten`() {
        var share = FairShare<Int>(slots: 2)
        for owner in 0..<10_000 {
            share.set(owner, isPresent: true)
            share.set(owner, waits: true, at: Int64(owner))
            if let next = share.next(at: Int64(owner)) {
                share.started(next, at: Int64(owner))
                share.ended(next, at: Int64(owner))
            }
            share.set(owner, waits: false, at: Int64(owner))
            share.set(owner, isPresent: false)
        }
        #expect(share.owners <= 1)
    }
}
