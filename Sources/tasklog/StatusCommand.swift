// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Linux
import SystemPackage
import TaskHistory
import TaskJournal
import TaskModel
import TaskOptions
import TaskTool

struct StatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Shows where a run stands: its tasks, their results, the end of their output.",
        discussion: """
            Exits 0 when there is something to show, 3 when nothing of that name is known; with \
            --check 1 unless it succeeded. The other formats have a row for each task.
            """)

    @OptionGroup var question: RunQuestion

    @Flag(help: "Exit 1 unless it succeeded.")
    var check = false

    @Option(
        name: [.customShort("n"), .long],
        help: ArgumentHelp("Show the last lines of the output.", valueName: "lines"))
    var lines = 10

    func run() throws {
        let choice = question.spool.choice
        let history = try History.open(choice, for: reporter)
        guard let ref = try known(history) else {
            try showWaiting(history)
            return
        }
        guard let run = try history.run(ref.run) else { throw ToolError.reading(Errno.noData) }
        let tasks = try tasks(ref, run, history)
        if question.format.format == .table {
            let isOne = ref.task != nil
            let page = StatusPage(
                ref: ref, run: isOne ? tasks.first.map(run.narrowed) ?? run : run, tasks: tasks,
                history: history, style: question.format.style,
                log: choice.path + "/log", lines: lines,
                isParked: LivePlan.isParked(run, spool: choice.path))
            let output = question.format.makeOutput()
            try output.write(try page.text())
            try output.finish()
        } else {
            try printRows(run, tasks)
        }
        let state = ref.task == nil ? run.state : tasks.first?.state ?? run.state
        if check, state != .success { throw ExitCode(ExitStatus.no) }
    }

    private func tasks(
        _ ref: TaskRef, _ run: RunRow, _ history: History
    ) throws -> [TaskRow] {
        if let item = ref.item {
            if let known = try history.task(ref) { return [known] }
            let array = try history.task(TaskRef(run: ref.run, task: ref.task))
            let total = try history.arrays(ofRun: ref.run).first { $0.id == array?.id }?.total
            guard let array, total.map({ item < $0 }) ?? false else {
                throw ToolError(
                    "no item \(ref) is known: `task status \(ref.run.short)` says what there is",
                    status: ExitStatus.notFound)
            }
            return [
                TaskRow(
                    ref, name: array.name ?? ref.description,
                    state: array.state.isFinal ? array.state : .pending, created: array.created)
            ]
        }
        return try LivePlan.completing(
            try history.tasks(ofRun: ref.run), of: run, spool: question.spool.choice.path
        ).filter { ref.task == nil || $0.id == ref.description }
    }

    // nil when nothing of that name ran: then it may be a drop that nobody took, or installed.
    private func known(_ history: History) throws(ToolError) -> TaskRef? {
        do {
            return try history.find(
                question.run, in: question.spool.choice, for: reporter)
        } catch {
            if error.status == ExitStatus.notFound, waiting(history) != nil { return nil }
            throw error
        }
    }

    private struct WaitingFile {
        static let columns = [Column("name"), Column("unit"), Column("message")]
        var name: String
        var file: String
        var message: String
        var text: String
    }

    private func waiting(_ history: History) -> WaitingFile? {
        let choice = question.spool.choice
        if let word = question.run, let file = (try? history.pendingDrop(word, in: choice)) ?? nil {
            let message = "lies in incoming/, not accepted yet"
            let name = HumanText.printable(word)
            return WaitingFile(
                name: name, file: file, message: message,
                text: "\(name): \(message): task explain \(name)\n")
        }
        return InstalledUnit(question.run, spool: choice.path).map {
            WaitingFile(name: $0.name, file: $0.file, message: "fires: \($0.fires)", text: $0.text)
        }
    }

    private func showWaiting(_ history: History) throws {
        guard let waiting = waiting(history) else { return }
        let output = question.format.makeOutput()
        if question.format.format == .table {
            try output.write(waiting.text)
        } else {
            var table = question.format.makeTable(WaitingFile.columns)
            table.add([.text(waiting.name), .text(waiting.file), .text(waiting.message)])
            table.finish()
            try output.write(table.take())
        }
        try output.finish()
        if check { throw ExitCode(ExitStatus.no) }
    }

    private func printRows(_ run: RunRow, _ tasks: [TaskRow]) throws {
        let output = question.format.makeOutput()
        var table = question.format.makeTable(RunColumns.columns)
        if tasks.isEmpty { table.add(RunColumns.row(run)) }
        for task in tasks { table.add(RunColumns.row(task)) }
        table.finish()
        try output.write(table.take())
        try output.finish()
    }
}
