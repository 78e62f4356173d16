// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Linux
import SystemPackage
import TaskHistory
import TaskJournal
import TaskModel
import TaskOptions
import TaskTool

enum StreamChoice: String, CaseIterable, ExpressibleByArgument {
    case stdout, stderr, both

    var number: Int? {
        switch self {
        case .stdout: 1
        case .stderr: 2
        case .both: nil
        }
    }
}

struct LogsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logs",
        abstract: "Prints the output of a task.",
        discussion: """
            All tasks of the run and all their attempts, checks included, in the order in which \
            they wrote. On a terminal each line says whose it is, where there are several.
            """)

    @OptionGroup var question: RunQuestion

    @Flag(name: [.customShort("f"), .long], help: "Go on until the run has ended.")
    var follow = false

    @Option(help: ArgumentHelp("Only this attempt.", valueName: "n"))
    var attempt: Int?

    @Option(help: "stdout or stderr: only what the command wrote there.")
    var stream: StreamChoice = .both

    @Option(
        name: [.customShort("n"), .long],
        help: ArgumentHelp("Only the last lines, and with -f what follows.", valueName: "lines"))
    var lines: Int?

    @Flag(help: "Not its output: the result that its last attempt left, as it is.")
    var result = false

    func validate() throws {
        if result, follow || lines != nil || stream != .both {
            throw ValidationError("--result goes with --attempt only.")
        }
        if let lines, lines < 0 { throw ValidationError("--lines takes a number from 0 on.") }
    }

    func run() throws {
        let history = try History.open(question.spool.choice, for: reporter)
        if result { return try ResultPrinter(self, history).run() }
        let session = try LogSession(self, history)
        do { try session.run() } catch { throw ToolError.reading(error) }
    }
}

/// One call of `tasklog logs`.
private final class LogSession {
    private let command: LogsCommand
    private let history: History
    private let ref: TaskRef
    private let filter: LogFilter
    private let names: LogNames
    private let output: Output
    private let printer: LogPrinter
    private let directory: Int32
    private let opened: OpenDirectory
    private let path: String
    private var table: LogTable?
    private var tail: RecordTail?

    private final class OpenDirectory {
        let descriptor: Descriptor
        init(_ path: String) throws(Errno) { descriptor = try File.openDirectory(path) }
    }

    init(_ command: LogsCommand, _ history: History) throws {
        self.command = command
        self.history = history
        ref = try history.find(
            command.question.run, in: command.question.spool.choice, for: reporter)
        filter = LogFilter(ref: ref, attempt: command.attempt, stream: command.stream.number)
        names = try LogNames(history, ref.run)
        path = command.question.spool.choice.path
        do {
            opened = try OpenDirectory(path + "/log")
        } catch {
            throw ToolError(unableTo: "open", path + "/log", error, "there is nothing to show")
        }
        directory = opened.descriptor.number
        let format = command.question.format
        let isText = format.format == .table || format.format == .plain
        output = Output(paged: isText && !command.follow && !format.noPager)
        printer = LogPrinter(
            output, names, style: format.style,
            isForPeople: Terminal.isTerminal(1) && format.format == .table)
        if !isText { table = LogTable(format) }
        tail = command.lines.map { RecordTail($0) }
    }

    func run() throws {
        try sayRejected()
        if command.follow {
            try followRun()
        } else if try !printPlaced() {
            try scanned().each(show)
        }
        try showTail()
        try printer.finish()
        if let table { try output.write(table.finish()) }
        try output.finish()
        try sayCut()
        try sayLimits()
    }

    // What ended it from outside is not in what it wrote.
    private func sayLimits() throws {
        let reasons: [FailureReason] = [.oom, .disk, .limit, .timeout]
        let tasks =
            ref.item == nil
            ? try history.tasks(ofRun: ref.run)
                + history.failedItems(ofRun: ref.run, limit: 20)
            : [try history.task(ref)].compactMap { $0 }
        for task in tasks where task.state == .failure {
            guard ref.task == nil || task.id == ref.description || task.k == ref.task,
                let message = task.message,
                reasons.contains(where: { $0.rawValue == task.reason })
            else { continue }
            reporter.notice("\(task.name ?? task.id): \(HumanText.printable(message))")
        }
    }

