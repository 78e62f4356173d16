// SPDX-License-Identifier: Apache-2.0
public import TaskModel

/// What happened, told to the engine.
public enum EngineEvent: Equatable, Sendable {
    case accepted(RunInput)
    /// The pool is there with so many slots and bytes of memory to promise, or gone (0 slots).
    case capacity(slots: Int, memory: Int64)
    case ended(TaskRef, attempt: Int, Outcome)
    /// Nobody saw the attempt's end, and it does not run any more.
    case lost(TaskRef, attempt: Int)
    /// Parks the run: what runs is killed, not counted.
    case hold(TaskID)
    case release(TaskID)
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
}

/// What is to be done, in order.
public enum EngineAction: Equatable, Sendable {
    /// Hand the attempt to the pool.
    case start(TaskRef, attempt: Int)
    case kill(TaskRef, attempt: Int)
    /// What the attempt's end means for its task.
    case attemptEnded(TaskRef, attempt: Int, Verdict)
    /// Another attempt follows, not before `due`.
    case retry(TaskRef, attempt: Int, due: Int64)
    /// A task ended without an attempt of its own to say so: a group, a failed dependency, a cancel,
    /// a condition. Skipped for reason dependency: what it follows did not succeed.
    case taskEnded(TaskRef, TaskState, FailureReason?, because: String?)
    case place(TaskID, Placement)
    /// Three losses in a row: the run is parked.
    case parked(TaskID, because: TaskRef)
    case runEnded(TaskID, TaskState, FailureReason?, because: String?)
}
