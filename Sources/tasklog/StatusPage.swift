// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskHistory
import TaskJournal
import TaskModel
import TaskTool

/// Where one run stands, for people.
struct StatusPage {
    /// The run, or one task of it.
    let ref: TaskRef
    let run: RunRow
    let tasks: [TaskRow]
    let history: History
    let style: Style
    /// The directory of log segments.
    let log: String
    let lines: Int
    /// Its plan lies in hold/.
    var isParked = false

    /// Tasks that are shown one by one; of more only those that did not succeed.
    private static let mostTasks = 30

    func text() throws -> String {
        var text = head()
        let arrays = try sections()
        for (label, value) in facts() + arrays.flatMap({ $0.facts() }) + (try stuck()) {
            text += String(repeating: " ", count: max(0, 9 - label.count)) + label + ": " + value
            text += "\n"
        }
        text += times(arrays)
        text += try taskLines()
        if !arrays.isEmpty { text += try failedItems() }
        text += try leftLine()
        text += try outputLines()
        if ref.task == nil, let name = run.name {
            let earlier = try history.countEarlier(named: name, than: run.id)
            if earlier > 0 { text += "(\(earlier) earlier: task list \(safe(name)))\n" }
        }
        return text
    }

    // MARK: Arrays

    /// Of one array, or of the only one of the run; several are told with their tasks.
    private func sections() throws -> [ArraySection] {
        if ref.item != nil { return [] }
        let own = try arrays().filter { ref.task == nil || $0.array.id == ref.description }
        return own.count == 1 ? own : []
    }

    private func arrays() throws -> [ArraySection] {
        try history.arrays(ofRun: run.id).map { array in
            ArraySection(
                array: array, task: tasks.first { $0.id == array.id }, style: style)
        }
    }

    private func times(_ arrays: [ArraySection]) -> String {
        let lines = arrays.flatMap { $0.histogram() }
        if lines.isEmpty { return "" }
        return "     Took:\n" + lines.map { "           \($0)\n" }.joined()
    }

    private func failedItems() throws -> String {
        let failed = try history.failedItems(ofRun: run.id, limit: Self.mostFailed + 1).filter {
            ref.task == nil || $0.k == ref.task
        }
        var text = failed.isEmpty ? "" : "   Failed:\n"
        for item in failed.prefix(Self.mostFailed) {
            let number = "\(run.id.short).\(item.k ?? 0).\(item.item ?? 0)"
            text += "           \(number)  "
            text += Self.result(reason: item.reason, exit: item.exit, signal: item.signal)
            if item.attempts > 1 { text += ", attempt \(item.attempts)" }
            text += (item.message.map { ": " + safe($0) } ?? "") + "\n"
        }
        if failed.count > Self.mostFailed {
            text +=
                "           … more: task query \"select id, reason from task where run = '\(run.id)'"
            text += " and item is not null and status = 6\"\n"
        }
        return text
    }

    private static let mostFailed = 5

    private func safe(_ text: String) -> String { HumanText.printable(text) }

    private func head() -> String {
        let mark =
            switch run.state {
            case .success: "✔"
            case .failure, .rejected, .lost: "✘"
            case .running, .waiting: "●"
            default: "○"
            }
        return style.paint(mark, as: run.state) + " " + style.bold(safe(run.name ?? "(no name)"))
            + " " + style.paint(run.state.word, as: run.state) + "\n"
    }

    private func facts() -> [(String, String)] {
        var facts = [(ref.task == nil ? "Run" : "Task", ref.description)]
        if let unit = run.unit { facts.append(("Unit", safe(unit))) }
        if let parent = run.parent { facts.append(("Parent", safe(parent))) }
        if let result { facts.append(("Result", result)) }
        if let message = run.sentence { facts.append(("Message", safe(message))) }
        if isParked { facts.append(("Parked", "in hold/: task release \(run.id.short)")) }
        if run.state == .rejected {
            facts.append(("Next", "task explain \(safe(run.name ?? run.id.short))"))
        }
        if let time { facts.append(("Time", time)) }
        if let main = run.main {
            if main.attempts > 1 { facts.append(("Attempts", String(main.attempts))) }
            if let due = main.due, main.state == .pending, !isParked {
                facts.append(("Next try", Timestamp.seconds(due)))
            }
            if let usage = usage(main) { facts.append(("Used", usage)) }
            if let weak = main.weak {
                facts.append(("Weak", "not enforced in full here: \(safe(weak))"))
            }
        }
        if run.generation > 0 {
            let times = run.generation == 1 ? "once" : "\(run.generation) times"
            facts.append(("Retried", times + " by hand"))
        }
        if let user = run.user ?? run.main?.user { facts.append(("User", safe(user))) }
        return facts
    }