    // Without a word nobody would know that there was more.
    private func sayCut() throws {
        let cut = try history.cutOutput(of: ref).filter {
            (command.attempt ?? $0.attempt) == $0.attempt
        }
        for part in cut.prefix(10) {
            let name = TaskRef(part.task).map { names.task($0) } ?? part.task
            reporter.warning(HumanText.aboveLogLimit(name, part.dropped))
        }
    }

    // It never ran: without a word nobody would look for the reason.
    private func sayRejected() throws {
        guard let run = try history.run(ref.run), run.state == .rejected else { return }
        reporter.notice(
            "\(run.name ?? "\(run.id)") was rejected, it wrote nothing: "
                + "`task explain \(run.name ?? run.id.short)` says why")
    }

    // Only the last lines were asked for: now they are known.
    private func showTail() throws(ToolError) {
        guard var tail else { return }
        self.tail = nil
        for record in tail.take() { try show(record) }
    }

    private func show(_ record: LogRecord) throws(ToolError) {
        if tail != nil {
            tail?.add(record)
        } else if let table {
            try output.write(table.add(record, names))
        } else {
            try printer.print(record)
        }
    }

    private func scanned() throws -> ScannedLogs {
        let created = try history.run(ref.run)?.created ?? 0
        return ScannedLogs(at: directory, filter, since: created - 1_000_000)
    }

    // False when an attempt still runs: its end does not say yet where its output lies.
    private func printPlaced() throws -> Bool {
        if try history.hasUnplacedOutput(of: ref) { return false }
        var logs = PlacedLogs(at: directory, filter)
        var problem: (any Error)?
        try history.eachAttempt(of: ref) { attempt in
            if problem != nil { return }
            do { try logs.each(attempt, show) } catch { problem = error }
        }
        if let problem { throw problem }
        try sayMissing(Set(logs.missing).sorted())
        return true
    }

    // What was removed on purpose is no fault.
    private func sayMissing(_ segments: [SegmentName]) throws {
        let (retired, lost) = try history.retired(segments)
        if let first = retired.first {
            let name = try history.run(ref.run)?.name ?? "\(ref)"
            let more = retired.count > 1 ? " and \(retired.count - 1) more" : ""
            let what = printer.count == 0 && table == nil ? "the output" : "a part of the output"
            reporter.notice(
                "\(what) of \(name) was removed with log/\(first).log\(more): LogMax= bounds how much is "
                    + "kept")
        }
        for segment in lost {
            reporter.warning(
                "log/\(segment).log is missing, and taskd did not remove it: its part of the output is not "
                    + "shown")
        }
    }

    private func followRun() throws {
        let logs = try scanned()
        let news = JournalNews(path + "/journal")
        while true {
            try history.refresh()
            let isOver = try hasEnded()
            try logs.each(show)
            try showTail()
            try output.flush()
            if isOver { return }
            news.wait()
        }
    }

    private func hasEnded() throws -> Bool {
        if ref.task != nil, let task = try history.task(ref) { return task.state.isFinal }
        return try history.run(ref.run)?.state.isFinal ?? false
    }
}

/// Waits for something new in the journal: by inotify, and each second where that fails.
final class JournalNews {
    private let inotify: Inotify?
    private let loop: EventLoop?
    private var isNew = false

    init(_ directory: String) {
        inotify = try? Inotify()
        loop = try? EventLoop()
        let mask: Inotify.Mask = [.modified, .created, .movedTo]
        guard let inotify, (try? inotify.watch(path: directory, for: mask)) != nil else { return }
        _ = try? loop?.add(inotify.number, .readable) { _ in _ = try? inotify.read() }
    }

    /// Returns at news, after 200 ms at the latest: output comes without an event.
    func wait() { _ = try? loop?.turn(until: Clock.boot() + 200_000) }
}

/// Output as rows, a piece each.
final class LogTable {
    private var table: TableWriter

    init(_ format: FormatOptions) {
        table = format.makeTable([
            Column("id"), Column("name"), Column("attempt"), Column("check"), Column("stream"),
            Column("time"), Column("text"),
        ])
    }

    func add(_ record: LogRecord, _ names: LogNames) -> [UInt8] {
        table.add([
            .id(record.ref.description), .text(names.task(record.ref)),
            .number(Int64(record.attempt)), Value(names.check(record.ref, record.step)),
            .text(record.stream == 1 ? "stdout" : "stderr"), .time(record.microseconds),
            .text(String(decoding: record.payload, as: UTF8.self)),
        ])
        return table.take()
    }

    func finish() -> [UInt8] {
        table.finish()
        return table.take()
    }
}
