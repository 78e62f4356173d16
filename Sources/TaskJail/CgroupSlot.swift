// SPDX-License-Identifier: Apache-2.0
import Glibc
import Linux

/// What went over a limit during an attempt.
public struct JailBreach: Equatable, Sendable {
    /// Processes that the kernel killed for LimitMem=: any means that the attempt failed (`oom`),
    /// whatever its status.
    public var oomKills: Int64 = 0
    /// Forks refused by LimitTasks=: reason `limit` if the attempt failed, else a note.
    public var forksRefused: Int64 = 0
    /// Times that LimitCPU= held it back.
    public var throttled: Int64 = 0
    /// /tmp, scratch and /dev/shm were full at some poll or at the end: `disk` if it failed.
    public var isDiskFull = false
    /// Most memory at any time, bytes, without what the slot held before (the page cache of earlier
    /// attempts); nil where nobody counts.
    public var peakMemory: Int64?

    public init() {}
}

/// The cgroups of one slot: limits are written only when they change, counters only rise and are
/// compared with what they were.
final class CgroupSlot {
    private let controllers: [String: CgroupPlace]
    private let unifiedPath: String?
    private var written: [String: String] = [:]
    private var applied: JailLimits?
    private var before = JailBreach()
    /// The counters after the attempt before; nothing ran since.
    private var last: JailBreach?
    /// nil: the kernel has none.
    private var files: [String: KernelFile?] = [:]
    /// What was charged before the attempt began.
    private var memoryBefore: Int64 = 0
    /// memory.peak where it could not be reset (before Linux 6.12): it only tells when it rises.
    private var peakBefore: Int64 = 0

    init(controllers: [String: CgroupPlace], unified: String?) {
        self.controllers = controllers
        unifiedPath = unified
    }

    /// cgroup.procs of the v1 hierarchies, for the slot's launcher to enter once.
    func openProcs() -> [Int32] {
        Set(controllers.values.filter { !$0.isV2 }.map(\.path)).sorted().map {
            open($0 + "/cgroup.procs", O_WRONLY | O_CLOEXEC)
        }.filter { $0 >= 0 }
    }

