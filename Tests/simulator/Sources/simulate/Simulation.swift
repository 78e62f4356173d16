// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskModel
import TaskSpool

@testable import taskd

/// One history: taskd lives, dies and lives again; at the end the faults stop, and all must end.
final class Simulation: World {
    let seed: UInt64
    let steps: [Step]
    // swift-format-ignore: NeverUseImplicitlyUnwrappedOptionals
    private(set) var machine: Machine!
    // swift-format-ignore: NeverUseImplicitlyUnwrappedOptionals
    private(set) var truth: Truth!
    var pool: ModelPool?
    private(set) var daemon: Daemon?
    var log: ((String) -> Void)?

    private var next = 0
    private var countdown = 0
    var passUntil: Int64 = 0
    private(set) var isHealing = false
    private var healedAt: Int64 = 0
    private var quietSince: Int64?
    private var turns = 0
    private var isFinished = false
    /// An hour after the faults something had not ended: its operator starts taskd again, so often.
    private(set) var helped = 0
    private var isHelping = false
    private var isPrepared = false
    /// taskd came back after a death, so often.
    private(set) var crashes = 0
    private(set) var kinds: [String: Int] = [:]
    var died = false
    /// Segments that were removed.
    var pruned: [String: DiskNode] = [:]
    var copies: [(name: String, inode: DiskNode, rest: [UInt8])] = []

    init(seed: UInt64, steps: [Step], rules: Disk.Rules) {
        self.seed = seed
        self.steps = steps
        machine = Machine(world: self, dice: Dice(seed ^ 0xD1CE), rules: rules)
        truth = Truth(machine.disk)
        Machine.current = machine
        machine.trace = nil
    }

    var failure: Failure? { truth.failure }
    var spool: DiskNode? { try? machine.disk.find("/s") }

    /// Calls of taskd in one history, steps of the model in which no time passes, seconds of ours.
    static let mostCalls = 3_000_000, mostIdle = 100_000, mostSeconds: UInt32 = 60

    /// Runs it to its end, or to the first failure.
    func run() {
        Trap.watch(seed, seconds: Self.mostSeconds)
        MessageSocket.listener = nil
        machine.trace = log
        var lives = 0
        while !isFinished, failure == nil {
            if isPrepared { comeDown() }
            if died {
                crashes += 1
                died = false
            }
            lives += isHealing ? 1 : 0
            live()
            if lives > 200 {
                truth.fail("P8", "taskd does not stay up after the faults stopped")
            }
        }
        if failure == nil { Verdict(self).atRest() }
    }

    private func live() {
        machine.begin()
        var options = Options()
        options.spool = "/s"
        options.pool = "none"
        options.taskrun = "/bin/taskrun"
        options.window = 50
        let status = Start.run(options, Report(), seen: { [self] in daemon = $0 })
        machine.note("exit", "\(status)")
        let isKilled = machine.isDead
        if isHealing, !isKilled, isHelping {
            (isHelping, machine.terminate) = (false, false)
        }
        daemon = nil
        machine.bury()
        if !isKilled, isHealing, machine.terminate { finish(status) }
        // As the service manager would: a second later.
        if !isKilled { machine.bootTime += 1_000_000 }
        if next >= steps.count { stopFaults() }
    }

    private func finish(_ status: Int32) {
        if status != 0 { truth.fail("P8", "taskd ends with \(status) when all is quiet") }
        isFinished = true
    }

    /// taskd does not run: steps go on until it is started.
    private func comeDown() {
        while next < steps.count {
            let step = steps[next]
            if case .start = step.action {
                take()
                return
            }
            if !died { return }
            take()
        }
    }

    // MARK: World

    func willCall(_ call: Call, _ name: String) {
        if machine.calls > Self.mostCalls {
            truth.fail("P8", "taskd made \(machine.calls) calls, and there is no end")
            return machine.kill()
        }
        guard isPrepared, next < steps.count else { return }
        if countdown > 0 {
            countdown -= 1
            return
        }
        if passUntil > Clock.boot() { return }
        take()
    }

