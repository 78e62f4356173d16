// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskEngine
import TaskJournal
import TaskModel
import TaskSpool

/// Runs of this spool that ended elsewhere, or here by a claim: the ledger says how.
extension Daemon {
    /// `outgoing/X.settled`: journaled with `from=ledger`, then step 6.
    func settle(_ name: OutgoingName, _ outgoing: OutgoingDirectory) {
        let id = name.file.run
        if cluster.recorded.contains(name) { return }
        if isPaused {
            cluster.isScanWanted = true
            return
        }
        guard let bytes = outgoing.read("\(name)", limit: 1 << 20) else { return }
        let sent = name.at(.sent)
        guard let verdict = LedgerVerdict(bytes),
            let encoded = outgoing.read("\(sent)", limit: 1 << 20)
        else {
            // Half of it by a power failure: tasklink asks again. Or its run has ended.
            try? outgoing.remove(name)
            return
        }
        if cluster.claims.contains(id) { abandon(id) }
        let plan = try? Plan(parsing: encoded)
        let unit = cluster.away[id]?.name ?? ""
        cluster.recorded.insert(name)
        if cluster.settled[id] != name.file.generation {
            record(verdict, name.file, plan, unit.isEmpty ? plan?.name ?? "" : unit)
        }
        after(journal.lastSequence, .settle(name, plan, verdict))
    }

    private func record(
        _ verdict: LedgerVerdict, _ file: RunFileName, _ plan: Plan?, _ name: String
    ) {
        for (ref, state) in Self.ends(verdict, file.run, plan) {
            var fields: [EventLine.Field] = [.init("state", state.word)]
            if state == .failure {
                fields.append(.init("reason", (verdict.reason ?? .exit).rawValue))
            }
            if let what = verdict.what { fields.append(.init("what", what)) }
            if file.generation > 0 { fields.append(.init("g", String(file.generation))) }
            let own = ref.task.flatMap { number in plan?.tasks.first { $0.number == number } }
            fields += [
                .init("name", own?.spec.name ?? name), .init("from", "ledger"),
                .init("final", "yes"),
            ]
            record(.end, ref.description, fields)
        }
    }

    /// Items, then their array, then the run.
    private static func ends(
        _ verdict: LedgerVerdict, _ id: TaskID, _ plan: Plan?
    ) -> [(TaskRef, TaskState)] {
        let rest: TaskState = verdict.state == .success ? .success : verdict.state
        func state(_ place: Int) -> TaskState {
            guard verdict.places.indices.contains(place) else { return rest }
            switch verdict.places[place] {
            case .success: return .success
            case .failure: return .failure
            case .none: return rest
            }
        }
        var ends: [(TaskRef, TaskState)] = []
        for task in plan?.tasks ?? [] {
            let ref = TaskRef(run: id, task: task.number)
            guard let items = plan?.items.first(where: { $0.task == task.number }) else {
                ends.append((ref, state(task.number)))
                continue
            }
            for item in 0..<items.count {
                ends.append((TaskRef(run: id, task: task.number, item: item), state(item)))
            }
            ends.append((ref, verdict.state))
        }
        return ends + [(TaskRef(run: id), verdict.state)]
    }

    /// Its end is durable: what failed comes to failed/, as of any run of this spool.
    func finishSettled(_ name: OutgoingName, _ plan: Plan?, _ verdict: LedgerVerdict) {
        guard let outgoing = cluster.outgoing else { return }
        let (id, sent) = (name.file.run, name.at(.sent))
        do {
            if verdict.state == .success || verdict.state == .skipped {
                try outgoing.remove(sent)
            } else {
                try park(sent, plan, verdict, outgoing)
            }
            try outgoing.remove(name.at(.cancel))
            try outgoing.remove(name)
        } catch {
            report.error(
                "unable to finish outgoing/\(sent): \(error), it is tried again in 60 s; the journal has "
                    + "its end")
            return checkpoint.undone.append(.settle(name, plan, verdict))
        }
        cluster.away[id] = nil
        cluster.recorded.remove(name)
    }

    private func park(
        _ sent: OutgoingName, _ plan: Plan?, _ verdict: LedgerVerdict,
        _ outgoing: OutgoingDirectory
    ) throws(Errno) {
        let id = sent.file.run
        do {
            try File.rename(
                "\(sent)", at: outgoing.number, to: "\(id).full", at: spool.number(.tmp))
        } catch Errno.noSuchFileOrDirectory {
        }
        var past = RunPast()
        past.generation = sent.file.generation
        past.ends[sent.file.generation] = verdict.state
        for (ref, state) in Self.ends(verdict, id, plan) {
            guard let task = ref.task else { continue }
            if let item = ref.item {
                past.items[task, default: .init()].states[item] = .init(state)
            } else {
                past.tasks[task, default: .init()].final = state
            }
        }
        do {
            try recoverFull(id, past, [])
        } catch {
            throw error.errno ?? .ioError
        }
    }

    /// `outgoing/X.committed`, `.refused`: what became of a claimed run that ended here.
    func conclude(_ name: OutgoingName, _ outgoing: OutgoingDirectory) {
        guard let token = name.file.token, !cluster.recorded.contains(name) else { return }
        if isPaused {
            cluster.isScanWanted = true
            return
        }
        // That it is gone is an event, too.
        guard let bytes = outgoing.read("\(name)", limit: 1 << 20) else { return }
        cluster.recorded.insert(name)
        let id = name.file.run
        let gen = EventLine.Field("gen", String(token.gen))
        if name.kind == .refused {
            record(.note, id.description, [.init("what", "commit.refused"), gen])
        }
        // Where it is this spool's own, the ledger's word on the run itself follows.
        if cluster.away[id] == nil {
            let verdict = LedgerVerdict(bytes)
            let state = name.kind == .committed ? verdict?.state ?? .success : .lost
            var fields: [EventLine.Field] = [.init("state", state.word), gen]
            if name.kind == .refused {
                fields.append(.init("what", "another node has the run: this is no result"))
            }
            if state == .failure { fields.append(.init("reason", FailureReason.exit.rawValue)) }
            fields += [.init("from", "ledger"), .init("final", "yes")]
            record(.end, id.description, fields)
        }
        after(journal.lastSequence, .removeOutgoing(name))
    }
}
