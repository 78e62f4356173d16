// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Linux
import SystemPackage
import TaskModel
import TaskTool

/// `taskdep check`: a unit's own [Checks], in its jail, and nothing else of it.
struct CheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Runs the [Checks] of a unit, and nothing else of it.",
        discussion: """
            What it requires does not run. Checks run in order in the unit's jail (taskrun) until \
            one fails, whose status is then the exit status. Their output goes to standard error.
            """)

    @Argument(
        help: ArgumentHelp("A unit, or - for standard input.", valueName: "file"),
        completion: .file())
    var file = "-"

    func run() throws {
        let outcome = try compile(file)
        guard let plan = outcome.plan.checks(of: outcome.name) else {
            reporter.notice("\(outcome.name) has no [Checks]")
            return
        }
        let run = CheckRun()
        try run.run(plan.encode())
        guard let failure = run.failure(of: outcome.name) else { return }
        if let sentence = failure.sentence { reporter.error(sentence) }
        throw ExitCode(failure.status)
    }
}

extension Plan {
    /// One task with the checks of the one that is named; nil where it has none.
    func checks(of name: String) -> Plan? {
        guard let root = tasks.last(where: { $0.spec.name == name }), root.spec.has(.check) else {
            return nil
        }
        var spec = root.spec
        spec[.command] = ["/bin/true"]
        for directive in [Directive.arg, .restart] { spec[directive] = [] }
        return Plan(tasks: [PlanTask(number: 0, spec: spec)], blobs: files(of: root))
    }
}

/// `taskrun -` with a plan of checks; prints what it says.
private final class CheckRun {
    private var checks: [EventLine] = []
    private var end: EventLine?
    private var status: Int32 = 0

    func run(_ plan: [UInt8]) throws(ToolError) {
        do throws(Errno) {
            let ends = try Pipe.makeBlocking()
            let reading = Descriptor(owning: ends.read)
            let runner = try start(plan, output: Descriptor(owning: ends.write))
            try readLines(reading.number)
            status = runner.wait()
        } catch {
            throw ToolError(
                unableTo: "run", "taskrun", error, "no check was made",
                status: ExitStatus.toolFailed)
        }
    }

    private func start(
        _ plan: [UInt8], output: consuming Descriptor
    ) throws(Errno) -> Subprogram {
        let memory = try SealedMemory.make(plan, name: "plan")
        // A descriptor of its own, at the start of the bytes.
        let input = try File.open("/proc/self/fd/\(memory.number)")
        var options = SpawnOptions()
        options.standardInput = input.number
        options.standardOutput = output.number
        do {
            return try Subprogram.start("taskrun", ["-"], options)
        } catch {
            reporter.fail(error)
        }
    }

    private func readLines(_ number: Int32) throws(Errno) {
        var pending: [UInt8] = []
        var bytes = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let got = try File.read(number, into: &bytes)
            if got == 0 { return }
            pending.append(contentsOf: bytes[..<got])
            var start = 0
            while let end = pending[start...].firstIndex(of: UInt8(ascii: "\n")) {
                take(pending[start..<end])
                start = end + 1
            }
            pending.removeFirst(start)
        }
    }

    private func take(_ raw: ArraySlice<UInt8>) {
        guard let line = try? EventLine(parsing: raw) else { return }
        switch line.verb {
        case .note where line["what"] == "output": copy(raw)
        case .check:
            let text = "\(line["name"] ?? ""): \(Self.result(line))\n"
            try? File.writeAll(Array(text.utf8), to: 1)
        case .end where line.ref?.task != nil: end = line
        default: break
        }
    }

    // The field's own bytes: they need not be UTF-8.
    private func copy(_ raw: ArraySlice<UInt8>) {
        let key = Array("data=".utf8)
        let field = raw.split(separator: UInt8(ascii: " ")).last { $0.starts(with: key) }
        if let bytes = field.flatMap({ PercentCoding.decode($0.dropFirst(key.count)) }) {
            try? File.writeAll(bytes, to: 2)
        }
    }

    private static func result(_ line: EventLine) -> String {
        if let signal = line["signal"] { return "signal \(signal)" }
        return line["exit"] == "0" ? "ok" : "exit \(line["exit"] ?? "?")"
    }

    /// How it failed; nil where every check said yes. A check's own no has been printed.
    func failure(of name: String) -> (sentence: String?, status: Int32)? {
        guard let end else {
            return ("unable to check \(name): taskrun ended with status \(status)", 125)
        }
        let state = TaskState(word: end["state"] ?? "") ?? .failure
        if state == .success { return nil }
        let reason = end["reason"].flatMap { FailureReason(rawValue: $0) }
        let code = ExitStatus.of(
            state, reason: reason, exit: end.number("exit"), signal: nil)
        if reason == .check { return (nil, code == 0 ? ExitStatus.no : code) }
        let what = end["what"] ?? end["reason"] ?? "it did not run"
        return ("unable to check \(name): \(what)", code)
    }
}
