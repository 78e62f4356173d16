// SPDX-License-Identifier: Apache-2.0
import Glibc
import Linux
import SystemPackage
import TaskModel

/// taskrun(1): executes tasks, each in its jail. One thread, one loop.
@main struct Taskrun {
    static func main() {
        // A parent may have ignored SIGCHLD: then the ends of children could not be seen.
        // A hang-up that came while this was another program still waits, blocked: it must not end us.
        if !CommandLine.arguments.contains(where: { $0.hasPrefix("--resume=") }) {
            SignalSource.restoreDefaults()
        }
        let options: Options
        do throws(Options.Problem) {
            options = try Options(Array(Caller.arguments.dropFirst()))
        } catch {
            Message.quit(Status.usage, error.what)
        }
        do throws(Errno) {
            exit(try run(options))
        } catch {
            Message.quit(Status.tool, "unable to go on: \(error), what ran is lost")
        }
    }

    private static func run(_ options: Options) throws(Errno) -> Int32 {
        // The launcher is forked first of all: each jail is a fork of it, and copies its heap.
        switch options.mode {
        case .help:
            try File.writeAll(Array(Options.help.utf8), to: 1)
        case .version:
            try File.writeAll(Array("taskrun (taskspool) \(Version.text)\n".utf8), to: 1)
        case .tableVersion:
            try File.writeAll(Array(Upgrade.versionLine.utf8), to: 1)
        case .plan:
            return try PlanCommand.run(options, JailHouse(scratch: options.scratch))
        case .pool:
            return try PoolCommand.run(options, JailHouse(scratch: options.scratch))
        case .unit(let operand, let arguments):
            return try UnitCommand.run(
                operand, arguments, options, JailHouse(scratch: options.scratch))
        case .show(let operand):
            return try UnitCommand.show(operand, options, JailHouse(scratch: options.scratch))
        }
        return 0
    }
}
