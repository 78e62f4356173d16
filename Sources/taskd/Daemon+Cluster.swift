// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskEngine
import TaskJournal
import TaskModel
import TaskSpool

/// The ledger's side of a spool: the lease, and what tasklink puts into outgoing/ (task-spool(7), "Many machines").
extension Daemon {
    /// Follows outgoing/ once it is there.
    func followOutgoing() {
        guard cluster.outgoing == nil,
            let outgoing = try? OutgoingDirectory(spool: spool.rootNumber)
        else { return }
        cluster.outgoing = outgoing
        cluster.isScanWanted = true
        guard let events = outgoing.events else { return }
        _ = try? loop.add(events, .readable) { [self] _ in
            guard let names = outgoing.changes() else {
                cluster.isScanWanted = true
                return
            }
            cluster.changed += names
        }
    }

    /// One turn: what changed in outgoing/, the lease, and what is to be handed over or taken back.
    func turnCluster() {
        guard let outgoing = cluster.outgoing, reconcile == nil else { return }
        var names = cluster.changed
        cluster.changed = []
        if cluster.isScanWanted || outgoing.events == nil, let all = try? outgoing.names() {
            names = all
            cluster.isScanWanted = false
            readLease(outgoing)
        }
        for name in names { handleOutgoing(name, outgoing) }
        checkLease()
        handOver(outgoing)
        takeBack(outgoing)
        tellFree(outgoing)
    }

    /// When the next of these turns is due, in CLOCK_BOOTTIME.
    var clusterDeadline: Int64 {
        guard let outgoing = cluster.outgoing, reconcile == nil else { return .max }
        if !cluster.changed.isEmpty { return 0 }
        var next = outgoing.events == nil ? Clock.boot() + 1_000_000 : .max
        guard cluster.isLeased, let lease = cluster.lease else { return next }
        if !cluster.claims.isEmpty || !cluster.unsent.isEmpty {
            next = min(next, lease.deadline)
        }
        if let look = cluster.nextLook { next = min(next, look) }
        if cluster.free != freeSlots { next = min(next, cluster.freeAt) }
        return next
    }

    private func handleOutgoing(_ bytes: [UInt8], _ outgoing: OutgoingDirectory) {
        if bytes == Array("lease".utf8) { return readLease(outgoing) }
        guard let name = OutgoingName(bytes: bytes) else { return }
        switch name.kind {
        case .exported, .ended, .cancel: break
        case .sent: cluster.unsent.remove(name.file.run)
        case .back: enterBack(name, outgoing)
        case .settled: settle(name, outgoing)
        case .committed, .refused: conclude(name, outgoing)
        }
    }

    // MARK: The lease

    func readLease(_ outgoing: OutgoingDirectory) {
        cluster.lease = outgoing.read("lease", limit: 4096).flatMap { Lease($0) }
        checkLease()
    }

    /// Past it nothing starts that was claimed; what runs goes on. Another session's claims are over.
    func checkLease() {
        let isLeased =
            cluster.lease?.holds(boot: owner.record.boot, at: Clock.boot()) ?? false
        if let lease = cluster.lease, isLeased {
            for id in cluster.claims
            where runs[id]?.file.token.map({ $0.epoch != lease.epoch }) ?? true {
                abandon(id)
            }
            cluster.over = cluster.over.filter { $0.token?.epoch == lease.epoch }
        }
        guard isLeased != cluster.isLeased else { return }
        cluster.isLeased = isLeased
        for id in cluster.claims {
            engine.handle(isLeased ? .unbar(id) : .bar(id), at: now())
        }
        perform(engine.takeActions())
    }

    /// Slots that a claim could have.
    private var freeSlots: Int {
        let isOpen = cluster.isLeased && !isStopping && !isPaused
        return isOpen && closedUntil <= Clock.boot() ? engine.idleSlots : 0
    }

    private func tellFree(_ outgoing: OutgoingDirectory) {
        let free = freeSlots
        guard cluster.free != free, cluster.freeAt <= Clock.boot() else { return }
        guard cluster.isLeased || cluster.free != nil else { return }
        cluster.freeAt = Clock.boot() + ClusterState.freePause
        do {
            try outgoing.write(Array("free \(free)\n".utf8), as: "free")
            cluster.free = free
        } catch {
            cluster.free = nil  // nothing is claimed for it, or too much: that waits here
        }
    }
}
