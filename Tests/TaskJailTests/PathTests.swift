// SPDX-License-Identifier: Apache-2.0
import Glibc
import Linux
import Testing

/// What a unit names is opened as the task's user, once, and is what it says.
@Suite struct Paths {
    /// A link of the host below /usr or /etc that leads to another directory by its absolute name.
    private static let link: (name: String, target: String)? = {
        for directory in ["/usr/lib/ssl", "/etc/ssl", "/usr/share"] {
            for name in names(directory) {
                let path = directory + "/" + name
                let target = File.link(path)
                var status = stat()
                if target.hasPrefix("/"), stat(path, &status) == 0,
                    status.st_mode & S_IFMT == S_IFDIR
                {
                    return (path, target)
                }
            }
        }
        return nil
    }()

    @Test(.needsRoot, .enabled(if: link != nil, "no absolute link in /usr"))
    func `no mount point is made on the host through a link`() throws {
        let link = try #require(Self.link)
        let shown = Directory.make()
        let name = "jailtest-\(getpid())"
        let run = Probe.run(.root, ["--bind", "\(shown):\(link.name)/\(name)"], ["/bin/true"])
        let isMade = access("\(link.target)/\(name)", F_OK) == 0
        if isMade { rmdir("\(link.target)/\(name)") }
        #expect(!isMade)
        #expect(run.status == 226)
        #expect(run.errors.contains("in the way; name another place"))
    }

    @Test(arguments: Who.available, ["fifo", "device"])
    func `neither a FIFO nor a device is bound`(_ who: Who, _ kind: String) {
        let outer = Directory.make(owner: who.uid)
        let path = kind == "fifo" ? outer + "/fifo" : "/dev/zero"
        if kind == "fifo" { mkfifo(path, 0o666) }
        let run = Probe.run(who, ["--bind", "\(path):/mnt/x"], ["/bin/true"])
        #expect(run.status == 226)
        #expect(run.errors.contains("unable to open \(path): it is a"), "\(run.errors)")
    }

    @Test(arguments: Who.available) func `magic links of the process table lead nowhere`(
        _ who: Who
    ) {
        let run = Probe.run(who, ["--bind", "/proc/self/root/etc:/mnt/x"], ["/bin/true"])
        #expect(run.status == 226)
        #expect(run.errors.contains("/proc/self/root/etc: "))
    }

    @Test(.needsRoot, arguments: Who.onlyRoot)
    func `a task of root learns nothing of the machine's memory`(_ who: Who) {
        let run = Probe.shell(
            who, ["--user", "root"],
            "cat /proc/kpagecount /proc/kpageflags /proc/slabinfo /proc/vmallocinfo "
                + "2> /dev/null | wc -c; ls -A /proc/fs /proc/bus /proc/irq 2> /dev/null | wc -w")
        #expect(run.lines == ["0", "3"], "\(run.output)")
    }
}
