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
            try showUnit()
            return
        }
        guard let run = try history.run(ref.run) else { throw ToolError.reading(Errno.noData) }
        let tasks = try LivePlan.completing(
            try history.tasks(ofRun: ref.run), of: run, spool: choice.path
        ).filter { ref.task == nil || $0.id == ref.description }
        if question.format.format == .table {
            let page = StatusPage(
                run: run, tasks: tasks, history: history, style: question.format.style,
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

    // nil when nothing of that name ran: then it may be a unit that is installed.
    private func known(_ history: History) throws(ToolError) -> TaskRef? {
        do {
            return try history.find(question.run)
        } catch {
            if error.status == ExitStatus.notFound, installed != nil { return nil }
            throw error
        }
    }

    private var installed: InstalledUnit? {
        InstalledUnit(question.run, spool: question.spool.choice.path)
    }

    private func showUnit() throws {
        guard let unit = installed else { return }
        let output = question.format.makeOutput()
        if question.format.format == .table {
            try output.write(unit.text)
        } else {
            var table = question.format.makeTable(InstalledUnit.columns)
            table.add([.text(unit.name), .text(unit.file), .text("fires: \(unit.fires)")])
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

/// A unit in units/ that has not run: what will fire it.
private struct InstalledUnit {
    static let columns = [Column("name"), Column("unit"), Column("message")]

    let name: String
    /// Its file's name.
    let file: String
    /// Its [RunIf], or what to do where it has none.
    let fires: String
    private let isArmed: Bool

    init?(_ word: String?, spool: String) {
        guard let word, !word.contains("/") else { return nil }
        let name = Selector.unitName(word)
        let files = [word] + [".task", ".yaml", ".yml"].map { name + $0 }
        for candidate in files {
            guard let file = try? File.open("\(spool)/units/\(candidate)", flags: .noFollow),
                let bytes = try? File.readAll(file.number, limit: 1 << 20)
            else { continue }
            let lines = Self.runIf(String(decoding: bytes, as: UTF8.self))
            self.name = HumanText.printable(name)
            self.file = candidate
            isArmed = !lines.isEmpty
            fires =
                isArmed
                ? lines.map { HumanText.printable($0) }.joined(separator: ", ")
                : "nothing of its own: submit it, or require it in another unit"
            return
        }
        return nil
    }

    var text: String {
        let later =
            isArmed
            ? "    firing comes with a later release: task run \(file) runs it now\n" : ""
        return "\(name): installed in units/, has not run\n    fires: \(fires)\n" + later
    }

    private static func runIf(_ text: String) -> [String] {
        var section = ""
        var found: [String] = []
        for line in text.split(separator: "\n") {
            let line = line.drop { $0 == " " || $0 == "\t" }
            if line.hasPrefix("[") { section = String(line.prefix { $0 != "]" }.dropFirst()) }
            if section == "RunIf", line.contains("="), !line.hasPrefix("#"), !line.hasPrefix(";") {
                found.append(String(line))
            }
        }
        return found
    }
}
