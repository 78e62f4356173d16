// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import TaskHistory
import TaskModel
import TaskOptions
import TaskTool

struct MetricsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "metrics",
        abstract: "Prints counts of runs, tasks and attempts in the OpenMetrics format.")

    @OptionGroup var spool: SpoolOptions

    func run() throws {
        let history = try History.open(spool.choice, for: reporter)
        var text = ""
        do {
            text += try Self.states("task_runs", "Runs by state.", "run", history)
            text += try Self.states("task_tasks", "Tasks by state.", "task", history)
            text += try Self.reasons(history)
            text += try Self.sums(history)
        } catch let error as HistoryError {
            throw ToolError(error)
        }
        let output = Output(paged: false)
        try output.write(text + "# EOF\n")
        try output.finish()
    }

    private static func rows(_ sql: String, _ history: History) throws -> [[UserQuery.Cell]] {
        let query = try UserQuery(sql, at: history.indexPath, seconds: 600)
        var rows: [[UserQuery.Cell]] = []
        while let row = try query.next() { rows.append(row) }
        return rows
    }

    private static func text(_ cell: UserQuery.Cell) -> String {
        switch cell {
        case .null: "0"
        case .integer(let number): String(number)
        case .real(let number): String(number)
        case .text(let text): text
        }
    }

    private static func states(
        _ metric: String, _ help: String, _ table: String, _ history: History
    ) throws -> String {
        let counts = try rows(
            """
            select s.name, coalesce(c.n, 0) from status s left join
                (select status, count(*) as n from \(table) group by status) c
                on c.status = s.id order by s.id
            """, history)
        return "# TYPE \(metric) gauge\n# HELP \(metric) \(help)\n"
            + counts.map { "\(metric){state=\"\(text($0[0]))\"} \(text($0[1]))\n" }.joined()
    }

    private static func reasons(_ history: History) throws -> String {
        let counts = try rows(
            "select reason, count(*) from task where status = 6 and reason is not null group by 1",
            history)
        return "# TYPE task_failures gauge\n# HELP task_failures Failed tasks by reason.\n"
            + counts.map { "task_failures{reason=\"\(text($0[0]))\"} \(text($0[1]))\n" }.joined()
    }

    private static func sums(_ history: History) throws -> String {
        let row = try rows(
            """
            select count(*), coalesce(sum(cpu_us), 0) / 1e6,
                coalesce(sum(ended - started), 0) / 1e6 from attempt
            """, history)[0]
        return """
            # TYPE task_attempts counter
            # HELP task_attempts Attempts that were started.
            task_attempts_total \(text(row[0]))
            # TYPE task_cpu_seconds counter
            # UNIT task_cpu_seconds seconds
            # HELP task_cpu_seconds CPU time of all attempts.
            task_cpu_seconds_total \(text(row[1]))
            # TYPE task_run_seconds counter
            # UNIT task_run_seconds seconds
            # HELP task_run_seconds Wall time of all attempts.
            task_run_seconds_total \(text(row[2]))

            """
    }
}
