// SPDX-License-Identifier: Apache-2.0

/// A subtask as its parent knows it: a run whose id is made of the parent, its generation and the
/// drop's name, so that a parent that is tried again finds it.
public struct Subtask: Equatable, Sendable {
    public var id: TaskID
    /// The drop's name.
    public var name: String
    /// The parent's attempt that dropped it last: for that it counts.
    public var attempt: Int
    /// How far it is below its root: 1 for a root's own.
    public var depth: Int
    public var generation = 0
    /// SHA-256 of the drop's bytes.
    public var digest: String
    /// The last end of its run; nil while it is open.
    public var state: TaskState?
    public var reason: FailureReason?
    /// Of the task that it was dropped for, where that has ended by itself.
    public var exit: Int?
    /// What that left, where it succeeded.
    public var result: ResultPlace?
    /// The last drop of that name was no subtask: bad, or other content than before.
    public var isRefused = false

    public init(
        id: TaskID, name: String, attempt: Int, depth: Int = 1, digest: String = "",
        state: TaskState? = nil
    ) {
        self.id = id
        self.name = name
        self.attempt = attempt
        self.depth = depth
        self.digest = digest
        self.state = state
    }

    public var isOpen: Bool { state == nil }

    /// It runs again, as this generation.
    public mutating func reopen(_ generation: Int) {
        self.generation = generation
        (state, reason, exit, result) = (nil, nil, nil, nil)
    }

    /// It ended, and the parent that dropped it fails of it.
    public var hasFailed: Bool {
        isRefused || state.map { $0 != .success && $0 != .skipped } ?? false
    }

    /// The id of the run that a drop of that name makes: the root's time, and what tells it apart.
    public static func id(of name: String, parent: TaskRef, generation: Int) -> TaskID {
        TaskID(
            milliseconds: parent.run.milliseconds,
            derivedFrom: Array("subtask\0\(parent)\0\(generation)\0\(name)".utf8))
    }
}

/// Whose subtask a run is. One word in memory: most runs are nobody's.
public struct Kin: Equatable, Sendable {
    private final class Link: Sendable {
        let parent: TaskRef
        let depth: Int

        init(_ parent: TaskRef, _ depth: Int) {
            self.parent = parent
            self.depth = depth
        }
    }

    private let link: Link

    public var parent: TaskRef { link.parent }
    /// How far it is below its root, from 1.
    public var depth: Int { link.depth }

    public init(parent: TaskRef, depth: Int) { link = Link(parent, depth) }

    public static func == (left: Kin, right: Kin) -> Bool {
        left.parent == right.parent && left.depth == right.depth
    }
}
