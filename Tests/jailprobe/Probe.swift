// SPDX-License-Identifier: Apache-2.0
// Runs jails for the tests and prints every report on standard error, one a line. Not shipped.
import Glibc
import Linux
import TaskJail

@main
struct Probe {
    static func main() {
        do {
            // First of all: it forks.
            let launcher = try Launcher()
            let options = Options.parse(Array(CommandLine.arguments.dropFirst()))
            let status = try run(launcher, options)
            launcher.close()
            exit(status)
        } catch let error as JailError {
            write("refused code=\(error.code) message=\(error.message)\n", to: 2)
            exit(error.code)
        } catch {
            fail("\(error)")
        }
    }

    static func run(_ launcher: Launcher, _ options: Options) throws -> Int32 {
        let plan = try JailPlan(options.request(), facts: launcher.facts)
        if options.showsPlan { write(plan.text(), to: 1) }
        if options.showsJSON { write(plan.json() + "\n", to: 1) }
        if options.showsPlan || options.showsJSON { return 0 }
        let loop = try EventLoop()
        #if DEBUG
            if options.hasFaults { return try Faults(launcher, plan, options, loop).run() }
        #endif
        let pool = Pool(launcher, plan, options, loop)
        let begin = Clock.boot()
        try pool.fill()
        while pool.running > 0 {
            try loop.turn(until: pool.nextDeadline)
            try pool.enforce()
            try pool.fill()
        }
        if options.repeats > 1 {
            write("time us=\(Clock.boot() - begin) attempts=\(options.repeats)\n", to: 2)
        }
        return pool.status
    }
}

/// Attempts in slots, as taskrun has them.
final class Pool {
    private let launcher: Launcher
    private let plan: JailPlan
    private let options: Options
    private let loop: EventLoop
    private var attempts: [Int: Attempt] = [:]
    private var left: Int
    private(set) var status: Int32 = 0
    var running: Int { attempts.count }

    final class Attempt {
        let session: JailSession
        let began = Clock.boot()
        var control: WatchToken?
        var process: WatchToken?
        var isTerminated = false
        init(_ session: JailSession) { self.session = session }
    }

    init(_ launcher: Launcher, _ plan: JailPlan, _ options: Options, _ loop: EventLoop) {
        self.launcher = launcher
        self.plan = plan
        self.options = options
        self.loop = loop
        left = options.repeats
    }

    var nextDeadline: Int64? { running == 0 ? nil : Clock.boot() + 20_000 }

    func fill() throws {
        for slot in 0..<options.slots where attempts[slot] == nil && left > 0 {
            left -= 1
            let attempt = Attempt(
                try launcher.start(plan, slot: slot, standardOutput: 1, standardError: 2))
            attempts[slot] = attempt
            attempt.control = try loop.add(attempt.session.control, .readable) { [unowned self] _ in
                self.look(slot)
            }
        }
    }

    func enforce() throws {
        for attempt in attempts.values {
            let age = (Clock.boot() - attempt.began) / 1000
            if options.terminate > 0, age > options.terminate, !attempt.isTerminated {
                attempt.isTerminated = true
                attempt.session.signal(SIGTERM)
            }
            if age > options.deadline { attempt.session.kill() }
        }
    }

    private func look(_ slot: Int) {
        guard let attempt = attempts[slot] else { return }
        for report in attempt.session.reports() { take(report, attempt, slot) }
    }

    private func take(_ report: JailReport, _ attempt: Attempt, _ slot: Int) {
        switch report {
        case .started:
            attempt.process = try? loop.add(attempt.session.pidfd, .readable) { [unowned self] _ in
                self.look(slot)
            }
            say("started pid=\(attempt.session.pid)")
        case .submits(let directory): _ = Descriptor(owning: directory)
        case .failed(let failure):
            status = failure.isMissing ? 127 : failure.code
            write(
                "failed code=\(failure.code) errno=\(failure.errno) missing=\(failure.isMissing)"
                    + " line=\(failure.line) message=\(failure.message)\n", to: 2)
        case .programEnded(let ended):
            say(
                "ended program=\(ended.program) exit=\(ended.end.exitCode ?? -1)"
                    + " signal=\(ended.end.signal ?? 0) cpu=\(ended.end.cpu)"
                    + " mem=\(ended.end.memory) last=\(ended.isLast)")
            status = ended.end.exitCode ?? 128 + (ended.end.signal ?? 0)
            if !ended.isLast { attempt.session.proceed() }
        case .finished(let end):
            finish(end, attempt, slot)
        }
    }

    private func finish(_ end: JailEnd, _ attempt: Attempt, _ slot: Int) {
        say(
            "finished oom=\(end.breach.oomKills) forks=\(end.breach.forksRefused)"
                + " throttled=\(end.breach.throttled) disk=\(end.breach.fullDisk != nil)"
                + " peak=\(end.breach.peakMemory ?? -1)"
                + " init=\(end.initEnd.map { String($0.status) } ?? "none")"
                + " ms=\((Clock.boot() - attempt.began) / 1000)")
        if let token = attempt.control { loop.remove(token) }
        if let token = attempt.process { loop.remove(token) }
        attempts[slot] = nil
    }

    private func say(_ text: String) {
        if !options.isQuiet { write(text + "\n", to: 2) }
    }
}
