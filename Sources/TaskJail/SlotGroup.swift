// SPDX-License-Identifier: Apache-2.0
import Glibc
import Linux

/// The cgroup of a slot, for a task without a jail: what is born in it, or enters it, is found again
/// whatever it does to its session and its parents.
public final class SlotGroup {
    let cgroups: CgroupSlot
    /// The v2 directory to be born in (CLONE_INTO_CGROUP); -1 where `procs` is there.
    public let directory: Int32
    /// The v1 file to write `0` to before exec; -1 where `directory` is there.
    public let procs: Int32
    private let launcher: () -> Int32

    /// nil where no cgroup can be had.
    init?(_ cgroups: CgroupSlot, launcher: @escaping () -> Int32) {
        self.cgroups = cgroups
        self.launcher = launcher
        directory = cgroups.openUnified()
        procs = directory < 0 ? cgroups.openEntry() : -1
        if directory < 0, procs < 0 { return nil }
    }

    deinit { for number in [directory, procs] where number >= 0 { close(number) } }

    /// Limits that hold in it: those of v2 controllers, which share its directory.
    public func holds(_ controller: String) -> Bool {
        cgroups.controllers[controller]?.isV2 ?? false
    }

    /// Writes the limits of the next attempt, remembers the counters.
    public func begin(_ limits: JailLimits) throws(JailError) {
        var own = limits
        if !holds("memory") { (own.memory, own.memoryHigh) = (nil, nil) }
        if !holds("pids") { own.tasks = nil }
        if !holds("cpu") { own.cpuPercent = nil }
        // On v1 they are a jail's: it writes its own.
        if cgroups.controllers.values.contains(where: \.isV2) {
            try cgroups.apply(own, isJailed: false)
        }
    }

    /// What happened since `begin`.
    public func breach() -> JailBreach {
        cgroups.controllers.values.contains { $0.isV2 } ? cgroups.breach() : JailBreach()
    }

    /// Whether nothing is inside.
    public var isEmpty: Bool { cgroups.isEmpty(but: launcher()) ?? true }

    /// Who is inside.
    public var processes: [Int32] { cgroups.processes(but: launcher()) }

    /// Watch it for priority: `isEmpty` may have changed. -1: ask again and again.
    public var events: Int32 { cgroups.events }

    /// SIGKILL to all inside; again until `isEmpty`.
    public func kill() { cgroups.killAll(but: launcher()) }

    /// Ready for the next step or attempt, once it is empty; false where the kernel refuses: then
    /// nothing may be started in it.
    public func release() -> Bool { cgroups.release() }
}
