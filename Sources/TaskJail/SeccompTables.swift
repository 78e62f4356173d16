// SPDX-License-Identifier: Apache-2.0

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
        // 32-bit: their arguments lie in memory; memory of the first processors; the clock
        "socketcall", "ipc", "vm86", "vm86old", "stime", "clock_settime64", "clock_adjtime64",
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
    /// Of INET and INET6, besides 0: ICMP TCP UDP ICMPV6 UDPLITE MPTCP. SCTP and DCCP are modules.
    static let protocols: Set<UInt64> = [1, 6, 17, 58, 136, 262]
    /// PER_LINUX, PER_LINUX32, with UNAME26, ADDR_NO_RANDOMIZE, and the question.
    static let personalities: [UInt64] = [0, 8, 0x20000, 0x20008, 0x40000, 0xffff_ffff]

    /// Calls that set a mode, and the argument that has it.
    static let modes: [(String, UInt32)] = [
        ("chmod", 1), ("fchmod", 1), ("fchmodat", 2), ("mknod", 1), ("mknodat", 2), ("open", 2),
        ("openat", 3), ("creat", 1),
    ]
}
