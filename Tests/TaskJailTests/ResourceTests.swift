// SPDX-License-Identifier: Apache-2.0
import Glibc
import Testing

/// Limits; the attacks on them are in Tests/attacks.
@Suite struct Resources {
    @Test(arguments: Who.available) func `a fork bomb stays in its jail`(_ who: Who) {
        let run = Probe.python(
            who, ["--tasks", "20", "--deadline", "8000", "--user", "nobody"],
            """
            made = 0
            while True:
                try:
                    if os.fork() == 0:
                        import signal; signal.pause()
                    made += 1
                except OSError as e:
                    print(made, name(e.errno)); break
            """)
        #expect(run.output == "19 EAGAIN\n", "\(run.errors)")
        if who == .root && Resources.hasV1("pids") {
            #expect((Int(run.field("finished", "forks") ?? "") ?? 0) > 0)
        }
    }

    @Test(.needsRoot, arguments: Who.onlyRoot)
    func `memory above the limit is oom, also of a child`(_ who: Who) {
        let script = "x = bytearray(200 << 20)"
        let own = Probe.python(who, ["--mem", "67108864", "--user", "nobody"], script)
        #expect(own.field("finished", "oom") == "1")
        let child = Probe.shell(
            who, ["--mem", "67108864", "--user", "nobody"], "python3 -c '\(script)'; exit 0")
        #expect((Int(child.field("finished", "oom") ?? "") ?? 0) >= 1)
        // The next attempt in a slot starts with what the counters were.
        let calm = Probe.run(
            who, ["--mem", "67108864", "--repeat", "2", "--user", "nobody"], ["/bin/true"])
        #expect(calm.field("finished", "oom") == "0")
    }

    @Test(arguments: Who.available) func `an ordinary user's memory limit is named weak`(
        _ who: Who
    ) {
        let plan = Probe.run(who, ["--mem", "1073741824", "--plan"], ["/bin/true"])
        let strict = Probe.run(who, ["--mem", "1073741824", "--strict"], ["/bin/true"])
        if plan.lines.last == "weak: none" {
            #expect(strict.status == 0)
        } else {
            #expect(plan.lines.last == "weak: LimitMem")
            #expect(strict.status == 219)
            let run = Probe.python(who, ["--mem", "134217728"], "bytearray(400 << 20)")
            #expect(run.errors.contains("MemoryError"))
        }
    }

    @Test(arguments: Who.available, ["/tmp", "/scratch", "/dev/shm"])
    func `full storage is ENOSPC and told`(_ who: Who, _ place: String) {
        let run = Probe.shell(
            who, ["--disk", "4194304"], "dd if=/dev/zero of=\(place)/x bs=1M count=8 2>&1")
        #expect(run.output.contains("No space left"))
        #expect(run.field("finished", "disk") == "true")
    }

    @Test(arguments: Who.available) func `deep trees are torn down at once`(_ who: Who) {
        let run = Probe.python(
            who, ["--deadline", "15000"],
            "for i in range(20000): os.mkdir('d'); os.chdir('d')")
        #expect(run.status == 0, "\(run.errors)")
        #expect(run.field("finished", "init") == "0")
    }

    @Test(.needsRoot, arguments: Who.onlyRoot) func `a share of CPU is held`(_ who: Who) {
        guard Resources.hasV1("cpu") else { return }
        let run = Probe.python(
            who, ["--cpu", "20"],
            """
            import time; b = time.monotonic()
            while time.process_time() < 0.3: pass
            print(time.monotonic() - b > 0.8)
            """)
        #expect(run.output == "True\n")
        #expect((Int(run.field("finished", "throttled") ?? "") ?? 0) > 0)
    }

    @Test(arguments: Who.available) func `CPU time ends in SIGXCPU`(_ who: Who) {
        let run = Probe.shell(who, ["--cputime", "500000"], "while :; do :; done")
        #expect(run.field("ended", "signal") == String(SIGXCPU))
    }

    static func hasV1(_ controller: String) -> Bool {
        access("/sys/fs/cgroup/\(controller)/tasks", F_OK) == 0
    }
}
