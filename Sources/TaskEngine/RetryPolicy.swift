// SPDX-License-Identifier: Apache-2.0
public import TaskModel

/// How often and when a failed attempt is followed by another one.
public struct RetryPolicy: Equatable, Sendable {
    /// Further attempts after a failure; `Int.max` for `Restart=on-failure`.
    public var retries: Int
    /// Microseconds before the second attempt.
    public var firstDelay: Int64
    /// No delay is longer, in microseconds.
    public var longestDelay: Int64
    /// Exit codes after which no attempt follows.
    public var preventingExits: [Int]

    public init(
        retries: Int = 0, firstDelay: Int64 = 1_000_000, longestDelay: Int64 = 300_000_000,
        preventingExits: [Int] = [64, 65, 77, 78]
    ) {
        self.retries = retries
        self.firstDelay = firstDelay
        self.longestDelay = longestDelay
        self.preventingExits = preventingExits
    }

    /// Restart=never.
    public static let never = RetryPolicy()

    /// Whether the `failures`-th failure (from 1) is followed by another attempt.
    public func allowsRetry(after outcome: Outcome, failures: Int) -> Bool {
        guard case .failure(let reason, let exit) = outcome, failures <= retries else {
            return false
        }
        switch reason {
        case .exit: return !preventingExits.contains(exit ?? 0)
        // A check that says "try later" (EX_TEMPFAIL of sysexits.h) is the one check worth repeating.
        case .check: return exit == 75
        case .signal, .timeout, .oom, .disk, .limit, .install: return true
        case .dependency, .jail, .changed, .missing: return false
        }
    }

    /// Microseconds to wait before the next attempt: doubled each time, with a spread of ±10 % that
    /// depends only on the seed, so that a thousand tasks that failed together do not return together.
    public func delay(failures: Int, seed: UInt64) -> Int64 {
        var delay = min(firstDelay, longestDelay)
        var doublings = failures - 1
        while doublings > 0, delay < longestDelay / 2 {
            delay *= 2
            doublings -= 1
        }
        if doublings > 0 { delay = longestDelay }
        let spread = delay / 5
        if spread == 0 { return delay }
        var mixed = seed &* 0x9e37_79b9_7f4a_7c15
        mixed ^= mixed >> 29
        return delay - spread / 2 + Int64(mixed % UInt64(spread))
    }
}

/// How an attempt ended, as far as the scheduler must know.
public enum Outcome: Equatable, Sendable {
    case success
    /// The exit code where there is one (also that of a failed check).
    case failure(FailureReason, exit: Int?)
    /// A condition said no.
    case skipped
    /// By the engine's own order: for a hold, which may be released by now, or a cancel.
    case killed
}
