// SPDX-License-Identifier: Apache-2.0
import Linux
import TaskJournal
import TaskModel

/// One execution of one task: its checks in order, then its command, in one session.
///
/// Tells its owner what happened in event lines, and when nothing of it is left, how it ended.
final class Attempt: SessionDelegate {
    let job: Job
    let slot: Slot
    unowned let executor: Executor
    var session: (any Session)?

    var step = 0
    var hasStarted = false
    private var isPutBack = false
    let began: Int64
    var cpu: Int64 = 0
    var memory: Int64 = 0
    /// Output: bytes kept and dropped, and where the log has them.
    var kept = 0
    var dropped = 0
    /// A step runs, or has ended and may have left something in the pipes.
    var mayHaveOutput = true
    var logPlaces: [LogPlace] = []

    /// CLOCK_BOOTTIME at which something has to happen; `.max` for never.
    var deadline = Int64.max { didSet { if deadline != .max { executor.attend(slot) } } }
    /// What ended the attempt from outside, before its processes said anything.
    var stopped: Stop?
    var isKilled = false
    var result: AttemptResult?

    /// Where its task drops subtasks; nil where nobody takes them.
    var submit: SubmitDirectory?
    /// When that is looked at, in CLOCK_BOOTTIME; `.max` for never.
    var submitAt = Int64.max { didSet { if submitAt != .max { executor.attend(slot) } } }
    /// Its drops were not looked at yet.
    var isFirstLook = true
    /// Nothing of its processes is left, and not all that it dropped is taken yet.
    var isCollecting = false

    /// While its task waits for subtasks.
    var sleep: Sleep?
    /// How long it has slept, microseconds.
    var slept: Int64 = 0

    /// It dropped what it may not: the sentence that it fails with.
    var refused: String?
    /// What its task left in `$TASK_RESULT`; nil for nothing.
    var left: SubmitDirectory.Result?

    /// Why taskrun itself ends an attempt.
    enum Stop {
        /// It ran for so long, microseconds.
        case timeout(Int64)
        case output
        case cancelled
        /// A sentence.
        case starved(String)

        var isCancelled: Bool { if case .cancelled = self { true } else { false } }
    }

    init(_ job: Job, slot: Slot, executor: Executor, began: Int64 = Clock.boot()) {
        self.job = job
        self.began = began
        self.slot = slot
        self.executor = executor
    }

    var recipe: Recipe { job.recipe }

    // MARK: The start

    /// Starts the first step. A failure to do so ends the attempt, unless it is thrown.
    ///
    /// - Throws: the machine has no room just now; nothing happened.
    func begin() throws(SessionFailure) {
        do throws(SessionFailure) {
            if let problem = recipe.problem { throw problem }
            if recipe.steps.isEmpty {
                sessionStarted()
                return finish(AttemptResult(state: .success, exit: 0))
            }
            let session = try executor.makeSession(job, slot: slot, delegate: self)
            self.session = session
            try session.start()
        } catch {
            session = nil
            if error.isTransient { throw error }
            refuse(error)
            return finish()
        }
        if let longest = recipe.longest { deadline = began + longest }
    }

    func sessionStarted() {
        hasStarted = true
        executor.hasStarted()
        awaitDrops()
        var line = LineBuilder("start", job.ref, attempt: job.attempt)
        line.field("name", job.name)
        if let session { addJail(of: session, to: &line) }
        job.owner.report(line.bytes)
    }

    func addJail(of session: any Session, to line: inout LineBuilder) {
        if !session.weak.isEmpty { line.field("weak", session.weak.joined(separator: ",")) }
        if let identity = session.identity { line.field("as", identity) }
    }

    // MARK: Output

    /// Takes bytes that a step wrote: keeps them up to `LogLimit=`, counts the rest.
    func capture(_ bytes: ArraySlice<UInt8>, fd: Int) {
        let room = min(bytes.count, recipe.logLimit - kept)
        dropped += bytes.count - room
        if room < bytes.count, recipe.failsAtLogLimit, stopped == nil {
            stop(.output, grace: recipe.stopGrace)
        }
        if room == 0 { return }
        kept += room
        // 0 is the command, n the n-th check.
        let number = recipe.steps[step].check == nil ? 0 : step + 1
        job.owner.sink.take(bytes.prefix(room), of: self, step: number, fd: fd)
    }

    // MARK: The session's word

    func sessionWantsLook() { executor.attend(slot) }

