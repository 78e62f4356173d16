// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
public import Linux

/// What an attempt has to say, in the order in which it happened.
public enum JailReport: Sendable {
    /// Init runs: watch `pidfd` from now on.
    case started
    /// A descriptor of the directory of `JailRequest.hasSubmit`, the caller's from now on: once it was asked
    /// for, else before the last `.programEnded` where something lies in it.
    case submits(Int32)
    /// A step of the set-up failed: the attempt ends with reason `jail`, or `missing`.
    case failed(JailFailure)
    /// A program ended and nothing of it is left alive.
    case programEnded(ProgramEnd)
    /// Always the last one, after every success and failure: the slot is free.
    case finished(JailEnd)
}

/// A set-up step that failed; never a payload's own exit.
public struct JailFailure: Equatable, Sendable {
    /// 200-245 of systemd.exec(5): what `taskrun` exits with.
    public var code: Int32
    public var errno: Int32
    /// `unable to VERB OBJECT: REASON`, with the cure where there is one.
    public var message: String
    /// The program's index when it was execve that failed.
    public var program: Int
    /// The command is not there: reason `missing`, status 127.
    public var isMissing: Bool
    /// The printed step of the plan, from 1; 0 when it was the clone itself.
    public var line: Int
    /// The machine has no room for the processes just now: a later start may well succeed.
    public var isTransient: Bool
}

/// How one program of the attempt ended.
public struct ProgramEnd: Equatable, Sendable {
    /// Index in `JailRequest.programs`.
    public var program: Int
    /// Raw status, CPU microseconds and peak memory of it and all that it left behind.
    public var end: ProcessEnd
    /// No other program follows: it was the last, or a check that failed.
    public var isLast: Bool
}

/// The end of the attempt.
public struct JailEnd: Equatable, Sendable {
    public var breach: JailBreach
    /// How init ended: exit 0, or killed (`kill()`, out of memory).
    public var initEnd: ProcessEnd?
}

/// One attempt in a slot. Not for two threads.
public final class JailSession {
    let slot: JailSlot
    private let plan: JailPlan
    private let generation: UInt32
    private var process: Descriptor?
    private var fullDisk: FullDisk?
    private var hasFailedBeforeInit = false
    private var isFinished = false
    private var wantsKill = false
    /// Init said something: it was begun, though the launcher has yet to say so (it may be slower).
    private var hasInitSpoken = false
    /// The pid of init on the host; 0 before `.started`.
    public private(set) var pid: Int32 = 0

    init(slot: JailSlot, plan: JailPlan) {
        self.slot = slot
        self.plan = plan
        generation = slot.generation
    }

    /// Goes on with a jail that an earlier program started.
    init(resuming jail: JailHandover, slot: JailSlot, plan: JailPlan) {
        self.slot = slot
        self.plan = plan
        generation = slot.generation
        pid = jail.pid
        process = Descriptor(owning: jail.pidfd)
    }

    /// Readable when reports wait. Belongs to the slot: never close it.
    public var control: Int32 { slot.wire.control }

    /// Readable when init has ended; -1 before `.started`. Closed with the session.
    public var pidfd: Int32 { process?.number ?? -1 }

    /// Takes all reports that wait. Call it when `control` or `pidfd` is readable.
    public func reports() -> [JailReport] {
        var result = received()
        guard !isFinished, let end = attemptEnd() else { return result }
        // Init may have spoken between that look and its end: what it said then is there by now.
        result += received()
        if slot.refusal != 0, !hasFailedBeforeInit { result.append(.failed(noLauncher)) }
        result.append(.finished(finish(end)))
        return result
    }

    private func received() -> [JailReport] {
        var result: [JailReport] = []
        while let report = slot.receive() { result += accept(report) }
        return result
    }

    /// Lets the next program run, after `.programEnded` that was not the last.
    public func proceed() {
        _ = cl_jail_order(&slot.wire, generation, CL_ORDER_PROCEED.rawValue, 0)
    }

    /// Asks for the descriptor of the directory for subtasks.
    public func askForSubmit() {
        _ = cl_jail_order(&slot.wire, generation, CL_ORDER_SUBMIT.rawValue, 0)
    }

    /// Sends a signal to the running program (not to all that it started).
    public func signal(_ number: Int32) {
        _ = cl_jail_order(&slot.wire, generation, CL_ORDER_SIGNAL.rawValue, number)
    }

    /// Kills everything in the jail. `.finished` follows, later if a process hangs in the kernel.
    public func kill() {
        wantsKill = true
        if let number = process?.number {
            _ = cl_pidfd_send_signal(number, SIGKILL)
        } else if !hasInitSpoken {
            slot.killLauncher()
        }
    }

