// SPDX-License-Identifier: Apache-2.0
import Linux
import TaskJournal
import TaskModel

/// One execution of one task: its checks in order, then its command, in one session.
///
/// Tells its owner what happened in event lines, and when nothing of it is left, how it ended.
final class Attempt: SessionDelegate {
    let job: Job
    private let slot: Slot
    private unowned let executor: Executor
    private var session: (any Session)?

    private var step = 0
    private var hasStarted = false
    private var isPutBack = false
    private let began = Clock.boot()
    private var cpu: Int64 = 0
    private var memory: Int64 = 0
    /// Output: bytes kept and dropped, and where the log has them.
    private var kept = 0
    private var dropped = 0
    /// A step runs, or has ended and may have left something in the pipes.
    private var mayHaveOutput = true
    var logPlaces: [LogPlace] = []

    /// CLOCK_BOOTTIME at which something has to happen; `.max` for never.
    private(set) var deadline = Int64.max
    /// What ended the attempt from outside, before its processes said anything.
    private var stopped: Stop?
    private var isKilled = false
    private var result: AttemptResult?

    /// Why taskrun itself ends an attempt.
    enum Stop {
        case timeout
        case cancelled
    }

    init(_ job: Job, slot: Slot, executor: Executor) {
        self.job = job
        self.slot = slot
        self.executor = executor
    }

    private var recipe: Recipe { job.recipe }

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
        var line = LineBuilder("start", job.ref, attempt: job.attempt)
        line.field("name", job.name)
        if let session { addJail(of: session, to: &line) }
        job.owner.report(line.bytes)
    }

    private func addJail(of session: any Session, to line: inout LineBuilder) {
        if !session.weak.isEmpty { line.field("weak", session.weak.joined(separator: ",")) }
        if let identity = session.identity { line.field("as", identity) }
    }

    // MARK: Output

    /// Takes bytes that a step wrote: keeps them up to `LogLimit=`, counts the rest.
    func capture(_ bytes: ArraySlice<UInt8>, fd: Int) {
        let room = min(bytes.count, recipe.logLimit - kept)
        dropped += bytes.count - room
        if room == 0 { return }
        kept += room
        // 0 is the command, n the n-th check.
        let number = recipe.steps[step].check == nil ? 0 : step + 1
        job.owner.sink.take(bytes.prefix(room), of: self, step: number, fd: fd)
    }

    // MARK: The session's word

    func stepEnded(_ end: ProcessEnd) {
        slot.drain()
        mayHaveOutput = false
        cpu += end.cpu
        memory = max(memory, end.memory)
        if let check = recipe.steps[step].check {
            checkEnded(check, end)
        } else if result == nil {
            result = commandResult(end)
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
        slot.drain()
        isPutBack = failure.isTransient && !hasStarted && stopped == nil
        refuse(failure)
    }

    func sessionFinished() {
        // Nothing of a step is alive once it has ended: what it wrote was taken then.
        if mayHaveOutput { slot.drain() }
        if isPutBack {
            session = nil
            return executor.putBack(job, slot)
        }
        finish()
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

    private func commandResult(_ end: ProcessEnd) -> AttemptResult {
        if recipe.isSuccess(end) {
            return AttemptResult(state: .success, exit: end.exitCode, signal: end.signal)
        }
        guard let signal = end.signal else {
            return AttemptResult(state: .failure, reason: .exit, exit: end.exitCode)
        }
        let name = SignalName.name(of: signal)
        switch name {
        case "XCPU":
            return AttemptResult(
                state: .failure, reason: .limit, signal: signal,
                what: "it used more CPU time than MaxCPUTime= allows: raise it, or do less")
        case "XFSZ":
            return AttemptResult(
                state: .failure, reason: .limit, signal: signal,
                what: "it wrote a larger file than is allowed")
        case "SYS":
            return AttemptResult(
                state: .failure, reason: .signal, signal: signal,
                what: "it made a system call of another architecture: see "
                    + "SystemCallArchitectures= in task.unit(5)")
        default:
            return AttemptResult(state: .failure, reason: .signal, signal: signal)
        }
    }

    // MARK: The end from outside

    /// Ends the attempt: its KillSignal now, SIGKILL after the grace (microseconds).
    func stop(_ why: Stop, grace: Int64) {
        if stopped == nil { stopped = why }
        session?.signal(recipe.killSignal)
        let (sum, overflow) = Clock.boot().addingReportingOverflow(grace)
        deadline = overflow ? .max : sum
        if grace == 0 { due() }
    }

    /// The deadline has passed.
    func due() {
        if stopped == nil {
            stop(.timeout, grace: recipe.stopGrace)
        } else if !isKilled {
            isKilled = true
            deadline = .max
            session?.kill()
        }
    }

    // MARK: The end

    // Nobody said how it went: the launcher, or init, was killed from outside.
    private static let unheard = AttemptResult(
        state: .failure, reason: .jail, exit: 202,
        what: "its jail was killed before it could say how the program ended")

    private func finish(_ decided: AttemptResult? = nil) {
        deadline = .max
        if !hasStarted { sessionStarted() }
        if dropped > 0 { reportDropped() }
        let result = judge(decided ?? result ?? Self.unheard)
        var line = LineBuilder("end", job.ref, attempt: job.attempt)
        Self.add(result, to: &line)
        line.field("us", Clock.boot() - began)
        line.field("cpu", cpu)
        memory = max(memory, session?.peakMemory ?? 0)
        if memory > 0 { line.field("mem", memory) }
        if let session { addJail(of: session, to: &line) }
        for place in logPlaces { line.field("log", place.text) }
        session = nil
        executor.finished(self, slot, line.bytes, result)
    }

    /// What taskrun did, and what the kernel says of limits, weighs more than the exit status.
    private func judge(_ told: AttemptResult) -> AttemptResult {
        var result = told
        switch stopped {
        case .cancelled:
            result.state = .cancelled
            result.reason = nil
            return result
        case .timeout:
            result.state = .failure
            result.reason = .timeout
            let span = TimeSpan(microseconds: recipe.longest ?? 0)
            result.what = "it ran longer than MaxTime=\(span): raise it, or do less"
            return result
        case nil:
            break
        }
        guard let breach = session?.breach() else { return result }
        if !breach.isFatal, result.state != .failure {
            reportNote(breach)
            return result
        }
        result.state = .failure
        result.reason = breach.reason
        result.what = breach.what
        return result
    }

    private static func add(_ result: AttemptResult, to line: inout LineBuilder) {
        line.field("state", result.state.word)
        if let reason = result.reason { line.field("reason", reason.rawValue) }
        if let exit = result.exit { line.field("exit", exit) }
        if let signal = result.signal { line.field("signal", SignalName.name(of: signal)) }
        if let check = result.check { line.field("name", check) }
        if let what = result.what { line.field("what", what) }
    }

    /// A limit was met, and the attempt succeeded all the same.
    private func reportNote(_ breach: Breach) {
        var line = LineBuilder("note", job.ref, attempt: job.attempt)
        line.field("what", breach.note)
        job.owner.report(line.bytes)
    }

    private func reportDropped() {
        var line = LineBuilder("note", job.ref, attempt: job.attempt)
        line.field("what", "log.limit")
        line.field("kept", kept)
        line.field("dropped", dropped)
        job.owner.report(line.bytes)
    }
}
