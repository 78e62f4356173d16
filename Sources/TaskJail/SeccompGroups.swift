// SPDX-License-Identifier: Apache-2.0

/// Groups of system calls with systemd's names and members (systemd-analyze syscall-filter): what
/// `SystemCallFilter=~@NAME` refuses. A test compares them with systemd's where that is installed.
enum SeccompGroups {
    static let byName: [String: [String]] = [
        "@aio": [
            "io_cancel", "io_destroy", "io_getevents", "io_pgetevents", "io_pgetevents_time64",
            "io_setup", "io_submit", "io_uring_enter", "io_uring_register", "io_uring_setup",
        ],
        "@chown": [
            "chown", "chown32", "fchown", "fchown32", "fchownat", "lchown", "lchown32",
        ],
        "@clock": [
            "adjtimex", "clock_adjtime", "clock_adjtime64", "clock_settime", "clock_settime64",
            "settimeofday",
        ],
        "@cpu-emulation": [
            "modify_ldt", "vm86", "vm86old",
        ],
        "@debug": [
            "lookup_dcookie", "perf_event_open", "pidfd_getfd", "ptrace", "kcmp",
            "process_vm_readv", "process_vm_writev",
        ],
        "@io-event": [
            "_newselect", "epoll_create", "epoll_create1", "epoll_ctl", "epoll_ctl_old",
            "epoll_pwait", "epoll_pwait2", "epoll_wait", "epoll_wait_old", "eventfd", "eventfd2",
            "poll", "ppoll", "ppoll_time64", "pselect6", "pselect6_time64", "select",
        ],
        "@ipc": [
            "ipc", "memfd_create", "mq_getsetattr", "mq_notify", "mq_open", "mq_timedreceive",
            "mq_timedreceive_time64", "mq_timedsend", "mq_timedsend_time64", "mq_unlink",
            "msgctl", "msgget", "msgrcv", "msgsnd", "pipe", "pipe2", "process_madvise",
            "process_vm_readv", "process_vm_writev", "semctl", "semget", "semop", "semtimedop",
            "semtimedop_time64", "shmat", "shmctl", "shmdt", "shmget",
        ],
        "@keyring": [
            "add_key", "keyctl", "request_key",
        ],
        "@memlock": [
            "mlock", "mlock2", "mlockall", "munlock", "munlockall",
        ],
        "@module": [
            "delete_module", "finit_module", "init_module",
        ],
        "@mount": [
            "chroot", "fsconfig", "fsmount", "fsopen", "fspick", "mount", "mount_setattr",
            "move_mount", "open_tree", "pivot_root", "umount", "umount2",
        ],
        "@network-io": [
            "accept", "accept4", "bind", "connect", "getpeername", "getsockname", "getsockopt",
            "listen", "recv", "recvfrom", "recvmmsg", "recvmmsg_time64", "recvmsg", "send",
            "sendmmsg", "sendmsg", "sendto", "setsockopt", "shutdown", "socket", "socketcall",
            "socketpair",
        ],
        "@obsolete": [
            "_sysctl", "afs_syscall", "bdflush", "break", "create_module", "ftime",
            "get_kernel_syms", "getpmsg", "gtty", "idle", "lock", "mpx", "prof", "profil",
            "putpmsg", "query_module", "security", "sgetmask", "ssetmask", "stime", "stty",
            "sysfs", "tuxcall", "ulimit", "uselib", "ustat", "vserver",
        ],
        "@process": [
            "capget", "clone", "clone3", "execveat", "fork", "getrusage", "kill", "pidfd_open",
            "pidfd_send_signal", "prctl", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "setns",
            "tgkill", "times", "tkill", "unshare", "vfork", "wait4", "waitid", "waitpid",
        ],
        "@raw-io": [
            "ioperm", "iopl",
        ],
        "@reboot": [
            "kexec_file_load", "kexec_load", "reboot",
        ],
        "@resources": [
            "ioprio_set", "mbind", "migrate_pages", "move_pages", "nice", "sched_setaffinity",
            "sched_setattr", "sched_setparam", "sched_setscheduler", "set_mempolicy",
            "set_mempolicy_home_node", "setpriority", "setrlimit",
        ],
        "@setuid": [
            "setgid", "setgid32", "setgroups", "setgroups32", "setregid", "setregid32",
            "setresgid", "setresgid32", "setresuid", "setresuid32", "setreuid", "setreuid32",
            "setuid", "setuid32",
        ],
        "@signal": [
            "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigsuspend", "rt_sigtimedwait",
            "rt_sigtimedwait_time64", "sigaction", "sigaltstack", "signal", "signalfd",
            "signalfd4", "sigpending", "sigprocmask", "sigsuspend",
        ],
        "@swap": [
            "swapoff", "swapon",
        ],
        "@sync": [
            "fdatasync", "fsync", "msync", "sync", "sync_file_range", "sync_file_range2",
            "syncfs",
        ],
        "@timer": [
            "alarm", "getitimer", "setitimer", "timer_create", "timer_delete", "timer_getoverrun",
            "timer_gettime", "timer_gettime64", "timer_settime", "timer_settime64",
            "timerfd_create", "timerfd_gettime", "timerfd_gettime64", "timerfd_settime",
            "timerfd_settime64", "times",
        ],
    ]

    /// Without it the program itself could not be started.
    static let needed: Set<String> = ["execve", "exit", "exit_group", "rt_sigreturn"]
}
