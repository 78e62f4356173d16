// SPDX-License-Identifier: Apache-2.0
import Glibc
import Linux
import SystemPackage
import TaskModel

/// taskrun(1): executes tasks, each in its jail. One thread, one loop.
@main struct Taskrun {
    static let version = "0.1.0"

    static func main() {
        // A parent may have ignored SIGCHLD: then the ends of children could not be seen.
        SignalSource.restoreDefaults()
        // Before the heap grows: each jail is a fork of the launcher (JailHouse).
        let jails = JailHouse()
        let options: Options
        do throws(Options.Problem) {
            options = try Options(Array(CommandLine.arguments.dropFirst()))
        } catch {
            Message.quit(Status.usage, error.what)
        }
        do throws(Errno) {
            exit(try run(options, jails))
        } catch {
            Message.quit(Status.tool, "unable to go on: \(error), what ran is lost")
        }
    }

    private static func run(_ options: Options, _ jails: JailHouse) throws(Errno) -> Int32 {
        switch options.mode {
        case .help:
            try File.writeAll(Array(Options.help.utf8), to: 1)
        case .version:
            try File.writeAll(Array("taskrun \(version)\n".utf8), to: 1)
        case .plan:
            return try PlanCommand.run(options, jails)
        case .unit, .show, .pool:
            Message.quit(Status.usage, "not there yet")
        }
        return 0
    }
}
