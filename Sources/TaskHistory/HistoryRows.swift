// SPDX-License-Identifier: Apache-2.0
public import TaskJournal
public import TaskModel

/// One run, as the journal knows it. Times are microseconds since 1970.
public struct RunRow: Equatable, Sendable {
    public var id: TaskID
    /// TASK_NAME of what was submitted.
    public var name: String?
    public var unit: String?
    public var parent: String?
    public var state: TaskState
    public var reason: String?
    public var generation: Int
    public var user: String?
    public var by: String?
    public var node: String?
    /// How many tasks its plan has.
    public var tasks: Int?
    public var created: Int64?
    public var started: Int64?
    public var ended: Int64?
    /// A sentence that came with its end or its rejection.
    public var message: String?
    /// The number of the task that was submitted; the others are its dependencies.
    public var root: Int?
    /// That task's row; nil before it is known. Of a [Then] that did not run for its unit failed, the
    /// unit's.
    public var main: TaskRow?
}

/// One task of a run.
public struct TaskRow: Equatable, Sendable {
    /// `RUN.K`, of an item `RUN.K.I`.
    public var id: String
    public var run: String
    public var k: Int?
    public var name: String?
    public var unit: String?
    public var parent: String?
    public var state: TaskState
    public var reason: String?
    public var exit: Int?
    public var signal: Int?
    public var attempts: Int
    public var user: String?
    public var node: String?
    public var created: Int64?
    public var started: Int64?
    public var ended: Int64?
    /// CPU time in microseconds.
    public var cpu: Int64?
    /// Peak memory in bytes.
    public var memory: Int64?
    /// Limits that could not be had in full.
    public var weak: String?
    public var message: String?
    /// When its next attempt is due.
    public var due: Int64?
    /// The number of an item of an array.
    public var item: Int?
}

extension TaskRow {
    /// A task of which only its plan is known.
    public init(_ ref: TaskRef, name: String, state: TaskState, created: Int64?) {
        self.init(
            id: ref.description, run: ref.run.description, k: ref.task, name: name, state: state,
            attempts: 0, created: created)
    }
}

/// One attempt of a task.
public struct AttemptRow: Equatable, Sendable {
    public var task: String
    /// From 1.
    public var number: Int
    public var state: TaskState
    public var started: Int64?
    public var ended: Int64?
    public var exit: Int?
    public var signal: Int?
    public var reason: String?
    public var cpu: Int64?
    public var memory: Int64?
    public var message: String?
    /// Where its output lies; empty while it runs.
    public var logs: [LogPlace]
    /// Where its result lies, where it left one.
    public var result: LogPlace?
}

/// One event.
public struct EventRow: Equatable, Sendable {
    /// Counts all events of this index.
    public var number: Int64
    /// RUN or RUN.K.
    public var job: String
    /// The state that it led to.
    public var state: TaskState?
    public var time: Int64
    public var verb: String
    public var attempt: Int?
    public var by: String?
    /// The other fields, as they stand in the event line.
    public var detail: String
}

/// Which runs `History.list` gives, newest first.
public struct HistoryFilter: Sendable {
    public var name: String?
    /// Empty means any.
    public var states: [TaskState] = []
    /// Microseconds since 1970, of the creation.
    public var since: Int64?
    public var until: Int64?
    /// Only runs older than this one.
    public var before: TaskID?
    public var limit = 1000

    public init() {}
}
