// SPDX-License-Identifier: Apache-2.0
import DequeModule
import Linux
import SystemPackage
import TaskEngine
import TaskModel

/// The slots and the jobs that wait for one. Starts, watches and ends attempts; decides nothing.
final class Executor {
    let loop: EventLoop
    private let null: Descriptor
    private let root: Descriptor
    let jails: JailHouse
    /// nil: what tasks drop is looked for from time to time.
    private(set) lazy var submitWatch = try? SubmitWatch(loop)
    private(set) var slots: [Slot] = []
    /// Attempts that may be awake at once.
    let capacity: Int
    var free: [Int] = []
    /// Slots that stand in for those of attempts that sleep, without a launcher of their own for now.
    var spare: [Int] = []
    /// Slots that are looked at each turn: one of an attempt that sleeps only while something is due.
    var attended: [Slot] = []
    /// Attempts that are to go on once there is a slot.
    var waking: Deque<Attempt> = []
    /// Since when nothing can start, in CLOCK_BOOTTIME, and whether that was said.
    var refusedSince: Int64?
    var saidRefused = false
    /// How long after a task's start its drops are looked for: what drops early is heard early.
    var firstLook = Attempt.latestLook
    private var attempts: [AttemptPlace: Attempt] = [:]
    /// Jobs that wait, by account.
    private var queues: [UInt32: Deque<Job>] = [:]
    var share: FairShare<UInt32>
    /// When a start is tried again that the machine had no room for.
    private(set) var retryAt = Int64.max

    init(loop: EventLoop, slots count: Int, jails: JailHouse) throws(Errno) {
        self.loop = loop
        self.jails = jails
        share = FairShare(slots: count)
        // One that sleeps has some sixteen.
        OpenFiles.raiseLimit()
        null = try File.open("/dev/null", flags: .readWrite)
        root = try File.open("/", flags: [.path, .directory])
        capacity = count
        for _ in 0..<count { addSlot() }
        free = Array((0..<count).reversed())
    }

    func addSlot() {
        slots.append(Slot(index: slots.count, null: null.number, root: root.number))
    }

    var running: Int { slots.count - free.count - spare.count }
    var queued: Int { queues.values.reduce(0) { $0 + $1.count } }

    /// Queues a job before those of lower priority of its account; `fill` starts it.
    func submit(_ job: Job) {
        let priority = job.recipe.priority
        var queue = queues.removeValue(forKey: job.owner.account) ?? []
        var place = queue.endIndex
        while place > queue.startIndex, queue[place - 1].recipe.priority < priority { place -= 1 }
        queue.insert(job, at: place)
        queues[job.owner.account] = queue
    }

    /// An account is there, or is not: a slot may be kept for it.
    func set(_ account: UInt32, isPresent: Bool) { share.set(account, isPresent: isPresent) }

    /// Starts what may start. Call it once a turn.
    func fill() {
        if retryAt != .max {
            if Clock.boot() < retryAt { return }
            retryAt = .max
        }
        let now = Clock.boot()
        for (account, queue) in queues {
            share.set(account, waits: queue.first.map { !$0.owner.isBlocked } ?? false, at: now)
        }
        wakeSleepers(now)
        while let account = share.next(at: now), let job = take(account, now) {
            let slot = vacantSlot()
            let attempt = Attempt(job, slot: slot, executor: self)
            place(attempt, at: now)
            do throws(SessionFailure) {
                try attempt.begin()
            } catch {
                putBack(attempt, error.what)
                return
            }
        }
    }

    /// The first job of an account.
    private func take(_ account: UInt32, _ now: Int64) -> Job? {
        let job = queues[account]?.popFirst()
        settle(account, now)
        return job
    }

    /// Whether the account has something to start, after its queue has changed.
    private func settle(_ account: UInt32, _ now: Int64) {
        let first = queues[account]?.first
        if first == nil { queues[account] = nil }
        share.set(account, waits: first.map { !$0.owner.isBlocked } ?? false, at: now)
    }

    private func place(_ attempt: Attempt, at now: Int64) {
        attempt.slot.attempt = attempt
        attempts[AttemptPlace(attempt.job)] = attempt
        attend(attempt.slot)
        share.started(attempt.job.owner.account, at: now)
    }

