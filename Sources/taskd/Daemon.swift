// SPDX-License-Identifier: Apache-2.0
import DequeModule
import Linux
import SystemPackage
import TaskEngine
import TaskJournal
import TaskModel
import TaskSpool
import TaskUnit

/// The spooler: what is dropped becomes a plan, plans become jobs of the pool, events become the
/// journal. One thread, one loop; no call waits for another process or a user's path.
final class Daemon {
    let options: Options
    let spool: Spool
    let owner: SpoolOwner
    let journal: JournalWriter
    let reserve: SpaceReserve?
    let loop: EventLoop
    var watch: SpoolWatch
    let report: Report
    let compiler: DropCompiler
    var engine = TaskEngine(lookAhead: 16, isGathering: true)
    var runs: [TaskID: RunRecord] = [:]
    var incoming: IncomingQueue
    var afterSync = Deque<(sequence: UInt64, action: AfterSync)>()
    var pool = Pool()
    /// A plan left failed/ to run again, and its record is not written yet.
    var isRetryUnsynced = false
    /// Subtasks in tmp/ whose accept is not durable yet.
    var built: [TaskID: (plan: Plan, drop: SubtaskDrop)] = [:]
    /// Whether it was said that subtasks can't be taken.
    var isStalled = false
    /// Runs that `Key=` made today or yesterday, whatever became of them: see `JournalFold`.
    var keys: [TaskID: UInt64] = [:]
    var keysDay: UInt64 = 0
    /// Successes that count again (`RemainAfterExit=`), and attempts that end by one at once.
    var remaining: [String: Remaining] = [:]
    var spared = Deque<(ref: TaskRef, attempt: Int, success: Remaining)>()
    var reconcile: Reconciliation?
    /// Names whose file left a state directory: looked for again at the end of the turn.
    var vanished: Set<TaskID> = []
    /// Not before then (CLOCK_BOOTTIME): the directories could not be read.
    var lookAgain: Int64 = 0
    /// Runs that ended and whose file was in no directory then: its owner removed it, or moves it.
    /// Until the next checkpoint.
    var elsewhere: [TaskID: (run: RunRecord, state: TaskState)] = [:]
    /// Plans that memory does not know: the journal is asked at the end of the turn, once for all.
    var strangers: [TaskID: PlanPlace] = [:]
    /// Not before then (CLOCK_BOOTTIME): the journal could not be read.
    var admitAgain: Int64 = 0
    /// Commands in incoming/ whose record is not durable yet.
    var commands: Set<String> = []
    /// Drops that a power failure brought back, are on record already and could not be taken away.
    var returned: [String: ReturnedDrop] = [:]
    /// Names in rejected/ whose file is still on its way.
    var rejecting: Set<String> = []
    /// Reasons that could not be written beside what is rejected.
    var unwritten: [TaskID: String] = [:]
    /// Attempts to be started whose plan could not be read.
    var unreadable: [(ref: TaskRef, attempt: Int)] = []
    /// Log segments with results of ends that are not durable yet.
    var resultSegments: Set<SegmentName> = []
    /// When those that could not be read for now are tried again (CLOCK_BOOTTIME).
    var readAgain: Int64 = 0
    /// Runs that start-up could not read, and the one that is being tried; not before `unreadAt`
    /// (CLOCK_BOOTTIME).
    var unread: [TaskID: UnreadRun] = [:]
    var wasUnread: UnreadRun?
    var unreadAt: Int64 = 0
    var unreadSince: Int64 = 0
    var carried = CarriedPlans()
    var parsed = ParsedPlans()
    /// The texts of items that were read last.
    var itemBlock = ItemFile.Block()
    /// A large plan was read: what it took is given back at the end of the turn.
    var isBloated = false
    /// Records of attempts wait for the disk before they start, until then (CLOCK_BOOTTIME).
    var cautiousUntil: Int64 = 0
    var isStopping = false
    var exitStatus: Int32 = 0
    /// Nothing is written until then (CLOCK_BOOTTIME): the journal has no space.
    private var pausedUntil: Int64 = 0
    /// Nothing is accepted until then: the disk is short, or failed.
    var closedUntil: Int64 = 0
    /// How many records the start read.
    var replayed = 0
    /// A start-up has ended since the machine started: the page cache is whole.
    var isCleanBoot = false
    /// The last taskd ended in order, and nothing was written after that.
    var isQuietStart = false
    /// The journal has records of an earlier boot.
    var hasEarlierBoot = false
    /// The journal or the checkpoint says so of this boot.
    var isNotedBoot = false
    /// During start-up: plans that accept records do not carry themselves.
    var wanted: WantedPlans?
    var journald: JournaldSender
    var random = RandomSource()
    var checkpoint = CheckpointState()
    var firing = FiringState()
    var compression = CompressionState()
    var retention = RetentionState()
    var cluster = ClusterState()
    let wallTimer: WallTimer
    var configuration: Configuration
    /// SIGHUP: task.conf is to be read again.
    let hangup: SignalSource
    var isReloadWanted = false
    /// The most runs at once since there were none.
    var mostRuns = 0
    /// Said once, until there is space again.
    var isShortOfSpace = false
    /// Whether it was said that no more runs fit into memory.
    var isFull = false
    /// Said once, until a record can be written again.
    private var isJournalFull = false
    private var highWater: Int64 = 0
    private var lastNow = Clock.boot()

