// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Linux
import TaskOptions
import TaskTool

struct WaitCommand: ManyOperands {
    static let configuration = CommandConfiguration(
        commandName: "wait", abstract: "Waits until runs have ended, returns their status.",
        discussion: """
            The status is that of the first, in the order of the arguments, that did not succeed: \
            its own, 124 when --timeout runs out, 75 when it is parked in hold. Ctrl-C does not \
            touch the tasks. Within a task the names of subtasks that it has dropped, or none for \
            all: it has no slot while it waits.
            """)

    @OptionGroup var spool: SpoolOptions
    @OptionGroup var format: FormatOptions

    @Option(help: ArgumentHelp("Give up after this span; the tasks go on.", valueName: "span"))
    var timeout: String?

    @Argument(
        help: ArgumentHelp("An id, the end of one, a unit's name, or last.", valueName: "run"),
        completion: .runs)
    var runs: [String] = []

    var operandWords: [String] {
        get { runs }
        set { runs = newValue }
    }

    func validate() throws {
        if runs.isEmpty, SubtaskDrops.place == nil {
            throw ValidationError("Missing expected argument '<run> ...'")
        }
        if let timeout, HumanText.parseSpan(timeout) == nil {
            throw ValidationError("'\(timeout)' is no span: 90, 2s, 1h 30min")
        }
    }

    func run() throws {
        let end = timeout.flatMap { HumanText.parseSpan($0) }.map { Clock.boot() + $0 }
        if let place = SubtaskDrops.place { return try waitForSubtasks(place, end) }
        let waiting = try Waiting(spool.choice, runs)
        let isInTime = try waiting.wait(until: end)
        try waiting.makeDurable()
        if format.format != .table {
            let output = format.makeOutput()
            try output.write(waiting.rows(format))
            try output.finish()
        }
        guard isInTime else {
            reporter.error(
                "unable to wait for \(waiting.open): more than \(timeout ?? "") have passed, the "
                    + "tasks go on")
            throw ExitCode(ExitStatus.timedOut)
        }
        throw ExitCode(waiting.status)
    }

    private func waitForSubtasks(_ place: String, _ end: Int64?) throws {
        let waiting = try SubtaskWait(place, runs)
        guard try waiting.wait(until: end) else {
            reporter.error(
                "unable to wait: more than \(timeout ?? "") have passed, the subtasks go on")
            throw ExitCode(ExitStatus.timedOut)
        }
        throw ExitCode(try waiting.status())
    }
}
