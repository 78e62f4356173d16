// SPDX-License-Identifier: Apache-2.0
import TaskTool
import TaskUnit

/// What taskd was told on its command line and by its environment.
struct Options {
    var spool = ""
    /// Attempts at once, 0: as task.conf says.
    var slots = 0
    /// What task.conf says at the start.
    var configuration = Configuration()
    /// The program that runs tasks: beside taskd, unless `--taskrun=`.
    var taskrun = ""
    /// The program that compresses segments: beside taskd, unless `--tasklog=`; empty or `none`: never.
    var tasklog = ""
    /// The socket of the root service.
    var pool = "/run/task/run"
    /// systemd's journal; another socket for tests.
    var journald = "/run/systemd/journal/socket"
    /// Runs that wait for a slot in memory at most; the rest waits in its directory.
    var window = 10_000
    /// Runs in memory at most, also those that are parked, or wait for a time or a semaphore.
    var mostRuns = 100_000

    static let help = """
        usage: taskd [--spool=DIR] [--slots=N] [--taskrun=FILE] [--tasklog=FILE]
                     [--pool=SOCKET]
        Watches a spool, accepts what is dropped into DIR/incoming and has it run.

          --spool=DIR     the spool; made if it is not there [$TASK_SPOOL, else
                          /var/spool/task/$USER, else $XDG_STATE_HOME/task/spool]
          --slots=N       tasks that run at once [Slots= of task.conf, else 4 a CPU]
          --taskrun=FILE  the program that runs tasks [the one beside taskd]
          --tasklog=FILE  the program that compresses what is sealed; none: never
                          [the one beside taskd]
          --pool=SOCKET   the service that runs tasks where it listens; none: never
                          [/run/task/run]
          --journald=FILE socket of systemd's journal [/run/systemd/journal/socket]
          --help, --version

        See taskd(8), task.conf(5), task-spool(7).

        """

    static func parse(_ arguments: some Sequence<String>) -> DaemonArguments<Options> {
        .read(arguments, of: "taskd", names, defaults: Options()) { $0.set($1, $2) }
    }

    private static let names = DaemonOptionNames(valued: [
        "--spool", "--slots", "--taskrun", "--tasklog", "--journald", "--pool",
    ])

    /// - Returns: what is allowed instead.
    private mutating func set(_ name: String, _ value: String) -> String? {
        switch name {
        case "--spool": spool = value
        case "--taskrun": taskrun = value
        case "--tasklog": tasklog = value
        case "--journald": journald = value
        case "--pool": pool = value
        default:
            guard let slots = Int(value), (1...4096).contains(slots) else {
                return "a number from 1 to 4096 is allowed"
            }
            self.slots = slots
        }
        return nil
    }
}
