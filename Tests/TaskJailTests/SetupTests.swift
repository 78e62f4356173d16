// SPDX-License-Identifier: Apache-2.0
import Glibc
import Testing

/// Failures of the set-up, programs one after another, paths.
@Suite struct Setup {
    @Test(arguments: Who.available) func `a missing command is told apart`(_ who: Who) {
        let run = Probe.run(who, [], ["no-such-command"])
        #expect(run.status == 127)
        #expect(run.field("failed", "missing") == "true")
        #expect(run.field("failed", "code") == "203")
        let script = Probe.run(who, ["--file", "a=#!/no/such/interpreter"], ["./a"])
        #expect(script.field("failed", "missing") == "false")
        #expect(script.errors.contains("interpreter"))
        let text = Probe.run(who, ["--file", "a=echo no first line"], ["./a"])
        #expect(text.errors.contains("#!INTERPRETER"))
    }

    @Test(arguments: Who.available) func `PATH is the jail's`(_ who: Who) {
        let run = Probe.run(
            who, ["--env", "PATH=/nowhere:/run/task/dir", "--file", "mine=#!/bin/sh\necho mine"],
            ["mine"])
        #expect(run.output == "mine\n")
    }

    @Test(arguments: Who.available) func `an absent working directory is 200 with the cure`(
        _ who: Who
    ) {
        let run = Probe.run(who, ["--work", "/tmp/jailtest-absent"], ["/bin/true"])
        #expect(run.status == 200)
        #expect(run.errors.contains("mkdir -p /tmp/jailtest-absent && chown"))
        #expect(run.field("finished", "init") == "none")
    }

    @Test(arguments: Who.available) func `another's working directory is refused`(_ who: Who) {
        let squatted = Directory.make(owner: who == .root ? 12345 : nil)
        let path = who == .root || geteuid() == 0 ? squatted : "/usr"
        let run = Probe.run(who, ["--work", path], ["/bin/true"])
        #expect(run.status == 200)
    }

    @Test(.needsRoot, arguments: Who.onlyRoot) func `paths are opened as the task's user`(
        _ who: Who
    ) {
        let closed = Directory.make(mode: 0o700, owner: 0)
        let inner = closed + "/work"
        mkdir(inner, 0o755)
        chown(inner, 65534, 65534)
        let run = Probe.run(who, ["--user", "nobody", "--work", inner], ["/bin/true"])
        #expect(run.status == 200)
        #expect(run.errors.contains("Permission denied as nobody"))
    }

    @Test(arguments: Who.available) func `checks run in order and the first failure ends`(
        _ who: Who
    ) {
        let run = Probe.run(
            who,
            ["--check", "echo one > /tmp/a; echo 1", "--check", "cat /tmp/a", "--check", "exit 4"],
            ["/bin/echo", "never"])
        #expect(run.output == "1\none\n")
        #expect(run.status == 4)
        #expect(run.field("finished", "init") == "0")
    }

    @Test(arguments: Who.available) func `nothing of a check lives on beside the command`(
        _ who: Who
    ) {
        let run = Probe.run(
            who, ["--check", "sleep 300 & exit 0"],
            ["/bin/sh", "-c", "ls -d /proc/[0-9]* | wc -l"])
        #expect((Int(run.lines.last ?? "") ?? 99) <= 3, "\(run.output)")
    }

    @Test(arguments: Who.available) func `carried files lie over the unit's directory`(_ who: Who) {
        let unit = Directory.make(owner: who.uid)
        Directory.write("host\n", unit + "/host.txt")
        Directory.write("old\n", unit + "/carried")
        let run = Probe.run(
            who, ["--dir", unit, "--file", "carried=#!/bin/sh\ncat /run/task/dir/host.txt; pwd"],
            ["./carried"])
        #expect(run.output == "host\n/scratch\n", "\(run.errors)")
    }

    @Test(arguments: Who.available) func `a unit's directory alone is shown read-only`(_ who: Who) {
        let unit = Directory.make(owner: who.uid)
        Directory.write("#!/bin/sh\ntouch $0 || echo read-only\n", unit + "/x", mode: 0o755)
        #expect(Probe.run(who, ["--dir", unit], ["./x"]).output == "read-only\n")
    }

    @Test(arguments: Who.available) func `binds appear where they are named`(_ who: Who) {
        let shown = Directory.make()
        Directory.write("shown\n", shown + "/f")
        let run = Probe.shell(
            who, ["--bind", shown],
            "cat \(shown)/f; (echo x > \(shown)/g) 2>/dev/null && echo wrote")
        #expect(run.output == "shown\n")
    }

    @Test(arguments: Who.available) func `the jail's own places cannot be bound over`(_ who: Who) {
        let places = [
            "/proc", "/dev", "/", "/scratch/x", "//etc/x", "/tmp", "/var/tmp", "/run",
            "/run/task/x",
        ]
        for place in places {
            #expect(Probe.run(who, ["--work", place], ["/bin/true"]).status == 200)
        }
    }

    @Test(.disabled(if: Who.userRefusal != nil, "user namespaces are refused on this machine"))
    func `an ordinary user's jails run on this machine`() {
        #expect(Who.available.contains(.user))
    }

    @Test(arguments: Who.available, ["../../etc/x", "a/../../b", "."])
    func `carried files stay below the unit's directory`(_ who: Who, _ path: String) {
        let run = Probe.run(who, ["--file", "\(path)=x"], ["/bin/true"])
        #expect(run.status == 226)
        #expect(run.errors.contains("unable to carry"))
    }

    @Test(arguments: Who.available) func `a working directory may lie deep in /tmp or elsewhere`(
        _ who: Who
    ) {
        let outer = Directory.make(owner: who.uid)
        let inner = outer + "/a"
        mkdir(inner, 0o755)
        chown(inner, who.uid, who.uid)
        let run = Probe.shell(who, ["--work", inner], "pwd; touch made; ls -A \(outer)")
        #expect(run.output == "\(inner)\na\n", "\(run.errors)")
        #expect(access(inner + "/made", F_OK) == 0)
    }
}
