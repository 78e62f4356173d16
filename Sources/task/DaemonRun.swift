// SPDX-License-Identifier: Apache-2.0
import Glibc
import Linux
import SystemPackage
import TaskHistory
import TaskJournal
import TaskModel
import TaskOptions
import TaskTool

/// A run beside a taskd: dropped, followed, waited for. Ctrl-C ends this program only.
final class DaemonRun {
    private let plan: Plan
    private let choice: SpoolPath
    private let runs: LiveRuns
    private let signals: SignalSource
    private let id: TaskID
    private let isKeyed: Bool
    /// What `task wait` would return.
    private(set) var status: Int32 = ExitStatus.toolFailed

    init(_ plan: Plan, spool: SpoolPath, _ runs: LiveRuns) throws {
        self.plan = plan
        let keyed = Drop.id(of: plan)
        (id, isKeyed) = (keyed ?? Submission.ids(1)[0], keyed != nil)
        choice = spool
        self.runs = runs
        signals = try SignalSource([SIGINT, SIGTERM, SIGHUP])
    }

    /// Submits the plan; returns when the whole run has ended and what it wrote is shown.
    ///
    /// - Parameters:
    ///   - name: of the drop.
    ///   - showsOutput: whether output of tasks is printed.
    func run(name: String, showsOutput: Bool) throws -> RunOutcome {
        // Before the drop: what is there by now is not this run's.
        let output = try showsOutput ? RunningOutput(choice, OutputPrinter(plan, run: id), id) : nil
        var drop = Drop(name: name, bytes: plan.encode())
        if isKeyed { drop.id = id }
        _ = try Submission(spool: runs.spool).publish([drop], as: isKeyed ? nil : [id])
        let waiting = try Waiting(choice, [id.description])
        waiting.follower = output
        try waiting.watch(signals.descriptor.number) { [unowned self] in leave() }
        _ = try waiting.wait(until: nil)
        output?.finish()
        try waiting.makeDurable()
        status = waiting.status
        let outcome = try waiting.outcome(id, plan)
        if status == ExitStatus.tryLater, outcome.root?.state.isFinal != true {
            reporter.error("\(id) is parked in hold/: task release \(id.short) lets it go on")
        } else if outcome.root?.state.isFinal != true {
            reporter.error(try waiting.sentence(of: id))
        }
        return outcome
    }

    private func leave() {
        guard let signal = (try? signals.next()) ?? nil else { return }
        reporter.notice("\(id) goes on: task logs -f \(id.short), or task cancel \(id.short)")
        Caller.exit(128 + signal)
    }
}

/// Prints what a run writes into log/, as it comes.
private final class RunningOutput: Waiting.Follower {
    /// Output comes without an event: this is how late it may be, in microseconds.
    let pause: Int64 = 50_000
    private let directory: Descriptor
    private let logs: ScannedLogs
    private let printer: OutputPrinter

    init(_ choice: SpoolPath, _ printer: OutputPrinter, _ run: TaskID) throws {
        self.printer = printer
        directory = try File.openDirectory(choice.path + "/log")
        logs = ScannedLogs(at: directory.number, LogFilter(ref: TaskRef(run: run)), since: 0)
        try logs.skipPresent()
    }

    func turn() throws {
        do {
            try logs.each { record in
                printer.print(
                    record.payload, of: record.ref, step: record.step, stream: record.stream)
            }
        } catch {
            throw ToolError.reading(error)
        }
        printer.flush()
    }

    func finish() { printer.finish() }
}
