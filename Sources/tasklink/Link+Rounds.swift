// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskJournal
import TaskLedger
import TaskModel
import TaskTool

/// What the next round says, and what follows from each outcome.
extension Link {
    /// Microseconds between rounds while runs come and go.
    private static let busyPause: Int64 = 250_000

    /// - Returns: nil when there is nothing to say yet.
    func nextRound() -> Round? {
        if pace.isRoundDue {
            if needsSession { return Round([.register]) }
            if let kept { return kept }
            if let round = madeRound() { return round }
        }
        guard !needsSession, pace.isReapDue else { return nil }
        return Round([.reap])
    }

    private func madeRound() -> Round? {
        do {
            let questions = try tail.unasked()
            if !questions.isEmpty {
                return Round([.enter] + questions.map { .ship(.question($0)) })
            }
            if isDeserted { return desert() }
            // Before the journal: the end of what lies there is in it by then.
            let work = try work()
            let batch = try tail.collect()
            sayMissed()
            if batch.shipments.isEmpty, work.isEmpty {
                return quietRound(isReading: batch.hasMore)
            }
            isHurried = batch.hasMore || exchange.hasMore
            return Round([.enter] + batch.shipments.map { .ship($0) } + work)
        } catch let error as Errno {
            alarm.raise("unable to read outgoing/: \(error), nothing is shipped until it can")
            pace.wait()
            return Round([.renew])
        } catch let error as JournalError {
            alarm.raise("unable to \(error.sentence), nothing is shipped until it can")
            if setup.isOnce { status = ExitStatus.ioError }
            pace.wait()
            return Round([.renew])
        } catch {
            return nil
        }
    }

    // An upgrade of taskd takes seconds.
    private var isDeserted: Bool {
        !setup.isOnce
            && exchange.isDeserted(epoch: session.epoch, after: 2 * max(session.lease, 5_000_000))
    }

    /// A new session: what the last one held is ready for others. Its claims here are void by that, also to a taskd
    /// that starts just now.
    private func desert() -> Round {
        report.warning("no taskd holds the spool: what was claimed is given back to the ledger")
        exchange.removeLease()
        needsSession = true
        return Round([.register])
    }

    // `--once` ships, and has no lease for anything else.
    private func work() throws(Errno) -> [Round.Step] {
        if setup.isOnce { return [] }
        return try exchange.steps(
            epoch: session.epoch, nodes: nodes, isRecovering: isRecovering)
    }

    private func quietRound(isReading: Bool) -> Round? {
        if isReading {
            // What was shipped before is read first; the lease does not wait for it.
            guard pace.isLookDue || pace.isLeaseDue else { return nil }
            isHurried = true
            return Round([pace.isLookDue ? .enter : .renew])
        }
        if isReportDue, !exchange.hasUnpushed { return Round([.enter, .reported]) }
        if pace.isMemoryDue || setup.isOnce { remember() }
        if setup.isOnce, kept == nil {
            status = 0
            return nil
        }
        return Round([pace.isLookDue ? .enter : .renew])
    }

    /// For a quick start. Nothing that was collected waits for its commit, or it stays as it is.
    func remember() {
        guard kept == nil else { return }
        pace.remembered()
        guard let memory = tail.takeMemory() else { return }
        do {
            try file.save(memory)
        } catch {
            alarm.raise(
                "unable to write outgoing/read: \(error), the next start reads the whole journal")
        }
    }

    private func sayMissed() {
        for segment in tail.takeMissed() {
            report.warning(
                "journal/\(segment) was removed before the ledger had all of it, which now lacks the rest"
            )
        }
        guard tail.damages > 0, !saidDamage else { return }
        saidDamage = true
        report.warning(
            "the journal has bad or missing records, which are not shipped: tasklog verify names them"
        )
    }

    // MARK: Outcomes

    func finish(_ round: Round, _ outcome: Round.Outcome) {
        switch outcome {
        case .committed(let answers): commit(round, answers)
        case .committedBefore:
            // The cursors were asked for in this very session: what was shipped was taken.
            for case .ship(let shipment) in round.steps where shipment.from >= 0 {
                _ = tail.told(shipment, shipment.to)
            }
            exchange.forget(isNewSession: false)
            counted(round)
            pace.hurry()
        case .again: pace.wait(100_000)
        case .unknown(let failure): leave("unable to reach the ledger: \(failure.message)")
        case .fenced: fence()
        case .copy: becomeAnother()
        case .ledgerBehind: stayOut()
        case .nameInUse: waitForName()
        case .notAllowed(let failure):
            give(
                up: "the ledger does not let this node in: \(failure.message)",
                ExitStatus.noPermission)
        case .otherVersion(let failure):
            give(
                up:
                    "the database has no ledger of this version (contrib/sql/migrate): \(failure.message)",
                ExitStatus.configuration)
        case .refused(let failure):
            give(
                up: "the ledger refuses what is shipped: \(failure.message) "
                    + "(\(failure.code ?? "no SQLSTATE"))", ExitStatus.refused)
        }
    }

