// SPDX-License-Identifier: Apache-2.0
import Glibc
import Testing

/// JAIL attacks 40-51: more rights than one's own.
@Suite struct Privilege {
    @Test(arguments: Who.available) func `no capability is left and none comes back`(_ who: Who) {
        let run = Probe.shell(
            who, [], "grep -E '^(Cap|NoNewPrivs|Seccomp:|Groups)' /proc/self/status")
        for name in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            #expect(run.lines.contains("\(name):\t0000000000000000"))
        }
        #expect(run.lines.contains("NoNewPrivs:\t1"))
        #expect(run.lines.contains("Seccomp:\t2"))
    }

    @Test(.needsRoot, arguments: Who.onlyRoot) func `as root a task has its own groups only`(
        _ who: Who
    ) {
        let run = Probe.run(who, ["--user", "nobody"], ["/usr/bin/id"])
        #expect(run.output == "uid=65534(nobody) gid=65534(nogroup) groups=65534(nogroup)\n")
    }

    @Test(arguments: Who.available) func `set-id programs have no effect`(_ who: Who) {
        let work = Directory.make(owner: who.uid)
        let user = who == .root ? ["--user", "root"] : []
        let run = Probe.shell(
            who, user + ["--work", work],
            "cp /usr/bin/id ./id && chmod 4755 ./id; ./id -u; id -u; su -c id 2>&1 < /dev/null | tail -1"
        )
        #expect(run.lines.count >= 2)
        #expect(run.lines.first == run.lines.dropFirst().first)
        #expect(!run.lines.dropFirst(2).joined().contains("uid=0(root)") || who == .root)
    }

    @Test(.needsRoot, arguments: Who.onlyRoot) func `root in a jail cannot make set-id files`(
        _ who: Who
    ) {
        let work = Directory.make(owner: 0)
        let run = Probe.shell(
            who, ["--user", "root", "--work", work],
            "cp /usr/bin/id id; chmod 4755 id && echo suid; chmod 2755 id && echo sgid; stat -c %a id"
        )
        #expect(run.output == "755\n")
    }

    @Test(arguments: Who.available) func `identities cannot be changed`(_ who: Who) {
        let run = Probe.python(
            who, who == .root ? ["--user", "nobody"] : [],
            """
            def t(f, *a):
                try: f(*a); return 'OK'
                except OSError as e: return name(e.errno)
            print(t(os.setuid, 0) in ('EPERM', 'EINVAL'), t(os.setgroups, [0]) in ('EPERM', 'EINVAL'))
            import resource
            try: resource.setrlimit(resource.RLIMIT_NOFILE, (9999, 9999)); print('raised')
            except (ValueError, OSError): print('refused')
            print(t(os.nice, -5))
            print(t(os.sched_setscheduler, 0, os.SCHED_FIFO, os.sched_param(5)))
            """)
        #expect(run.lines == ["True True", "refused", "EPERM", "EPERM"], "\(run.errors)")
    }

    @Test(arguments: Who.available) func `the out-of-memory score cannot be lowered`(_ who: Who) {
        let run = Probe.shell(
            who, who == .root ? ["--user", "nobody"] : [],
            "cat /proc/self/oom_score_adj; (echo -500 > /proc/self/oom_score_adj) 2>/dev/null && echo low"
        )
        #expect(run.output == "200\n")
    }

    @Test(.needsRoot, arguments: Who.onlyRoot)
    func `a user becomes another only where root says so`(_ who: Who) {
        let refused = Probe.run(who, ["--owner", "65534", "--user", "root"], ["/usr/bin/id"])
        #expect(refused.status == 217)
        #expect(refused.errors.contains("`nobody: root`"))
        let permitted = Probe.run(
            who, ["--owner", "65534", "--user", "daemon", "--rules", "nobody: daemon"],
            ["/usr/bin/id", "-un"])
        #expect(permitted.output == "daemon\n")
        let group = Probe.run(
            who, ["--owner", "65534", "--user", "nobody", "--group", "shadow"], ["/usr/bin/id"])
        #expect(group.status == 216)
    }

    @Test(.needsRoot, arguments: Who.onlyRoot) func `an absent user is told how to be made`(
        _ who: Who
    ) {
        let run = Probe.run(who, ["--user", "no-such-user"], ["/bin/true"])
        #expect(run.status == 217)
        #expect(run.errors.contains("useradd"))
    }
}
