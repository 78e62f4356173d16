// SPDX-License-Identifier: Apache-2.0
import Linux
import TaskEngine
import TaskModel
import TaskSpool

/// A run whose file the disk did not give at start-up.
struct UnreadRun {
    /// Start-up's rows for it.
    var recover: () throws(SpoolError) -> Void
    /// What came of its attempts meanwhile.
    var events: [PoolEvent] = []
}

/// Runs that start-up could not read are tried again, while all others go on.
///
/// Until then no checkpoint is written: it would have no line for them, and the next start would not know
/// what the journal says.
extension Daemon {
    private static let unreadPause: Int64 = 1_000_000
    /// So long the pool keeps for them all that it tells since: it starts nothing more where that is too
    /// much, and one file may not stop the others (P3).
    private static let unreadPatience: Int64 = 600_000_000

    /// Takes a run up again in a second, and says so the first time.
    ///
    /// - Throws: where descriptors or memory are short: then all of the start is tried again.
    func leaveUnread(
        _ id: TaskID, _ error: SpoolError, _ recover: @escaping () throws(SpoolError) -> Void
    ) throws(SpoolError) {
        if wasUnread == nil {
            if error.errno?.isShortage ?? false { throw error }
            if unread.isEmpty { unreadSince = Clock.boot() }
            report.error("\(error.sentence), the run does not go on, it is tried each second")
        }
        unread[id] = UnreadRun(recover: recover, events: wasUnread?.events ?? [])
    }

    /// Tries those that start-up left, once it is known what runs.
    func recoverUnread() {
        guard !unread.isEmpty, reconcile == nil, pool.isReady, Clock.boot() >= unreadAt else {
            return
        }
        unreadAt = Clock.boot() + Self.unreadPause
        for id in Array(unread.keys) {
            wasUnread = unread.removeValue(forKey: id)
            do {
                try wasUnread?.recover()
            } catch {
                unread[id] = wasUnread  // said already
            }
            wasUnread = nil
            if unread[id] == nil { endStrangers(of: id) }
        }
        if unread.isEmpty { wanted = nil }
        if !unread.isEmpty, Clock.boot() > unreadSince + Self.unreadPatience { giveUpUnread() }
        gatherFamilies()
    }

    private func giveUpUnread() {
        var count = 0
        for (id, run) in unread {
            for (at, event) in run.events.enumerated() where event.number > 0 {
                acknowledgeLater(event)
                unread[id]?.events[at].number = 0
                count += 1
            }
        }
        if count == 0 { return }
        report.warning(
            "runs that could not be read for 10 min: what the pool told of their attempts, \(count) "
                + "events, is in memory alone: were taskd killed now, these would run again")
    }

    /// A new connection: what of it was not acknowledged is told again.
    func forgetUnacknowledged() {
        for id in unread.keys { unread[id]?.events.removeAll { $0.number > 0 } }
    }

    /// An attempt of it may be under way: then the pool's table names it, which is complete.
    func resumeUnread(_ suspect: Reconciliation.Suspect) {
        let events = wasUnread?.events ?? []
        var ended: [TaskRef: Int] = [:]
        for line in events.lazy.map(\.line) where line.endsAttempt {
            if let ref = line.ref { ended[ref] = line.number("a") ?? 1 }
        }
        let (running, over) = (Self.items(pool.sent), Self.items(ended))
        resume(suspect, ended, (running[suspect.id] ?? [:], over[suspect.id] ?? [:]))
        for event in events { handle(event) }
        for (ref, attempt) in pool.sent
        where ref.run == suspect.id && ended[ref] != attempt && pool.table[ref] != attempt {
            lose(ref, attempt)
        }
    }

    /// Attempts in the pool of a run that is not live.
    private func endStrangers(of id: TaskID) {
        if let run = runs[id], !run.isEnded { return }
        for (ref, attempt) in pool.sent where ref.run == id { endStranger(ref, attempt) }
    }
}
