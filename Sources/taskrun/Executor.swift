// SPDX-License-Identifier: Apache-2.0
import DequeModule
import Linux
import SystemPackage
import TaskModel

/// The slots and the jobs that wait for one. Starts, watches and ends attempts; decides nothing.
final class Executor {
    let loop: EventLoop
    private let null: Descriptor
    private let root: Descriptor
    private let jails: JailHouse
    private(set) var slots: [Slot] = []
    private var free: [Int] = []
    private var queue: Deque<Job> = []
    /// When a start is tried again that the machine had no room for.
    private var retryAt = Int64.max

    init(loop: EventLoop, slots count: Int, jails: JailHouse) throws(Errno) {
        self.loop = loop
        self.jails = jails
        null = try File.open("/dev/null", flags: .readWrite)
        root = try File.open("/", flags: [.path, .directory])
        for index in 0..<count {
            slots.append(Slot(index: index, null: null.number, root: root.number))
        }
        free = Array((0..<count).reversed())
    }

    var running: Int { slots.count - free.count }
    var queued: Int { queue.count }

    /// Queues a job before all of lower priority; `fill` starts it.
    func submit(_ job: Job) {
        let priority = job.recipe.priority
        var place = queue.endIndex
        while place > queue.startIndex, queue[place - 1].recipe.priority < priority { place -= 1 }
        queue.insert(job, at: place)
    }

    /// Starts what may start. Call it once a turn.
    func fill() {
        if retryAt != .max {
            if Clock.boot() < retryAt { return }
            retryAt = .max
        }
        while let index = free.last, let job = queue.popFirst() {
            free.removeLast()
            let slot = slots[index]
            let attempt = Attempt(job, slot: slot, executor: self)
            slot.attempt = attempt
            do throws(SessionFailure) {
                try attempt.begin()
            } catch {
                putBack(job, slot)
                return
            }
        }
    }

    /// No room for a process or a descriptor just now: no attempt was made, the job waits.
    func putBack(_ job: Job, _ slot: Slot) {
        slot.attempt = nil
        slot.close(in: loop)
        free.append(slot.index)
        queue.prepend(job)
        retryAt = Clock.boot() + 100_000
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

    /// Ends an attempt: one that waits at once, one that runs by its KillSignal and, after `grace`
    /// microseconds (nil: its own TimeoutStopSec), SIGKILL.
    func kill(_ ref: TaskRef, attempt number: Int, grace: Int64?) {
        for slot in slots {
            guard let attempt = slot.attempt, attempt.job.ref == ref,
                attempt.job.attempt == number
            else { continue }
            attempt.stop(.cancelled, grace: grace ?? attempt.job.recipe.stopGrace)
            return
        }
        guard let at = queue.firstIndex(where: { $0.ref == ref && $0.attempt == number }) else {
            return
        }
        let job = queue.remove(at: at)
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
        slot.attempt = nil
        slot.close(in: loop)
        free.append(slot.index)
        attempt.job.owner.ended(attempt.job, line, result)
    }
}
