// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import Linux

/// The cgroups of one slot: limits are written only when they change, counters only rise and are
/// compared with what they were.
final class CgroupSlot {
    let controllers: [String: CgroupPlace]
    let unifiedPath: String?
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
    /// pids.peak cannot be reset: it, too, only tells when it rises.
    private var tasksPeakBefore: Int64 = 0
    /// What is in pids besides the task: init and, on v1, the launcher; of a task without a jail
    /// nothing.
    private var overhead: Int64 = 0

    /// Forks fail, or all stand still, until it is empty.
    var isHoldingForks = false
    private let log: KernelLog
    private var memoryEvent: Descriptor?

    init(controllers: [String: CgroupPlace], unified: String?, log: KernelLog) {
        self.controllers = controllers
        self.log = log
        unifiedPath = unified
        _ = events  // opened once, so that the number of descriptors tells of leaks
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

    /// Its directories in all hierarchies.
    var directories: [String] {
        controllers.values.map(\.path) + (unifiedPath.map { [$0] } ?? [])
    }

    // MARK: - Limits

    /// Writes what differs from the attempt before, and remembers the counters.
    ///
    /// - Parameter isJailed: init and launcher are inside, too.
    func apply(_ limits: JailLimits, isJailed: Bool = true) throws(JailError) {
        let within: Int64 = isJailed ? (controllers["pids"]?.isV2 ?? true ? 1 : 2) : 0
        if applied != limits || overhead != within {
            applied = nil
            overhead = within
            try write(limits)
            applied = limits
        }
        resetPeaks()
        before = last ?? counters()
    }

    private func write(_ limits: JailLimits) throws(JailError) {
        if let place = controllers["memory"] {
            place.isV2
                ? try applyMemoryV2(place.path, limits) : try applyMemoryV1(place.path, limits)
        }
        if let place = controllers["pids"] {
            // Not all inside count as the task's.
            let text = limits.tasks.map { String($0 + UInt64(overhead)) } ?? "max"
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

    // MARK: - Another program goes on

    func handover(_ index: Int) -> SlotHandover {
        var state = SlotHandover(index: index)
        state.v2 = controllers.filter(\.value.isV2).mapValues(\.path)
        state.v1 = controllers.filter { !$0.value.isV2 }.mapValues(\.path)
        state.unified = unifiedPath
        state.counters = [
            before.oomKills, before.forksRefused, before.throttled, before.throttledTime,
            before.slowed, memoryBefore, tasksPeakBefore, overhead,
        ]
        return state
    }

    func resume(_ counters: [Int64]) {
        resumeHold()
        guard counters.count == 8 else { return }
        before.oomKills = counters[0]
        before.forksRefused = counters[1]
        before.throttled = counters[2]
        before.throttledTime = counters[3]
        before.slowed = counters[4]
        memoryBefore = counters[5]
        tasksPeakBefore = counters[6]
        overhead = counters[7]
        // A peak that was reset is so for the descriptor that is closed by now (Linux 6.12).
        if let place = controllers["memory"] {
            peakBefore = place.isV2 ? peakFile(place)?.number(after: "") ?? 0 : 0
        }
    }

    /// pids.max as the attempt has it.
    func written(_ pids: CgroupPlace) -> String { written[pids.path + "/pids.max"] ?? "max" }

    // MARK: - Counters

    /// What happened since `apply`.
    func breach() -> JailBreach {
        var now = counters()
        last = now
        now.oomKills -= before.oomKills
        now.forksRefused -= before.forksRefused
        now.throttled -= before.throttled
        now.throttledTime -= before.throttledTime
        now.slowed -= before.slowed
        if let peak = risen("memory", above: peakBefore, of: peakFile) {
            now.peakMemory = max(0, peak - memoryBefore)
            now.reachedMemory = peak
        } else if now.oomKills > 0 {
            now.reachedMemory = applied?.memory.map { Int64(clamping: $0) }
        }
        if now.forksRefused > 0 {
            now.peakTasks = risen("pids", above: tasksPeakBefore, of: tasksPeakFile)
                .map { max(0, $0 - overhead) }
        }
        if now.oomKills > 0 { now.victim = victim }
        return now
    }

    /// A peak that is this attempt's own.
    private func risen(
        _ controller: String, above before: Int64, of file: (CgroupPlace) -> KernelFile?
    ) -> Int64? {
        guard let place = controllers[controller], let peak = file(place)?.number(after: ""),
            peak > before
        else { return nil }
        return peak
    }

    private var victim: OOMVictim? {
        guard let path = controllers["memory"]?.path else { return nil }
        let words = path.split(separator: "/").suffix(2)
        return log.takeVictim(of: "/" + words.joined(separator: "/"))
    }

    private func tasksPeakFile(_ place: CgroupPlace) -> KernelFile? {
        file(place.path + "/pids.peak")
    }

    private func peakFile(_ place: CgroupPlace) -> KernelFile? {
        file(place.path + (place.isV2 ? "/memory.peak" : "/memory.max_usage_in_bytes"), O_RDWR)
    }

    private func counters() -> JailBreach {
        var result = JailBreach()
        if let place = controllers["memory"] {
            let events = file(
                place.path + (place.isV2 ? "/memory.events" : "/memory.oom_control"))
            result.oomKills = events?.number(after: "oom_kill ") ?? 0
            if place.isV2, applied?.memoryHigh != nil {
                result.slowed = events?.number(after: "high ") ?? 0
            }
        }
        if let place = controllers["pids"] {
            result.forksRefused = file(place.path + "/pids.events")?.number(after: "max ") ?? 0
        }
        if let place = controllers["cpu"] {
            let stat = file(place.path + "/cpu.stat")
            result.throttled = stat?.number(after: "nr_throttled ") ?? 0
            result.throttledTime =
                place.isV2
                ? stat?.number(after: "throttled_usec ") ?? 0
                : (stat?.number(after: "throttled_time ") ?? 0) / 1000
        }
        return result
    }

    private func resetPeaks() {
        if let place = controllers["pids"] {
            tasksPeakBefore = tasksPeakFile(place)?.number(after: "") ?? 0
        }
        guard let place = controllers["memory"] else { return }
        let usage = place.isV2 ? "/memory.current" : "/memory.usage_in_bytes"
        memoryBefore = file(place.path + usage)?.number(after: "") ?? 0
        let peak = peakFile(place)
        let isReset = peak?.write("0") ?? false
        peakBefore = isReset ? 0 : peak?.number(after: "") ?? 0
    }

    // MARK: - Out of memory, on v1

    /// An eventfd(2) that is readable when the kernel is about to kill for want of memory; -1 on v2,
    /// where memory.oom.group makes it kill all. It belongs to the slot.
    var outOfMemory: Int32 {
        if let number = memoryEvent?.number { return number }
        guard let place = controllers["memory"], !place.isV2 else { return -1 }
        let event = cl_eventfd()
        let control = open(place.path + "/memory.oom_control", O_RDONLY | O_CLOEXEC)
        defer { if control >= 0 { close(control) } }
        guard event >= 0, control >= 0,
            Text.write("\(event) \(control)", to: place.path + "/cgroup.event_control")
        else {
            if event >= 0 { close(event) }
            return -1
        }
        memoryEvent = Descriptor(owning: event)
        return event
    }

    /// Whether the kernel has killed a process of this attempt; takes the event back.
    func hasKilledForMemory() -> Bool {
        if let number = memoryEvent?.number {
            var count: UInt64 = 0
            _ = read(number, &count, MemoryLayout<UInt64>.size)
        }
        return counters().oomKills > before.oomKills
    }

    /// `mode`: read-only where the kernel gives no more.
    func file(_ path: String, _ mode: Int32 = O_RDONLY) -> KernelFile? {
        if let known = files[path] { return known }
        let file = KernelFile(path, mode) ?? (mode == O_RDONLY ? nil : KernelFile(path, O_RDONLY))
        files[path] = .some(file)
        return file
    }
}
