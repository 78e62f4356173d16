// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskHistory
import TaskJournal
import TaskModel
import TaskOptions
import TaskTool

/// `tasklog logs --result`: the bytes that a task left in `$TASK_RESULT`, as they are.
struct ResultPrinter {
    private let command: LogsCommand
    private let history: History
    private let ref: TaskRef
    private let name: String

    init(_ command: LogsCommand, _ history: History) throws {
        self.command = command
        self.history = history
        let asked = try history.find(
            command.question.run, in: command.question.spool.choice, for: reporter)
        let run = try history.run(asked.run)
        // Of a run it is that of the task that it was submitted for.
        ref = asked.task == nil ? run?.main.flatMap { TaskRef($0.id) } ?? asked : asked
        name = try history.task(ref)?.name ?? run?.name ?? "\(ref)"
    }

    func run() throws {
        guard let place = try history.result(of: ref, attempt: command.attempt) else {
            throw ToolError("\(name) left no result", status: ExitStatus.no)
        }
        let path = command.question.spool.choice.path + "/log"
        let record: LogRecord?
        do {
            let directory = try File.openDirectory(path)
            record = try LogRecord.read(place, at: directory.number)
        } catch let error as Errno {
            throw ToolError(unableTo: "open", path, error, "there is nothing to show")
        } catch {
            throw ToolError.reading(error)
        }
        guard let record, record.ref == ref else {
            let isRetired = try !history.retired([place.segment]).retired.isEmpty
            throw ToolError(
                isRetired
                    ? "the result of \(name) was removed with log/\(place.segment).log: LogMax= bounds how "
                        + "much is kept"
                    : "the result of \(name) is gone: log/\(place.segment).log is removed or damaged",
                status: ExitStatus.no)
        }
        let output = Output(paged: false)
        try output.write(Array(record.payload))
        try output.finish()
    }
}
