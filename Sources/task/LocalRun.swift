// SPDX-License-Identifier: Apache-2.0
import Glibc
import Linux
import SystemPackage
import TaskModel
import TaskTool

/// A run without a daemon: `taskrun - | task | tasklog append`, the plan on the first one's
/// standard input. This program stands between the two to print output and to learn the ends.
final class LocalRun {
    private let spool: SpoolPath
    private let printer: OutputPrinter?
    private(set) var outcome: RunOutcome
    private let loop: EventLoop
    private let signals: SignalSource
    private var runner: Subprogram?
    private var recorder: Subprogram?
    private var events: Descriptor?
    private var journal: Descriptor?
    private var pending: [UInt8] = []
    private var isComplete = false

    /// - Parameter printer: nil prints no output of tasks.
    init(
        _ plan: Plan, id: TaskID, spool: SpoolPath, printer: OutputPrinter?
    ) throws(ToolError) {
        self.spool = spool
        self.printer = printer
        outcome = RunOutcome(id, plan: plan)
        do {
            // Until the end: taskrun obeys the signal, cancels, and what it says is still recorded.
            signals = try SignalSource([SIGINT, SIGTERM, SIGHUP])
            loop = try EventLoop()
        } catch {
            throw ToolError(
                unableTo: "watch", "signals", error, "nothing was started",
                status: ExitStatus.toolFailed)
        }
    }

    /// Runs the plan to its end.
    func run(_ plan: [UInt8]) throws(ToolError) {
        do throws(Errno) {
            try startRecorder()
            try startRunner(plan)
            // A recorder that died must not end the run: that is reported afterwards.
            SignalSource.ignorePipe()
            try watch()
            while !isComplete { try loop.turn(until: nil) }
        } catch {
            throw ToolError(
                unableTo: "run", "the plan", error, "what was started is ended",
                status: ExitStatus.toolFailed)
        }
        journal = nil
        printer?.finish()
        try check(runner: runner?.wait() ?? 0, recorder: recorder?.wait() ?? 0)
    }

    // A session of its own: Ctrl-C of the terminal must not end what writes the history. Where there
    // is no spool, tasklog makes one.
    private func startRecorder() throws(Errno) {
        let ends = try Pipe.makeBlocking()
        let reading = Descriptor(owning: ends.read)
        journal = Descriptor(owning: ends.write)
        var options = SpawnOptions()
        options.standardInput = reading.number
        options.newSession = true
        recorder = start("tasklog", ["append", "--spool=\(spool.path)"], options)
    }

    private func startRunner(_ plan: [UInt8]) throws(Errno) {
        let ends = try Pipe.make()
        let writing = Descriptor(owning: ends.write)
        events = Descriptor(owning: ends.read)
        let memory = try SealedMemory.make(plan, name: "plan")
        // A descriptor of its own, at the start of the bytes.
        let input = try File.open("/proc/self/fd/\(memory.number)")
        var options = SpawnOptions()
        options.standardInput = input.number
        options.standardOutput = writing.number
        runner = start("taskrun", ["--id=\(outcome.run)", "-"], options)
    }

    private func start(
        _ name: String, _ arguments: [String], _ options: SpawnOptions
    ) -> Subprogram {
        do {
            return try Subprogram.start(name, arguments, options)
        } catch {
            reporter.fail(ToolError(error.sentence, status: ExitStatus.toolFailed))
        }
    }

    private func watch() throws(Errno) {
        let number = events?.number ?? -1
        _ = try loop.add(number, .readable) { [unowned self] _ in read(number) }
        _ = try loop.add(signals.descriptor.number, .readable) { [unowned self] _ in
            // A terminal's Ctrl-C has reached taskrun as well.
            if let signal = (try? signals.next()) ?? nil, signal != SIGINT {
                runner?.signal(signal)
            }
        }
    }
}

extension LocalRun {
    private func read(_ number: Int32) {
        var bytes = [UInt8](repeating: 0, count: 64 << 10)
        let count: Int
        do {
            count = try File.read(number, into: &bytes)
        } catch Errno.wouldBlock {
            return
        } catch {
            count = 0
        }
        if count == 0 {
            isComplete = true
            return
        }
        bytes.removeLast(bytes.count - count)
        pass(bytes)
        pending.append(contentsOf: bytes)
        var start = 0
        while let end = pending[start...].firstIndex(of: UInt8(ascii: "\n")) {
            take(pending[start..<end])
            start = end + 1
        }
        pending.removeFirst(start)
        printer?.flush()
    }

    private func pass(_ bytes: [UInt8]) {
        guard let number = journal?.number else { return }
        do {
            try File.writeAll(bytes, to: number)
        } catch {
            journal = nil  // its own end says why
        }
    }

    private func take(_ raw: ArraySlice<UInt8>) {
        guard let line = try? EventLine(parsing: raw) else { return }
        if line.verb == .note, line["what"] == "output" {
            printer?.print(line, raw: raw)
        } else {
            outcome.add(line)
        }
    }

    private func check(runner: Int32, recorder: Int32) throws(ToolError) {
        if recorder != 0 {
            throw ToolError(
                "unable to record the run: tasklog append ended with status \(recorder), the history "
                    + "of \(outcome.run) is not complete; its tasks are `\(words)`",
                status: ExitStatus.toolFailed)
        }
        guard let root = outcome.root, root.state.isFinal else {
            throw ToolError(
                "unable to learn how the run ended: taskrun ended with status \(runner) before it "
                    + "said so, its tasks were killed with it",
                status: ExitStatus.toolFailed)
        }
    }

    private var words: String { outcome.root?.words ?? "unknown" }
}
