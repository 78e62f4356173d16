// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Linux
import SystemPackage
import TaskHistory
import TaskModel
import TaskOptions
import TaskSpool
import TaskTool

struct ExplainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain", abstract: "Says why a run is not running, or why it failed.",
        discussion: """
            Looks where its plan lies and what the journal says, and names the command to type \
            next. A name that was rejected is answered with its reason.
            """)

    @OptionGroup var spool: SpoolOptions

    @Argument(
        help: ArgumentHelp(
            "A run, a task, a unit's name, a rejected file, or last.", valueName: "run"),
        completion: .runs)
    var word: String = "last"

    func run() throws {
        let explanation = try Explanation(spool.choice)
        let output = Output(paged: false)
        try output.write(try explanation.text(of: word) + "\n")
        try output.finish()
    }
}

/// Gathers what is known of one run.
struct Explanation {
    private let live: LiveRuns
    private let history: History
    private let choice: SpoolPath

    init(_ choice: SpoolPath) throws(ToolError) {
        self.choice = choice
        live = try LiveRuns(choice)
        history = try History.open(choice, for: reporter)
    }

    func text(of word: String) throws -> String {
        if let reason = rejected(word) { return reason }
        if let waiting = try notAccepted(word) { return waiting }
        guard let ref = try find(word) else {
            let unit = InstalledUnit(word, spool: live.spool.path)
            return unit.map { String($0.text.dropLast()) } ?? ""
        }
        guard let run = try history.run(ref.run) else {
            throw ToolError("no run \(word) is in the history", status: ExitStatus.notFound)
        }
        let name = run.name ?? "\(ref.run)"
        var lines = ["\(name) (\(ref.run)): \(run.state.word)."]
        if run.state.isFinal {
            lines += try causes(of: run)
        } else {
            lines += try waits(of: run)
        }
        let next = lines.last?.hasPrefix("Next: ") == true ? 1 : 0
        lines.insert(
            contentsOf: try limitsMet(in: run) + weaknesses(of: run), at: lines.count - next)
        return lines.joined(separator: "\n")
    }

    // nil when it has not run, but is installed.
    private func find(_ word: String) throws(ToolError) -> TaskRef? {
        do {
            return try history.find(word, in: choice, for: reporter)
        } catch {
            if error.status == ExitStatus.notFound,
                InstalledUnit(word, spool: live.spool.path) != nil
            {
                return nil
            }
            throw error
        }
    }

    /// Bad input: its reason, as written beside it.
    private func rejected(_ word: String) -> String? {
        for name in UnitName.files(word) where live.spool.exists(name + ".reason", .rejected) {
            let bytes = (try? live.spool.read(name + ".reason", .rejected, limit: 1 << 20)) ?? nil
            guard let bytes else { continue }
            let reason = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
                .map { "  " + HumanText.printable(String($0)) }.joined(separator: "\n")
            return """
                \(name) was rejected:
                \(reason)
                Next: correct \(live.spool.path)/rejected/\(name) and mv it into incoming/
                """
        }
        return nil
    }

    /// A drop that taskd has not taken.
    private func notAccepted(_ word: String) throws -> String? {
        var found: RunPlace?
        try live.each(in: [.incoming]) { place in
            if place.name == UnitName.of(word) || "\(place.run)" == word { found = place }
        }
        let plain = UnitName.files(word).first { live.spool.exists($0, .incoming) }
        guard let file = found?.file ?? plain else { return nil }
        return """
            \(word) lies in incoming/ as \(file): it is not accepted yet. Somebody may still have it \
            open for writing, the disk may be short of space, or no taskd runs: taskd \
            --spool=\(live.spool.path)
            """
    }

    // Why it failed: what failed first, and what to type.
    private func causes(of run: RunRow) throws -> [String] {
        if run.state == .rejected { return [run.message].compactMap { $0 } }
        guard run.state == .failure || run.state == .cancelled else { return [] }
        var lines: [String] = []
        for task in try history.tasks(ofRun: run.id) where task.state == .failure {
            var line = "\(task.name ?? task.id): " + Self.words(task)
            if task.attempts > 1 { line += ", after \(task.attempts) attempts" }
            lines.append(line + (task.message.map { ": \($0)" } ?? ""))
        }
        for item in try history.failedItems(ofRun: run.id, limit: 3) {
            let name = "\(run.id.short).\(item.k ?? 0).\(item.item ?? 0)"
            lines.append("\(name): " + Self.words(item) + (item.message.map { ": \($0)" } ?? ""))
        }
        if lines.isEmpty, let message = run.message { lines.append(message) }
        if run.state == .cancelled, let by = try canceller(of: run.id) {
            lines.append("By uid \(by).")
        }
        let next = run.state == .failure ? "task logs \(run.id.short); then " : ""
        // What ran without a taskd, or was retried since, has no plan there.
        let isThere = try live.places(of: run.id).contains { $0.directory == .failed }
        let again = isThere ? "task retry \(run.id.short)" : "run or submit it again"
        lines.append("Next: \(next)\(again)")
        return lines
    }

