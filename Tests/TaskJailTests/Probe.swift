// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import Linux
import Testing

/// Who runs a jail in a test.
enum Who: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case root
    case user

    /// Root, and an ordinary user where his namespaces are permitted.
    static let available: [Who] = {
        var all: [Who] = []
        if geteuid() == 0 { all.append(.root) }
        if userRefusal == nil { all.append(.user) }
        return all
    }()

    static let onlyRoot: [Who] = geteuid() == 0 ? [.root] : []

    /// What the probe said when it could not make an ordinary user's jail.
    static let userRefusal: String? = {
        let run = Probe.run(.user, [], ["/bin/true"])
        return run.status == 0 ? nil : run.errors
    }()

    /// A uid that is nobody's, as root; else the tester's own.
    var uid: UInt32 {
        if self == .root { return 0 }
        return geteuid() == 0 ? 12345 : geteuid()
    }

    var testDescription: String { rawValue }
}

extension Trait where Self == ConditionTrait {
    /// What an ordinary user can't have is skipped by name.
    static var needsRoot: Self { .enabled(if: geteuid() == 0, "needs root") }
}

/// One run of jailprobe.
struct ProbeRun {
    var pid: Int32 = -1
    var status: Int32
    var output: String
    /// What the program wrote to standard error and, one a line, the session's reports.
    var errors: String

    /// The value of `NAME=` in the report lines that begin with a word.
    func field(_ line: String, _ name: String) -> String? {
        for text in errors.split(separator: "\n") where text.hasPrefix(line + " ") {
            for word in text.split(separator: " ") where word.hasPrefix(name + "=") {
                return String(word.dropFirst(name.utf8.count + 1))
            }
        }
        return nil
    }

    var lines: [String] { output.split(separator: "\n").map(String.init) }
}

/// A run that goes on while the test does something to it.
struct LiveProbe {
    var pid: Int32
    var pipe: Int32
    var text: String

    /// Reads what it prints until a sign, 10 seconds at most for each piece.
    mutating func read(until sign: String) -> Bool {
        while !text.contains(sign) {
            var watch = pollfd(fd: pipe, events: Int16(POLLIN), revents: 0)
            guard poll(&watch, 1, 10_000) > 0 else { return false }
            var bytes = [UInt8](repeating: 0, count: 4096)
            let count = Glibc.read(pipe, &bytes, bytes.count)
            if count <= 0 { return false }
            text += String(decoding: bytes[..<count], as: UTF8.self)
        }
        return true
    }

    /// The pid of the jail's init, from the report.
    var initPid: Int32 {
        let after =
            text.split(separator: "started pid=", omittingEmptySubsequences: false).last ?? ""
        return Int32(after.prefix { $0.isNumber }) ?? -1
    }
}

enum Probe {
    /// The probe lies beside the test bundle; a copy that every user can reach.
    private static let path: String = {
        let directory = Directory.make(mode: 0o755)
        let own = File.link("/proc/self/exe")
        var places = [directory]
        for argument in CommandLine.arguments + [own] {
            guard let slash = argument.lastIndex(of: "/") else { continue }
            places.append(String(argument[..<slash]))
        }
        for place in places {
            guard let file = try? File.open(place + "/jailprobe"),
                let bytes = try? File.readAll(file.number, limit: 1 << 30)
            else { continue }
            let copy = directory + "/jailprobe"
            let to = open(copy, O_WRONLY | O_CREAT | O_CLOEXEC, 0o755)
            _ = bytes.withUnsafeBytes { write(to, $0.baseAddress, $0.count) }
            close(to)
            atexit { Directory.removeAll() }
            return copy
        }
        return "jailprobe"
    }()

    /// Runs a program in a jail; 20 seconds at most.
    static func run(_ who: Who, _ options: [String], _ command: [String]) -> ProbeRun {
        spawn(words(who, options, command))
    }

    /// Any program, as the tester.
    static func plain(_ words: [String]) -> ProbeRun { spawn(words) }

    static func words(
        _ who: Who, _ options: [String], _ command: [String]
    ) -> [String] {
        var words = [path] + options + (command.isEmpty ? [] : ["--"] + command)
        if who == .user && geteuid() == 0 {
            let uid = String(who.uid)
            words = ["/usr/bin/setpriv", "--reuid", uid, "--regid", uid, "--clear-groups"] + words
        }
        return words
    }

    /// The same after a shell script that root runs first in a mount namespace of its own; `probe`
    /// there is the run. 20 seconds at most.
    static func inMounts(
        _ who: Who, _ script: String, _ options: [String], _ command: [String]
    ) -> ProbeRun {
        let probe = words(who, options, command).map { "'\($0)'" }.joined(separator: " ")
        let head = "set -e; mount --make-rprivate /; probe() { \(probe); }\n"
        return spawn(["/usr/bin/unshare", "-m", "/bin/sh", "-c", head + script])
    }

