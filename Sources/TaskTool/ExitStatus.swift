// SPDX-License-Identifier: Apache-2.0
public import TaskModel

/// Exit statuses of the programs that people type. They are interface: task(1), EXIT STATUS.
public enum ExitStatus {
    public static let ok: Int32 = 0
    /// The answer is no: a check failed, something is damaged.
    public static let no: Int32 = 1
    /// Wrong options, or a file that says what it may not.
    public static let usage: Int32 = 2
    /// No such task.
    public static let notFound: Int32 = 3
    /// EX_UNAVAILABLE: there is no spool.
    public static let unavailable: Int32 = 69
    /// EX_IOERR.
    public static let ioError: Int32 = 74
    /// EX_TEMPFAIL: no space, or the run is parked: try later.
    public static let tryLater: Int32 = 75
    /// EX_PROTOCOL: the ledger refuses this node.
    public static let refused: Int32 = 76
    /// EX_NOPERM: the spool is another's.
    public static let noPermission: Int32 = 77
    /// EX_CONFIG: a file of task.conf(5) is wrong.
    public static let configuration: Int32 = 78
    public static let timedOut: Int32 = 124
    /// The tool itself failed where it would return a task's status.
    public static let toolFailed: Int32 = 125
    public static let notExecutable: Int32 = 126
    public static let missing: Int32 = 127
    /// 128 + SIGINT: the user left; the task goes on.
    public static let interrupted: Int32 = 130
    /// 128 + SIGKILL, what the memory limit does.
    public static let outOfMemory: Int32 = 137

    /// How a task ended, as `task run` and `task wait` return it.
    ///
    /// - Parameters:
    ///   - exit: the program's status; of a failed check the check's, of a jail 200–245.
    ///   - signal: its number, when one ended the program.
    public static func of(
        _ state: TaskState, reason: FailureReason?, exit: Int?, signal: Int?
    ) -> Int32 {
        switch state {
        case .success, .skipped: return ok
        case .cancelled: return interrupted
        case .rejected: return usage
        case .failure: return ofFailure(reason, exit: exit, signal: signal)
        case .created, .pending, .ready, .running, .waiting, .lost: return tryLater
        }
    }

    private static func ofFailure(
        _ reason: FailureReason?, exit: Int?, signal: Int?
    ) -> Int32 {
        switch reason {
        case .oom: outOfMemory
        case .timeout: timedOut
        case .missing: exit == Int(notExecutable) ? notExecutable : missing
        case .exit, .check, .jail: Int32(truncatingIfNeeded: exit ?? 1)
        case .signal: signal.map { 128 + Int32(truncatingIfNeeded: $0) } ?? no
        case .dependency, .install, .changed, .disk, .limit, nil: no
        }
    }
}
