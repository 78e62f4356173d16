// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
public import SystemPackage

/// An open file descriptor with one owner: it is closed exactly once, when the owner lets go.
///
/// All descriptors are close-on-exec from birth; only `Spawn` gives some to a child.
public struct Descriptor: ~Copyable {
    /// The number, for a call that borrows it. Never store it: it is reused after `close`.
    public let number: Int32

    /// Takes over an open descriptor.
    public init(owning number: Int32) {
        self.number = number
    }

    /// Closes and reports what close(2) said: an error of an earlier write may come only here.
    public consuming func close() throws(Errno) {
        let number = self.number
        discard self
        // Linux frees the number even when close fails, so EINTR is no reason to try again.
        if Glibc.close(number) < 0, errno != EINTR { throw Errno.current }
    }

    /// Gives the number away without closing it.
    public consuming func release() -> Int32 {
        let number = self.number
        discard self
        return number
    }

    deinit {
        _ = Glibc.close(number)
    }
}

extension Errno {
    /// The kernel lacks something for now (descriptors, memory, a lease): the same call may succeed later,
    /// and nothing is wrong with what it was about.
    public var isShortage: Bool {
        switch self {
        case .tooManyOpenFiles, .tooManyOpenFilesInSystem, .noMemory, .interrupted,
            .resourceTemporarilyUnavailable, .noBufferSpace:
            true
        default: false
        }
    }

    /// The calling thread's errno: read it right after the failed call.
    public static var current: Errno { Errno(rawValue: errno) }
}

/// Repeats a call while it is interrupted and throws its errno when it fails.
@inlinable
func checked(_ call: () -> Int32) throws(Errno) -> Int32 {
    while true {
        let result = call()
        if result >= 0 { return result }
        let error = Errno.current
        if error != .interrupted { throw error }
    }
}

/// As `checked`, for calls that count bytes.
@inlinable
func checkedCount(_ call: () -> Int) throws(Errno) -> Int {
    while true {
        let result = call()
        if result >= 0 { return result }
        let error = Errno.current
        if error != .interrupted { throw error }
    }
}
