// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// The two clocks, in microseconds: what people read, and what spans are measured with.
public enum Clock {
    /// CLOCK_REALTIME: microseconds since 1970, may step.
    public static func real() -> Int64 { cl_realtime() }

    /// Gives the CPU away for some microseconds (nanosleep(2)); a signal ends it early.
    public static func pause(_ microseconds: Int64) { cl_pause(microseconds) }

    /// Lets others run until then, in CLOCK_BOOTTIME: for some microseconds, which a sleep would turn
    /// into hundreds (timer slack, an idle processor that wakes up).
    public static func yield(until time: Int64) {
        while boot() < time { sched_yield() }
    }

    /// CLOCK_BOOTTIME: microseconds since boot, never steps, counts through suspend.
    public static func boot() -> Int64 { cl_boottime() }
}

extension Clock {
    /// CLOCK_MONOTONIC, as the service manager reckons (sd_notify(3), MONOTONIC_USEC=).
    public static func monotonic() -> Int64 {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1000
    }
}

/// Random bytes of getrandom(2), fetched 256 at a time: up to that many it never fails or blocks
/// once the kernel's pool is initialised. A value of its owner; not for a process that forks.
public struct RandomSource {
    private var words: [UInt64] = []

    public init() {}

    /// 64 random bits.
    public mutating func bits64() -> UInt64 {
        if let word = words.popLast() { return word }
        words = [UInt64](repeating: 0, count: 32)
        _ = words.withUnsafeMutableBytes { cl_getrandom($0.baseAddress, $0.count) }
        return words.removeLast()
    }
}

/// Random bits, one system call each.
public enum Random {
    public static func bits64() -> UInt64 {
        var value: UInt64 = 0
        _ = withUnsafeMutableBytes(of: &value) { cl_getrandom($0.baseAddress, $0.count) }
        return value
    }
}

/// CRC32C as journal and log records carry it.
public enum Checksum {
    /// CRC32C (RFC 3720 B.4) of a part of a buffer, continued from `crc`.
    public static func crc32c(
        _ bytes: UnsafeRawBufferPointer, continuing crc: UInt32 = 0
    ) -> UInt32 {
        cl_crc32c(crc, bytes.baseAddress, bytes.count)
    }

    public static func crc32c(_ bytes: ArraySlice<UInt8>, continuing crc: UInt32 = 0) -> UInt32 {
        bytes.withUnsafeBytes { cl_crc32c(crc, $0.baseAddress, $0.count) }
    }
}

/// The machine's memory, and this process's.
public enum Memory {
    /// Gives freed heap back to the kernel (malloc_trim(3)); after a burst, not in a hot path.
    public static func trim() { cl_memory_trim() }

    /// Large tables go back to the kernel when they are freed, instead of leaving holes in the heap: a
    /// table that grows leaves all its smaller selves. First thing in a program (mallopt(3)).
    public static func mapLarge() { cl_memory_map_large() }

    /// Gives back the code that only the start needed: the linker's tables, options, recovery. What is
    /// called again is mapped again, at about a microsecond for 64 KiB. Once, when a daemon stands.
    public static func forgetStart() { cl_memory_forget_code() }

    /// Bytes of physical memory.
    public static let total =
        Int64(sysconf(Int32(_SC_PHYS_PAGES)))
        * Int64(
            sysconf(Int32(_SC_PAGESIZE)))
}
