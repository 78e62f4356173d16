// SPDX-License-Identifier: Apache-2.0
import TaskModel

/// What the index wants of a plan: its tasks' names, and which of them wait for another. The plan
/// was checked when it was accepted; nothing here checks it again.
struct PlanOutline {
    struct Entry {
        var number: Int
        var name: String
        var waits = false
    }
    private(set) var tasks: [Entry] = []

    init(_ plan: [UInt8]) {
        var waiting: Set<Int> = []
        for line in plan.split(separator: UInt8(ascii: "\n")) {
            if line.starts(with: "task ".utf8) {
                add(line)
            } else if line.starts(with: "edge ".utf8) {
                let words = line.split(separator: UInt8(ascii: " "))
                if words.count > 2, let to = Decimal.parse(words[2]) { waiting.insert(to) }
            } else if line.starts(with: "blob ".utf8) {
                break
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
            tasks.append(Entry(number: number, name: String(words[2]), waits: words[1] == "1"))
        }
    }

    /// `NUMBER WAITS NAME`, a line a task.
    var text: String {
        tasks.map { "\($0.number) \($0.waits ? 1 : 0) \($0.name)\n" }.joined()
    }

    private mutating func add(_ line: ArraySlice<UInt8>) {
        let words = line.split(separator: UInt8(ascii: " "), maxSplits: 3)
        guard words.count > 2, let number = Decimal.parse(words[1]),
            let name = PercentCoding.decodeText(words[2])
        else { return }
        tasks.append(Entry(number: number, name: name))
    }
}
