// SPDX-License-Identifier: Apache-2.0
import Glibc
import Linux

/// `simulate [--seed=N] [--crashes=N] [--seconds=N] [--defect=NAME] [--keep=I,J-K] [--trace]`:
/// histories from seed N on, until there were so many crashes, or for so long.
struct Command {
    var seed: UInt64 = 1
    var crashes = Int.max
    var seconds = Int.max
    /// One history only, and of its steps these.
    var keep: [Int]?
    var isOne = false
    var isTraced = false
    /// Failures are listed, and not cut down.
    var isListed = false
    static let crashesEach = 12

    struct Wrong: Error { var sentence: String }

    static func parse(_ arguments: some Sequence<String>) -> Result<Command, Wrong> {
        var command = Command()
        for argument in arguments {
            let parts = argument.split(separator: "=", maxSplits: 1).map(String.init)
            let value = parts.count > 1 ? parts[1] : ""
            switch parts.first {
            case "--seed": command.seed = UInt64(value) ?? 1
            case "--crashes": command.crashes = Int(value) ?? 0
            case "--seconds": command.seconds = Int(value) ?? 0
            case "--one": command.isOne = true
            case "--list": command.isListed = true
            case "--holes": History.hasHoles = true
            case "--families": Recipe.hasFamilies = true
            case "--trace": (command.isTraced, command.isOne) = (true, true)
            case "--keep": (command.keep, command.isOne) = (Self.numbers(value), true)
            case "--defect":
                Defect.current = value
            default: return .failure(Wrong(sentence: "unknown argument \(argument)"))
            }
        }
        return .success(command)
    }

    private static func numbers(_ text: String) -> [Int] {
        text.split(separator: ",").flatMap { part -> [Int] in
            let ends = part.split(separator: "-").compactMap { Int($0) }
            return ends.count == 2 ? Array(ends[0]...max(ends[0], ends[1])) : ends
        }
    }

    static func say(_ text: String) {
        print(text)
        fflush(nil)
    }

    /// The exit status: 1 when a promise was broken.
    func run() -> Int32 {
        Trap.install()
        return isOne ? one() : many()
    }

    private func one() -> Int32 {
        let (steps, rules) = History.make(seed, crashes: Self.crashesEach)
        let chosen = keep.map { $0.filter(steps.indices.contains).map { steps[$0] } } ?? steps
        let simulation = Simulation(seed: seed, steps: chosen, rules: rules)
        if isTraced { simulation.log = { print($0) } }
        simulation.run()
        let result = simulation.failure.map { "not ok: \($0)" } ?? "ok"
        Self.say(
            "seed \(seed): \(result); \(simulation.crashes) crashes, digest \(simulation.machine.digest)"
        )
        return simulation.failure == nil ? 0 : 1
    }

    private func many() -> Int32 {
        var tally = Tally()
        var next = seed
        while tally.crashes < crashes, tally.seconds < Double(seconds) {
            let (steps, rules) = History.make(next, crashes: Self.crashesEach)
            let simulation = Simulation(seed: next, steps: steps, rules: rules)
            simulation.run()
            tally.add(simulation)
            if let failure = simulation.failure, isListed {
                Self.say("not ok: seed \(next): \(failure)")
            } else if let failure = simulation.failure {
                Shrinking(seed: next, steps: steps, rules: rules, failure: failure).report()
                Self.say(tally.summary)
                return 1
            }
            next += 1
        }
        Self.say(tally.faults)
        Self.say(tally.summary)
        return 0
    }
}

/// What was done, for the last lines.
struct Tally {
    private(set) var crashes = 0
    private var histories = 0
    private var attempts = 0
    /// Histories that needed a start of taskd after the faults had stopped.
    private var helped: [UInt64] = []
    private var kinds: [String: Int] = [:]
    private let start = Tally.now()

    private static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    var seconds: Double { Self.now() - start }

    mutating func add(_ simulation: Simulation) {
        histories += 1
        crashes += simulation.crashes
        attempts += simulation.truth.attempts
        if simulation.helped > 0 { helped.append(simulation.seed) }
        kinds.merge(simulation.kinds) { $0 + $1 }
        kinds.merge(simulation.machine.met) { $0 + $1 }
    }

    var faults: String {
        let seeds = helped.prefix(5).map(String.init).joined(separator: " ")
        let start = "half of a plan left in tmp/ until the next start: \(helped.count) (\(seeds)), "
        return start
            + kinds.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }.joined(
                separator: ", ")
    }

    var summary: String {
        let rate = Int(Double(crashes) / max(seconds, 0.001))
        return "\(histories) histories, \(crashes) crashes, \(attempts) attempts in "
            + "\(Int(seconds)) s (\(rate) crashes/s)"
    }
}

/// A trap in taskd's code ends the process: its last words are the seed.
enum Trap {
    nonisolated(unsafe) private static var words: [UInt8] = []

    /// From now on the last words are of this history, which has so many seconds.
    static func watch(_ seed: UInt64, seconds: UInt32) {
        words = Array("not ok: taskd trapped, or does not come back: seed \(seed)\n".utf8)
        alarm(seconds)
    }

    static func install() {
        for number in [SIGILL, SIGTRAP, SIGSEGV, SIGABRT, SIGALRM] {
            signal(number) { _ in
                _ = Trap.words.withUnsafeBytes { write(1, $0.baseAddress, $0.count) }
                _exit(1)
            }
        }
    }
}
