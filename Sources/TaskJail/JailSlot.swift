// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import Linux

/// A slot's launcher process, its sockets and its cgroups.
final class JailSlot {
    var wire = cl_jail_slot()
    let cgroups: CgroupSlot
    let null: Int32
    var generation: UInt32 = 0
    var isBusy = false
    var isLost = false
    /// The errno for which there is no launcher: nothing of an attempt has run.
    private(set) var refusal: Int32 = 0
    /// The quota directory of the attempt.
    var scratch: (pool: QuotaPool, place: QuotaPool.Place)?
    /// The launcher's pid, from its first report.
    private(set) var launcherPid: Int32 = 0
    /// An earlier program's, or killed: it starts no further attempt.
    private(set) var isRetired = false

    init(resuming jail: JailHandover, _ cgroups: CgroupSlot) {
        self.cgroups = cgroups
        null = open("/dev/null", O_RDWR | O_CLOEXEC)
        wire.launch = jail.launch
        wire.control = jail.control
        wire.area = UnsafeMutableRawPointer(bitPattern: -1)  // MAP_FAILED
        generation = jail.generation
        launcherPid = jail.launcher
        isBusy = true
        isRetired = true
    }

    init(_ launcher: inout cl_launcher, _ cgroups: CgroupSlot) throws(JailError) {
        self.cgroups = cgroups
        let procs = cgroups.openProcs()
        let unified = cgroups.openUnified()
        if unified < 0, cgroups.hasUnified {
            let error = errno
            for descriptor in procs { Glibc.close(descriptor) }
            throw JailError(.cgroup, "unable to open the slot's cgroup", errno: error)
        }
        null = open("/dev/null", O_RDWR | O_CLOEXEC)
        let made = cl_jail_slot(&launcher, &wire, unified, procs, Int32(procs.count))
        let error = errno
        for descriptor in procs { Glibc.close(descriptor) }
        if unified >= 0 { Glibc.close(unified) }
        if made < 0 {
            throw JailError(.namespace, "unable to start a launcher", errno: error)
        }
    }

    /// The next report of this attempt; nil when none waits.
    func receive() -> cl_jail_report? {
        var report = cl_jail_report()
        while true {
            switch cl_jail_receive(&wire, &report) {
            case 0: return nil
            case 1:
                if report.kind == CL_JAIL_HELLO.rawValue {
                    launcherPid = report.pid
                    refusal = report.error
                } else if report.generation == generation {
                    return report
                } else if report.kind == CL_JAIL_SUBMIT.rawValue, report.value >= 0 {
                    Glibc.close(Int32(report.value))
                }
            default:
                isLost = true
                return nil
            }
        }
    }

    func giveScratch() {
        if let (pool, place) = scratch { pool.give(place) }
        scratch = nil
    }

    /// Between attempts: reads what is left, so that a launcher that died meanwhile is noticed.
    func settle() { while receive() != nil {} }

    /// For a launcher that hangs at a path of the user's; its number is ours until it is reaped. It may take
    /// one more request before the kernel ends it, and that would never begin: so it gets none.
    func killLauncher() {
        isRetired = true
        if launcherPid > 0 { kill(launcherPid, SIGKILL) }
    }

    func close() {
        settle()
        giveScratch()
        cl_jail_slot_close(&wire)
        if isRetired { killLauncher() }
        if launcherPid > 0 { _ = waitpid(launcherPid, nil, 0) }
        launcherPid = 0
    }

    deinit { Glibc.close(null) }
}
