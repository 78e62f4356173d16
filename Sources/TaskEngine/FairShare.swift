// SPDX-License-Identifier: Apache-2.0

/// Who gets the next free slot: deficit round robin among owners (Shreedhar and Varghese, 1995),
/// charged by the time that slots are held.
///
/// An owner whose account is above zero is served until it is not; when no account of those who wait
/// is, rounds pass, and each gives every owner a quantum. A slot is charged while another owner waits:
/// what nobody misses costs nothing. So two who always wait get equal slot time, however long their
/// tasks are, and one alone gets all slots. There is no preemption: an owner with nothing running
/// waits for the next end of a task, unless a slot was kept for it (`reserve`).
///
/// O(owners) a call.
public struct FairShare<Owner: Hashable & Sendable>: Sendable {
    private struct Account {
        /// Slot microseconds.
        var balance: Int64 = 0
        var running = 0
        var waits = false
        var isPresent = false

        // One that starts is charged a quantum in advance, or all free slots of one moment would
        // be one owner's.
        var credit: Int64 { balance - Int64(running) * quantum }
        var hasNothing: Bool { isPresent && running == 0 }
        var isForgettable: Bool { running == 0 && !waits && !isPresent && balance >= 0 }
    }

    /// Slot time of a round, in microseconds.
    public static var quantum: Int64 { 50_000 }

    /// How many tasks run at once.
    public let slots: Int
    private var accounts: [Owner: Account] = [:]
    /// In order of arrival.
    private var ring: [Owner] = []
    /// Whose turn it is, a place in `ring`.
    private var turn = 0
    private var running = 0
    private var chargedUntil: Int64 = 0

    public init(slots: Int) { self.slots = slots }

    /// How many have an account: they are there, have work, or owe.
    public var owners: Int { ring.count }

    /// An owner is there, or is not, whether it has work or none.
    public mutating func set(_ owner: Owner, isPresent: Bool) {
        update(owner) { $0.isPresent = isPresent }
    }

    /// An owner has something to start, or has not.
    public mutating func set(_ owner: Owner, waits: Bool, at now: Int64) {
        if accounts[owner]?.waits ?? false == waits { return }
        charge(until: now)
        update(owner) {
            $0.waits = waits
            // Who asks for nothing saves nothing; what it owes it owes.
            if !waits { $0.balance = min($0.balance, 0) }
        }
    }

    /// A slot is free, whoever may have it.
    public var hasRoom: Bool { running < slots }

    /// The owner whose task starts next; nil when nobody waits, or what is free is kept for others.
    public mutating func next(at now: Int64) -> Owner? {
        charge(until: now)
        let free = slots - running
        guard free > 0 else { return nil }
        let ready = ring.indices.filter { place in
            let account = accounts[ring[place], default: Account()]
            return account.waits && free > reserve(against: ring[place])
        }
        if ready.isEmpty { return nil }
        if ready.count < accounts.values.count(where: { $0.waits }) {
            // A slot that was kept: no round passes for those who may not have it.
            return ready.map { ring[$0] }.max { credit(of: $0) < credit(of: $1) }
        }
        passRounds(for: ready)
        let inOrder = ready.filter { $0 >= turn } + ready.filter { $0 < turn }
        guard let chosen = inOrder.first(where: { credit(of: ring[$0]) > 0 }) else { return nil }
        turn = chosen
        return ring[chosen]
    }

    public mutating func started(_ owner: Owner, at now: Int64) {
        charge(until: now)
        running += 1
        update(owner) { $0.running += 1 }
    }

    public mutating func ended(_ owner: Owner, at now: Int64) {
        charge(until: now)
        running -= 1
        update(owner) { $0.running -= 1 }
    }

    /// Slots that an owner may not take: one for each other that is there and has nothing running, of a
    /// quarter of all slots at most. Else tasks without end of one would keep another out for ever.
    private func reserve(against owner: Owner) -> Int {
        if accounts[owner]?.running ?? 0 == 0 { return 0 }
        let idle = accounts.count { $0.key != owner && $0.value.hasNothing }
        return min(idle, slots / 4)
    }

    // MARK: Accounts

    private func credit(of owner: Owner) -> Int64 { accounts[owner]?.credit ?? 0 }

    private mutating func charge(until now: Int64) {
        let elapsed = max(0, now - chargedUntil)
        chargedUntil = max(now, chargedUntil)
        if elapsed == 0 || ring.count < 2 { return }
        let waiting = accounts.values.count { $0.waits }
        for owner in ring {
            guard let account = accounts[owner], account.running > 0,
                waiting > (account.waits ? 1 : 0)
            else { continue }
            let (cost, overflow) = elapsed.multipliedReportingOverflow(by: Int64(account.running))
            accounts[owner]?.balance = max(
                Self.lowest, account.balance - min(overflow ? .max : cost, -Self.lowest))
        }
    }

    // Half of all numbers: twice that still is one.
    private static var lowest: Int64 { Int64.min / 4 }

    /// As many rounds as it takes until one of them is above zero.
    private mutating func passRounds(for ready: [Int]) {
        let best = ready.map { credit(of: ring[$0]) }.max() ?? 1
        if best > 0 { return }
        let rounds = (-best) / Self.quantum + 1
        for owner in ring {
            guard let account = accounts[owner] else { continue }
            // Credits are above zero by a quantum at most; an owner that does not wait has none.
            let most = account.waits ? Int64(account.running + 1) * Self.quantum : 0
            accounts[owner]?.balance = min(most, account.balance + rounds * Self.quantum)
        }
        turn = (turn + 1) % ring.count
    }

    private mutating func update(_ owner: Owner, _ change: (inout Account) -> Void) {
        if accounts[owner] == nil {
            accounts[owner] = Account()
            ring.append(owner)
        }
        change(&accounts[owner, default: Account()])
        if accounts[owner]?.isForgettable ?? false { forget(owner) }
    }

    private mutating func forget(_ owner: Owner) {
        accounts[owner] = nil
        guard let place = ring.firstIndex(of: owner) else { return }
        ring.remove(at: place)
        if place < turn { turn -= 1 }
        if turn >= ring.count { turn = 0 }
    }
}
