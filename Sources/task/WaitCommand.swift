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
            touch the tasks.
            """)

    @OptionGroup var spool: SpoolOptions
    @OptionGroup var format: FormatOptions

    @Option(help: ArgumentHelp("Give up after this span; the tasks go on.", valueName: "span"))
    var timeout: String?

    @Argument(
        help: ArgumentHelp("An id, the end of one, a unit's name, or last.", valueName: "run"),
        completion: .runs)
    var runs: [String]

    var operandWords: [String] {
        get { runs }
        set { runs = newValue }
    }

    func validate() throws {
        if let timeout, HumanText.parseSpan(timeout) == nil {
            throw ValidationError("'\(timeout)' is no span: 90, 2s, 1h 30min")
        }
    }

    func run() throws {
        let waiting = try Waiting(spool.choice, runs)
        let end = timeout.flatMap { HumanText.parseSpan($0) }.map { Clock.boot() + $0 }
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
}
