// SPDX-License-Identifier: Apache-2.0
import Linux
import TaskModel
import TaskTool

/// taskd(8): watches a spool, accepts what is dropped, has it run, writes the journal.
@main
struct Taskd {
    static func main() {
        Memory.mapLarge()
        let report = Report()
        switch Options.parse(Caller.arguments.dropFirst()) {
        case .help: print(Options.help, terminator: "")
        case .version: print("taskd (taskspool) \(Version.text)")
        case .wrong(let sentence):
            report.error(sentence)
            Caller.exit(ExitStatus.usage)
        case .run(let given):
            SignalSource.block(1)  // SIGHUP waits until it is asked for: see Daemon.hangup
            var options = complete(given)
            guard let configuration = ConfigurationFiles.read(report) else {
                report.error("the configuration is wrong, taskd does not start: see task.conf(5)")
                Caller.exit(ExitStatus.configuration)
            }
            options.configuration = configuration
            Caller.exit(Start.run(options, report))
        }
    }

    private static func complete(_ given: Options) -> Options {
        var options = given
        if options.spool.isEmpty { options.spool = SpoolPath.choose(option: nil).path }
        if options.taskrun.isEmpty { options.taskrun = Sibling.path(of: "taskrun") ?? "taskrun" }
        if options.tasklog.isEmpty { options.tasklog = Sibling.path(of: "tasklog") ?? "tasklog" }
        return options
    }
}
