// SPDX-License-Identifier: Apache-2.0
import Linux

/// What one owner has in the pool, and how much he may have: all of it is taskrun's memory.
final class PoolOwner {
    let task: TaskOwner
    /// Closes what he passed.
    let aside: AsideCloser
    /// Connections, whether they serve a spool or not.
    var connections = 0
    var spools = 0
    /// Jobs that were accepted and have not ended.
    var jobs = 0
    /// Bytes of their recipes, of those that share one once.
    var jobBytes = 0
    /// Bytes of events that no taskd has acknowledged.
    var keptBytes = 0
    /// Bytes of messages that are still read this turn.
    private(set) var budget = 0
    private var packets = 0

    static let mostConnections = 16
    static let mostSpools = 16
    // A taskd hands over slots + 16 at most.
    static let mostJobs = 8192
    static let mostJobBytes = 64 << 20
    static let mostKeptBytes = 8 << 20
    // Enough for a busy taskd; others get their turn.
    private static let bytesATurn = 256 << 10
    private static let packetsATurn = 32

    init(_ task: TaskOwner, _ loop: EventLoop) {
        self.task = task
        aside = AsideCloser(loop)
    }

    /// Nothing of his starts until his taskd has acknowledged what ended.
    var isBlocked: Bool { keptBytes >= Self.mostKeptBytes }
    var isGone: Bool { connections == 0 && spools == 0 && aside.isIdle }

    /// A new turn of the loop.
    func refill() {
        budget = Self.bytesATurn
        packets = Self.packetsATurn
        aside.advance()
    }

    /// Whether another packet of his is read this turn.
    var mayRead: Bool { budget > 0 && packets > 0 }

    func hasRead(_ bytes: Int) {
        budget -= bytes
        packets -= 1
    }
}
