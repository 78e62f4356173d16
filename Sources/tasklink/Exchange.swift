// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskJournal
import TaskLedger
import TaskModel
import TaskSpool
import TaskTool

/// Runs that go to other nodes and come from them: outgoing/ and incoming/ on one side, the words of a round on the
/// other. Without memory of its own that matters: what is to be said lies in outgoing/, and is said again until the
/// answer has changed a name there.
final class Exchange {
    let spool: Int32
    let outgoing: Int32
    let report: Reporter
    /// Runs of which the ledger has said that it has them.
    private var pushed: Set<OutgoingName> = []
    /// Where the next question begins what became of them.
    private var asked = 0
    /// What the ledger says is this node's is to be compared with what is here.
    var comparison: Int64 = 0
    var names: Set<OutgoingName> = []
    /// When it was first seen that no taskd holds the spool (CLOCK_BOOTTIME).
    var unservedSince: Int64?
    /// Claims in incoming/ that taskd has not taken.
    var dropped: Set<String> = []
    /// More is to be said than one round carries.
    private(set) var hasMore = false
    /// What was claimed, or ended, may be followed by more.
    var isBusy = false
    /// Not all of what was sent is known to be in the ledger.
    var hasUnpushed: Bool { names.contains { $0.kind == .sent && !pushed.contains($0) } }

    private static let mostCommits = 200
    private static let mostPushes = 64
    private static let mostPushedBytes = 1 << 20
    private static let mostQuestions = 1000
    static let pause: Int64 = 60_000_000

    init(spool: Int32, outgoing: Int32, _ report: Reporter) {
        (self.spool, self.outgoing, self.report) = (spool, outgoing, report)
    }

    /// Another session, or a round whose answers were lost.
    func forget(isNewSession: Bool) {
        comparison = 0
        if isNewSession { pushed = [] }
    }

    /// What this node has to say, in the order of a round behind its history.
    ///
    /// - Parameters:
    ///   - nodes: how many live; 0: nothing is known of them.
    ///   - isRecovering: only what was pushed before is pushed again.
    func steps(epoch: Int64, nodes: Int, isRecovering: Bool) throws(Errno) -> [Round.Step] {
        names = []
        let stream = try DirectoryStream(".", at: outgoing)
        while let name = try stream.next() {
            if let name = OutgoingName(bytes: name) { names.insert(name) }
        }
        pushed.formIntersection(names)
        hasMore = false
        isBusy = names.contains { $0.kind == .ended || $0.kind == .exported }
        if isRecovering { return pushes(isAgain: true) }
        var steps = commits()
        if nodes > 0 { try send() }
        steps += pushes(isAgain: false)
        for name in of(.cancel) where pushed.contains(name.at(.sent)) {
            steps.append(.cancel(RunKey(name.file.run, name.file.generation)))
        }
        steps += try claims(epoch, nodes)
        return steps + questions()
    }

    private func of(_ kind: OutgoingName.Kind) -> [OutgoingName] {
        names.filter { $0.kind == kind }.sorted { $0.file.run < $1.file.run }
    }

    // MARK: Ends of what was claimed

    private func commits() -> [Round.Step] {
        let ended = of(.ended)
        if ended.count > Self.mostCommits { hasMore = true }
        return ended.prefix(Self.mostCommits).compactMap { name in
            guard let token = name.file.token else { return nil }
            guard let verdict = read(name, limit: 1 << 20).flatMap({ LedgerVerdict($0) }) else {
                move(name, to: .refused)  // a power failure tore it, and ended its token
                return nil
            }
            let key = RunKey(name.file.run, name.file.generation)
            return .commit(LedgerCommit(key, gen: token.gen, verdict))
        }
    }

    func take(_ commit: LedgerCommit, _ answer: Answer) {
        let name = names.first {
            $0.kind == .ended && $0.file.run == commit.key.run
                && $0.file.generation == commit.key.generation && $0.file.token?.gen == commit.gen
        }
        guard let name else { return }
        switch LedgerCommit.word(answer) {
        case .committed: move(name, to: .committed)
        case .refused:
            report.warning(
                "the ledger refused how \(name.file.run) ended here: another node has the run")
            move(name, to: .refused)
        case .notYet: hasMore = true
        case nil: break
        }
    }

    // MARK: Runs for others

    /// Rule 8: durable under its new name before its first byte leaves. From then on it starts by claim alone.
    private func send() throws(Errno) {
        let exported = of(.exported)
        if exported.isEmpty { return }
        if exported.count > Self.mostPushes { hasMore = true }
        for name in exported.prefix(Self.mostPushes) {
            do {
                let file = try File.openBeneath("\(name)", at: outgoing, flags: .noFollow)
                try File.sync(file.number)
                try File.rename(
                    "\(name)", at: outgoing, to: "\(name.at(.sent))", at: outgoing)
            } catch Errno.noSuchFileOrDirectory {
                continue  // taken back
            }
            names.remove(name)
            names.insert(name.at(.sent))
        }
        try File.sync(outgoing)
    }