    /// The v2 directory that jails are born in; -1 where there is none.
    func openUnified() -> Int32 {
        guard let unifiedPath else { return -1 }
        return open(unifiedPath, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    }

    var hasUnified: Bool { unifiedPath != nil }

    // MARK: - Limits

    /// Writes what differs from the attempt before, and remembers the counters.
    func apply(_ limits: JailLimits) throws(JailError) {
        if applied != limits {
            applied = nil
            try write(limits)
            applied = limits
        }
        resetPeak()
        before = last ?? counters()
    }

    private func write(_ limits: JailLimits) throws(JailError) {
        if let place = controllers["memory"] {
            place.isV2
                ? try applyMemoryV2(place.path, limits) : try applyMemoryV1(place.path, limits)
        }
        if let place = controllers["pids"] {
            // The launcher (v1 only) and init are inside and do not count as the task's.
            let overhead: UInt64 = place.isV2 ? 1 : 2
            let text = limits.tasks.map { String($0 + overhead) } ?? "max"
            try write(place.path + "/pids.max", text)
        }
        if let place = controllers["cpu"] {
            let quota = limits.cpuPercent.map { String($0 * 1000) }
            place.isV2
                ? try write(place.path + "/cpu.max", (quota ?? "max") + " 100000")
                : try write(place.path + "/cpu.cfs_quota_us", quota ?? "-1")
        }
    }

    private func applyMemoryV2(_ path: String, _ limits: JailLimits) throws(JailError) {
        try write(path + "/memory.oom.group", "1")
        try write(path + "/memory.high", limits.memoryHigh.map(String.init) ?? "max")
        try write(path + "/memory.max", limits.memory.map(String.init) ?? "max")
        let swap = limits.memory == nil ? "max" : "0"
        _ = try? write(path + "/memory.swap.max", swap)  // absent without swap accounting
    }

    // memsw is never below limit: lower the limit first, raise memsw first.
    private func applyMemoryV1(_ path: String, _ limits: JailLimits) throws(JailError) {
        // All that v1 has for MemoryHigh=; the plan says so.
        let soft = path + "/memory.soft_limit_in_bytes"
        if limits.memoryHigh != nil || written[soft] != nil {
            try write(soft, limits.memoryHigh.map(String.init) ?? "-1")
        }
        let text = limits.memory.map(String.init) ?? "-1"
        let limit = path + "/memory.limit_in_bytes"
        let both = path + "/memory.memsw.limit_in_bytes"
        if written[limit] == text { return }
        let hasBoth = access(both, F_OK) == 0
        if hasBoth { _ = Text.write("-1", to: both) }
        written[both] = nil
        try write(limit, text)
        if hasBoth { try write(both, text) }
    }

    private func write(_ path: String, _ text: String) throws(JailError) {
        if written[path] == text { return }
        if !Text.write(text, to: path) {
            // EBUSY: the attempt before left page cache above the new limit.
            let empty =
                String(path[..<(path.lastIndex(of: "/") ?? path.endIndex)])
                + "/memory.force_empty"
            guard errno == EBUSY, Text.write("0", to: empty), Text.write(text, to: path) else {
                throw JailError(
                    .cgroup,
                    "unable to write \(text) to \(path): \(String(cString: strerror(errno)))")
            }
        }
        written[path] = text
    }

    // MARK: - Counters

    /// What happened since `apply`.
    func breach() -> JailBreach {
        var now = counters()
        last = now
        now.oomKills -= before.oomKills
        now.forksRefused -= before.forksRefused
        now.throttled -= before.throttled
        now.peakMemory = peakMemory()
        return now
    }

    private func peakMemory() -> Int64? {
        guard let place = controllers["memory"], let peak = peakFile(place)?.number(after: ""),
            peak > peakBefore
        else { return nil }
        return max(0, peak - memoryBefore)
    }

    private func peakFile(_ place: CgroupPlace) -> KernelFile? {
        file(place.path + (place.isV2 ? "/memory.peak" : "/memory.max_usage_in_bytes"), O_RDWR)
    }

    private func counters() -> JailBreach {
        var result = JailBreach()
        if let place = controllers["memory"] {
            let file = place.isV2 ? "/memory.events" : "/memory.oom_control"
            result.oomKills = self.file(place.path + file)?.number(after: "oom_kill ") ?? 0
        }
        if let place = controllers["pids"] {
            result.forksRefused = file(place.path + "/pids.events")?.number(after: "max ") ?? 0
        }
        if let place = controllers["cpu"] {
            result.throttled =
                file(place.path + "/cpu.stat")?.number(after: "nr_throttled ") ?? 0
        }
        return result
    }

    private func resetPeak() {
        guard let place = controllers["memory"] else { return }
        let usage = place.isV2 ? "/memory.current" : "/memory.usage_in_bytes"
        memoryBefore = file(place.path + usage)?.number(after: "") ?? 0
        let peak = peakFile(place)
        let isReset = peak?.write("0") ?? false
        peakBefore = isReset ? 0 : peak?.number(after: "") ?? 0
    }

    /// `mode`: read-only where the kernel gives no more.
    private func file(_ path: String, _ mode: Int32 = O_RDONLY) -> KernelFile? {
        if let known = files[path] { return known }
        let file = KernelFile(path, mode) ?? (mode == O_RDONLY ? nil : KernelFile(path, O_RDONLY))
        files[path] = .some(file)
        return file
    }
}

/// A file of the kernel that is read again and again.
private final class KernelFile {
    private let descriptor: Int32

    init?(_ path: String, _ mode: Int32) {
        descriptor = open(path, mode | O_CLOEXEC)
        if descriptor < 0 { return nil }
    }

    /// The number at the start of a line, behind a word and its blank.
    func number(after word: StaticString) -> Int64? {
        withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 8) { space in
            let count = pread(descriptor, space.baseAddress, space.count, 0)
            if count <= 0 { return nil }
            for line in space[..<count].split(separator: UInt8(ascii: "\n")) {
                let begins = word.withUTF8Buffer { line.starts(with: $0) }
                if begins { return Self.number(line.dropFirst(word.utf8CodeUnitCount)) }
            }
            return nil
        }
    }

    private static func number(_ digits: Slice<UnsafeMutableRawBufferPointer>) -> Int64? {
        var value: Int64 = 0
        for digit in digits {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            if overflow { return nil }
            value = product &+ Int64(digit - UInt8(ascii: "0"))
        }
        return value
    }

    func write(_ text: StaticString) -> Bool {
        pwrite(descriptor, text.utf8Start, text.utf8CodeUnitCount, 0) >= 0
    }

    deinit { close(descriptor) }
}
