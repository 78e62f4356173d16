// SPDX-License-Identifier: Apache-2.0

/// Where a task stands. The numbers are the SQL table `status` and are never renumbered, as errno.
public enum TaskState: UInt8, CaseIterable, Sendable {
    case created = 0
    /// Waits for dependencies, for a time, or is on hold.
    case pending = 1
    case ready = 2
    case running = 3
    /// Its process ended or sleeps; its subtasks run.
    case waiting = 4
    case success = 5
    case failure = 6
    case cancelled = 7
    /// A condition said no.
    case skipped = 8
    /// Bad input.
    case rejected = 9
    /// An attempt whose end nobody saw: followed by another attempt or failure.
    case lost = 10

    /// The word that event lines and tables show.
    public var word: String {
        switch self {
        case .created: "created"
        case .pending: "pending"
        case .ready: "ready"
        case .running: "running"
        case .waiting: "waiting"
        case .success: "success"
        case .failure: "failure"
        case .cancelled: "cancelled"
        case .skipped: "skipped"
        case .rejected: "rejected"
        case .lost: "lost"
        }
    }

    public init?(word: some StringProtocol) {
        guard let state = Self.allCases.first(where: { $0.word == word }) else { return nil }
        self = state
    }

    /// Nothing follows: the task's result is decided.
    public var isFinal: Bool {
        switch self {
        case .success, .failure, .cancelled, .skipped, .rejected: true
        case .created, .pending, .ready, .running, .waiting, .lost: false
        }
    }
}

/// Why a task failed: typed, so that a policy and a query can tell them apart.
public enum FailureReason: String, CaseIterable, Sendable {
    /// A non-zero exit code.
    case exit
    /// Ended by a signal that nobody of ours sent.
    case signal
    /// `MaxTime=` ran out.
    case timeout
    /// The memory limit.
    case oom
    /// The disk limit.
    case disk
    /// Another limit: CPU time, file size, processes.
    case limit
    /// One of `[Checks]` said no.
    case check
    /// Something that it requires failed.
    case dependency
    /// A package could not be installed.
    case install
    /// The jail could not be built.
    case jail
    /// A retried parent dropped the same subtask name with other content.
    case changed
    /// The command does not exist.
    case missing
}
