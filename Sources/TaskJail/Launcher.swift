// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import Linux

/// The process that jails are forked from, and its slots.
///
/// How to drive it, for a program with one thread:
///
///  1. `Launcher()` first of all: it forks, and every later fork copies what the heap is then.
///     SIGCHLD must not be ignored, and nothing may reap children by `waitpid(-1)`.
///  2. `JailPlan(request, facts: launcher.facts)`, then `start(plan, slot:…)`: it returns at once.
///     A slot has one attempt at a time.
///  3. Watch `session.control` for reading. On each event call `session.reports()` and act on all
///     of them in order. After `.started` watch `session.pidfd` for reading as well, with the same
///     handler.
///  4. At `.programEnded(…)` nothing of that program is alive any more, so the output pipe can be
///     drained and tagged; then `proceed()` unless it was the last.
///  5. `.finished` is the last report: the pid namespace is empty, the slot free. Remove both
///     descriptors from the loop *before* the session is let go (it closes `pidfd`; `control`
///     belongs to the slot and is used again).
///  6. A limit of time: `signal(SIGTERM)`, later `kill()`, then go on waiting for `.finished`.
///  7. `close()` at the end: launchers go, cgroups are removed.
public final class Launcher {
    /// What this machine offers, corrected by what could really be had.
    public private(set) var facts: HostFacts

    private var launcher = cl_launcher()
    let cgroups: CgroupPool
    var slots: [Int: JailSlot] = [:]
    var places: [Int: CgroupSlot] = [:]
    var groups: [Int: SlotGroup] = [:]
    /// Every L0 there was: their forks are in the sessions that they lead.
    var leaders: [Int32] = []
    private var quotas: QuotaPool?
    private var isOpen = true
    var launcherPid: Int32 { launcher.pid }

    /// Forks the launcher, then reads the machine's facts.
    public init() throws(JailError) {
        try Self.fork(&launcher)
        var facts = HostFacts.detect()
        cgroups = CgroupPool(facts)
        cgroups.refine(&facts)
        self.facts = facts
        leaders = [launcher.pid]
    }

    /// Cgroups of a taskrun that was killed, which do not become empty: processes that hang.
    public var leftovers: [String] { cgroups.leftovers }

    private static func fork(_ launcher: inout cl_launcher) throws(JailError) {
        if cl_jail_launcher(&launcher, geteuid() == 0 ? 0 : 1) == 0 { return }
        throw JailError(.namespace, "unable to start the launcher", errno: errno)
    }

    // It was killed: a new one costs more a fork, since the heap has grown, but tasks run.
    private func replaceIfDead() throws(JailError) {
        guard waitpid(launcher.pid, nil, WNOHANG) == launcher.pid else { return }
        Glibc.close(launcher.socket)
        Glibc.close(launcher.pidfd)
        try Self.fork(&launcher)
        leaders.append(launcher.pid)
    }

    /// Uses a directory for private files that are more than half of LimitMem=, each under a project
    /// quota of its own.
    ///
    /// - Returns: why it can't be; nil when it can. Nothing changes then.
    public func useScratch(_ path: String) -> String? {
        do throws(QuotaPool.Refusal) {
            quotas = try QuotaPool(path)
            facts.quota = path
            return nil
        } catch {
            return error.reason
        }
    }

    /// Whether a process belongs to the launcher or to a jail, by its session: a session is entered
    /// by nobody but by fork(2).
    public func owns(session: Int32) -> Bool { leaders.contains(session) }

    // MARK: - Cgroups

    /// The cgroup of a slot for a task without a jail; nil where there is none.
    ///
    /// - Throws: 219 when it cannot be made.
    public func group(slot index: Int) throws(JailError) -> SlotGroup? {
        let place = try place(index)
        if let known = groups[index], known.cgroups === place { return known }
        let group = SlotGroup(place) { [unowned self] in slots[index]?.launcherPid ?? 0 }
        groups[index] = group
        return group
    }

    // Never one that somebody is in: then the slot gets another.
    private func place(_ index: Int) throws(JailError) -> CgroupSlot {
        if let known = places[index] {
            slots[index]?.settle()
            if known.isFree(but: slots[index]?.launcherPid ?? 0) { return known }
        }
        let fresh = try cgroups.slot(index)
        places[index] = fresh
        return fresh
    }

