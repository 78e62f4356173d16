// SPDX-License-Identifier: Apache-2.0
import Glibc
import Testing

/// JAIL attacks 1-15: what a task can find out about its host.
@Suite struct Information {
    @Test(arguments: Who.available) func `the host's accounts are not there`(_ who: Who) {
        let run = Probe.shell(
            who, [],
            "cat /etc/shadow; wc -l < /etc/passwd; ls -A /root /home /opt /srv; cat /etc/machine-id"
        )
        #expect(run.errors.contains("/etc/shadow: No such file"))
        #expect(run.errors.contains("/etc/machine-id: No such file"))
        let lines = run.lines
        #expect(lines.first == (who == .root ? "2" : "2"))
        #expect(Set(lines.dropFirst()) == ["/root:", "/home:", "/opt:", "/srv:"])
    }

    @Test(arguments: Who.available) func `other processes are not seen, init neither`(_ who: Who) {
        let run = Probe.shell(
            who, [],
            "for p in /proc/[0-9]*; do echo $p; done; for f in environ maps mem; do "
                + "cat /proc/1/$f > /dev/null 2>&1 && echo read $f; done; "
                + "ls /proc/1/fd /proc/1/root/ 2>/dev/null; true")
        #expect(!run.lines.contains("/proc/1"))
        #expect(run.lines.allSatisfy { $0.hasPrefix("/proc/") }, "\(run.output)")
        #expect(run.lines.count <= 3)
    }

    @Test(arguments: Who.available) func `kernel tables are hidden`(_ who: Who) {
        let run = Probe.shell(
            who, [],
            "cat /proc/kcore /proc/kallsyms /proc/keys /proc/timer_list 2>/dev/null | wc -c; "
                + "ls -A /sys | wc -l; cat /dev/kmsg; dmesg; true")
        #expect(run.lines.first == "0")
        #expect(run.lines.dropFirst().first == "0")
        #expect(run.errors.contains("/dev/kmsg: No such file"))
        #expect(run.lines.count == 2, "dmesg printed")
    }

    @Test(arguments: Who.available) func `the environment is the documented one`(_ who: Who) {
        let run = Probe.run(who, ["--env", "MINE=1"], ["/usr/bin/env"])
        let names = Set(run.lines.map { String($0.prefix { $0 != "=" }) })
        #expect(
            names == ["MINE", "PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "TASK_SCRATCH"])
    }

    @Test(arguments: Who.available) func `three descriptors and no more`(_ who: Who) {
        let run = Probe.shell(who, [], "for f in /proc/$$/fd/*; do echo ${f##*/}; done")
        // The shell's own, for reading the directory, may be there.
        #expect(run.lines.prefix(3) == ["0", "1", "2"])
        #expect(run.lines.count <= 4)
    }

    @Test(arguments: Who.available) func `the host name is task`(_ who: Who) {
        #expect(Probe.run(who, [], ["/bin/hostname"]).output == "task\n")
    }

    @Test(arguments: Who.available) func `the host's shared memory and /tmp are not there`(
        _ who: Who
    ) {
        let secret = "/dev/shm/jailtest-\(getpid())-\(who.rawValue)"
        Directory.write("secret", secret)
        defer { unlink(secret) }
        let run = Probe.shell(who, [], "cat \(secret); ls -A /tmp /dev/shm /scratch")
        #expect(run.errors.contains("No such file"))
        #expect(run.lines == ["/dev/shm:", "/scratch:", "/tmp:"])
    }

    @Test(arguments: Who.available) func `nothing stays from the task before`(_ who: Who) {
        let run = Probe.shell(
            who, ["--repeat", "3"],
            "cat /tmp/left /scratch/left /dev/shm/left 2>/dev/null; "
                + "echo found | tee /tmp/left /scratch/left > /dev/shm/left")
        #expect(run.output == "")
        #expect(run.status == 0)
    }
}