    func stepEnded(_ end: ProcessEnd) {
        executor.attend(slot)
        slot.drain()
        mayHaveOutput = false
        cpu += end.cpu
        memory = max(memory, end.memory)
        if let check = recipe.steps[step].check {
            checkEnded(check, end)
        } else if result == nil {
            result = commandResult(of: end)
        }
    }

    private func checkEnded(_ name: String, _ end: ProcessEnd) {
        var line = LineBuilder("check", job.ref, attempt: job.attempt)
        line.field("name", name)
        if let code = end.exitCode { line.field("exit", code) }
        if let signal = end.signal { line.field("signal", SignalName.name(of: signal)) }
        job.owner.report(line.bytes)
        if stopped != nil || result != nil { return }
        if end.exitCode == 0 {
            proceed()
        } else {
            result = AttemptResult(
                state: .failure, reason: .check, exit: end.exitCode, signal: end.signal,
                check: name, what: "check \(name) said no: task logs shows its output")
            session?.kill()
        }
    }

    private func proceed() {
        guard step + 1 < recipe.steps.count else {
            // A group has checks only.
            result = AttemptResult(state: .success, exit: 0)
            return
        }
        step += 1
        mayHaveOutput = true
        do throws(SessionFailure) {
            try session?.proceed()
        } catch {
            refuse(error)
            session?.kill()
        }
    }

    func sessionFailed(_ failure: SessionFailure) {
        executor.attend(slot)
        slot.drain()
        isPutBack = failure.isTransient && !hasStarted && stopped == nil
        refuse(failure)
    }

    func sessionFinished() {
        // Nothing of a step is alive once it has ended: what it wrote was taken then.
        if mayHaveOutput { slot.drain() }
        if isPutBack {
            session = nil
            closeSubmit()
            return executor.putBack(self, result?.what ?? "")
        }
        if submit == nil { finish() } else { collect() }
    }

    private func refuse(_ failure: SessionFailure) {
        if result != nil { return }
        result = AttemptResult(
            state: .failure, reason: failure.reason, exit: failure.exit,
            check: failure.reason == .check ? failedCheck : nil, what: failure.what)
    }

    private var failedCheck: String? {
        recipe.steps.indices.contains(step) ? recipe.steps[step].check : nil
    }

    // MARK: The end from outside

    /// Ends the attempt: its KillSignal now, SIGKILL after the grace (microseconds).
    func stop(_ why: Stop, grace: Int64) {
        if stopped == nil { stopped = why }
        if isCollecting { return collect() }
        session?.signal(recipe.killSignal)
        let (sum, overflow) = Clock.boot().addingReportingOverflow(grace)
        deadline = overflow ? .max : sum
        if grace == 0 { due() }
    }

    /// When `wake` has something to do: CLOCK_BOOTTIME in microseconds, `.max` for never.
    var wakeAt: Int64 { min(deadline, session?.nextLook ?? .max, stuckAt, submitAt) }

    func wake(_ now: Int64) {
        if deadline <= now { due() }
        if let session, session.nextLook <= now { session.look() }
        if stuckAt <= now { reportStuck() }
        if submitAt <= now { lookForDrops() }
    }

    /// What was killed should be gone long before.
    private static let patience: Int64 = 10_000_000
    private var isStuck = false
    private var stuckAt: Int64 {
        guard !isStuck, !isCollecting, let since = session?.endingSince else { return .max }
        return since + Self.patience
    }

    /// The slot stays taken, and whoever still runs in it is waited for: an alarm, once an attempt.
    private func reportStuck() {
        guard let session else { return }
        isStuck = true
        let pids = session.processes.prefix(20).map(String.init).joined(separator: ",")
        var line = LineBuilder("note", job.ref, attempt: job.attempt)
        line.field("what", "stuck")
        line.field("pids", pids)
        line.field(
            "text",
            "killed, and does not end: processes \(pids) hang in the kernel, its slot stays taken: "
                + "see /proc/PID/stack, and the disk or mount that they wait for")
        job.owner.report(line.bytes)
        Message.warning("unable to end \(job.ref): processes \(pids) do not die, its slot is kept")
    }

    /// The deadline has passed.
    private func due() {
        if stopped == nil {
            stop(.timeout(Clock.boot() - began - slept), grace: recipe.stopGrace)
        } else if !isKilled {
            isKilled = true
            deadline = .max
            session?.kill()
        }
    }
}
