// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskJournal
import TaskLedger
import TaskTool

/// What a link is told once.
struct LinkSetup {
    var target: String
    /// End when nothing is left to ship.
    var isOnce: Bool
    /// Microseconds between two rounds.
    var interval: Int64
    var boot: UUID
}

/// The link between a spool and the ledger: one loop, one transaction at a time.
///
/// A round is kept until its outcome is known. What it said is durable in the journal and its name in
/// `outgoing/session` before its first byte leaves, so that a kill at any point repeats or skips nothing.
final class Link {
    private enum Phase {
        /// No connection until then.
        case away(until: Int64)
        case connecting(Connection, deadline: Int64)
        case idle(Connection)
        case waiting(Connection, Round, deadline: Int64)
    }

    let setup: LinkSetup
    let tail: JournalTail
    let file: SessionFile
    let exchange: Exchange
    let report: Reporter
    private let loop: EventLoop
    private let signals: SignalSource
    private let endpoints: [Endpoint]

    private var phase = Phase.away(until: 0)
    private var watch: WatchToken?
    private var tries = 0
    var session: Session
    /// A numbered round that is not known to be committed.
    var kept: Round?
    /// The name of the next round is on disk.
    var isNamed = false
    var needsSession: Bool
    var alarm: Alarm
    var pace: Pace
    /// There is more to ship than one round carries.
    var isHurried = false
    /// While recovering: the ledger waits for this node's word that it has told all.
    var isReportDue = false
    var hasReported = false
    /// What the last round said: nodes that live, and that a restored backup is not open yet.
    var nodes = 0
    var isRecovering = false
    /// When the round that is on its way was sent (CLOCK_BOOTTIME): the lease counts from then.
    var sentAt: Int64 = 0
    var saidDamage = false
    /// Something of this process was committed: what is wrong from now on may pass.
    var wasUp = false
    /// How often a session of this process was taken away soon after it began.
    var fencings = 0
    var begun: Int64 = 0
    private let started = Clock.boot()
    private var isStopping = false
    /// How it ends; nil: it goes on.
    var status: Int32?

    /// CLOCK_BOOTTIME microseconds for one host, for one transaction, and how long `--once` tries.
    private static let connectPatience: Int64 = 5_000_000
    private static let roundPatience: Int64 = 15_000_000
    private static let oncePatience: Int64 = 10_000_000

    init(
        _ setup: LinkSetup, _ file: SessionFile, _ tail: JournalTail, _ exchange: Exchange,
        _ report: Reporter
    ) throws {
        self.setup = setup
        self.file = file
        self.exchange = exchange
        self.tail = tail
        self.report = report
        alarm = Alarm(report)
        pace = Pace(interval: setup.interval)
        endpoints = try Connection.endpoints(of: setup.target)
        // The nodes of a cluster do not all ask the same host first.
        tries = Int(Random.bits64() % UInt64(endpoints.count))
        session = try file.load(boot: setup.boot)
        needsSession = !session.isOpen(boot: setup.boot)
        session.move(to: setup.boot)
        tail.reset(file.loadMemory())
        signals = try SignalSource([15, 2])
        loop = try EventLoop()
    }

    /// Runs until a signal, or for `--once` until nothing is left.
    ///
    /// - Returns: the exit status.
    func run() throws -> Int32 {
        _ = try loop.add(signals.descriptor.number, .readable) { [self] _ in
            while let signal = try? signals.next(), signal != 0 { isStopping = true }
        }
        Caller.notifyManager("READY=1")
        while true {
            try act()
            if isStopping, !isWaiting, status == nil {
                status = 0
                remember()
            }
            if let status {
                Caller.notifyManager("STOPPING=1")
                return status
            }
            try loop.turn(until: deadline)
        }
    }

    private var isWaiting: Bool {
        if case .waiting = phase { true } else { false }
    }

    private var deadline: Int64 {
        switch phase {
        case .away(let until): until
        case .connecting(_, let deadline), .waiting(_, _, let deadline): deadline
        case .idle: needsSession ? pace.nextRound : pace.next
        }
    }

    // MARK: The connection

