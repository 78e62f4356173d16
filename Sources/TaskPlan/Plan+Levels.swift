// SPDX-License-Identifier: Apache-2.0
public import TaskModel

extension Plan {
    /// The tasks by levels, as indices of `tasks`.
    public var levels: [[Int]] {
        var indices: [Int: UInt32] = [:]
        for (index, task) in tasks.enumerated() { indices[task.number] = UInt32(index) }
        // An edge from a task that a reduced plan no longer has holds nothing back.
        let kept = edges.compactMap { edge in
            indices[edge.from].flatMap { from in indices[edge.to].map { (from, $0) } }
        }
        let graph = Graph(count: tasks.count, from: kept.map(\.0), to: kept.map(\.1))
        let levels = graph.levels()
        var start = 0
        return levels.ends.map { end in
            defer { start = end }
            return levels.order[start..<end].map(Int.init).sorted()
        }
    }

    /// The states of all its tasks, by number, where those are known that have begun or wait for a time: of
    /// the others those are ready that wait for no other. O(tasks + edges).
    ///
    /// - Parameter isParked: what has not begun waits for its owner.
    public func states(_ known: [Int: TaskState], isParked: Bool = false) -> [Int: TaskState] {
        var states: [Int: TaskState] = [:]
        states.reserveCapacity(tasks.count)
        for task in tasks {
            states[task.number] = known[task.number] ?? (isParked ? .pending : .ready)
        }
        // Edges from what a reduced plan no longer has hold nothing back.
        for edge in edges where known[edge.to] == nil {
            let isOpen = states[edge.from] != nil && !(known[edge.from]?.isFinal ?? false)
            if isOpen { states[edge.to] = .pending }
        }
        return states
    }
}
