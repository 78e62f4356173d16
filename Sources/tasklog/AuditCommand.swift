// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import TaskHistory
import TaskModel
import TaskOptions
import TaskTool

struct AuditCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit",
        abstract: "Prints every change of state of a task, and who asked for it.")

    @OptionGroup var question: RunQuestion

    @Flag(name: [.customShort("f"), .long], help: "Go on until the run has ended.")
    var follow = false

    func run() throws {
        let choice = question.spool.choice
        let history = try History.open(choice, for: reporter)
        let ref = try history.find(question.run, in: choice, for: reporter)
        let output = Output(paged: question.format.format == .table && !follow)
        let isForPeople = question.format.format == .table
        var table = question.format.makeTable(Self.columns)
        let news = JournalNews(choice.path + "/journal")
        var last: Int64 = 0
        while true {
            let events = try Self.events(history, ref, last)
            for event in events { table.add(Self.row(event, isForPeople)) }
            for event in events { last = max(last, event.number) }
            let isOver = try history.run(ref.run)?.state.isFinal ?? true
            if !follow || isOver { break }
            if question.format.format != .json { try output.write(table.take()) }
            try output.flush()
            news.wait()
            try Self.refresh(history)
        }
        table.finish()
        try output.write(table.take())
        try output.finish()
    }

    private static func events(
        _ history: History, _ ref: TaskRef, _ last: Int64
    ) throws(ToolError) -> [EventRow] {
        do { return try history.events(of: ref, after: last) } catch { throw ToolError(error) }
    }

    private static func refresh(_ history: History) throws(ToolError) {
        do { try history.refresh() } catch { throw ToolError(error) }
    }

    private static let columns = [
        Column("time"), Column("id"), Column("event"), Column("state"), Column("attempt", "TRY"),
        Column("by"), Column("detail"),
    ]

    private static func row(_ event: EventRow, _ isForPeople: Bool) -> [Value] {
        [
            .time(event.time), .id(event.job), .text(event.verb),
            event.state.map { .state($0) } ?? .absent, Value(event.attempt), Value(event.by),
            .text(isForPeople ? forPeople(event.detail) : event.detail),
        ]
    }

    // What is said by the other columns, and digests, are left to programs.
    private static func forPeople(_ detail: String) -> String {
        let hidden: Set<String> = ["state", "final", "digest", "us", "pid"]
        return EventDetail(detail).fields.filter { !hidden.contains($0.key) }.map { key, value in
            switch key {
            case "cpu": "cpu=" + HumanText.span(Int64(value) ?? 0)
            case "mem": "mem=" + HumanText.size(Int64(value) ?? 0)
            case "due": "due=" + Timestamp.seconds(Int64(value) ?? 0)
            default: "\(key)=\(value)"
            }
        }.joined(separator: " ")
    }
}
