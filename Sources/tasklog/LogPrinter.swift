// SPDX-License-Identifier: Apache-2.0
import Linux
import TaskHistory
import TaskJournal
import TaskModel
import TaskTool

/// Prints pieces of output. On a terminal whole lines, control characters made visible, checks and
/// the tasks of a larger run marked by a prefix; elsewhere the bytes as the tasks wrote them.
final class LogPrinter {
    private struct Stream: Hashable {
        var ref: TaskRef
        var attempt: Int
        var step: Int
        var stream: Int
    }

    private let output: Output
    private let names: LogNames
    private let isForPeople: Bool
    private let style: Style
    /// Lines whose end has not come.
    private var partial: [Stream: [UInt8]] = [:]
    private(set) var count = 0

    init(_ output: Output, _ names: LogNames, style: Style, isForPeople: Bool) {
        self.output = output
        self.names = names
        self.style = style
        self.isForPeople = isForPeople
    }

    func print(_ record: LogRecord) throws(ToolError) {
        count += 1
        guard isForPeople else { return try output.write(Array(record.payload)) }
        let key = Stream(
            ref: record.ref, attempt: record.attempt, step: record.step, stream: record.stream)
        var bytes = partial.removeValue(forKey: key) ?? []
        bytes.append(contentsOf: record.payload)
        var start = 0
        while let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) {
            try line(bytes[start..<end], key)
            start = end + 1
        }
        if start < bytes.count { partial[key] = Array(bytes[start...]) }
    }

    /// Prints what has no line end.
    func finish() throws(ToolError) {
        for (key, bytes) in partial { try line(bytes[...], key) }
        partial = [:]
        try output.flush()
    }

    private func line(_ bytes: ArraySlice<UInt8>, _ stream: Stream) throws(ToolError) {
        let text = String(decoding: bytes, as: UTF8.self)
        let shown = text.split(separator: "\t", omittingEmptySubsequences: false)
            .map { HumanText.printable(String($0)) }.joined(separator: "\t")
        let prefix = names.prefix(stream.ref, step: stream.step)
        try output.write(prefix.isEmpty ? shown + "\n" : style.dim(prefix) + shown + "\n")
    }
}

/// What the tasks and checks of a run are called.
final class LogNames {
    private let history: History
    private var tasks: [TaskRef: String] = [:]
    private var checks: [TaskRef: [String]] = [:]
    private let isLarge: Bool

    init(_ history: History, _ run: TaskID) throws(HistoryError) {
        self.history = history
        let rows = try history.tasks(ofRun: run)
        let arrays = try history.arrays(ofRun: run)
        isLarge = rows.count > 1 || !arrays.isEmpty
        for row in rows {
            if let ref = TaskRef(row.id) { tasks[ref] = row.name }
        }
    }

    /// TASK_NAME; the id where that is not known.
    func task(_ ref: TaskRef) -> String {
        guard let item = ref.item else { return tasks[ref] ?? ref.description }
        let own = tasks[TaskRef(run: ref.run, task: ref.task)]
        return own.map { "\($0).\(item)" } ?? ref.description
    }

    /// The name of a check, by its number from 1.
    func check(_ ref: TaskRef, _ step: Int) -> String? {
        if step == 0 { return nil }
        let known = checks[ref] ?? readChecks(ref)
        return step <= known.count ? known[step - 1] : "check \(step)"
    }

    // Checks are journaled in order; those of an attempt that still runs may be missing.
    private func readChecks(_ ref: TaskRef) -> [String] {
        let events = (try? history.events(of: ref)) ?? []
        let first = events.first { $0.verb == "check" }?.attempt
        let names = events.filter { $0.verb == "check" && $0.attempt == first }
            .map { event in
                let detail = EventDetail(event.detail)
                return detail["check"] ?? detail["name"] ?? "check"
            }
        if !names.isEmpty { checks[ref] = names }
        return names
    }

    func prefix(_ ref: TaskRef, step: Int) -> String {
        let check = check(ref, step)
        switch (isLarge, check) {
        case (false, nil): return ""
        case (false, .some(let check)): return HumanText.printable(check) + ": "
        case (true, nil): return HumanText.printable(task(ref)) + ": "
        case (true, .some(let check)):
            return HumanText.printable("\(task(ref)): \(check)") + ": "
        }
    }
}

/// The fields of an event as the index keeps them: encoded, with blanks between.
struct EventDetail {
    let fields: [(key: String, value: String)]

    init(_ detail: String) {
        fields = detail.split(separator: " ").compactMap { word in
            let bytes = Array(word.utf8)
            guard let equals = bytes.firstIndex(of: UInt8(ascii: "=")) else { return nil }
            return (
                String(decoding: bytes[..<equals], as: UTF8.self),
                PercentCoding.decodeText(bytes[(equals + 1)...]) ?? ""
            )
        }
    }

    subscript(key: String) -> String? { fields.first { $0.key == key }?.value }
}
