// SPDX-License-Identifier: Apache-2.0
import Linux
import TaskJournal
import TaskModel

extension Attempt {
    // MARK: What a program's end means

    func commandResult(of end: ProcessEnd) -> AttemptResult {
        if recipe.isSuccess(end) {
            return AttemptResult(state: .success, exit: end.exitCode, signal: end.signal)
        }
        guard let signal = end.signal else {
            return AttemptResult(state: .failure, reason: .exit, exit: end.exitCode)
        }
        let (reason, what) = meaning(of: SignalName.name(of: signal), end)
        return AttemptResult(state: .failure, reason: reason, signal: signal, what: what)
    }

    private func meaning(
        of signal: String, _ end: ProcessEnd
    ) -> (reason: FailureReason, what: String?) {
        switch signal {
        case "XCPU":
            return (.limit, limits.cpuTime(end.cpu))
        // Who ignores SIGXCPU is killed 5 seconds later; by the tick, which on a busy machine counts
        // up to a fourth more than the account that is asked here.
        case "KILL" where recipe.cpuSeconds.map { end.cpu >= ($0 + 5) * 750_000 } ?? false:
            return (.limit, limits.cpuTime(end.cpu))
        case "XFSZ":
            return (.limit, "it wrote a larger file than is allowed")
        case "SYS":
            return (
                .signal,
                "it made a system call of another architecture: see SystemCallArchitectures= in "
                    + "task.unit(5)"
            )
        default: return (.signal, nil)
        }
    }

    private var limits: LimitReport { LimitReport(spec: recipe.spec) }

    // MARK: The end

    // Nobody said how it went: the launcher, or init, was killed from outside, and the program with them,
    // wherever it was.
    private var unheard: AttemptResult {
        let what = "its jail was killed before it could say how the program ended"
        if job.owner.repeatsLost(job) { return AttemptResult(state: .lost, what: what) }
        return AttemptResult(state: .failure, reason: .jail, exit: 202, what: what)
    }

    func finish(_ decided: AttemptResult? = nil) {
        deadline = .max
        if !hasStarted { sessionStarted() }
        if dropped > 0 { reportDropped() }
        var result = judge(decided ?? result)
        if case .refused(let what)? = left, result.state == .success {
            (result.state, result.reason, result.what) = (.failure, .limit, what)
        }
        if let refused, result.state == .success {
            (result.state, result.reason, result.what) = (.failure, .dependency, refused)
        }
        let isLost = result.state == .lost
        var line = LineBuilder(isLost ? "lost" : "end", job.ref, attempt: job.attempt)
        if isLost { line.field("name", job.name) }
        Self.add(result, to: &line)
        line.field("us", Clock.boot() - began)
        line.field("cpu", cpu)
        memory = max(memory, session?.peakMemory ?? 0)
        if memory > 0 { line.field("mem", memory) }
        if let session { addJail(of: session, to: &line) }
        for place in logPlaces { line.field("log", place.text) }
        if case .bytes(let bytes)? = left, result.state == .success { keep(bytes, &line) }
        session = nil
        executor.finished(self, line.bytes, result)
    }

    private func keep(_ bytes: [UInt8], _ line: inout LineBuilder) {
        guard let place = job.owner.sink.takeResult(bytes, of: self) else { return }
        line.field("result", place.text)
        line.field("digest", SHA256.hex(bytes))
    }

    /// What taskrun did, and what the kernel says of limits, weighs more than the exit status.
    private func judge(_ told: AttemptResult?) -> AttemptResult {
        var breaches = session?.breaches() ?? []
        // Killed with its init: by taskrun, or by the kernel for want of memory.
        let killed = AttemptResult(state: .failure, reason: nil, signal: 9)
        var result = told ?? killed
        if let stopped {
            apply(stopped, to: &result)
        } else if let met = breaches.first, met.isFatal || met.fails(told) {
            breaches.removeFirst()
            result.state = .failure
            result.reason = met.reason
            result.what = met.what
        } else {
            result = told ?? unheard
        }
        for met in breaches { reportNote(met) }
        return result
    }

    private func apply(_ stop: Stop, to result: inout AttemptResult) {
        result.state = .failure
        switch stop {
        case .cancelled:
            result.state = .cancelled
            result.reason = nil
        case .timeout(let used):
            result.reason = .timeout
            result.what = limits.time(used)
        case .output:
            result.reason = .limit
            result.what = limits.output(kept: kept, dropped: dropped)
        case .starved(let what):
            result.reason = .limit
            result.what = what
        }
    }

    private static func add(_ result: AttemptResult, to line: inout LineBuilder) {
        if result.state != .lost { line.field("state", result.state.word) }
        if let reason = result.reason { line.field("reason", reason.rawValue) }
        if let exit = result.exit { line.field("exit", exit) }
        if let signal = result.signal { line.field("signal", SignalName.name(of: signal)) }
        if let check = result.check { line.field("name", check) }
        if let what = result.what { line.field("what", what) }
    }

    /// A limit was met, and is not why the attempt failed.
    private func reportNote(_ breach: Breach) {
        var line = LineBuilder("note", job.ref, attempt: job.attempt)
        line.field("what", breach.note)
        line.field("text", breach.what)
        job.owner.report(line.bytes)
    }

    private func reportDropped() {
        var line = LineBuilder("note", job.ref, attempt: job.attempt)
        line.field("what", "log.limit")
        line.field("limit", recipe.spec.text(.logLimit) ?? "")
        line.field("kept", kept)
        line.field("dropped", dropped)
        job.owner.report(line.bytes)
    }
}

extension Breach {
    /// Whether it is why an attempt failed that ended so.
    fileprivate func fails(_ told: AttemptResult?) -> Bool {
        reason != nil && told?.state == .failure
    }
}
