// SPDX-License-Identifier: Apache-2.0
import Glibc
import Linux
import Testing

/// Credentials, and files in place of standard input and output.
@Suite struct Credentials {
    private func secret(_ who: Who, _ text: String = "s3cret\n", mode: UInt32 = 0o400) -> String {
        let path = Directory.make(mode: 0o700, owner: who.uid) + "/key"
        Directory.write(text, path, mode: mode)
        chown(path, who.uid, who.uid)
        return path
    }

    private func owner(_ who: Who) -> [String] { ["--owner", String(who.uid)] }

    @Test(arguments: Who.available) func `a credential is a file that only the task reads`(
        _ who: Who
    ) {
        let path = secret(who)
        let run = Probe.shell(
            who, owner(who) + ["--credential", "key:\(path)"],
            "cat $CREDENTIALS_DIRECTORY/key; stat -c '%a %u' $CREDENTIALS_DIRECTORY/* "
                + "$CREDENTIALS_DIRECTORY; id -u; ls -A $CREDENTIALS_DIRECTORY; "
                + "(echo x > $CREDENTIALS_DIRECTORY/x) 2> /dev/null && echo wrote; "
                + "rm -f $CREDENTIALS_DIRECTORY/key 2> /dev/null && echo removed; "
                + "grep credentials /proc/self/mounts | tr ' ' '\n' | sed -n 4p | tr ',' '\n' "
                + "| grep -x -e ro -e nosuid -e nodev -e noexec | sort | tr '\n' ' '")
        let uid = String(who.uid)
        #expect(
            run.lines == [
                "s3cret", "400 \(uid)", "500 \(uid)", uid, "key", "nodev noexec nosuid ro ",
            ], "\(run.output)\(run.errors)")
    }

    @Test(.needsRoot, arguments: Who.onlyRoot)
    func `it is read as the unit's owner, not as the user`(
        _ who: Who
    ) {
        let path = secret(who)
        let run = Probe.shell(
            who, ["--user", "nobody", "--credential", "key:\(path)"],
            "cat $CREDENTIALS_DIRECTORY/key; stat -c %U $CREDENTIALS_DIRECTORY/key; cat \(path)")
        #expect(run.lines == ["s3cret", "nobody"])
        let other = Probe.run(
            who, ["--owner", "65534", "--credential", "key:\(path)"], ["/bin/true"])
        #expect(other.status == 243)
        #expect(other.errors.contains("Permission denied as nobody"))
    }

    @Test(arguments: Who.available) func `without credentials there is no directory`(_ who: Who) {
        let run = Probe.shell(
            who, [], "echo ${CREDENTIALS_DIRECTORY-none}; ls /run/task/credentials 2> /dev/null")
        #expect(run.lines == ["none"])
    }

    @Test(arguments: Who.available, ["absent", "link", "fifo", "directory", "device"])
    func `what is no plain file is 243 with a sentence`(_ who: Who, _ kind: String) {
        let directory = Directory.make(owner: who.uid)
        var path = directory + "/key"
        switch kind {
        case "link":
            Directory.write("x", directory + "/target", mode: 0o444)
            symlink(directory + "/target", path)
        case "fifo": mkfifo(path, 0o666)
        case "directory": mkdir(path, 0o755)
        case "device": path = "/dev/zero"
        default: break
        }
        let run = Probe.run(
            who, owner(who) + ["--credential", "key:\(path)", "--deadline", "5000"],
            ["/bin/true"])
        #expect(run.status == 243)
        #expect(run.errors.contains("unable to open the credential \(path): "), "\(run.errors)")
        let words = [
            "absent": "No such file or directory; ", "link": "a symbolic link", "fifo": "a FIFO",
            "directory": "a directory", "device": "a device",
        ]
        #expect(run.errors.contains(words[kind] ?? "?"), "\(run.errors)")
    }

    @Test(arguments: Who.available) func `together they have 1 MiB`(_ who: Who) {
        let half = secret(who, String(repeating: "x", count: 1 << 19))
        let more = secret(who, String(repeating: "x", count: 1 << 19 + 1))
        let fits = Probe.shell(
            who, owner(who) + ["--credential", "a:\(half)", "--credential", "b:\(half)"],
            "cat $CREDENTIALS_DIRECTORY/* | wc -c")
        #expect(fits.output == "1048576\n", "\(fits.errors)")
        let long = Probe.run(
            who, owner(who) + ["--credential", "a:\(half)", "--credential", "b:\(more)"],
            ["/bin/true"])
        #expect(long.status == 243)
        #expect(long.errors.contains("longer than 1 MiB together"), "\(long.errors)")
    }

    @Test(arguments: Who.available) func `the plan has their names and never their bytes`(
        _ who: Who
    ) {
        let path = secret(who)
        let run = Probe.run(
            who, owner(who) + ["--plan", "--credential", "key:\(path)"], ["/bin/true"])
        #expect(run.output.contains("credential key  \(path)"))
        #expect(!run.output.contains("s3cret"))
    }

    // MARK: - Standard input and output

    @Test(arguments: Who.available) func `files are read and appended to as the task's user`(
        _ who: Who
    ) {
        let directory = Directory.make(owner: who.uid)
        Directory.write("from a file\n", directory + "/in")
        Directory.write("before\n", directory + "/out")
        chown(directory + "/out", who.uid, who.uid)
        let run = Probe.run(
            who, ["--in", directory + "/in", "--out", directory + "/out"], ["/bin/cat"])
        #expect(run.status == 0, "\(run.errors)")
        #expect(text(directory + "/out") == "before\nfrom a file\n")
        let made = Probe.shell(
            who, ["--out", directory + "/new"], "echo made; readlink /proc/self/fd/3")
        #expect(made.status == 1)
        #expect(text(directory + "/new") == "made\n")
        var status = stat()
        stat(directory + "/new", &status)
        #expect(status.st_uid == who.uid)
        #expect(status.st_mode & 0o7777 == 0o644)
    }

    @Test(.needsRoot, arguments: Who.onlyRoot) func `and never with more rights than his`(
        _ who: Who
    ) {
        let closed = Directory.make(mode: 0o700, owner: 0)
        Directory.write("root's\n", closed + "/in")
        let run = Probe.run(who, ["--user", "nobody", "--in", closed + "/in"], ["/bin/cat"])
        #expect(run.status == 208)
        #expect(run.errors.contains("Permission denied as nobody"))
        let out = Probe.run(who, ["--user", "nobody", "--out", closed + "/new"], ["/bin/cat"])
        #expect(out.status == 209)
        #expect(access(closed + "/new", F_OK) != 0)
    }

    @Test(arguments: Who.available, ["--in", "--out"])
    func `a FIFO in their place neither blocks nor is used`(_ who: Who, _ option: String) {
        let directory = Directory.make(owner: who.uid)
        mkfifo(directory + "/fifo", 0o666)
        chmod(directory + "/fifo", 0o666)
        let run = Probe.run(
            who, [option, directory + "/fifo", "--deadline", "5000"], ["/bin/true"])
        #expect(run.status == (option == "--in" ? 208 : 209))
        #expect(run.errors.contains("it is a FIFO; name a regular file"), "\(run.errors)")
        let device = Probe.run(who, [option, "/dev/zero"], ["/bin/true"])
        #expect(device.errors.contains("it is a device; name a regular file"), "\(device.errors)")
    }
}