    private func pushes(isAgain: Bool) -> [Round.Step] {
        var steps: [Round.Step] = []
        var bytes = 0
        for name in of(.sent) where !pushed.contains(name) && !names.contains(name.at(.settled)) {
            if steps.count == Self.mostPushes || bytes > Self.mostPushedBytes {
                hasMore = true
                break
            }
            guard var push = push(name) else { continue }
            push.isAgain = isAgain
            bytes += push.plan.count
            steps.append(.push(push))
        }
        return steps
    }

    private func push(_ name: OutgoingName) -> LedgerPush? {
        guard let bytes = read(name, limit: LedgerPush.mostBytes),
            let plan = try? Plan(parsing: bytes), let places = plan.places,
            let digest = Plan.digest(ofEncoded: bytes)
        else {
            // taskd does not hand such a run over: the disk has changed it, or a hand.
            settle(
                name,
                LedgerVerdict(
                    state: .failure, places: [], reason: .changed,
                    what: "its plan was damaged in outgoing/"))
            return nil
        }
        return LedgerPush(
            RunKey(name.file.run, name.file.generation), name: plan.name ?? "", places: places,
            priority: plan.root?.spec.number(.priority) ?? 0, digest: digest, plan: bytes)
    }

    func take(_ push: LedgerPush, _ answer: Answer) {
        let file = RunFileName(run: push.key.run, generation: push.key.generation)
        let name = OutgoingName(file, .sent)
        switch LedgerPush.word(answer) {
        case .there: pushed.insert(name)
        case .later, nil: break
        case .never: move(name, to: .back)
        case .stale:
            settle(name, LedgerVerdict(state: .lost, places: [], what: "the ledger is past it"))
        case .conflict:
            let what = "the ledger has another plan under its id"
            report.error("run \(push.key.run) ends here: \(what)")
            settle(
                name,
                LedgerVerdict(state: .failure, places: [], reason: .changed, what: what))
        }
    }

    /// Cancelled now, or ended before: what it came to is asked for.
    func takeCancelled(_ key: RunKey, _ answer: Answer) {
        if answer.rows.first?.first == "busy" { return hasMore = true }
        let file = RunFileName(run: key.run, generation: key.generation)
        try? File.unlink("\(OutgoingName(file, .cancel))", at: outgoing)
    }

    // MARK: What became of them

    private func questions() -> [Round.Step] {
        let all = of(.sent).filter { pushed.contains($0) && !names.contains($0.at(.settled)) }
        if all.isEmpty { return [] }
        if asked >= all.count { asked = 0 }
        let some = all[asked...].prefix(Self.mostQuestions)
        asked += some.count
        return [.settle(some.map { RunKey($0.file.run, $0.file.generation) })]
    }

    func takeStates(_ answer: Answer) {
        for state in LedgerState.all(answer) {
            guard let verdict = state.verdict else { continue }
            let file = RunFileName(run: state.key.run, generation: state.key.generation)
            settle(OutgoingName(file, .sent), verdict)
        }
    }

    private func settle(_ name: OutgoingName, _ verdict: LedgerVerdict) {
        write(verdict.bytes, outgoing, as: "\(name.at(.settled))")
    }
}

// MARK: - Files

extension Exchange {
    private func read(_ name: OutgoingName, limit: Int) -> [UInt8]? {
        readFile("\(name)", at: outgoing, limit: limit)
    }

    func readFile(_ name: String, at directory: Int32, limit: Int) -> [UInt8]? {
        guard let file = try? File.openBeneath(name, at: directory, flags: .noFollow) else {
            return nil
        }
        return (try? File.readAll(file.number, limit: limit)) ?? nil
    }

    private func move(_ name: OutgoingName, to kind: OutgoingName.Kind) {
        do throws(Errno) {
            try File.rename("\(name)", at: outgoing, to: "\(name.at(kind))", at: outgoing)
            names.remove(name)
            names.insert(name.at(kind))
        } catch {
            if error == .noSuchFileOrDirectory { return }
            report.error("unable to rename outgoing/\(name): \(error), it is tried again")
        }
    }

    /// Whole under its name or not there. Not durable: the ledger says it again after a power failure.
    @discardableResult
    func write(_ bytes: [UInt8], _ directory: Int32, as name: String) -> Bool {
        let temporary = ".\(name).new"
        do throws(Errno) {
            let file = try File.open(
                temporary, at: directory, flags: [.writeOnly, .create, .truncate])
            try File.writeAll(bytes, to: file.number)
            try file.close()
            try File.rename(temporary, at: directory, to: name, at: directory)
            return true
        } catch {
            report.error("unable to write \(name): \(error), it is tried again")
            return false
        }
    }

    /// Until when taskd may start what was claimed.
    func write(_ lease: Lease) { write(lease.bytes, outgoing, as: "lease") }

    /// There is none any more.
    func removeLease() { try? File.unlink("lease", at: outgoing) }
}