    private func act() throws {
        let now = Clock.boot()
        switch phase {
        case .away(let until) where now >= until: try connect()
        case .connecting(_, let deadline) where now >= deadline:
            leave(
                "unable to reach the ledger: no answer within \(Self.connectPatience / 1_000_000) s"
            )
        case .waiting(_, _, let deadline) where now >= deadline:
            // Never cancelled: the server may have committed it, and the next round tells.
            leave(
                "unable to reach the ledger: no answer within \(Self.roundPatience / 1_000_000) s")
        case .idle(let connection): try send(connection)
        default: break
        }
    }

    private func connect() throws {
        let endpoint = endpoints[tries % endpoints.count]
        tries += 1
        let connection = try Connection(setup.target, at: endpoint)
        phase = .connecting(connection, deadline: Clock.boot() + Self.connectPatience)
        if let failure = connection.failure { return lose(failure) }
        try follow(connection)
    }

    // While it connects the library may have taken another socket.
    private func follow(_ connection: Connection) throws(Errno) {
        if let watch { loop.remove(watch) }
        watch = nil
        guard connection.failure == nil, connection.socket >= 0 else { return }
        watch = try loop.add(connection.socket, connection.readiness) { [self] _ in
            ready(connection)
        }
    }

    private func ready(_ connection: Connection) {
        // Before libpq closes a socket: epoll(7) would keep what another descriptor still holds.
        if let watch, connection.isConnecting { loop.remove(watch) }
        if connection.isConnecting { watch = nil }
        connection.advance()
        if case .connecting = phase, connection.isIdle { phase = .idle(connection) }
        if case .waiting(_, let round, _) = phase, let reply = connection.takeReply() {
            phase = .idle(connection)
            finish(round, round.outcome(of: reply, session))
        }
        if let failure = connection.failure, isOf(connection) { lose(failure) }
        guard isOf(connection) else { return }
        do {
            try follow(connection)
        } catch {
            leave("unable to wait for the ledger: \(error)")
        }
    }

    private func isOf(_ connection: Connection) -> Bool {
        switch phase {
        case .away: false
        case .connecting(let own, _), .idle(let own), .waiting(let own, _, _): own === connection
        }
    }

    // It broke while nothing was on its way, or could not be made.
    private func lose(_ failure: LedgerFailure) {
        let round = Round([])
        finish(round, round.outcome(of: .lost(failure), session))
    }

    /// Lets go of the connection and tries again, on the next host, after a while.
    func leave(_ sentence: String, after pause: Int64? = nil) {
        if let watch { loop.remove(watch) }
        watch = nil
        if status == nil {
            alarm.raise("\(sentence), nothing is shipped until then; what runs goes on")
        }
        // Spread out: all nodes come back to a new primary at once.
        let isNext = tries % endpoints.count != 0
        let jitter = Int64(Random.bits64() % UInt64(pace.interval))
        phase = .away(until: Clock.boot() + (pause ?? (isNext ? 50_000 : 50_000 + jitter)))
        if setup.isOnce, Clock.boot() - started > Self.oncePatience { status = ExitStatus.tryLater }
    }

    // MARK: Rounds

    private func send(_ connection: Connection) throws {
        guard !isStopping, status == nil, let round = nextRound() else { return }
        if round.isCounted {
            // Kept before anything can fail: its ends are not read again.
            kept = round
            session.begin(.random())
            guard isNamed || mustSave() else { return pace.wait() }
            isNamed = true
        }
        sentAt = Clock.boot()
        connection.send(round.statements(session))
        phase = .waiting(connection, round, deadline: Clock.boot() + Self.roundPatience)
        try follow(connection)
        if connection.failure != nil { ready(connection) }
    }

    func save() {
        do {
            try file.save(session)
        } catch {
            // The next round saves it before it says anything.
            alarm.raise("unable to write outgoing/session: \(error)")
        }
    }

    /// As `save`, for what must be on disk before the next word.
    func mustSave() -> Bool {
        do {
            try file.save(session)
            return true
        } catch {
            alarm.raise(
                "unable to write outgoing/session: \(error), nothing is shipped until it can")
            return false
        }
    }
}
