// SPDX-License-Identifier: Apache-2.0
import CLinux
public import SystemPackage

/// A deadline in CLOCK_REALTIME (timerfd_create(2)): readable when it has come, and when the clock was
/// set or the machine slept, so that whoever waits for a time of day looks at the clock again.
///
/// epoll(7)'s own timeout does neither: it does not count while the machine sleeps.
public final class WallTimer {
    private let descriptor: Descriptor

    public init() throws(Errno) {
        descriptor = Descriptor(owning: try checked { cl_walltimer() })
    }

    /// For the loop: call `clear` when it is readable.
    public var number: Int32 { descriptor.number }

    /// Waits for a time, microseconds since 1970, instead of the one before; nil: only for the clock to
    /// be set.
    public func set(_ time: Int64?) throws(Errno) {
        // The year 2200: a timer that is not armed does not tell of a clock that is set.
        _ = try checked {
            cl_walltimer_set(descriptor.number, min(time ?? .max, 7_258_118_400_000_000))
        }
    }

    public func clear() { cl_walltimer_read(descriptor.number) }
}
