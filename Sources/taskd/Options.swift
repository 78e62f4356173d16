// SPDX-License-Identifier: Apache-2.0
import Glibc
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
            let parts = argument.split(separator: "=", maxSplits: 1).map(String.init)
            let name = parts.first ?? ""
            let names = ["--spool", "--slots", "--taskrun", "--tasklog", "--journald", "--pool"]
            guard names.contains(name)
            else {
                return .wrong("unknown argument \(argument): see taskd --help")
            }
            guard let value = parts.count > 1 ? parts[1] : rest.popFirst() else {
                return .wrong("\(name) needs a value: see taskd --help")
            }
            switch name {
            case "--spool": options.spool = value
            case "--taskrun": options.taskrun = value
            case "--tasklog": options.tasklog = value
            case "--journald": options.journald = value
            case "--pool": options.pool = value
            default:
                guard let slots = Int(value), (1...4096).contains(slots) else {
                    return .wrong("--slots=\(value): a number from 1 to 4096 is allowed")
                }
                options.slots = slots
            }
        }
        return .run(options)
    }
}
