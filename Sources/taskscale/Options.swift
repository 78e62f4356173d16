// SPDX-License-Identifier: Apache-2.0
import TaskFleet
import TaskModel
import TaskTool

/// What taskscale was told on its command line.
struct Options {
    var provider = ""
    var ledger = ""
    var group = "task"
    var limits = ScaleLimits()
    /// Between two looks, in microseconds.
    var every: Int64 = 10_000_000
    /// For an answer of a program, in microseconds.
    var callTime: Int64 = 60_000_000
    var isOnce = false
    /// Says what it would do, and does nothing.
    var isDry = false

    static let help = """
        usage: taskscale --provider=PROGRAM --ledger=PROGRAM [--group=NAME]
                         [--min=N] [--max=N] [--slots=N] [--target=SPAN]
                         [--cool-down=SPAN] [--once] [--dry-run]
        Asks a datacenter for machines, and gives them back.

          --provider=PROGRAM  makes, lists and destroys machines
          --ledger=PROGRAM    tells what waits and who serves, and drains nodes
          --group=NAME        which of the provider's machines are meant [task]
          --min=N, --max=N    machines at least [0] and at most [10]
          --slots=N           tasks that a machine runs at once [8]
          --target=SPAN       in which all that waits should be done [10min]
          --task-time=SPAN    of a task while no task has ended of late [10s]
          --cool-down=SPAN    that fewer must be wanted before some go [5min]
          --silence=SPAN      without a word to the ledger, then it is destroyed [10min]
          --drain=SPAN        that a draining machine may take to end its work [1h]
          --list-lag=SPAN     that a new machine may be absent from the list [1min]
          --every=SPAN        between two looks [10s]
          --call-time=SPAN    that one of the programs may take [1min]
          --once              looks once
          --dry-run           says what it would do and why; does nothing
          --help, --version

        See taskscale(8).

        """

    static func parse(_ arguments: some Sequence<String>) -> DaemonArguments<Options> {
        let asked = DaemonArguments.read(arguments, of: "taskscale", names, defaults: Options()) {
            $0.set($1, $2)
        }
        guard case .run(let options) = asked else { return asked }
        return options.checked()
    }

    private static let names = DaemonOptionNames(
        valued: [
            "--provider", "--ledger", "--group", "--min", "--max", "--slots", "--target",
            "--task-time", "--cool-down", "--silence", "--drain", "--list-lag", "--every",
            "--call-time",
        ], flags: ["--once", "--dry-run", "-n"])

    /// What is allowed instead; nil: it was taken.
    private mutating func set(_ name: String, _ value: String) -> String? {
        switch name {
        case "--once": isOnce = true
        case "--dry-run", "-n": isDry = true
        case "--provider": provider = value
        case "--ledger": ledger = value
        case "--group":
            guard Self.isName(value) else { return "1 to 64 of A-Z a-z 0-9 . _ - are allowed" }
            group = value
        case "--min": return number(value, 0...100_000, \.limits.least)
        case "--max": return number(value, 0...100_000, \.limits.most)
        case "--slots": return number(value, 1...4096, \.limits.slots)
        case "--target": return span(value, \.limits.target)
        case "--task-time": return span(value, \.limits.guess)
        case "--cool-down": return span(value, \.limits.coolDown)
        case "--silence": return span(value, \.limits.silence)
        case "--drain": return span(value, \.limits.drain)
        case "--call-time": return span(value, \.callTime)
        case "--list-lag": return span(value, least: 0, \.limits.lag)
        default: return span(value, \.every)
        }
        return nil
    }

    private mutating func number(
        _ text: String, _ range: ClosedRange<Int>, _ path: WritableKeyPath<Options, Int>
    ) -> String? {
        guard let number = Int(text), range.contains(number) else {
            return "a number from \(range.lowerBound) to \(range.upperBound) is allowed"
        }
        self[keyPath: path] = number
        return nil
    }

    private mutating func span(
        _ text: String, least: Int64 = 100_000, _ path: WritableKeyPath<Options, Int64>
    ) -> String? {
        guard let span = TimeSpan(text), !span.isInfinite,
            (least...31_536_000_000_000).contains(span.microseconds)
        else { return "a span up to a year, as 30s or 1h 30min, is allowed" }
        self[keyPath: path] = span.microseconds
        return nil
    }

    private func checked() -> DaemonArguments<Options> {
        if provider.isEmpty { return .wrong("--provider=PROGRAM is missing: see taskscale --help") }
        if ledger.isEmpty { return .wrong("--ledger=PROGRAM is missing: see taskscale --help") }
        guard limits.least <= limits.most else {
            return .wrong("--min=\(limits.least) is more than --max=\(limits.most)")
        }
        return .run(self)
    }

    static func isName(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count)
            && text.utf8.allSatisfy {
                switch $0 {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"),
                    UInt8(ascii: "-"):
                    true
                default: false
                }
            } && !text.hasPrefix("-")
    }
}
