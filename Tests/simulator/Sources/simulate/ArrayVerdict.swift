// SPDX-License-Identifier: Apache-2.0
import TaskModel

/// Reads the whole journal for what it says of arrays: the end of one counts those of its items.
struct ArrayVerdict {
    /// Final states of items by array and generation.
    private var items: [String: [Int: TaskState]] = [:]
    let truth: Truth

    init(_ truth: Truth) { self.truth = truth }

    mutating func add(_ line: EventLine) {
        guard line.verb == .end, line["final"] == "yes", let ref = line.ref, let task = ref.task,
            let state = line["state"].flatMap({ TaskState(word: $0) })
        else { return }
        let array = "\(TaskRef(run: ref.run, task: task))+\(line["g"] ?? "0")"
        if let item = ref.item {
            items[array, default: [:]][item] = state
        } else if let total = line.number("items") {
            check(array, line, state, total)
        }
    }

    private func check(_ array: String, _ line: EventLine, _ state: TaskState, _ total: Int) {
        let own = items[array] ?? [:]
        // Items that were cancelled before they began have no end of their own.
        for one in [TaskState.success, .failure] {
            let count = own.values.count { $0 == one }
            if line.number(one.word) != count {
                truth.fail(
                    "array",
                    "\(array) ended with \(line[one.word] ?? "no") \(one.word), not \(count)")
            }
        }
        if own.count > total {
            truth.fail("array", "\(array) has \(total) items, \(own.count) ended")
        }
        let isWhole = own.count == total && own.values.allSatisfy { $0 == .success }
        if (state == .success) != isWhole {
            truth.fail("array", "\(array) ended as \(state.word), and its items say something else")
        }
    }
}