    private func stuck() throws -> [(String, String)] {
        guard run.state == .running else { return [] }
        return try history.stuck(in: run.id).prefix(10).map { ("Stuck", safe($0.text)) }
    }

    private var result: String? {
        guard run.state == .failure else { return nil }
        let failed = run.main?.state == .failure ? run.main : nil
        return Self.result(
            reason: failed?.reason ?? run.reason, exit: failed?.exit, signal: failed?.signal)
    }

    private static func result(reason: String?, exit: Int?, signal: Int?) -> String {
        var words = reason ?? "failure"
        if let signal {
            words += ", SIG" + SignalName.name(of: Int32(truncatingIfNeeded: signal))
        } else if let exit {
            words += reason == "exit" ? " \(exit)" : ", exit \(exit)"
        }
        return words
    }

    private var time: String? {
        guard let created = run.created else { return nil }
        if run.state == .rejected { return Timestamp.seconds(created) }
        var text = "accepted " + Timestamp.seconds(created)
        if let started = run.started {
            text += ", waited " + HumanText.span(max(0, started - created))
            if let ended = run.ended {
                text += ", took " + HumanText.span(max(0, ended - started))
            } else if run.state == .running || run.state == .waiting {
                text += ", running for " + HumanText.span(max(0, Clock.real() - started))
            }
        } else if let ended = run.ended {
            text += ", ended " + Timestamp.seconds(ended)
        }
        return text
    }

    private func usage(_ task: TaskRow) -> String? {
        let parts = [
            task.cpu.map { "CPU " + HumanText.span($0) },
            task.memory.map { "memory " + HumanText.size($0) },
        ].compactMap { $0 }
        return parts.isEmpty ? nil : parts.joined(separator: ", ")
    }

    private func taskLines() throws -> String {
        guard ref.task == nil, tasks.count > 1 || (run.tasks ?? 1) > 1 else { return "" }
        let ended = tasks.count { $0.state.isFinal }
        var text = "    Tasks: \(ended) of \(run.tasks ?? tasks.count) ended\n"
        let shown = tasks.count > Self.mostTasks ? tasks.filter { $0.state != .success } : tasks
        let width = shown.prefix(Self.mostTasks).map { safe($0.name ?? $0.id).count }.max() ?? 0
        let arrays = try arrays()
        for task in shown.prefix(Self.mostTasks) {
            text += line(task, width, arrays.first { $0.array.id == task.id }?.brief)
        }
        if shown.count > Self.mostTasks {
            text += "           … \(shown.count - Self.mostTasks) more: task status -o plain\n"
        }
        return text
    }

    private func line(_ task: TaskRow, _ width: Int, _ items: String?) -> String {
        let name = safe(task.name ?? task.id)
        var line = "           " + name + String(repeating: " ", count: max(0, width - name.count))
        line += "  " + style.paint(task.state.word, as: task.state)
        if task.state == .failure {
            line += " (\(Self.result(reason: task.reason, exit: task.exit, signal: task.signal)))"
        }
        if let started = task.started, let ended = task.ended {
            line += ", " + HumanText.span(max(0, ended - started))
        }
        if let items { line += ", " + items }
        if task.attempts > 1 { line += ", attempt \(task.attempts)" }
        // The run's own task has said it above.
        if task.state == .failure, task.id != run.main?.id, let message = task.message {
            line += ": " + safe(message)
        }
        return line + "\n"
    }
}

extension RunRow {
    /// The row of one of its tasks, as if it were the run.
    func narrowed(to task: TaskRow) -> RunRow {
        var row = self
        (row.name, row.state, row.reason) = (task.name, task.state, task.reason)
        (row.started, row.ended, row.message) = (task.started, task.ended, task.message)
        row.main = task
        return row
    }
}
