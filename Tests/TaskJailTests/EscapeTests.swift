// SPDX-License-Identifier: Apache-2.0
import Glibc
import Testing

/// JAIL attacks 16-39: ways out.
@Suite struct Escape {
    @Test(arguments: Who.available) func `the system is read-only`(_ who: Who) {
        let unit = Directory.make(owner: who.uid)
        let run = Probe.shell(
            who, ["--dir", unit],
            "for f in /usr/x /etc/passwd /usr/bin/sh /run/task/dir/x /x /dev/x /run/x; do "
                + "(echo x > $f) 2>/dev/null && echo wrote $f; done; mkdir /y 2>/dev/null && echo y; "
                + "chmod 777 / 2>/dev/null && echo chmod; true")
        #expect(run.output == "")
        #expect(run.status == 0)
    }

    @Test(arguments: Who.available) func `links in the working directory lead nowhere`(_ who: Who) {
        let work = Directory.make(owner: who.uid)
        let run = Probe.shell(
            who, ["--work", work],
            "ln -s /etc/shadow l; cat l; ls \(work)/../../../.. | tr '\\n' ' '; echo; touch made")
        #expect(run.errors.contains("l: No such file"))
        #expect(run.output.contains("scratch"))
        #expect(access(work + "/made", F_OK) == 0)
    }

    #if arch(x86_64)
        @Test(arguments: Who.available) func `mounts, roots and namespaces are refused`(_ who: Who)
        {
            let run = Probe.python(
                who, [],
                """
                calls = {'mount': (165, b'a', b'/tmp', b'tmpfs', 0, 0), 'umount2': (166, b'/proc', 2),
                  'pivot_root': (155, b'.', b'.'), 'chroot': (161, b'/tmp'), 'open_tree': (428, -100, b'/', 1),
                  'move_mount': (429, -100, b'/tmp', -100, b'/proc', 0), 'fsopen': (430, b'tmpfs', 0),
                  'mount_setattr': (442, -100, b'/', 0, b'', 32), 'open_by_handle_at': (304, -100, b'', 0),
                  'setns': (308, 0, 0), 'unshare': (272, 0x10000000), 'bpf': (321, 0, b'', 0),
                  'keyctl': (250, 0, -3, 0), 'add_key': (248, b'user', b'x', b'y', 1, -3),
                  'perf': (298, b'', 0, -1, -1, 0), 'userfaultfd': (323, 0), 'io_uring': (425, 1, b''),
                  'ptrace': (101, 16, 1, 0, 0), 'pidfd_getfd': (438, 0, 0, 0), 'clone': (56, 0x10000000|17, 0)}
                print([k for k, c in calls.items() if s(*c) != errno.EPERM])
                later = {'clone3': (435, b'', 0), 'open_tree_attr': (467,), 'file_setattr': (469,), 'statmount': (457,)}
                print([k for k, c in later.items() if s(*c) != errno.ENOSYS])
                """)
            #expect(run.lines == ["[]", "[]"], "\(run.errors)")
        }

        @Test(arguments: Who.available) func `calls of another architecture kill`(_ who: Who) {
            let run = Probe.python(who, [], "s(0x40000000 + 39)")
            #expect(run.field("ended", "signal") == String(SIGSYS))
        }

        @Test(arguments: Who.available) func `a wide ioctl and personalities are refused`(
            _ who: Who
        ) {
            let run = Probe.python(
                who, [],
                """
                m, t = os.openpty()
                print(name(s(16, t, (1 << 32) | 0x5412, b'x')), name(s(135, 0x0400000)))
                """)
            #expect(run.output == "EPERM ENOSYS\n", "\(run.errors)")
        }
    #endif

    @Test(arguments: Who.available) func `devices can be neither made nor found`(_ who: Who) {
        let run = Probe.shell(
            who, [],
            "mknod /tmp/vda b 254 0; cat /dev/vda /dev/mem; ls /sys/fs/cgroup; "
                + "(echo x > /proc/sys/kernel/core_pattern); (echo b > /proc/sysrq-trigger); exec 3< /dev/tty"
        )
        let errors = run.errors
        #expect(errors.contains("mknod: /tmp/vda: Operation not permitted"))
        #expect(errors.contains("/dev/vda: No such file"))
        #expect(errors.contains("/dev/mem: No such file"))
        #expect(errors.contains("/sys/fs/cgroup'"))
        #expect(errors.contains("core_pattern: Read-only file system"))
        #expect(errors.contains("/dev/tty"))
    }

    @Test(arguments: Who.available) func `a crash leaves no core`(_ who: Who) {
        let work = Directory.make(owner: who.uid)
        let run = Probe.shell(who, ["--work", work], "ulimit -c; kill -ABRT $$")
        #expect(run.output == "1\n" || run.output == "0\n")
        #expect(run.field("ended", "signal") == String(SIGABRT))
        #expect(rmdir(work) == 0)
    }

    @Test(arguments: Who.available) func `the host's sockets are out of reach`(_ who: Who) {
        let server = Socket.abstract("jailtest-\(getpid())-\(who.rawValue)")
        defer { close(server) }
        let run = Probe.python(
            who, [],
            """
            def to(address):
                try: socket.socket(socket.AF_UNIX).connect(address); return 'OK'
                except OSError as e: return name(e.errno)
            print(to('/run/dbus/system_bus_socket'), to('\\0jailtest-\(getpid())-\(who.rawValue)'))
            """)
        // Without Landlock's ABI 6 (Linux 6.12) the abstract name is reachable, and the plan says so.
        let expected = Machine.hasScopes ? "ENOENT EPERM\n" : "ENOENT OK\n"
        #expect(run.output == expected, "\(run.errors)")
    }
}
