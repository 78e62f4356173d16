// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Linux
import SystemPackage
import TaskHistory
import TaskOptions
import TaskTool

struct QueryCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "query",
        abstract: "Answers SQL over the history.",
        discussion: """
            Tables: status(id, name), run, task, event(id, job_id, status, timestamp, verb, \
            attempt, by, detail), attempt; views with words and times as text: runs, tasks, events, \
            attempts, failures, throughput. Times are microseconds since 1970. See tasklog(1).
            """)

    @OptionGroup var spool: SpoolOptions
    @OptionGroup var format: FormatOptions

    @Option(help: ArgumentHelp("End a query after so many seconds.", valueName: "seconds"))
    var timeout = 60

    @Argument(help: ArgumentHelp("One SELECT; `-` reads it from standard input.", valueName: "sql"))
    var sql: String

    func run() throws {
        let history = try History.open(spool.choice, for: reporter)
        try Rows.print(
            sql == "-" ? try Self.standardInput() : sql, history, format, seconds: timeout)
    }

    private static func standardInput() throws -> String {
        guard let bytes = try File.readAll(0, limit: 1 << 20) else {
            throw ToolError("the query is longer than 1 MiB", status: ExitStatus.usage)
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// The rows of an SQL statement in the chosen format.
enum Rows {
    static func print(
        _ sql: String, _ history: History, _ format: FormatOptions, seconds: Int
    ) throws {
        do {
            let query = try UserQuery(sql, at: history.indexPath, seconds: seconds)
            let output = format.makeOutput()
            var table = format.makeTable(query.columns.map { Column($0, $0) })
            while let row = try query.next() {
                table.add(row.map { value($0) })
                if table.bytes.count > 32 << 10 { try output.write(table.take()) }
            }
            table.finish()
            try output.write(table.take())
            try output.finish()
        } catch let error as HistoryError {
            throw ToolError(error)
        }
    }

    private static func value(_ cell: UserQuery.Cell) -> Value {
        switch cell {
        case .null: .absent
        case .integer(let number): .number(number)
        case .real(let number): .real(number)
        case .text(let text): .text(text)
        }
    }
}

enum ExportTable: String, CaseIterable, ExpressibleByArgument {
    case runs, tasks, attempts, events
}

struct ExportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Writes the whole history out, as JSON Lines or CSV.")

    @OptionGroup var spool: SpoolOptions

    @Option(
        name: [.customShort("o"), .long],
        help: ArgumentHelp("Format: \(OutputFormat.choices).", valueName: "format"))
    var output: OutputFormat = .jsonl

    @Argument(help: ArgumentHelp("runs, tasks, attempts or events.", valueName: "what"))
    var table: ExportTable = .tasks

    func run() throws {
        let history = try History.open(spool.choice, for: reporter)
        var format = FormatOptions()
        format.output = output
        format.json = false
        format.noHeaders = false
        format.color = .never
        format.noPager = true
        try Rows.print("select * from \(table.rawValue)", history, format, seconds: 86_400)
    }
}