    /// No room for a process or a descriptor just now: no attempt was made, the job waits.
    func putBack(_ attempt: Attempt, _ why: String) {
        let job = attempt.job
        vacate(attempt, isAsleep: false)
        queues[job.owner.account, default: []].prepend(job)
        let now = Clock.boot()
        retryAt = now + 100_000
        wasRefused(why, now)
    }

    private func vacate(_ attempt: Attempt, isAsleep: Bool) {
        let slot = attempt.slot
        slot.attempt = nil
        attempts[AttemptPlace(attempt.job)] = nil
        slot.close(in: loop)
        free.append(slot.index)
        if !isAsleep { share.ended(attempt.job.owner.account, at: Clock.boot()) }
        trim()
    }

    /// The attempt of that name that has a slot, or sleeps.
    func attempt(_ key: AttemptKey, of owner: some AttemptOwner) -> Attempt? {
        attempts[AttemptPlace(owner: ObjectIdentifier(owner), key: key)]
    }

    /// Whether there is a slot of that number, by now.
    func hasSlot(_ index: Int) -> Bool {
        guard (0..<PoolOwner.mostJobs).contains(index) else { return false }
        while slots.count <= index {
            spare.append(slots.count)
            addSlot()
        }
        return true
    }

    // MARK: Another program goes on

    /// Jobs of an owner that wait, in their order.
    func waiting(of owner: some AttemptOwner) -> [Job] {
        (queues[owner.account] ?? []).filter { $0.owner === owner }
    }

    /// A free slot's place is taken by an attempt that an earlier program began.
    func adopt(_ attempt: Attempt) {
        free.removeAll { $0 == attempt.slot.index }
        spare.removeAll { $0 == attempt.slot.index }
        place(attempt, at: Clock.boot())
    }

    /// Ends an attempt of this owner: one that waits at once, one that runs by its KillSignal and,
    /// after `grace` microseconds (nil: its own TimeoutStopSec), SIGKILL.
    func kill(
        _ ref: TaskRef, attempt number: Int, of owner: some AttemptOwner, grace: Int64?
    ) {
        func isMeant(_ job: Job) -> Bool {
            job.ref == ref && job.attempt == number && job.owner === owner
        }
        let key = AttemptKey(ref: ref, attempt: number)
        if let attempt = attempt(key, of: owner) {
            return attempt.stop(.cancelled, grace: grace ?? attempt.job.recipe.stopGrace)
        }
        guard let at = queues[owner.account]?.firstIndex(where: isMeant),
            let job = queues[owner.account]?.remove(at: at)
        else { return }
        settle(owner.account, Clock.boot())
        var line = LineBuilder("end", ref, attempt: number)
        line.field("state", TaskState.cancelled.word)
        job.owner.ended(job, line.bytes, AttemptResult(state: .cancelled))
    }

    // MARK: For attempts

    func makeSession(
        _ job: Job, slot: Slot, delegate: any SessionDelegate
    ) throws(SessionFailure) -> any Session {
        do throws(Errno) {
            try slot.open(in: loop)
        } catch {
            throw SessionFailure(
                reason: .jail, exit: 202, what: "unable to make a pipe: \(error)",
                isTransient: true)
        }
        if job.recipe.isJailed {
            return try JailedSession(
                job, slot: slot, loop: loop, house: jails, delegate: delegate)
        }
        return try DirectSession(
            job, slot: slot, loop: loop, house: jails, delegate: delegate)
    }

    func finished(_ attempt: Attempt, _ line: [UInt8], _ result: AttemptResult) {
        vacate(attempt, isAsleep: attempt.sleep != nil)
        if attempt.sleep != nil {
            waking.removeAll { $0 === attempt }
            attempt.job.owner.woke(attempt.job)
        }
        attempt.job.owner.ended(attempt.job, line, result)
    }
}

/// An attempt among those of all owners.
private struct AttemptPlace: Hashable {
    var owner: ObjectIdentifier
    var key: AttemptKey

    init(owner: ObjectIdentifier, key: AttemptKey) {
        self.owner = owner
        self.key = key
    }

    init(_ job: Job) {
        self.init(
            owner: ObjectIdentifier(job.owner), key: AttemptKey(ref: job.ref, attempt: job.attempt))
    }
}
