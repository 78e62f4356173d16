// SPDX-License-Identifier: Apache-2.0
import TaskModel

/// A task's subtasks, as long as it is open.
struct Family {
    private(set) var children: [TaskID: Subtask] = [:]
    /// How many have not ended.
    private(set) var open = 0
    /// Those that its process sleeps for and that are open; nil where it does not sleep.
    var awaited: Set<TaskID>?
    /// The task's process has ended: what it comes to once no child is open.
    var closing: Closing?

    enum Closing: Equatable {
        /// This, unless a child that it dropped has failed.
        case byChildren(TaskState)
        case decided(TaskState, FailureReason?)

        init(_ state: TaskState, _ reason: FailureReason?) {
            let hangsOnThem = state == .success || state == .skipped
            self = hangsOnThem ? .byChildren(state) : .decided(state, reason)
        }

        var result: (state: TaskState, reason: FailureReason?) {
            switch self {
            case .byChildren(let state): (state, nil)
            case .decided(let state, let reason): (state, reason)
            }
        }
    }

    /// Its children run in vain.
    var isDoomed: Bool {
        if case .decided = closing { return true }
        return false
    }

    subscript(_ id: TaskID) -> Subtask? { children[id] }

    /// By id, so that what is done with them has one order.
    var sorted: [Subtask] { children.values.sorted { $0.id < $1.id } }

    var openChildren: [TaskID] { sorted.filter(\.isOpen).map(\.id) }

    mutating func set(_ child: Subtask) {
        if children[child.id]?.isOpen ?? false { open -= 1 }
        if child.isOpen { open += 1 }
        children[child.id] = child
    }

    mutating func end(_ id: TaskID, _ state: TaskState, _ reason: FailureReason?) {
        awaited?.remove(id)
        guard var child = children[id], child.isOpen else { return }
        (child.state, child.reason) = (state, reason)
        set(child)
    }

    /// The name of the first that failed of those that the attempt dropped; nil where none did.
    func failed(of attempt: Int) -> String? {
        children.values.lazy.filter { $0.attempt == attempt && $0.hasFailed }.map(\.name).min()
    }
}
