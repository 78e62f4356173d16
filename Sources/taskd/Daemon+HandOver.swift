// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskEngine
import TaskJournal
import TaskModel
import TaskSpool

/// Runs that will not start soon go to outgoing/, for whatever node claims them; until tasklink has sent them they
/// come back by the same rename.
extension Daemon {
    // Looked at once a second while something waits: who comes and goes within one is never handed over.
    func handOver(_ outgoing: OutgoingDirectory) {
        let boot = Clock.boot()
        guard cluster.isLeased, cluster.lease?.nodes ?? 0 > 1, engine.hasQueue, !isStopping else {
            cluster.nextLook = nil
            return
        }
        guard let due = cluster.nextLook else {
            cluster.nextLook = boot + ClusterState.patience
            cluster.starts = 0
            return
        }
        guard boot >= due else { return }
        cluster.nextLook = boot + ClusterState.patience
        let kept = max(pool.slots, cluster.starts)
        cluster.starts = 0
        let room = ClusterState.mostAway - cluster.away.count - cluster.leaving.count
        let fired = Set(firing.files.values.map(\.unit))
        var left = min(room, ClusterState.mostAtOnce)
        for id in engine.waiting(behind: kept).reversed() where !cluster.staying.contains(id) {
            if left <= 0 { break }
            if canLeave(id, fired) { leave(id) } else { cluster.staying.insert(id) }
            left -= 1
        }
        if cluster.staying.count > 2 * runs.count + 1000 {
            cluster.staying = cluster.staying.filter { runs[$0] != nil }
        }
    }

    /// Whether another node could run it, and the ledger would take it. What has a derived id does not go: that it
    /// runs once is not the ledger's word yet.
    private func canLeave(_ id: TaskID, _ fired: Set<String>) -> Bool {
        guard let run = runs[id], run.directory == .ready, run.file.token == nil, run.kin == nil,
            !run.isEnded, !run.isRemoved, run.cancelled.isEmpty, !fired.contains(run.name),
            Int64(clamping: id.milliseconds) * 1000 > now() - ClusterState.oldest,
            case .plan(let plan) = wholePlan(of: id)
        else { return false }
        return plan.mayTravel
    }

    private func leave(_ id: TaskID) {
        guard let run = runs.removeValue(forKey: id) else { return }
        engine.handle(.forget(id), at: now())
        perform(engine.takeActions())
        cluster.leaving[id] = run
        let sequence = record(.note, id.description, [.init("what", "exported")])
        after(sequence, .handOver(id))
    }

    /// That it was accepted, and that it goes, is durable.
    func finishHandOver(_ id: TaskID) {
        guard let run = cluster.leaving.removeValue(forKey: id), let outgoing = cluster.outgoing
        else { return }
        let name = OutgoingName(run.file, .exported)
        do {
            try File.rename(
                run.file.description, at: spool.number(run.directory), to: "\(name)",
                at: outgoing.number)
            cluster.away[id] = .init(file: run.file, name: run.name)
            cluster.unsent.insert(id)
        } catch {
            // Its owner moved it meanwhile, or the disk failed: it stays, and is looked for.
            cluster.staying.insert(id)
            guard runs[id] == nil, case .plan(let plan) = reread(run) else { return }
            enter(id, plan, name: run.name, run.directory, run.file)
            vanished.insert(id)
        }
    }

    private func reread(_ run: RunRecord) -> Found {
        if let plan = run.plan { return .plan(plan) }
        if case .valid(let plan, _) = readState(PlanPlace(run.directory, run.file)) {
            return .plan(plan)
        }
        return .removed
    }

    // MARK: Back

    /// What was not sent, as many as could start; without a lease all.
    func takeBack(_ outgoing: OutgoingDirectory) {
        let room = cluster.isLeased ? engine.idleSlots : .max
        guard room > 0, !cluster.unsent.isEmpty else { return }
        for id in cluster.unsent.sorted().prefix(room) {
            guard let away = cluster.away[id] else { continue }
            enterBack(OutgoingName(away.file, .exported), outgoing, away.name)
            cluster.staying.remove(id)
        }
    }

    /// Its owner wants a run ended that lies in outgoing/.
    ///
    /// - Returns: false where it is back here, to be cancelled as any other.
    func cancelAway(_ id: TaskID, by uid: UInt32) throws(Errno) -> Bool {
        guard let away = cluster.away[id], let outgoing = cluster.outgoing else { return false }
        if cluster.unsent.contains(id) {
            enterBack(OutgoingName(away.file, .exported), outgoing, away.name)
        }
        guard cluster.away[id] != nil else { return false }
        // The ledger decides: it may have ended. Not durable, as little as the drop that asked for it.
        try outgoing.write([], as: "\(OutgoingName(away.file, .cancel))")
        record(
            .note, id.description, [.init("what", "cancel.sent"), .init("by", String(uid))])
        return true
    }

    /// Back into ready/; of two renames tasklink's may have been the first.
    func enterBack(
        _ name: OutgoingName, _ outgoing: OutgoingDirectory, _ known: String? = nil
    ) {
        let id = name.file.run
        do {
            try File.rename(
                "\(name)", at: outgoing.number, to: name.file.description,
                at: spool.number(.ready))
        } catch Errno.noSuchFileOrDirectory {
            cluster.unsent.remove(id)
            return
        } catch {
            return report.error("unable to take outgoing/\(name) back: \(error), it is tried again")
        }
        let unit = known ?? cluster.away[id]?.name
        cluster.away[id] = nil
        cluster.unsent.remove(id)
        cluster.staying.insert(id)
        record(.note, id.description, [.init("what", "returned")])
        guard let (plan, _) = readPlan(name.file, .ready) else { return }
        noteUnsynced(id)
        enter(id, plan, name: unit ?? plan.name ?? "", .ready, name.file)
    }

    /// At the start nothing is away but what was sent: the rest is back before the directories are read.
    func recoverOutgoing() throws(Errno) {
        followOutgoing()
        guard let outgoing = cluster.outgoing else { return }
        for bytes in try outgoing.names() {
            guard let name = OutgoingName(bytes: bytes) else { continue }
            switch name.kind {
            case .exported, .back:
                do {
                    try File.rename(
                        "\(name)", at: outgoing.number, to: name.file.description,
                        at: spool.number(.ready))
                } catch Errno.noSuchFileOrDirectory {
                    noteAway(name)
                }
            case .sent: noteAway(name)
            case .cancel, .settled, .ended, .committed, .refused: break
            }
        }
        cluster.lease = outgoing.read("lease", limit: 4096).flatMap { Lease($0) }
        cluster.isLeased =
            cluster.lease?.holds(boot: owner.record.boot, at: Clock.boot()) ?? false
    }

    private func noteAway(_ name: OutgoingName) {
        cluster.away[name.file.run] = .init(file: name.file, name: "")
    }
}

extension Plan {
    /// Whether it can run on another node of the cluster. A semaphore is of one node: who waits for it does not go.
    var mayTravel: Bool {
        guard let places, places <= 1000, key == nil, unshippedFile == nil,
            encode().count <= 256 << 10
        else { return false }
        return !tasks.contains { $0.spec.has(.semaphore) }
    }
}
