// SPDX-License-Identifier: Apache-2.0
import TaskModel

/// What tasklink was told on its command line.
struct Options {
    /// nil: as every program chooses it.
    var spool: String?
    /// nil: as task.conf says.
    var ledger: String?
    /// Ship what there is, then end.
    var isOnce = false
    /// Microseconds between two rounds that have nothing to hurry for.
    var interval: Int64 = 5_000_000

    static let help = """
        usage: tasklink [--spool=DIR] [--ledger=CONNINFO] [--interval=SPAN] [--once]
        Joins a spool to the ledger of many machines: ships the history of what ends.

          --spool=DIR        the spool [$TASK_SPOOL, else /var/spool/task/$USER, else
                             $XDG_STATE_HOME/task/spool]
          --ledger=CONNINFO  a connection string or URI of PostgreSQL, with several hosts
                             if need be [URL= of task.conf]
          --interval=SPAN    the time between two rounds, 100ms to 10s [5s]
          --once             ship what there is, then end
          --help, --version

        See tasklink(8), task-ledger(7), task.conf(5).

        """

    /// What the arguments ask for.
    enum Parsed {
        case run(Options)
        case help
        case version
        case wrong(String)
    }

    static func parse(_ arguments: some Sequence<String>) -> Parsed {
        var options = Options()
        var rest = Array(arguments)[...]
        while let argument = rest.popFirst() {
            if argument == "--help" || argument == "-h" { return .help }
            if argument == "--version" || argument == "-V" { return .version }
            if argument == "--once" {
                options.isOnce = true
                continue
            }
            let parts = argument.split(separator: "=", maxSplits: 1).map(String.init)
            let name = parts.first ?? ""
            guard ["--spool", "--ledger", "--interval"].contains(name) else {
                return .wrong("unknown argument \(argument): see tasklink --help")
            }
            guard let value = parts.count > 1 ? parts[1] : rest.popFirst() else {
                return .wrong("\(name) needs a value: see tasklink --help")
            }
            if let wrong = options.set(name, value) { return .wrong(wrong) }
        }
        return .run(options)
    }

    /// - Returns: what is wrong with the value.
    private mutating func set(_ name: String, _ value: String) -> String? {
        switch name {
        case "--spool": spool = value
        case "--ledger": ledger = value
        default:
            guard let span = TimeSpan(value)?.microseconds, (100_000...10_000_000).contains(span)
            else { return "--interval=\(value): a span from 100ms to 10s is allowed" }
            interval = span
        }
        return nil
    }
}