    /// Readable when the kernel is about to kill a process for LimitMem= and would leave the others
    /// (cgroup v1): call `outOfMemory()` then. -1 where it kills all, or where nobody counts. Belongs
    /// to the slot: never close it.
    public var memoryEvent: Int32 {
        plan.request.limits.memory == nil ? -1 : slot.cgroups.outOfMemory
    }

    /// Kills all when the kernel has killed one.
    ///
    /// - Returns: false when it has not: the event comes just before it kills, or finds that enough
    ///   was given back meanwhile. Ask again soon, for a moment.
    public func outOfMemory() -> Bool {
        guard slot.cgroups.hasKilledForMemory() else { return false }
        kill()
        return true
    }

    /// The processes of the jail, init among them, by their numbers on the host; for messages.
    public var processes: [Int32] {
        let inside = slot.cgroups.processes(but: slot.launcherPid)
        if !inside.isEmpty || pid == 0 { return inside }
        let children = Text.read("/proc/\(pid)/task/\(pid)/children") ?? ""
        return [pid] + children.split(separator: " ").compactMap { Int32($0) }
    }

    // MARK: - Reports

    private func accept(_ report: cl_jail_report) -> [JailReport] {
        if report.kind != CL_JAIL_STARTED.rawValue, report.pid >= 0 { hasInitSpoken = true }
        switch report.kind {
        case CL_JAIL_STARTED.rawValue:
            pid = report.pid
            // Ours and not reaped yet, so the number is its own.
            process = Descriptor(owning: cl_pidfd_open(report.pid))
            if wantsKill { kill() }
            return [.started]
        case CL_JAIL_SUBMIT.rawValue where report.value >= 0:
            return [.submits(Int32(report.value))]
        case CL_JAIL_SUBMIT.rawValue:
            kill()
            return [.failed(Self.noDescriptor)]
        case CL_JAIL_FAILED.rawValue:
            if report.pid < 0 { hasFailedBeforeInit = true }
            return [.failed(JailReason(plan: plan, report: report).failure)]
        case CL_JAIL_STEP_ENDED.rawValue:
            noteDisk(report)
            let end = ProcessEnd(
                status: report.status, cpu: report.cpu_microseconds,
                memory: report.max_rss_bytes)
            return [
                .programEnded(
                    ProgramEnd(
                        program: Int(report.run), end: end,
                        isLast: report.flags & UInt32(CL_REPORT_LAST) != 0))
            ]
        default: return []
        }
    }

    // What it drops would be lost.
    private static var noDescriptor: JailFailure {
        JailFailure(
            code: JailCode.descriptors.rawValue, errno: EMFILE,
            message: "unable to take the directory for subtasks: too many open files", program: 0,
            isMissing: false, line: 0, isTransient: true)
    }

    private var noLauncher: JailFailure {
        JailFailure(
            code: JailCode.namespace.rawValue, errno: slot.refusal,
            message: "unable to start a launcher: \(String(cString: strerror(slot.refusal)))",
            program: 0, isMissing: false, line: 0,
            isTransient: JailError.isShortage(slot.refusal))
    }

    private func noteDisk(_ report: cl_jail_report) {
        let full = UInt32(CL_REPORT_NO_BLOCK | CL_REPORT_NO_INODE)
        guard report.flags & full != 0 else { return }
        fullDisk = FullDisk(
            bytes: report.disk_bytes, inodes: report.disk_inodes,
            isOutOfInodes: report.flags & UInt32(CL_REPORT_NO_BLOCK) == 0)
    }

    /// How an attempt came to its end.
    private enum AttemptEnd {
        case initEnded(ProcessEnd)
        case withoutInit
    }

    // An attempt is over when init was reaped, or never came to be. A lost launcher takes its init
    // along: both hold the other end of the control socket.
    private func attemptEnd() -> AttemptEnd? {
        if let number = process?.number {
            return (try? ProcessEnd.of(pidfd: number)).map { .initEnded($0) }
        }
        return hasFailedBeforeInit || slot.isLost ? .withoutInit : nil
    }

    private func finish(_ end: AttemptEnd) -> JailEnd {
        isFinished = true
        slot.isBusy = false
        slot.giveScratch()
        var breach = slot.cgroups.breach()
        breach.fullDisk = fullDisk
        guard case .initEnded(let ended) = end else { return JailEnd(breach: breach, initEnd: nil) }
        return JailEnd(breach: breach, initEnd: ended)
    }
}
