// SPDX-License-Identifier: Apache-2.0
public import SystemPackage

/// Why a spool cannot be used.
public struct SpoolError: Error, Equatable, Sendable {
    /// What was tried, as `VERB OBJECT`.
    public var attempt: String
    /// Why it failed.
    public var reason: String
    /// What the kernel said; nil where the spool is not as it must be.
    public var errno: Errno?

    public init(_ attempt: String, _ reason: String) {
        self.attempt = attempt
        self.reason = reason
    }

    public init(_ attempt: String, _ error: Errno) {
        self.init(attempt, error.description)
        errno = error
    }

    /// Does something, and names it where it fails.
    public static func naming<T>(
        _ attempt: @autoclosure () -> String, _ body: () throws(Errno) -> T
    ) throws(SpoolError) -> T {
        do { return try body() } catch { throw SpoolError(attempt(), error) }
    }

    /// `unable to VERB OBJECT: REASON`.
    public var sentence: String { "unable to \(attempt): \(reason)" }
}
