// SPDX-License-Identifier: Apache-2.0
import Linux
import TaskHistory
import TaskJournal
import TaskModel
import TaskTool

/// What a run left and wrote.
extension StatusPage {
    /// Log segments that are looked through for what runs: 64 MiB each, some 50 ms.
    private static let scanned = 2

    // What its task left for those that depend on it.
    func leftLine() throws -> String {
        let task = ref.task == nil ? run.main.flatMap { TaskRef($0.id) } : ref
        guard let task, let place = try history.result(of: task) else { return "" }
        guard let directory = try? File.openDirectory(log) else { return "" }
        let record = try? LogRecord.read(place, at: directory.number)
        let size = record.map { "of \($0.payload.count) bytes" } ?? "that is gone"
        return
            "     Left: a result \(size) (task logs --result "
            + "\(run.id.short).\(task.task ?? 0))\n"
    }

    // The end of what the run wrote, with its checks, as `tasklog logs` would show it.
    func outputLines() throws -> String {
        guard lines > 0, let directory = try? File.openDirectory(log) else { return "" }
        let names = try LogNames(history, run.id)
        var tail = LineTail(lines)
        let filter = LogFilter(ref: ref)
        var logs = PlacedLogs(at: directory.number, filter)
        func add(_ record: LogRecord) {
            tail.add(record.payload, prefix: names.prefix(record.ref, step: record.step))
        }
        // Of an array what ended last: to look through all would take as long as there are items.
        let isArray = try ref.item == nil && !history.arrays(ofRun: run.id).isEmpty
        let attempts =
            isArray
            ? try history.latestItems(ofRun: run.id, limit: lines).reversed()
            : try history.attempts(of: ref)
        for attempt in attempts.suffix(lines) { try logs.each(attempt, add) }
        // Where the output of what runs lies, its end will say: until then it is looked for.
        let open = attempts.filter { $0.ended == nil }
        if let first = open.compactMap(\.started).min() {
            let keys = Set(open.map { "\($0.task):\($0.number)" })
            try ScannedLogs(
                at: directory.number, filter, since: first - 1_000_000, latest: Self.scanned
            ).each {
                if $0.microseconds >= first - 1_000_000, keys.contains("\($0.ref):\($0.attempt)") {
                    add($0)
                }
            }
        }
        let found = tail.finish()
        guard !found.isEmpty else { return "" }
        let cut = try history.cutOutput(of: ref).reduce(0) { $0 + $1.dropped }
        let without = cut > 0 ? ", without \(HumanText.size(cut)) above LogLimit=" : ""
        let task = [ref.task, ref.item].compactMap { $0.map { ".\($0)" } }.joined()
        return "   Output: (task logs \(run.id.short)\(task))\(without)\n"
            + found.map { "           \($0)\n" }.joined()
    }
}

/// The last lines of a stream.
private struct LineTail {
    private let limit: Int
    private var lines: [String] = []
    private var open: [UInt8] = []
    private var prefix = ""

    init(_ limit: Int) { self.limit = limit }

    mutating func add(_ bytes: ArraySlice<UInt8>, prefix: String) {
        if prefix != self.prefix, !open.isEmpty { end() }
        self.prefix = prefix
        for byte in bytes {
            if byte == UInt8(ascii: "\n") {
                end()
            } else if open.count < 400 {
                open.append(byte)
            }
        }
        if lines.count > 2 * limit { lines.removeFirst(lines.count - limit) }
    }

    private mutating func end() {
        lines.append(prefix + HumanText.printable(String(decoding: open, as: UTF8.self)))
        open = []
    }

    mutating func finish() -> [String] {
        if !open.isEmpty { end() }
        return Array(lines.suffix(limit))
    }
}
