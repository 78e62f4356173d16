// SPDX-License-Identifier: Apache-2.0
public import TaskModel

/// What happened, told to the engine.
public enum EngineEvent: Equatable, Sendable {
    case accepted(RunInput)
    /// A parent dropped a subtask: one that is accepted from now on, adopted or refused.
    case dropped(Subtask, parent: TaskRef)
    /// All runs of before a restart were accepted, but for those that are being built: a subtask whose
    /// parent is not among them ends, and one that is not among them has.
    case gathered(built: Set<TaskID>)
    /// The pool is there with so many slots and bytes of memory to promise, or gone (0 slots).
    case capacity(slots: Int, memory: Int64)
    /// After a restart: an attempt of a task that was taken for one that waits runs, or its end is known and
    /// follows. One that is no newer than what the engine knows is left alone.
    case found(TaskRef, attempt: Int)
    case ended(TaskRef, attempt: Int, Outcome)
    /// The attempt's process sleeps until these children have ended; nil: all that are open.
    case sleeps(TaskRef, attempt: Int, on: Set<TaskID>?)
    /// Nobody saw the attempt's end, and it does not run any more.
    case lost(TaskRef, attempt: Int)
    /// Parks the run: what runs is killed, not counted.
    case hold(TaskID)
    case release(TaskID)
    /// Nothing more of the run starts until `unbar`; what runs goes on, and so does who slept.
    case bar(TaskID)
    case unbar(TaskID)
    /// What waits for a time starts now.
    case hurry(TaskID)
    /// Ends the run, or one task of it.
    case cancel(TaskRef)
    /// The run's file is gone or was moved away by its owner: forget it, kill what runs.
    case forget(TaskID)
}

/// Where a run's plan belongs.
public enum Placement: Equatable, Sendable {
    /// Nothing started.
    case ready
    /// Something runs.
    case active
    /// Nothing runs; the next attempt of the named number is due then.
    case deferred(until: Int64, attempt: Int)
    case hold
}

/// What an attempt's end means for its task.
public enum Verdict: Equatable, Sendable {
    /// It is the task's end.
    case final
    /// It is a condition that said no: the task's end, in the state skipped.
    case skipped
    /// Another attempt follows after a while.
    case retried
    /// The task was cancelled meanwhile: its end, in that state.
    case cancelled
    /// Killed by a hold: not counted.
    case parked
    /// Its children decide: a task's end follows theirs. What the attempt itself came to.
    case waits(TaskState)
}

/// What is to be done, in order.
public enum EngineAction: Equatable, Sendable {
    /// Hand the attempt to the pool.
    case start(TaskRef, attempt: Int)
    case kill(TaskRef, attempt: Int)
    /// What the attempt slept for has ended, and a slot is its own again.
    case wake(TaskRef, attempt: Int)
    /// What the attempt's end means for its task.
    case attemptEnded(TaskRef, attempt: Int, Verdict)
    /// Another attempt follows, not before `due`.
    case retry(TaskRef, attempt: Int, due: Int64)
    /// The same of a task whose subtask `because` failed: that counts as its failure.
    case retryClosed(TaskRef, attempt: Int, due: Int64, because: String)
    /// A task ended without an attempt of its own to say so: a group, a failed dependency, a cancel,
    /// a condition, its subtasks. Skipped for reason dependency: what it follows did not succeed.
    case taskEnded(TaskRef, TaskState, FailureReason?, because: String?)
    /// All items of an array have ended, and so has it.
    case itemsEnded(TaskRef, ItemsResult)
    case place(TaskID, Placement)
    /// Three losses in a row: the run is parked.
    case parked(TaskID, because: TaskRef)
    case runEnded(TaskID, TaskState, FailureReason?, because: String?)
}

/// How many items of an array there are of each kind.
public struct ItemCounts: Equatable, Sendable {
    public var open = 0
    public var success = 0
    public var failure = 0
    public var cancelled = 0

    public init() {}

    public var total: Int { open + success + failure + cancelled }

    mutating func conclude(_ state: ItemStates.State) {
        open -= 1
        switch state {
        case .open: open += 1
        case .success: success += 1
        case .failure: failure += 1
        case .cancelled: cancelled += 1
        }
    }
}

/// What the items of an array came to.
public struct ItemsResult: Equatable, Sendable {
    public var state: TaskState
    public var reason: FailureReason?
    public var counts: ItemCounts
    /// Of those that failed the one with the lowest number.
    public var failure: ItemFailure?
    public var states: ItemStates

    /// What did not succeed, in words; nil where all did.
    public var sentence: String? {
        if counts.success == counts.total, state == .success { return nil }
        var words: [String] = []
        if counts.failure > 0 { words.append("\(counts.failure) of \(counts.total) items failed") }
        if let failure { words.append("the first is \(failure.item)") }
        if counts.cancelled > 0 {
            words.append("\(counts.cancelled) of \(counts.total) items were cancelled")
        }
        if words.isEmpty { words.append("items that failed before were not asked for") }
        return words.joined(separator: ", ")
    }
}
