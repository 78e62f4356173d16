// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskEngine
import TaskJournal
import TaskModel
import TaskSpool

/// Runs that this node has claimed: plans in the state directories whose names have a token. They are void after a
/// reboot, and then another node's, so nothing of them need be durable before it is acted on.
extension Daemon {
    /// `incoming/ULID@GEN.claim`; it stays until its accept is durable, and a second look knows it.
    func takeClaim(_ id: TaskID, _ name: String) {
        if commands.contains(name) { return }
        let postpone = { self.incoming.postpone(Array(name.utf8), at: Clock.boot()) }
        guard case .complete(let bytes, _, _) = spool.look(at: name) else { return postpone() }
        guard let drop = ClaimDrop(bytes), let plan = try? Plan(parsing: drop.plan) else {
            let taken = TakenName(id: newID(), name: "\(id)@\(name)")
            guard (try? spool.move(name, .incoming, to: taken.text, .tmp)) != nil else { return }
            return reject(taken, "\(name): it is no claim: tasklink writes those")
        }
        let file = RunFileName(run: id, generation: drop.generation, token: drop.token)
        // It may have come before the word of the session that it is of.
        if cluster.lease?.epoch != drop.token.epoch, let outgoing = cluster.outgoing {
            readLease(outgoing)
        }
        let isVoid = cluster.lease?.epoch != drop.token.epoch || cluster.over.contains(file)
        if isVoid || runs[id]?.file.token == drop.token || isEndedHere(file) {
            removeQuietly(name, .incoming)
            return
        }
        if cluster.claims.contains(id) { abandon(id) }
        // Attempts of an earlier claim first come to their end.
        if runs[id] != nil || cluster.leaving[id] != nil
            || pool.sent.keys.contains(where: { $0.run == id })
        {
            return postpone()
        }
        do {
            try spool.write(drop.plan, to: id.description, .tmp, durable: false)
            try spool.move(id.description, .tmp, to: file.description, .ready)
        } catch {
            return sayStays(name, error)
        }
        noteSize(drop.plan)
        let sequence = recordAccept(
            id, name: drop.name, plan, drop.plan, nil, isRecovered: false, firing: accepted(drop))
        commands.insert(name)
        after(sequence, .removeCommand(name))
        cluster.abandoned.remove(id)
        enter(id, plan, name: drop.name, .ready, file)
    }

    private func accepted(_ drop: ClaimDrop) -> [EventLine.Field] {
        [.init("gen", String(drop.token.gen))]
            + (drop.generation > 0 ? [.init("g", String(drop.generation))] : [])
    }

    private func isEndedHere(_ file: RunFileName) -> Bool {
        [OutgoingName.Kind.ended, .committed, .refused].contains { kind in
            guard let outgoing = cluster.outgoing else { return false }
            let name = "\(OutgoingName(file, kind))"
            return (try? File.status(name, at: outgoing.number)) != nil
        }
    }

    /// The end of a claimed run is durable. Whether it counts the ledger says: tasklink finds it in outgoing/.
    func finishClaim(_ id: TaskID, _ run: RunRecord, _ state: TaskState) {
        var file = run.file
        file.attempt = 1
        do {
            guard let outgoing = cluster.outgoing else { throw Errno.noSuchFileOrDirectory }
            try outgoing.write(
                LedgerVerdict(state: state, places: places(of: run, state)).bytes,
                as: "\(OutgoingName(file, .ended))")
        } catch {
            report.error(
                "unable to write outgoing/\(OutgoingName(file, .ended)): \(error), it is tried again in 60 s"
            )
            runs[id] = run
            return checkpoint.undone.append(.finish(id, state))
        }
        cluster.claims.remove(id)
        if cluster.over.count >= 10_000 { cluster.over = [] }
        cluster.over.insert(file)
        removeClaim(run)
    }

    private func places(of run: RunRecord, _ state: TaskState) -> [LedgerVerdict.Place] {
        func place(_ state: TaskState?) -> LedgerVerdict.Place {
            state == .success || state == .skipped ? .success : .failure
        }
        guard let plan = run.plan else { return [place(state)] }
        return plan.tasks.flatMap { task -> [LedgerVerdict.Place] in
            guard let items = plan.items.first(where: { $0.task == task.number }) else {
                return [place(run.isSingle ? state : run.results[task.number])]
            }
            return (0..<items.count).map {
                run.items[task.number]?[$0] == .success ? .success : .failure
            }
        }
    }

    /// Another session's, or settled without it: what runs of it is killed, for its end cannot count.
    func abandon(_ id: TaskID) {
        guard let run = runs[id], let token = run.file.token else {
            cluster.claims.remove(id)
            return
        }
        if run.isEnded { return }  // the ledger refuses it
        let gen = EventLine.Field("gen", String(token.gen))
        if cluster.away[id] == nil {
            record(
                .end, id.description,
                [
                    .init("state", TaskState.lost.word), gen,
                    .init("what", "the lease ended: another node has the run"),
                    .init("name", run.name), .init("from", "ledger"), .init("final", "yes"),
                ])
        } else {
            record(.note, id.description, [.init("what", "fenced"), gen])
        }
        runs[id] = nil
        cluster.claims.remove(id)
        if cluster.abandoned.count >= 10_000 { cluster.abandoned = [] }
        cluster.abandoned.insert(id)
        engine.handle(.forget(id), at: now())
        perform(engine.takeActions())
        removeClaim(run)
    }

    private func removeClaim(_ run: RunRecord) {
        do {
            try spool.remove(run.file.description, run.directory)
        } catch Errno.noSuchFileOrDirectory {
            guard let place = (try? find(run.file.run)) ?? nil, place.1.token == run.file.token
            else { return }
            removeQuietly(place.1.description, place.0)
        } catch {
            report.error("unable to remove \(run.directory.rawValue)/\(run.file): \(error)")
        }
    }

    // MARK: Start-up

    /// One that the journal knows goes on as any run; what it does not know comes again from incoming/.
    func recoverClaim(_ place: PlanPlace, _ past: RunPast) throws(SpoolError) {
        let (id, token) = (place.file.run, place.file.token)
        guard past.gen == token?.gen, case .valid(let plan, let encoded) = readState(place) else {
            removeQuietly(place.file.description, place.directory)
            return
        }
        guard let state = past.ends[place.file.generation] else {
            return recoverLive(id, place, past, nil, plan, encoded)
        }
        var run = RunRecord(
            plan: plan, name: past.accept?.unit ?? plan.name ?? "", directory: place.directory,
            file: place.file)
        run.isEnded = true
        (run.results, run.items) = (past.results, past.itemResults)
        runs[id] = run
        after(journal.lastSequence, .finish(id, state))
    }
}