    // MARK: - Attempts

    /// Starts an attempt. Returns before the jail stands; what goes wrong later is a report.
    ///
    /// - Parameters:
    ///   - adding: what names the attempt: `NAME=VALUE` strings, each ended by a zero byte. They come
    ///     before the plan's environment.
    ///   - slot: which slot of the pool; it must have no attempt.
    ///   - standardInput: -1 for /dev/null. The descriptors are copied and stay the caller's.
    /// - Throws: 219 when the limits cannot be written, 203 when the request is too long, 226 when
    ///   no launcher can be had.
    public func start(
        _ plan: JailPlan, adding variables: [UInt8] = [], slot index: Int,
        standardInput: Int32 = -1, standardOutput: Int32, standardError: Int32
    ) throws(JailError) -> JailSession {
        // Its launcher may have died since (the kernel may choose it when memory is short).
        for _ in 0..<2 {
            if let slot = try send(
                plan, variables, index, [standardInput, standardOutput, standardError])
            {
                slot.isBusy = true
                return JailSession(slot: slot, plan: plan)
            }
        }
        // Its fork failed, or somebody ends them: what that needs may be there again soon.
        var error = JailError(
            .namespace, "unable to start a launcher: it ended twice, or there is no process for it")
        error.isTransient = true
        throw error
    }

    /// nil when the slot's launcher is gone.
    private func send(
        _ plan: JailPlan, _ variables: [UInt8], _ index: Int, _ streams: [Int32]
    ) throws(JailError) -> JailSlot? {
        let slot = try slot(index)
        precondition(!slot.isBusy, "slot \(index) has an attempt")
        try slot.cgroups.apply(plan.request.limits)
        slot.generation &+= 1
        guard let area = slot.wire.area else {
            throw JailError(.namespace, "unable to use the launcher's memory")
        }
        try plan.image.write(
            to: area, generation: slot.generation, intoCgroup: slot.cgroups.hasUnified,
            adding: variables)
        #if DEBUG
            plan.fault?.write(to: area)
        #endif
        let input = streams[0] < 0 ? slot.null : streams[0]
        let scratch = try takeScratch(plan, slot)
        let sent = cl_jail_start(
            &slot.wire, slot.generation, input, streams[1], streams[2], scratch)
        if scratch >= 0 { Glibc.close(scratch) }
        if sent == 0 { return slot }
        slot.giveScratch()
        drop(index)
        return nil
    }

    // A detached mount of it, or -1 where the jail has a tmpfs.
    private func takeScratch(_ plan: JailPlan, _ slot: JailSlot) throws(JailError) -> Int32 {
        guard plan.usesQuota, let quotas, let bytes = plan.request.limits.disk else { return -1 }
        let (place, tree) = try quotas.take(
            bytes: bytes, inodes: plan.request.limits.inodes ?? 0)
        slot.scratch = (quotas, place)
        return tree
    }

    private func slot(_ index: Int) throws(JailError) -> JailSlot {
        let place = try place(index)
        if let known = slots[index] {
            known.settle()
            if !known.isLost, !known.isRetired, known.cgroups === place { return known }
            drop(index)
        }
        try replaceIfDead()
        let slot = try JailSlot(&launcher, place)
        slots[index] = slot
        return slot
    }

    private func drop(_ index: Int) {
        slots[index]?.close()
        slots[index] = nil
    }

    /// Ends the launcher of a slot that has no attempt, and is not used for now.
    public func retire(slot index: Int) { drop(index) }

    /// Ends the launchers of slots without an attempt and removes their cgroups.
    func retireIdle(_ busy: Set<Int>) {
        for index in Array(slots.keys) where !busy.contains(index) { drop(index) }
        for index in Array(places.keys) where !busy.contains(index) {
            places[index] = nil
            groups[index] = nil
        }
        cgroups.removeIdle(but: Set(places.values.flatMap(\.directories)))
    }

    /// Ends the launchers and removes the cgroups. Attempts that still run are killed with them.
    public func close() {
        if !isOpen { return }
        isOpen = false
        for slot in slots.values { slot.close() }
        slots = [:]
        groups = [:]
        Glibc.close(launcher.socket)
        _ = waitpid(launcher.pid, nil, 0)
        Glibc.close(launcher.pidfd)
        cgroups.remove()
    }

    deinit { close() }
}