    init(
        options: Options, spool: Spool, owner: SpoolOwner, journal: JournalWriter,
        reserve: SpaceReserve?, report: Report
    ) throws(Errno) {
        self.options = options
        self.spool = spool
        self.owner = owner
        self.journal = journal
        self.reserve = reserve
        self.report = report
        compiler = DropCompiler(spool)
        journald = JournaldSender(path: options.journald)
        loop = try EventLoop()
        incoming = IncomingQueue()
        watch = SpoolWatch(spool)
        wallTimer = try WallTimer()
        configuration = options.configuration
        hangup = try SignalSource([1])
    }

    /// Microseconds of the engine's clock: the real time, that never goes back; while that was set back
    /// it goes on by CLOCK_BOOTTIME.
    func now() -> Int64 {
        let boot = Clock.boot()
        highWater = max(highWater + boot - lastNow, Clock.real())
        lastNow = boot
        return highWater
    }

    /// Runs until a signal or a fault that leaves nothing to do.
    func run() throws(Errno) -> Int32 {
        let signals = try SignalSource([15, 2])  // TERM, INT
        _ = try loop.add(signals.descriptor.number, .readable) { [self] _ in isStopping = true }
        try followHangup()
        try followWatcher()
        checkSpool(isMoved: isElsewhere)  // while there were no watches
        _ = try loop.add(wallTimer.number, .readable) { [self] _ in wallTimer.clear() }
        incoming.isScanWanted = true
        lookAtUnits()
        let isLong = replayed > CheckpointState.longReplay
        let early = CheckpointState.interval - CheckpointState.afterLongReplay
        checkpoint.writtenAt = Clock.boot() - (isLong ? early : 0)
        report.ready()
        Memory.forgetStart()
        while !isStopping { try turn() }
        withExtendedLifetime(signals) {}
        if exitStatus == 0 { settleJournal(force: true) }
        checkpointAtStop()
        report.stopping()
        return exitStatus
    }

    private func turn() throws(Errno) {
        let events = try loop.turn(until: deadline())
        reloadConfiguration()
        maintainPool()
        lookWithoutEvents()
        acceptDrops()
        lookAtUnits()
        fireDue()
        lookForVanished()
        admitStrangers()
        recoverUnread()
        turnCluster()
        engine.advance(to: now())
        perform(engine.takeActions())
        endSpared()
        tryUnreadable()
        // What a start stands on is written before its job line goes out (models/link.pml, F_MARK).
        settleJournal(force: events == 0)
        tryUnreadable()  // of those whose start had to be durable first
        flushPool()
        maybeCheckpoint()
        maybeCompress()
        maybeRetain()
        if isBloated { Memory.trim() }
        isBloated = false
    }

