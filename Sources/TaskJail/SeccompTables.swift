// SPDX-License-Identifier: Apache-2.0
import CSeccomp
import Glibc

/// What the filters say, by name: names that an architecture does not have are skipped.
enum SeccompTables {
    /// Newer than the library, and harmless: futex_waitv, cachestat, fchmodat2, map_shadow_stack,
    /// futex_wake, futex_wait, futex_requeue, mseal, setxattrat … removexattrat.
    static let newer: [Int32] = [449, 451, 452, 453, 454, 455, 456, 462, 463, 464, 465, 466]

    static let denied = [
        // mounts
        "mount", "umount", "umount2", "pivot_root", "chroot", "open_tree", "move_mount", "fsopen",
        "fsconfig", "fsmount", "fspick", "mount_setattr", "setns",
        // keys
        "keyctl", "add_key", "request_key",
        // the kernel
        "bpf", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register",
        "init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot",
        "swapon", "swapoff", "acct", "syslog", "quotactl", "quotactl_fd", "nfsservctl", "iopl",
        "ioperm", "modify_ldt", "vhangup", "fanotify_init", "name_to_handle_at",
        "open_by_handle_at", "settimeofday", "clock_settime", "clock_adjtime", "adjtimex",
        "sethostname", "setdomainname", "uselib", "ustat", "sysfs", "_sysctl", "create_module",
        "query_module", "get_kernel_syms", "migrate_pages", "move_pages", "memfd_secret",
        "process_madvise",
    ]

    static let debugging = [
        "ptrace", "process_vm_readv", "process_vm_writev", "kcmp", "pidfd_getfd",
        "perf_event_open", "lookup_dcookie",
    ]

    /// The low byte apart, CLONE_NEWTIME is a signal number for clone(2): it cannot be asked there.
    static let namespaces: [UInt64] = [
        0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000,
    ]
    static let newTime: UInt64 = 0x80

    /// TIOCSTI TIOCLINUX TIOCSETD TIOCCONS FS_IOC_FSSETXATTR FS_IOC_SETFLAGS.
    static let controls: [UInt64] = [
        0x5412, 0x541c, 0x5423, 0x541d, 0x401c_5820, 0x4008_6602, 0x4004_6602,
    ]

    /// UNIX INET INET6 NETLINK.
    static let families: Set<UInt64> = [1, 2, 10, 16]
    /// PER_LINUX, PER_LINUX32, with UNAME26, ADDR_NO_RANDOMIZE, and the question.
    static let personalities: [UInt64] = [0, 8, 0x20000, 0x20008, 0x40000, 0xffff_ffff]

    /// Calls that set a mode, and the argument that has it.
    static let modes: [(String, UInt32)] = [
        ("chmod", 1), ("fchmod", 1), ("fchmodat", 2), ("mknod", 1), ("mknodat", 2), ("open", 2),
        ("openat", 3), ("creat", 1),
    ]
}

extension Compiler {
    /// Filter A.
    mutating func addNumbers(_ options: SeccompFilters.Options) -> (allowed: Int, denied: Int) {
        var denied = Set(SeccompTables.denied.compactMap(Compiler.number))
        if !options.allowsDebugging {
            denied.formUnion(SeccompTables.debugging.compactMap(Compiler.number))
        }
        // Their flags lie in memory, where a filter cannot look: unknown, so that libc falls back.
        var unknown = Set(["clone3"].compactMap(Compiler.number))
        let personality = Compiler.number("personality")
        if options.isRoot {
            unknown.formUnion(["openat2", "fchmodat2"].compactMap(Compiler.number))
        }
        var allowed = 0
        for number in Int32(0)..<462 where Self.isKnown(number) {
            if number == personality || unknown.contains(number) { continue }
            if denied.contains(number) {
                rule(SeccompFilters.Action.errno(EPERM), number)
            } else if !SeccompTables.newer.contains(number) {
                rule(SeccompFilters.Action.allow, number)
                allowed += 1
            }
        }
        for number in SeccompTables.newer where !(options.isRoot && number == 452) {
            rule(SeccompFilters.Action.allow, number)
        }
        for value in SeccompTables.personalities {
            if let personality {
                rule(SeccompFilters.Action.allow, personality, [Compiler.equals(0, value)])
            }
        }
        return (allowed, denied.count)
    }

    private static func isKnown(_ number: Int32) -> Bool {
        guard let name = seccomp_syscall_resolve_num_arch(seccomp_arch_native(), number) else {
            return false
        }
        free(name)
        return true
    }

    /// Filter B.
    mutating func addArguments(_ options: SeccompFilters.Options) {
        let refused = SeccompFilters.Action.errno(EPERM)
        for flag in SeccompTables.namespaces {
            for name in ["clone", "unshare"] { forbid(name, refused, [Compiler.has(0, flag)]) }
        }
        forbid("unshare", refused, [Compiler.has(0, SeccompTables.newTime)])
        for request in SeccompTables.controls {
            forbid("ioctl", refused, [Compiler.equals(1, request)])
        }
        let unsupported = SeccompFilters.Action.errno(EAFNOSUPPORT)
        for family in UInt64(0)..<64 where !SeccompTables.families.contains(family) {
            forbid("socket", unsupported, [Compiler.equals(0, family)])
        }
        for netlink in UInt64(1)..<32 {
            forbid("socket", unsupported, [Compiler.equals(0, 16), Compiler.equals(2, netlink)])
        }
        if !options.isRoot { return }
        for (name, argument) in SeccompTables.modes {
            for bit in [UInt64(0o4000), 0o2000] {
                forbid(name, refused, [Compiler.has(argument, bit)])
            }
        }
    }

    private mutating func forbid(_ name: String, _ action: UInt32, _ test: [scmp_arg_cmp]) {
        if let number = Compiler.number(name) { rule(action, number, test) }
    }
}
