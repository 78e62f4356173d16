// SPDX-License-Identifier: Apache-2.0
import Linux

/// When the next round is due, in CLOCK_BOOTTIME microseconds.
struct Pace {
    /// Between two rounds that have nothing to hurry for.
    private(set) var interval: Int64
    private var round: Int64 = 0
    private var reap: Int64 = 0
    private var look: Int64 = 0
    private var lease: Int64 = 0
    private var memory: Int64 = 0
    /// How many nodes live, as the ledger said last.
    private var nodes: Int64 = 1
    /// Between two reaps of the cluster, whoever does them.
    private var reapPause: Int64 = 1_000_000

    /// How long a session goes without a whole round: that alone says how many nodes there are.
    private static let silence: Int64 = 10_000_000
    /// How often what was read is written down.
    private static let memoryPause: Int64 = 60_000_000

    init(interval: Int64) { self.interval = interval }

    var next: Int64 { min(round, reap) }
    var nextRound: Int64 { round }
    var isRoundDue: Bool { Clock.boot() >= round }
    var isReapDue: Bool { Clock.boot() >= reap }
    /// A whole round is due, though nothing is to be said.
    var isLookDue: Bool { Clock.boot() >= look }

    /// The lease is to be renewed, though rounds are put off.
    var isLeaseDue: Bool { Clock.boot() >= lease }

    var isMemoryDue: Bool { Clock.boot() >= memory }
    mutating func remembered() { memory = Clock.boot() + Self.memoryPause }

    mutating func hurry() { round = 0 }
    mutating func renewed() { lease = Clock.boot() + interval }
    mutating func wait(_ span: Int64? = nil) { round = Clock.boot() + (span ?? interval) }

    /// A lease must be renewed three times before it ends.
    ///
    /// Nobody is reaped where the ledger was not served for a third of one: a fifteenth is often enough.
    mutating func keep(lease: Int64) {
        interval = min(interval, max(lease / 3, 100_000))
        reapPause = min(max(lease / 15, 100_000), 1_000_000)
    }

    /// The cluster reaps once a second, whoever does it: so each node as often as there are nodes.
    mutating func reaped() {
        let period = nodes * reapPause
        reap = Clock.boot() + period / 2 + Int64(Random.bits64() % UInt64(period))
    }

    /// Where most nodes have died those that live reap as often as so few must.
    mutating func looked(nodes: Int) {
        self.nodes = Int64(min(max(nodes, 1), 100_000))
        reap = min(reap, Clock.boot() + self.nodes * reapPause * 3 / 2)
        look = Clock.boot() + Self.silence
        renewed()
    }
}