    /// When the next turn is due though nothing happens, in CLOCK_BOOTTIME; nil: never.
    private func deadline() -> Int64? {
        let boot = Clock.boot()
        let hasDrops = incoming.hasWork(hasRoom, at: boot)
        if !spared.isEmpty { return boot }
        if journal.needsSync && isIdle || hasDrops && closedUntil <= boot {
            if pausedUntil <= boot { return boot }
        }
        var next = min(max(incoming.nextLook, closedUntil), pool.nextAttempt ?? .max)
        if hasDrops { next = min(next, max(closedUntil, pausedUntil)) }
        next = min(next, firingDeadline(at: boot))
        next = min(next, max(clusterDeadline, pausedUntil))
        if let sync = journal.syncDeadline(now: boot, idle: false) { next = min(next, sync) }
        if let due = checkpointDue { next = min(next, due) }
        if let due = compressionDue { next = min(next, due) }
        if let due = retentionDue { next = min(next, due) }
        if !vanished.isEmpty { next = min(next, lookAgain) }
        if !strangers.isEmpty { next = min(next, admitAgain) }
        if !unreadable.isEmpty { next = min(next, readAgain) }
        if !unread.isEmpty, reconcile == nil, pool.isReady { next = min(next, unreadAt) }
        next = min(next, watch.nextLook)
        if let due = engine.nextDeadline { next = min(next, boot + max(0, due - now())) }
        if pausedUntil > boot { next = max(pausedUntil, boot) }
        return next == .max ? nil : next
    }

    /// The journal has no space.
    var isPaused: Bool { pausedUntil > Clock.boot() }

    /// Nothing runs and nothing waits to be taken: a record that waits would only cost time.
    private var isIdle: Bool { engine.running == 0 && incoming.names.isEmpty }

    /// Writes what was appended, syncs when it is time, and does what waited for that.
    ///
    /// - Parameter now: sync, whether it is time or not.
    func settleJournal(force: Bool, now: Bool = false) {
        do {
            try writeJournal()
            let boot = Clock.boot()
            let idle = isStopping || force && isIdle
            if now && journal.needsSync
                || journal.syncDeadline(now: boot, idle: idle).map({ $0 <= boot }) ?? false
            {
                syncResults()
                try journal.sync()
            }
            pausedUntil = 0
            isJournalFull = false
        } catch {
            journalFailed(error)
        }
        while let next = afterSync.first, next.sequence <= journal.syncedThrough {
            afterSync.removeFirst()
            perform(next.action)
        }
    }

    /// Writes what was appended. That a plan left failed/ is durable before the record of its retry: else
    /// a power failure could leave that record and the plan in failed/, which is a cancel (rule 9).
    func writeJournal() throws(JournalError) {
        if isRetryUnsynced {
            do {
                try spool.sync(.failed)
            } catch {
                throw .io(verb: "sync", name: "failed/", errno: error)
            }
            isRetryUnsynced = false
        }
        try journal.flush()
    }

    private func journalFailed(_ error: JournalError) {
        if case .full = error {
            if !isJournalFull {
                report.error(
                    "unable to \(error.sentence), nothing is accepted or started until there is space"
                )
            }
            isJournalFull = true
            pausedUntil = Clock.boot() + 1_000_000
            return
        }
        report.error("unable to \(error.sentence), taskd stops; what runs goes on")
        exitStatus = 74
        isStopping = true
    }

    /// Appends an event; what follows it may wait for the returned number.
    @discardableResult
    func record(
        _ verb: EventLine.Verb, _ id: String, _ fields: [EventLine.Field] = []
    ) -> UInt64 {
        append(EventLine(Clock.real(), verb, id, fields))
    }

    @discardableResult
    func append(_ event: EventLine) -> UInt64 {
        var line = event
        // All that is said of a claimed run is said under its token.
        if !cluster.claims.isEmpty, let token = line.ref.flatMap({ runs[$0.run]?.file.token }) {
            line.set("gen", String(token.gen))
        }
        do {
            return try journal.append(line)
        } catch {
            // Only a line above 16 KiB: keep the fact, drop the text.
            report.error("unable to \(error.sentence), its text is cut")
            var short = line
            short.fields = line.fields.filter { $0.value.utf8.count < 512 }
            return (try? journal.append(short)) ?? journal.lastSequence
        }
    }

    /// Does something when all that is appended so far is durable.
    func after(_ sequence: UInt64, _ action: AfterSync) {
        afterSync.append((sequence, action))
    }
}
