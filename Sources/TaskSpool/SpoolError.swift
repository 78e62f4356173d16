// SPDX-License-Identifier: Apache-2.0
import SystemPackage

/// Why a spool cannot be used.
public struct SpoolError: Error, Equatable, Sendable {
    /// What was tried, as `VERB OBJECT`.
    public var attempt: String
    /// Why it failed.
    public var reason: String

    public init(_ attempt: String, _ reason: String) {
        self.attempt = attempt
        self.reason = reason
    }

    init(_ attempt: String, _ error: Errno) {
        self.init(attempt, error.description)
    }

    /// `unable to VERB OBJECT: REASON`.
    public var sentence: String { "unable to \(attempt): \(reason)" }
}
