// SPDX-License-Identifier: Apache-2.0
public import TaskModel

/// One end as `ship` of task-ledger(7) takes it: of an attempt, a task, an item or a run.
public struct LedgerEnd: Equatable, Sendable {
    public var run: TaskID
    public var generation = 0
    /// The place within the run: its tasks in their order, the items of an array counted one by one.
    public var item = 0
    /// The token when it ended; 0: its run is not in the ledger.
    public var gen = 0
    /// From 1; 0 where nothing was tried.
    public var attempt = 0
    /// The task's number in the plan, -1 the run itself.
    public var task = -1
    /// The place of the first item of its array; nil for what is no item.
    public var first: Int?
    public var name: String?
    public var unit: String?
    public var state: TaskState
    public var reason: FailureReason?
    /// The exit status, or a signal's number below zero.
    public var code: Int?
    /// It decides the task.
    public var isFinal = true
    /// Microseconds since 1970.
    public var ended: Int64
    /// Microseconds since it started; nil where it did not start.
    public var span: Int64?
    public var parent: TaskID?
    /// Microseconds of CPU time.
    public var cpu: Int64?
    /// Bytes.
    public var memory: Int64?

    public init(run: TaskID, state: TaskState, ended: Int64) {
        self.run = run
        self.state = state
        self.ended = ended
    }
}

extension FailureReason {
    /// Its number in the ledger's table `reason`; never renumbered.
    public var number: Int {
        switch self {
        case .exit: 1
        case .signal: 2
        case .timeout: 3
        case .oom: 4
        case .disk: 5
        case .limit: 6
        case .check: 7
        case .dependency: 8
        case .install: 9
        case .jail: 10
        case .changed: 11
        case .missing: 12
        }
    }
}
