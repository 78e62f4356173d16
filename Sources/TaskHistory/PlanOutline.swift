// SPDX-License-Identifier: Apache-2.0
import TaskModel

/// What the index wants of a plan: its tasks' names, and which of them wait for another. The plan
/// was checked when it was accepted; nothing here checks it again.
public struct PlanOutline {
    public struct Entry {
        public var number: Int
        public var name: String
        /// For another task.
        public var waits = false
        var isOptional = false
    }
    public private(set) var tasks: [Entry] = []

    /// The number of the task that was asked for, as `Plan.root` finds it.
    public var root: Int? { (tasks.last { !$0.isOptional } ?? tasks.last)?.number }

    /// Reads a plan's bytes.
    public init(_ plan: [UInt8]) {
        var waiting: Set<Int> = []
        for line in Plan.head(ofEncoded: plan).split(separator: UInt8(ascii: "\n")) {
            if line.starts(with: "task ".utf8) {
                add(line)
            } else if line.starts(with: "edge ".utf8) {
                let words = line.split(separator: UInt8(ascii: " "))
                if words.count > 2, let to = Decimal.parse(words[2]) { waiting.insert(to) }
            }
        }
        if waiting.isEmpty { return }
        for index in tasks.indices { tasks[index].waits = waiting.contains(tasks[index].number) }
    }

    /// Reads what `text` wrote.
    init(text: String) {
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ", maxSplits: 2)
            guard words.count == 3, let number = Int(words[0]) else { continue }
            let marks = words[1]
            tasks.append(
                Entry(
                    number: number, name: String(words[2]), waits: marks.contains("w"),
                    isOptional: marks.contains("o")))
        }
    }

    /// `NUMBER MARKS NAME`, a line a task: `w` waits, `o` is optional, `-` neither.
    var text: String {
        tasks.map { task in
            let marks = (task.waits ? "w" : "") + (task.isOptional ? "o" : "")
            return "\(task.number) \(marks.isEmpty ? "-" : marks) \(task.name)\n"
        }.joined()
    }

    private mutating func add(_ line: ArraySlice<UInt8>) {
        let words = line.split(separator: UInt8(ascii: " "), maxSplits: 3)
        guard words.count > 2, let number = Decimal.parse(words[1]),
            let name = PercentCoding.decodeText(words[2])
        else { return }
        let isOptional =
            words.count > 3
            && words[3].split(separator: UInt8(ascii: " ")).contains {
                $0.elementsEqual("optional=yes".utf8)
            }
        tasks.append(Entry(number: number, name: name, isOptional: isOptional))
    }
}