    /// The same with a shell script.
    static func shell(_ who: Who, _ options: [String] = [], _ script: String) -> ProbeRun {
        run(who, options, ["/bin/sh", "-c", script])
    }

    /// The same with a Python script that has `s(number, arguments…)`: 0 or the errno of a call.
    static func python(_ who: Who, _ options: [String] = [], _ script: String) -> ProbeRun {
        let prelude = """
            import ctypes, os, sys, errno, socket
            libc = ctypes.CDLL(None, use_errno=True)
            def s(number, *args):
                a = [x if isinstance(x, bytes) else ctypes.c_long(x) for x in args]
                return 0 if libc.syscall(ctypes.c_long(number), *a) >= 0 else ctypes.get_errno()
            def name(e): return errno.errorcode.get(e, str(e)) if e else 'OK'

            """
        return run(who, options, ["/usr/bin/python3", "-c", prelude + script])
    }

    private static func spawn(_ words: [String]) -> ProbeRun {
        let output = cl_memfd("out")
        let errors = cl_memfd("err")
        defer {
            close(output)
            close(errors)
        }
        guard let pid = start(words, output, errors) else {
            return ProbeRun(status: -1, output: "", errors: "no probe")
        }
        let status = wait(pid)
        return ProbeRun(pid: pid, status: status, output: read(output), errors: read(errors))
    }

    private static func start(_ words: [String], _ output: Int32, _ errors: Int32) -> Int32? {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output, 1)
        posix_spawn_file_actions_adddup2(&actions, errors, 2)
        let arguments = CStringArray(words)
        let environment = CStringArray(["PATH=/usr/bin:/bin", "SECRET_OF_TASKRUN=1"])
        var pid: Int32 = 0
        let error = posix_spawn(
            &pid, words[0], &actions, nil, arguments.pointers, environment.pointers)
        return error == 0 ? pid : nil
    }

    /// Starts a run and comes back when its output contains `sign` and the report of its start:
    /// program and probe write to one pipe, in either order. Within 10 seconds each.
    static func start(
        _ who: Who, _ options: [String], _ command: [String], until sign: String
    ) -> LiveProbe? {
        var pipes: [Int32] = [-1, -1]
        guard cl_pipe(&pipes, 1) == 0 else { return nil }
        let pid = start(words(who, options, command), pipes[1], pipes[1])
        close(pipes[1])
        guard let pid else { return nil }
        var live = LiveProbe(pid: pid, pipe: pipes[0], text: "")
        return live.read(until: sign) && live.read(until: "started pid=") ? live : nil
    }

    static func wait(_ pid: Int32) -> Int32 {
        let pidfd = cl_pidfd_open(pid)
        defer { close(pidfd) }
        var watch = pollfd(fd: pidfd, events: Int16(POLLIN), revents: 0)
        let ready = poll(&watch, 1, 20_000)
        if ready == 0 { kill(pid, SIGKILL) }
        var status: Int32 = 0
        waitpid(pid, &status, 0)
        if ready == 0 { return -2 }
        return cl_status_exited(status) != 0 ? cl_status_code(status) : -cl_status_signal(status)
    }

    private static func read(_ descriptor: Int32) -> String {
        lseek(descriptor, 0, SEEK_SET)
        let bytes = (try? File.readAll(descriptor, limit: 1 << 24)) ?? nil
        return String(decoding: bytes ?? [], as: UTF8.self)
    }
}

extension File {
    static func link(_ path: String) -> String {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink(path, &buffer, 4095)
        return String(
            decoding: buffer.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// Temporary directories of a test, in /tmp (also what a jail hides).
enum Directory {
    static func make(mode: UInt32 = 0o755, owner: UInt32? = nil) -> String {
        var template = Array("/tmp/jailtest-\(getpid())-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { return "/nonexistent" }
        let path = String(
            decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        chmod(path, mode)
        if let owner { chown(path, owner, owner) }
        return path
    }

    static func write(_ text: String, _ path: String, mode: UInt32 = 0o644) {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
        _ = text.withCString { Glibc.write(file, $0, strlen($0)) }
        close(file)
    }

    static func removeAll() {
        guard let stream = try? DirectoryStream("/tmp", at: File.here) else { return }
        while let bytes = try? stream.next() {
            let name = String(decoding: bytes, as: UTF8.self)
            if name.hasPrefix("jailtest-\(getpid())-") { remove("/tmp/" + name) }
        }
    }

    private static func remove(_ path: String) {
        if unlink(path) == 0 { return }
        if let stream = try? DirectoryStream(path, at: File.here) {
            while let bytes = try? stream.next() {
                remove(path + "/" + String(decoding: bytes, as: UTF8.self))
            }
        }
        rmdir(path)
    }
}