    private func take() {
        let step = steps[next]
        next += 1
        countdown = next < steps.count ? steps[next].gap : 0
        machine.note("step")
        if let log { log("step \(next - 1), \(step)") }
        kinds[step.action.word, default: 0] += 1
        perform(step)
    }

    func idle(until deadline: Int64?, _ isReady: () -> Bool) {
        if pool?.isDead ?? false { pool = nil }
        if let deadline, deadline <= Clock.boot() {
            if let pool, machine.random.oneIn(2) { _ = pool.turn() }
            return
        }
        var rounds = 0
        while !machine.isDead, !isReady(), failure == nil {
            rounds += 1
            if rounds > Self.mostIdle { truth.fail("model", "taskd waits, and no time passes") }
            if pool?.turn() ?? false { continue }
            if pool?.isDead ?? false { pool = nil }
            if isPrepared, next < steps.count, passUntil <= Clock.boot() {
                countdown = 0
                take()
                continue
            }
            if isPrepared, next >= steps.count, passUntil <= Clock.boot() { heal() }
            if machine.terminate { continue }
            if goOn(to: deadline) { break }
        }
        if failure != nil { machine.kill() }
    }

    /// Time passes until something happens; true when that is the deadline.
    private func goOn(to deadline: Int64?) -> Bool {
        var target = deadline ?? .max
        if let time = pool?.nextTime { target = min(target, time) }
        if let time = machine.wallDeadline { target = min(target, max(time, Clock.boot())) }
        if passUntil > Clock.boot() { target = min(target, passUntil) }
        if !isPrepared, target > Clock.boot() + 1_000_000 {
            isPrepared = true
            install()
            return false
        }
        if target == .max { target = Clock.boot() + 300_000_000 }
        machine.bootTime = max(Clock.boot(), target)
        return deadline.map { $0 <= Clock.boot() } ?? false
    }

    private func install() {
        guard let units = try? machine.disk.find("/s/units") else { return }
        for unit in Recipe.installed {
            guard let file = try? machine.disk.create(unit.name, in: units) else { continue }
            try? machine.disk.write(Array(unit.text.utf8), at: 0, to: file)
            machine.disk.syncByOwner(file)
        }
        machine.disk.syncByOwner(units)
        countdown = steps.first?.gap ?? 0
    }

    func spawn(_ arguments: [String]) -> ModelProcess? {
        let process = ModelProcess(pid: Int32(1000 + machine.calls))
        guard pool == nil || pool?.isDead == true, let spool else {
            process.status = 75 << 8
            return process
        }
        pool = ModelPool(process, in: spool, slots: 2, truth)
        return process
    }

    func becameDurable(_ file: DiskNode, _ bytes: ArraySlice<UInt8>) {
        if file.data.starts(with: "taskjournal ".utf8) { truth.durable(bytes) }
    }

    func said(_ text: String) {
        for line in text.split(separator: "\n") { machine.note("said", String(line)) }
    }

    // MARK: The end

    private func stopFaults() {
        if isHealing { return }
        isHealing = true
        healedAt = Clock.boot()
        machine.faults = []
        machine.disk.hog = 0
        machine.note("heal")
        finishCopies()
    }

    private func heal() {
        stopFaults()
        release()
        turns += 1
        let verdict = Verdict(self)
        guard let unrest = verdict.unrest else {
            let since = quietSince ?? Clock.boot()
            quietSince = since
            if Clock.boot() - since > 130_000_000 {
                verdict.quiet()
                machine.terminate = true
            }
            return
        }
        quietSince = nil
        if Clock.boot() - healedAt > 3_600_000_000, helped == 0, unrest == verdict.leftover {
            helped += 1
            isHelping = true
            machine.terminate = true
            machine.note("help", unrest)
            return
        }
        if turns > 20_000 || Clock.boot() - healedAt > 48 * 3_600_000_000 {
            truth.fail("P8", "the faults have stopped, and \(unrest)")
        }
    }

    /// The owner lets go what is parked.
    private func release() {
        guard let hold = try? machine.disk.find("/s/hold"),
            let ready = try? machine.disk.find("/s/ready")
        else { return }
        for name in hold.entries.keys.sorted() {
            try? machine.disk.rename(name, in: hold, to: name, in: ready)
        }
    }
}