    private func commit(_ round: Round, _ answers: [Answer]) {
        for (step, answer) in zip(round.steps, answers) { take(step, answer) }
        if round.isCounted { counted(round) }
        if round.steps != [.reap] {
            wasUp = wasUp || round.isCounted
            alarm.clear()
            if isHurried {
                pace.hurry()
            } else {
                pace.wait(exchange.isBusy ? min(pace.interval, Self.busyPause) : nil)
            }
            isHurried = false
        }
    }

    private func counted(_ round: Round) {
        session.committed()
        (kept, isNamed) = (nil, false)
        if setup.isOnce { isHurried = true }
    }

    private func take(_ step: Round.Step, _ answer: Answer) {
        switch step {
        case .register: register(answer)
        case .enter:
            let entered = Round.entered(answer)
            pace.looked(nodes: entered.nodes)
            (nodes, isRecovering) = (entered.nodes, entered.isRecovering)
            isReportDue = entered.isRecovering && !hasReported
            writeLease()  // before what is claimed in it comes
        case .ship(let shipment):
            guard let place = Round.cursor(answer) else { return }
            if shipment.from < 0 { isHurried = true }
            // The ledger is elsewhere: it lost what it had, or another one ships this journal.
            if !tail.told(shipment, place) { tail.reset() }  // without the memory
        case .commit(let commit): exchange.take(commit, answer)
        case .push(let push): exchange.take(push, answer)
        case .claim, .held: exchange.takeClaims(answer, epoch: session.epoch)
        case .cancel(let key): exchange.takeCancelled(key, answer)
        case .settle: exchange.takeStates(answer)
        case .reported: (hasReported, isReportDue) = (true, false)
        case .reap: pace.reaped()
        case .renew:
            pace.renewed()
            writeLease()
        }
    }

    private func register(_ answer: Answer) {
        guard let registered = Round.registered(answer) else { return }
        session.registered(registered, boot: setup.boot)
        isNamed = false
        save()
        needsSession = false
        begun = Clock.boot()
        pace.keep(lease: registered.lease)
        exchange.forget(isNewSession: true)
        (hasReported, isReportDue) = (false, registered.isRecovering)
        tail.reset(file.loadMemory())
        isHurried = true
    }

    /// Four fifths of the ledger's, from before it knew: so it ends first, however clocks run. Without it nothing that
    /// was claimed starts.
    private func writeLease() {
        guard !setup.isOnce, session.lease > 0 else { return }
        exchange.write(
            Lease(
                boot: setup.boot.description, epoch: session.epoch,
                deadline: sentAt + session.lease / 5 * 4,
                nodes: isRecovering ? 0 : nodes))
    }

    // MARK: What takes a session away

    private func fence() {
        kept = nil
        needsSession = true
        if !setup.isOnce { exchange.removeLease() }
        pace.hurry()
        fencings = Clock.boot() - begun < 15_000_000 ? fencings + 1 : 0
        guard fencings >= 3 else { return }
        report.error(
            "unable to keep a session: another tasklink logs in under this name, and each ends the other's; "
                + "nothing is shipped: give each spool a role of its own")
        status = ExitStatus.refused
    }

    private func becomeAnother() {
        kept = nil
        session.becomeAnother(.random())
        needsSession = true
        // On disk first: under the old id it would go on where the other spool is.
        guard mustSave() else { return pace.wait() }
        pace.hurry()
        report.warning(
            "this spool is a copy, or an old state, of the one that the ledger knows (TL006): its journal is "
                + "shipped under another id from now on")
    }

    private func stayOut() {
        let sentence =
            "unable to ship: the ledger knows less than this node (TL003): it was the primary before and is "
            + "none any more, or a backup was restored and contrib/sql/restored was not run"
        if setup.isOnce {
            report.error("\(sentence), nothing is shipped")
            status = ExitStatus.refused
        }
        leave(sentence, after: 2 * pace.interval)
    }

    // Right after a reboot it is this node's own lease, and ends within seconds.
    private func waitForName() {
        let sentence =
            "unable to begin a session: another boot has a lease under this name (TL005): this node's last "
            + "one, or another machine's"
        if setup.isOnce {
            report.error("\(sentence), nothing is shipped")
            status = ExitStatus.tryLater
        }
        leave(sentence, after: pace.interval)
    }

    /// At the start it is a mistake of who set it up; later it may pass: a restore, a migration.
    private func give(up sentence: String, _ code: Int32) {
        if !wasUp || setup.isOnce {
            report.error("\(sentence), nothing is shipped")
            status = code
        }
        leave(sentence)
    }
}
