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
    private var free: [Int] = []
    /// Slots that stand in for those of attempts that sleep, without a launcher of their own for now.
    private var spare: [Int] = []
    /// Attempts that are to go on once there is a slot.
    private var waking: Deque<Attempt> = []
    /// Jobs that wait, by account.
    private var queues: [UInt32: Deque<Job>] = [:]
    private var share: FairShare<UInt32>
    /// When a start is tried again that the machine had no room for.
    private var retryAt = Int64.max

    init(loop: EventLoop, slots count: Int, jails: JailHouse) throws(Errno) {
        self.loop = loop
        self.jails = jails
        share = FairShare(slots: count)
        null = try File.open("/dev/null", flags: .readWrite)
        root = try File.open("/", flags: [.path, .directory])
        capacity = count
        for _ in 0..<count { addSlot() }
        free = Array((0..<count).reversed())
    }

    private func addSlot() {
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
            slot.attempt = attempt
            share.started(account, at: now)
            do throws(SessionFailure) {
                try attempt.begin()
            } catch {
                putBack(job, slot)
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

    /// No room for a process or a descriptor just now: no attempt was made, the job waits.
    func putBack(_ job: Job, _ slot: Slot) {
        vacate(slot, job, isAsleep: false)
        queues[job.owner.account, default: []].prepend(job)
        retryAt = Clock.boot() + 100_000
    }

    private func vacate(_ slot: Slot, _ job: Job, isAsleep: Bool) {
        slot.attempt = nil
        slot.close(in: loop)
        free.append(slot.index)
        if !isAsleep { share.ended(job.owner.account, at: Clock.boot()) }
        trim()
    }

    // MARK: Attempts that sleep

    private func vacantSlot() -> Slot {
        if let index = free.popLast() ?? spare.popLast() { return slots[index] }
        addSlot()
        return slots[slots.count - 1]
    }

    /// As many launchers as slots wait for work, and no more.
    private func trim() {
        guard free.count > capacity, let last = free.max() else { return }
        free.removeAll { $0 == last }
        spare.append(last)
        jails.retire(slot: last)
    }

    /// Its slot is another's.
    func fellAsleep(_ attempt: Attempt) {
        share.ended(attempt.job.owner.account, at: Clock.boot())
    }

    /// It goes on before any job begins.
    func wantsToGoOn(_ attempt: Attempt) { waking.append(attempt) }

    private func wakeSleepers(_ now: Int64) {
        while share.hasRoom, let attempt = waking.popFirst() {
            share.started(attempt.job.owner.account, at: now)
            attempt.goOn()
        }
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
        attempt.slot.attempt = attempt
        share.started(attempt.job.owner.account, at: Clock.boot())
    }

    /// When `tick` has something to do: CLOCK_BOOTTIME in microseconds.
    var nextDeadline: Int64? {
        var next = retryAt
        for slot in slots { if let attempt = slot.attempt { next = min(next, attempt.wakeAt) } }
        return next == .max ? nil : next
    }

    /// Ends what has run too long.
    func tick() {
        guard let next = nextDeadline, next <= Clock.boot() else { return }
        let now = Clock.boot()
        for slot in slots {
            if let attempt = slot.attempt, attempt.wakeAt <= now { attempt.wake(now) }
        }
    }

    /// Ends an attempt of this owner: one that waits at once, one that runs by its KillSignal and,
    /// after `grace` microseconds (nil: its own TimeoutStopSec), SIGKILL.
    func kill(
        _ ref: TaskRef, attempt number: Int, of owner: some AttemptOwner, grace: Int64?
    ) {
        func isMeant(_ job: Job) -> Bool {
            job.ref == ref && job.attempt == number && job.owner === owner
        }
        for slot in slots {
            guard let attempt = slot.attempt, isMeant(attempt.job) else { continue }
            attempt.stop(.cancelled, grace: grace ?? attempt.job.recipe.stopGrace)
            return
        }
        guard let at = queues[owner.account]?.firstIndex(where: isMeant),
            let job = queues[owner.account]?.remove(at: at)
        else { return }
        settle(owner.account, Clock.boot())
        var line = LineBuilder("end", ref, attempt: number)
        line.field("state", TaskState.cancelled.word)
        job.owner.ended(job, line.bytes, AttemptResult(state: .cancelled))
    }

    /// Reads what tasks write where their sink takes it. Call it once a turn.
    func balanceReading() {
        for slot in slots {
            slot.setReading(!(slot.attempt?.job.owner.sink.isFull ?? false), in: loop)
        }
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

    func finished(_ attempt: Attempt, _ slot: Slot, _ line: [UInt8], _ result: AttemptResult) {
        vacate(slot, attempt.job, isAsleep: attempt.sleep != nil)
        if attempt.sleep != nil {
            waking.removeAll { $0 === attempt }
            attempt.job.owner.woke(attempt.job)
        }
        attempt.job.owner.ended(attempt.job, line, result)
    }
}
