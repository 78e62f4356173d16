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

    // MARK: - What is mounted below, and later

    @Test(.needsRoot, arguments: Who.available, ["--bind", "--bindrw", "--work", "--dir"])
    func `set-id bits and devices are void also on file systems below`(
        _ who: Who, _ option: String
    ) {
        let outer = Directory.make(owner: who == .root ? 65534 : who.uid)
        mkdir(outer + "/below", 0o755)
        let run = Probe.inMounts(
            who,
            """
            mount -t tmpfs -o suid,dev,mode=755 below \(outer)/below
            mknod -m 666 \(outer)/below/zero c 1 5
            cp /usr/bin/id \(outer)/below/id; chmod 6755 \(outer)/below/id
            probe
            """, [option, outer, "--user", "nobody"],
            [
                "/bin/sh", "-c",
                "d=\(option == "--dir" ? "/run/task/dir" : outer)/below; head -c 1 $d/zero | wc -c; "
                    + "$d/id -u | grep -c ^0; grep -c \"$d .*nosuid,nodev\" /proc/self/mounts",
            ])
        #expect(run.lines == ["0", "0", "1"], "\(run.output)\(run.errors)")
    }

    @Test(.needsRoot, arguments: Who.available)
    func `what the host mounts later is not seen`(_ who: Who) {
        let outer = Directory.make(owner: who.uid)
        mkdir(outer + "/below", 0o777)
        chmod(outer + "/below", 0o777)
        let run = Probe.inMounts(
            who,
            """
            mount --make-rshared /
            probe & probe=$!
            i=0; until test -e \(outer)/below/ready; do sleep .02; i=$((i+1)); test $i -lt 400; done
            mount -t tmpfs late \(outer)/below; touch \(outer)/below/late
            touch \(outer)/go; wait $probe
            """, ["--work", outer],
            [
                "/bin/sh", "-c",
                "touch below/ready; until test -e go; do :; done; ls -A below; "
                    + "grep -c late /proc/self/mounts",
            ])
        #expect(run.lines == ["ready", "0"], "\(run.output)\(run.errors)")
    }

    // MARK: - What is put in the place of something else

    @Test(arguments: Who.available) func `a directory that is replaced stays the opened one`(
        _ who: Who
    ) throws {
        let outer = Directory.make(owner: who.uid)
        let unit = outer + "/unit"
        mkdir(unit, 0o755)
        Directory.write("first\n", unit + "/file")
        let work = Directory.make(owner: who.uid)
        let script =
            "echo ready; until test -e go; do :; done; cat /run/task/dir/file; echo shown"
        var live = try #require(
            Probe.start(
                who, ["--dir", unit, "--work", work], ["/bin/sh", "-c", script], until: "ready"))
        rename(unit, outer + "/old")
        mkdir(unit, 0o755)
        Directory.write("second\n", unit + "/file")
        Directory.write("", work + "/go")
        let isShown = live.read(until: "shown")
        #expect(isShown)
        #expect(Probe.wait(live.pid) == 0)
        #expect(live.text.contains("first\n"))
        #expect(!live.text.contains("second"))
    }

    @Test(.needsRoot, arguments: Who.available, ["--work", "--bind", "--dir"])
    func `a place swapped with a link while jails are built leads nowhere`(
        _ who: Who, _ option: String
    ) {
        let closed = Directory.make(mode: 0o700, owner: 0) + "/inner"
        mkdir(closed, 0o755)
        Directory.write("secret\n", closed + "/file", mode: 0o644)
        let outer = Directory.make(mode: 0o777, owner: who == .root ? 65534 : who.uid)
        let place = outer + "/place"
        let run = Probe.inMounts(
            who,
            """
            mkdir \(place); echo mine > \(place)/file; ln -s \(closed) \(outer)/link
            chown -R --reference=\(outer) \(place)
            python3 -c 'import ctypes, time
            libc = ctypes.CDLL(None)
            while True:
                libc.renameat2(-100, b"\(place)", -100, b"\(outer)/link", 2)
                time.sleep(0.00003)' & swap=$!
            for i in 1 2; do probe || true; done
            kill $swap
            """, [option, place, "--user", "nobody", "--repeat", "25", "--quiet"],
            ["/bin/cat", option == "--dir" ? "/run/task/dir/file" : "\(place)/file"])
        #expect(!run.output.contains("secret"))
        #expect(run.lines.allSatisfy { $0 == "mine" })
        #expect(!run.lines.isEmpty)
    }

    // MARK: - What of the caller's does not come along

    @Test(arguments: Who.available) func `a terminal of the caller's stays outside`(_ who: Who) {
        let out = Directory.make(owner: who.uid) + "/out"
        let probe = Probe.words(
            who, ["--out", out],
            [
                "/bin/sh", "-c",
                "cut -d ' ' -f 7 /proc/self/stat; (exec 3< /dev/tty) 2> /dev/null && echo tty; "
                    + "ls /dev/pts",
            ])
        let list = probe.map { "\"\($0)\"" }.joined(separator: ",")
        _ = Probe.plain(["/usr/bin/python3", "-c", "import pty; pty.spawn([\(list)])"])
        #expect(text(out) == "0\nptmx\n")
    }

    @Test(arguments: Who.available) func `a socket is bound and connected to`(_ who: Who) {
        let path = Directory.make(owner: who.uid) + "/socket"
        let listening = Socket.named(path)
        defer { close(listening) }
        chmod(path, 0o666)
        let run = Probe.python(
            who, ["--bind", "\(path):/srv/socket"],
            "socket.socket(socket.AF_UNIX).connect('/srv/socket'); print('connected')")
        #expect(run.output == "connected\n", "\(run.errors)")
    }
}
