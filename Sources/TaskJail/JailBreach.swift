// SPDX-License-Identifier: Apache-2.0

/// What went over a limit during an attempt, with the figures reached.
public struct JailBreach: Equatable, Sendable {
    /// Processes that the kernel killed for LimitMem=: any means that the attempt failed (`oom`),
    /// whatever its status.
    public var oomKills: Int64 = 0
    /// Whom it killed first; nil where the kernel's log cannot be read or does not say.
    public var victim: OOMVictim?
    /// Bytes in the cgroup at its peak, what the slot held before included; nil where nobody counts.
    public var reachedMemory: Int64?
    /// Bytes of all processes together when they were killed for being above LimitMem=, where no
    /// cgroup counts (`JailMemory`).
    public var summedMemory: Int64?
    /// Times that MemoryHigh= slowed it down (cgroup v2 only).
    public var slowed: Int64 = 0
    /// Forks refused by LimitTasks=: reason `limit` if the attempt failed, else a note.
    public var forksRefused: Int64 = 0
    /// Most processes and threads of the task at once; nil where it is not known of this attempt.
    public var peakTasks: Int64?
    /// Times that LimitCPU= held it back, and for how long, microseconds.
    public var throttled: Int64 = 0
    public var throttledTime: Int64 = 0
    /// What /tmp, scratch and /dev/shm held when they were full, at some poll or at the end: `disk`
    /// if it failed.
    public var fullDisk: FullDisk?
    /// Most memory at any time, bytes, without what the slot held before (the page cache of earlier
    /// attempts); nil where nobody counts.
    public var peakMemory: Int64?

    public init() {}
}

/// A process that the kernel killed for want of memory (proc(5), `oom_score`).
public struct OOMVictim: Equatable, Sendable {
    /// Its name as the kernel's log has it: bytes that cannot be printed are `\xHH` there.
    public var name: String
    /// Its number in the machine's first pid namespace.
    public var pid: Int32
}

/// A private file system that was full.
public struct FullDisk: Equatable, Sendable {
    public var bytes: Int64
    public var inodes: Int64
    /// It had no inode left; else no block.
    public var isOutOfInodes: Bool
}