    // `exit status 9`, `killed by SIGSEGV`, `timeout, SIGTERM`.
    private static func words(_ task: TaskRow) -> String {
        let signal = task.signal.map { "SIG" + SignalName.name(of: Int32($0)) }
        switch task.reason.flatMap({ FailureReason(rawValue: $0) }) {
        case .exit: return task.exit.map { "exit status \($0)" } ?? "failure"
        case .signal: return "killed by " + (signal ?? "a signal")
        default:
            let exit = task.exit.flatMap { $0 == 0 ? nil : "exit status \($0)" }
            return [task.reason ?? "failure", exit, signal].compactMap { $0 }
                .joined(separator: ", ")
        }
    }

    /// What was killed and does not end.
    private func stuck(in run: RunRow, _ tasks: [TaskRow]) throws -> [String] {
        try history.stuck(in: run.id).map { note in
            let name = tasks.first { $0.id == note.task }?.name ?? note.task
            return "\(name): \(HumanText.printable(note.text))"
        }
    }

    /// Limits that were met and are not why it failed.
    private func limitsMet(in run: RunRow) throws -> [String] {
        let notes = try history.notes(of: TaskRef(run: run.id), "limit")
        if notes.isEmpty { return [] }
        let tasks = try history.tasks(ofRun: run.id)
        return notes.suffix(10).map { note in
            let name = tasks.first { $0.id == note.task }?.name ?? note.task
            return "\(name): \(HumanText.printable(note.text))"
        }
    }

    /// What an ordinary user's jail could not hold in full, and the cure.
    private func weaknesses(of run: RunRow) throws -> [String] {
        let names = try history.tasks(ofRun: run.id).compactMap(\.weak)
            .flatMap { $0.split(separator: ",").map(String.init) }
        return Set(names).sorted().map { name in
            let what =
                switch name {
                case "LimitMem":
                    "LimitMem= held for each process by itself, and for all together only as far as "
                        + "a look ten times a second tells"
                default: "\(name)= did not hold"
                }
            return what + ": no cgroup was delegated to this user. Jail=strict refuses instead; "
                + "see \"Without root\" in task-jail(7)."
        }
    }

    private func canceller(of run: TaskID) throws -> String? {
        try history.canceller(of: run)
    }

    private static func away(_ name: OutgoingName) -> [String] {
        if name.kind == .exported {
            return [
                "It would wait here: it is to be handed to the ledger, or starts here before that."
            ]
        }
        return [
            "It was handed to the ledger: whatever node claims it runs it, and its end comes back here.",
            "Next: psql -c \"SELECT * FROM ledger.runs WHERE id = '\(name.file.run)'\" on the ledger",
        ]
    }

    // In a cluster: why no other node runs it.
    private func staysHere(_ run: TaskID) throws -> [String] {
        guard live.isClustered, let bytes = try live.plan(of: run),
            let plan = try? Plan(parsing: bytes), let file = plan.unshippedFile
        else { return [] }
        let directory = plan.tasks.compactMap { $0.spec.text(.dir) }.first ?? "Dir="
        return [
            "It is not handed to other nodes: it needs \(directory)/\(file), which does not travel with it; "
                + "name it in Files=, or set Shared=yes where all machines have that directory."
        ]
    }

    // Why it does not run, or what runs.
    private func waits(of run: RunRow) throws -> [String] {
        let tasks = try history.tasks(ofRun: run.id)
        let running = tasks.filter { $0.state == .running }.map { $0.name ?? $0.id }
        switch try live.places(of: run.id).last?.directory {
        case .hold:
            return [
                "It is parked in hold/: by its owner, or after three lost attempts.",
                "Next: task release \(run.id.short)",
            ]
        case .deferred:
            let due = tasks.compactMap(\.due).min().map { Timestamp.text($0) } ?? "its time"
            return [
                "An attempt failed; the next one starts at \(due).",
                "Next: task release \(run.id.short) starts it now",
            ]
        case .active where !running.isEmpty:
            return [
                "\(running.prefix(10).joined(separator: ", ")) runs."
            ] + (try stuck(in: run, tasks)) + ["Next: task logs -f \(run.id.short)"]
        case .ready, .active:
            return [
                "It is ready and waits for a slot, for its Semaphore=, or for memory promised to others."
            ] + (try staysHere(run.id)) + [
                "Next: task list --state=running shows what has them"
            ]
        case .incoming, .tmp: return ["It is being accepted."]
        case .failed: return ["It is being parked in failed/."]
        default:
            if let name = live.outgoing(of: run.id) { return Self.away(name) }
            return [
                "Its plan is in none of the spool's directories: it runs without a taskd, or the "
                    + "`task run` or pipe that ran it was killed and nobody will say how it ended. "
                    + "Next: task audit \(run.id.short)"
            ]
        }
    }
}
