// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Linux
import TaskHistory
import TaskModel
import TaskOptions
import TaskTool

struct ListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Lists runs, the newest first.")

    @OptionGroup var spool: SpoolOptions
    @OptionGroup var format: FormatOptions

    @Argument(help: ArgumentHelp("Only runs of this unit.", valueName: "name"), completion: .runs)
    var name: String?

    @Option(
        name: [.customShort("s"), .long],
        help: ArgumentHelp("Only runs in this state; may be repeated.", valueName: "state"))
    var state: [String] = []

    @Flag(help: "Only runs that have not ended.")
    var live = false

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Only runs made since then (RFC 3339, -1h).", valueName: "time"))
    var since: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Only runs made before then.", valueName: "time"))
    var until: String?

    @Option(
        name: [.customShort("n"), .long],
        help: ArgumentHelp("At most so many; 0 for all.", valueName: "count"))
    var lines = 50

    func validate() throws {
        guard lines >= 0 else { throw ValidationError("--lines takes a number from 0 on.") }
        if let wrong = state.first(where: { TaskState(word: $0) == nil }) {
            let words = TaskState.allCases.map { $0.word }.joined(separator: ", ")
            throw ValidationError("'\(wrong)' is no state: \(words)")
        }
        for text in [since, until].compactMap({ $0 })
        where Timestamp.parse(text, now: Clock.real()) == nil {
            throw ValidationError(
                "'\(text)' is no time: RFC 3339 (2026-11-25T04:28:58Z), a date, now, or -1h")
        }
    }

    func run() throws {
        let history = try History.open(spool.choice, for: reporter)
        let output = format.makeOutput()
        var table = format.makeTable(RunColumns.columns)
        var filter = self.filter
        var left = lines == 0 ? Int.max : lines
        while left > 0 {
            filter.limit = min(left, 500)
            let runs = try history.list(filter)
            for run in runs { table.add(RunColumns.row(run)) }
            try output.write(table.take())
            left -= runs.count
            guard runs.count == filter.limit, let oldest = runs.last?.id else { break }
            filter.before = oldest
        }
        table.finish()
        try output.write(table.take())
        try output.finish()
    }

    private var filter: HistoryFilter {
        var filter = HistoryFilter()
        filter.name = name.map { UnitName.of($0) }
        filter.states = state.compactMap { TaskState(word: $0) }
        if live { filter.states += TaskState.allCases.filter { !$0.isFinal && $0 != .lost } }
        filter.since = since.flatMap { Timestamp.parse($0, now: Clock.real()) }
        filter.until = until.flatMap { Timestamp.parse($0, now: Clock.real()) }
        return filter
    }
}
