// SPDX-License-Identifier: Apache-2.0
import TaskModel
import TaskTool

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

    static func parse(_ arguments: some Sequence<String>) -> DaemonArguments<Options> {
        .read(arguments, of: "tasklink", names, defaults: Options()) { $0.set($1, $2) }
    }

    private static let names = DaemonOptionNames(
        valued: ["--spool", "--ledger", "--interval"], flags: ["--once"])

    /// - Returns: what is allowed instead.
    private mutating func set(_ name: String, _ value: String) -> String? {
        switch name {
        case "--once": isOnce = true
        case "--spool": spool = value
        case "--ledger": ledger = value
        default:
            guard let span = TimeSpan(value)?.microseconds, (100_000...10_000_000).contains(span)
            else { return "a span from 100ms to 10s is allowed" }
            interval = span
        }
        return nil
    }
}
