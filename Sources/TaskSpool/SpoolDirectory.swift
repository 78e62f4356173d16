// SPDX-License-Identifier: Apache-2.0

/// The directories of a spool. Where a run's plan lies is the run's state; see task-spool(7).
public enum SpoolDirectory: String, CaseIterable, Sendable {
    /// Drop here: one file, one run.
    case incoming
    /// Nothing started.
    case ready
    /// Something runs, or a parent waits.
    case active
    /// Nothing runs; waits for a time.
    case deferred
    /// Parked by its owner, or after three lost attempts.
    case hold
    /// Final failures, as reduced plans.
    case failed
    /// Bad input, each with NAME.reason.
    case rejected
    /// Definitions; nothing here runs by itself but what has [RunIf].
    case units
    /// Writers build here.
    case tmp
    case journal
    case log

    /// Those that hold plans of live runs.
    public static let live: [SpoolDirectory] = [.ready, .active, .deferred, .hold]
    /// Those whose renames are a run's transitions.
    public static let states: [SpoolDirectory] = [.ready, .active, .deferred, .hold, .failed]

    /// Permission bits.
    public var mode: UInt32 { 0o700 }

    var index: Int {
        switch self {
        case .incoming: 0
        case .ready: 1
        case .active: 2
        case .deferred: 3
        case .hold: 4
        case .failed: 5
        case .rejected: 6
        case .units: 7
        case .tmp: 8
        case .journal: 9
        case .log: 10
        }
    }
}
