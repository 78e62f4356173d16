// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskJournal
import TaskLedger
import TaskModel
import TaskSpool
import TaskTool
import TaskUnit

/// tasklink(8): joins a spool to the ledger of many machines.
@main
struct Tasklink {
    static func main() {
        Memory.mapLarge()
        let report = Reporter(daemon: "tasklink")
        switch Options.parse(Caller.arguments.dropFirst()) {
        case .help: print(Options.help, terminator: "")
        case .version: print("tasklink (taskspool) \(Version.text)")
        case .wrong(let sentence):
            report.error(sentence)
            Caller.exit(ExitStatus.usage)
        case .run(let options): Caller.exit(run(options, report))
        }
    }

    private static func run(_ options: Options, _ report: Reporter) -> Int32 {
        SignalSource.ignorePipe()
        do {
            let chosen = SpoolPath.choose(option: options.spool)
            let spool = try chosen.open()
            let target = try ledger(options, report)
            let journal = try openJournal(spool.number, chosen.path)
            let file = try SessionFile(spool: spool.number, path: chosen.path)
            guard let boot = UUID(Host.boot()) else {
                throw ToolError(
                    "unable to read the boot's id of this machine, tasklink does not start",
                    status: ExitStatus.ioError)
            }
            let link = try Link(
                LinkSetup(
                    target: target, isOnce: options.isOnce, interval: options.interval, boot: boot),
                file, JournalTail(journal.number),
                Exchange(spool: spool.number, outgoing: file.number, report), report)
            return try link.run()
        } catch let error as ToolError {
            report.error(error.sentence)
            return error.status
        } catch let error as ConnectionRefusal {
            report.error(
                "unable to use the ledger's address: \(error.sentence), nothing is shipped")
            return ExitStatus.configuration
        } catch {
            report.error("unable to wait for events: \(error), tasklink stops")
            return ExitStatus.ioError
        }
    }

    private static func openJournal(_ spool: Int32, _ path: String) throws(ToolError) -> Descriptor
    {
        do {
            return try File.openBeneath("journal", at: spool, flags: .directory)
        } catch {
            throw ToolError(unableTo: "open", "\(path)/journal", error, "tasklink does not start")
        }
    }

    /// The ledger's address.
    private static func ledger(
        _ options: Options, _ report: Reporter
    ) throws(ToolError) -> String {
        if let given = options.ledger { return given }
        let (found, problems) = ConfigurationSearch(owner: Caller.uid).read()
        for problem in problems {
            let isError = problem.severity == .error
            if isError { report.error(problem.text) } else { report.warning(problem.text) }
        }
        if problems.contains(where: { $0.severity == .error }) {
            throw ToolError(
                "the configuration is wrong, tasklink does not start: see task.conf(5)",
                status: ExitStatus.configuration)
        }
        guard let url = found.ledger else {
            throw ToolError(
                "no ledger is named, nothing is shipped: write URL= in [Ledger] of task.conf(5), or "
                    + "give --ledger=CONNINFO",
                status: ExitStatus.configuration)
        }
        return url
    }
}
