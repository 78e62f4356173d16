// SPDX-License-Identifier: Apache-2.0
import Linux
import TaskModel
import TaskTool

/// Prints what the tasks of a run write, as it comes: the one that was asked for as it is, what it
/// depends on with the task's name before each line, on standard error.
final class OutputPrinter {
    /// The one that was asked for, and where that is a [Then] its unit, which runs before it.
    private let own: Set<TaskRef>
    private let names: [Int: String]
    private let isTerminal = Terminal.isTerminal(1)
    private var standard: [UInt8] = []
    private var error: [UInt8] = []
    /// Lines of dependencies and checks that have not ended yet, by task and step.
    private var open: [String: [UInt8]] = [:]
    /// The same of items of the one that was asked for.
    private var items: [Item: [UInt8]] = [:]

    private struct Item: Hashable {
        var ref: TaskRef
        var isStandard: Bool
    }

    init(_ plan: Plan, run: TaskID) {
        let root = plan.root
        let unit = root?.spec.thenOf.flatMap { name in
            plan.tasks.first { $0.spec.name == name }
        }
        own = Set([root, unit].map { TaskRef(run: run, task: $0?.number) })
        names = Dictionary(
            plan.tasks.map { ($0.number, $0.spec.name) }, uniquingKeysWith: { first, _ in first })
    }

    /// Takes one `note RUN.K what=output` line.
    ///
    /// - Parameter raw: the line's own bytes: output may be no UTF-8, and a field's text then has
    ///   lost it.
    func print(_ line: EventLine, raw: ArraySlice<UInt8>) {
        guard let ref = line.ref, let bytes = Self.data(raw) else { return }
        let stream = line.number("fd") ?? 1
        print(bytes[...], of: ref, step: line.number("step") ?? 0, stream: stream)
    }

    /// Takes a piece of output.
    ///
    /// - Parameters:
    ///   - step: 0 the command, else a check.
    ///   - stream: 2 is standard error.
    func print(_ bytes: ArraySlice<UInt8>, of ref: TaskRef, step: Int, stream: Int) {
        let isStandard = stream != 2
        let isCheck = step > 0
        if ref.item != nil, !isCheck, own.contains(TaskRef(run: ref.run, task: ref.task)) {
            wholeLines(bytes, of: ref, isStandard: isStandard)
        } else if own.contains(ref), !isCheck || !isTerminal {
            if isStandard { standard += bytes } else { error += bytes }
        } else {
            let name = names[ref.task ?? 0] ?? "\(ref)"
            prefixed(bytes, name: isCheck ? "\(name) check" : name)
        }
    }

    // Items run side by side: a line is one item's.
    private func wholeLines(_ bytes: ArraySlice<UInt8>, of ref: TaskRef, isStandard: Bool) {
        let key = Item(ref: ref, isStandard: isStandard)
        var line = items.removeValue(forKey: key) ?? []
        line += bytes
        guard let end = line.lastIndex(of: UInt8(ascii: "\n")) else { return items[key] = line }
        if isStandard { standard += line[...end] } else { error += line[...end] }
        if end + 1 < line.endIndex { items[key] = Array(line[(end + 1)...]) }
    }

    // Only whole lines: those of several tasks come between each other.
    private func prefixed(_ bytes: ArraySlice<UInt8>, name: String) {
        var line = open[name] ?? []
        for byte in bytes {
            line.append(byte)
            if byte == UInt8(ascii: "\n") {
                error += Array("\(name): ".utf8) + line
                line = []
            }
        }
        open[name] = line
    }

    private static func data(_ raw: ArraySlice<UInt8>) -> [UInt8]? {
        let key = Array("data=".utf8)
        let field = raw.split(separator: UInt8(ascii: " ")).last { $0.starts(with: key) }
        return field.flatMap { PercentCoding.decode($0.dropFirst(key.count)) }
    }

    func flush() {
        try? File.writeAll(standard, to: 1)
        try? File.writeAll(error, to: 2)
        standard = []
        error = []
    }

    func finish() {
        for (name, line) in open.sorted(by: { $0.key < $1.key }) where !line.isEmpty {
            error += Array("\(name): ".utf8) + line + [UInt8(ascii: "\n")]
        }
        open = [:]
        for (key, line) in items.sorted(by: { $0.key.ref.item ?? 0 < $1.key.ref.item ?? 0 }) {
            if key.isStandard { standard += line } else { error += line }
        }
        items = [:]
        flush()
    }
}
