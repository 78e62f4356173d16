// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import Testing

/// Signals and processes; the attacks with them are in Tests/attacks.
@Suite struct Processes {
    @Test(arguments: Who.available) func `a signal to the own group reaches the task only`(
        _ who: Who
    ) {
        let run = Probe.shell(
            who, [],
            "read -r pid _ _ _ group _ < /proc/self/stat; [ $group = $$ ] && echo own; kill 0")
        #expect(run.output == "own\n")
        #expect(run.field("ended", "signal") == "15")
        #expect(run.field("finished", "init") == "0")
    }

    @Test(arguments: Who.available) func `no task makes the others slow`(_ who: Who) throws {
        guard access("/proc/self/autogroup", W_OK) == 0 else { return }
        let work = Directory.make(owner: who.uid)
        // The kernel lets one in ten milliseconds write: so each tries for a while.
        let script =
            "if mkdir first 2> /dev/null; then i=0; while [ $i -lt 2000 ]; do i=$((i+1)); "
            + "(echo 19 > /proc/self/autogroup) 2> /dev/null && break; done; echo done; : > wrote; "
            + "until test -e seen; do :; done; else until test -e wrote; do :; done; "
            + "cat /proc/self/autogroup /proc/self/cgroup; : > seen; fi"
        let run = Probe.shell(
            who, ["--work", work, "--repeat", "2", "--slots", "2", "--quiet"], script)
        let isAlone = run.output.contains("nice 0")
        // With a cpu cgroup a slot the value of a group that nobody schedules by is of no effect.
        #expect(isAlone || who == .root, "\(run.output)\(run.errors)")
    }

    @Test(arguments: Who.available) func `an exit of 137 is not a kill`(_ who: Who) {
        let exited = Probe.shell(who, [], "exit 137")
        #expect(exited.field("ended", "exit") == "137")
        let killed = Probe.shell(who, [], "kill -9 $$")
        #expect(killed.field("ended", "signal") == "9")
    }

    @Test(arguments: Who.available) func `a request to stop reaches the program`(_ who: Who) {
        let run = Probe.shell(
            who, ["--term", "300", "--user", "nobody"],
            "trap 'echo asked; exit 7' TERM; while :; do sleep 1 & wait $!; done")
        #expect(run.output == "asked\n")
        #expect(run.status == 7)
    }

    @Test(arguments: Who.available) func `exits of the set-up's numbers are the program's own`(
        _ who: Who
    ) {
        let run = Probe.shell(who, [], "exit 226")
        #expect(run.field("ended", "exit") == "226")
        #expect(!run.errors.contains("failed "))
    }

    @Test(arguments: Who.available) func `jails die with the program that runs them`(_ who: Who)
        throws
    {
        let live = try #require(
            Probe.start(
                who, [], ["/bin/sh", "-c", "echo ready; sleep 300 & sleep 301"], until: "ready"))
        let jail = cl_pidfd_open(live.initPid)
        defer { close(jail) }
        kill(live.pid, SIGKILL)
        waitpid(live.pid, nil, 0)
        var watch = pollfd(fd: jail, events: Int16(POLLIN), revents: 0)
        #expect(poll(&watch, 1, 5000) == 1)
    }

    @Test(arguments: Who.available) func `a launcher that was killed is replaced`(_ who: Who) throws
    {
        let work = Directory.make(owner: who.uid)
        let script =
            "test -e once && exit 0; touch once; echo ready; while ! test -e go; do :; done"
        var live = try #require(
            Probe.start(
                who, ["--repeat", "2", "--work", work], ["/bin/sh", "-c", script], until: "ready"))
        for name in names("/proc") {
            guard let pid = Int32(name), pid != live.initPid else { continue }
            if text("/proc/\(pid)/status").contains("\nPPid:\t\(live.pid)\n") {
                #expect(Processes.isKilled(pid))
            }
        }
        Directory.write("", work + "/go")
        let hasEnded = live.read(until: "attempts=2")
        #expect(hasEnded)
        #expect(Probe.wait(live.pid) == 0)
        #expect(live.text.components("ended program=0 exit=0") == 2, "\(live.text)")
    }

    /// Kills a process and waits until it is dead; its parent may be slow to reap it.
    static func isKilled(_ pid: Int32) -> Bool {
        let descriptor = cl_pidfd_open(pid)
        defer { close(descriptor) }
        kill(pid, SIGKILL)
        var watch = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&watch, 1, 5000) == 1
    }
}
