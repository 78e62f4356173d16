// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import Linux

/// A jail that runs while its taskrun becomes another program: plain values, descriptors by number.
public struct JailHandover: Equatable, Sendable {
    /// Init.
    public var pid: Int32
    public var pidfd: Int32
    /// The slot's launcher, its sockets and the request that it serves.
    public var launcher: Int32
    public var launch: Int32
    public var control: Int32
    public var generation: UInt32

    public init(
        pid: Int32, pidfd: Int32, launcher: Int32, launch: Int32, control: Int32, generation: UInt32
    ) {
        self.pid = pid
        self.pidfd = pidfd
        self.launcher = launcher
        self.launch = launch
        self.control = control
        self.generation = generation
    }

    /// Descriptors that must stay open.
    public var descriptors: [Int32] { [pidfd, launch, control] }
}

/// The cgroups of a slot that is in use.
public struct SlotHandover: Equatable, Sendable {
    public var index: Int
    /// v2 places by controller, then those of v1.
    public var v2: [String: String] = [:]
    public var v1: [String: String] = [:]
    public var unified: String?
    /// What `CgroupSlot` remembers of the attempt's beginning.
    public var counters: [Int64] = []

    public init(index: Int) { self.index = index }
}

/// The launcher's own: its processes and directories.
public struct LauncherHandover: Equatable, Sendable {
    /// Sessions of all its launchers, and the process that is alive.
    public var leaders: [Int32] = []
    public var current: Int32 = 0
    public var pool = ""
    public var directories: [String] = []
    public var renewals: [Int: Int] = [:]
    public var locks: [String: Int32] = [:]

    public init() {}

    public var descriptors: [Int32] { Array(locks.values) }
}

extension Launcher {
    /// Lets go of all slots that have no attempt, and says what the next program needs to go on. Where
    /// that program cannot be executed this one goes on.
    public func handOver(busy: Set<Int>) -> (launcher: LauncherHandover, slots: [SlotHandover]) {
        retireIdle(busy)
        var state = LauncherHandover()
        cgroups.fill(&state)
        state.leaders = leaders
        state.current = launcherPid
        return (
            state, busy.sorted().compactMap { index in places[index].map { $0.handover(index) } }
        )
    }

    /// Goes on where another program was: instead of the cgroups that this launcher would make.
    /// Its predecessor is ended; launchers of attempts that run stay until those have ended.
    public func resume(_ state: LauncherHandover, _ slots: [SlotHandover]) {
        // Ours until it is reaped.
        if state.current > 1, kill(state.current, SIGKILL) == 0 {
            _ = waitpid(state.current, nil, 0)
        }
        leaders += state.leaders
        cgroups.resume(state)
        for slot in slots { places[slot.index] = cgroups.resumed(slot) }
    }

    /// The jail of a slot that `resume` named.
    public func resumeSession(slot index: Int, _ jail: JailHandover, _ plan: JailPlan)
        -> JailSession?
    {
        guard let place = places[index] else { return nil }
        let slot = JailSlot(resuming: jail, place)
        self.slots[index] = slot
        return JailSession(resuming: jail, slot: slot, plan: plan)
    }

    /// The cgroup of a slot whose task has no jail.
    public func resumeGroup(slot index: Int) -> SlotGroup? {
        guard let place = places[index] else { return nil }
        let group = SlotGroup(place) { 0 }
        groups[index] = group
        return group
    }
}

extension JailSession {
    /// What another program needs to go on with it; nil before init was started, and where it has a
    /// directory under a quota, which only this program knows.
    public var handover: JailHandover? {
        guard pid > 0, slot.scratch == nil else { return nil }
        return JailHandover(
            pid: pid, pidfd: pidfd, launcher: slot.launcherPid, launch: slot.wire.launch,
            control: slot.wire.control, generation: slot.generation)
    }
}
