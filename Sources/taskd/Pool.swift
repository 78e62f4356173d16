// SPDX-License-Identifier: Apache-2.0
import Linux
import TaskJournal
import TaskModel
import TaskSpool

/// What taskd knows of the pool: a connection or none, and what was handed over.
struct Pool {
    var connection: PoolConnection?
    var token: WatchToken?
    /// The number of connections so far: acknowledgements of an earlier one mean nothing.
    var generation = 0
    /// The pool has said `slots N`: its table is complete, jobs may go out.
    var isReady = false
    var slots = 0
    /// Attempts handed over, or about to be, whose end has not come.
    var sent: [TaskRef: Int] = [:]
    /// Attempts that must end: not handed over any more, and killed again on a new connection.
    var killed: [TaskRef: Int] = [:]
    /// Attempts whose start taskd journaled itself.
    var announced: Set<TaskRef> = []
    /// Attempts whose start must be durable first: the pool does not know them yet.
    var gated: Set<TaskRef> = []
    /// Those of them that wait for nothing but the pool's table.
    var early: [TaskRef: Int] = [:]
    /// What the table of a new connection named: of each task its last attempt.
    private(set) var table: [TaskRef: Int] = [:]
    var jobSequence = 0
    /// Which of the connection's events may be acknowledged.
    var acknowledgements = Acknowledgements()
    /// When to connect again, in CLOCK_BOOTTIME; nil: connected.
    var nextAttempt: Int64? = 0
    /// Bytes of their subtasks' results that attempts have been told.
    var told: [TaskRef: Int] = [:]
    /// A pool that this process started and that has not ended.
    var child: ChildHolder?
    var startedAt: Int64 = 0
    var failures = 0
    /// Connections in a row that ended before they were served.
    var refusals = 0
    var logSegment: SegmentName?
    var isWritableWatched = false

    /// The table names it. That an attempt's end is told again says nothing of the one after it.
    mutating func names(_ ref: TaskRef, _ attempt: Int) {
        table[ref] = max(table[ref] ?? 0, attempt)
    }

    /// A new connection: it tells again what is not acknowledged, in numbers of its own.
    mutating func restart() {
        acknowledgements = Acknowledgements()
        table = [:]
        told = [:]
    }

    /// An attempt has ended.
    mutating func forget(_ ref: TaskRef) {
        sent[ref] = nil
        killed[ref] = nil
        gated.remove(ref)
        early[ref] = nil
        told[ref] = nil
        announced.remove(ref)
    }

    /// Keeps a child process until it is reaped.
    final class ChildHolder {
        let child: Child
        var token: WatchToken?
        init(_ child: consuming Child) { self.child = child }
    }
}

/// An event as the pool told it.
struct PoolEvent {
    /// On its connection; 0: it is acknowledged.
    var number: Int
    var connection: Int
    var line: EventLine
}
