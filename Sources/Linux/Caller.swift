// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
public import SystemPackage

/// What a program that people type asks its surroundings: environment, user, own place, exec.
public enum Caller {
    /// The value of an environment variable; an empty one counts as unset.
    public static func environment(_ name: String) -> String? {
        guard let value = getenv(name), value.pointee != 0 else { return nil }
        return String(cString: value)
    }

    /// The whole environment as `NAME=VALUE`.
    public static func environment() -> [String] {
        var all: [String] = []
        var next = environ
        while let entry = next.pointee {
            all.append(String(cString: entry))
            next += 1
        }
        return all
    }

    /// The program's arguments, its own name first.
    public static var arguments: [String] {
        (0..<cl_argument_count()).compactMap { index in
            cl_argument(index).map { String(cString: $0) }
        }
    }

    /// Tells the service manager, where there is one: `READY=1`, `STOPPING=1` (sd_notify(3)).
    public static func notifyManager(_ text: String) {
        guard let socket = environment("NOTIFY_SOCKET") else { return }
        _ = MessageSocket.datagram(Array(text.utf8), to: socket)
    }

    /// Effective user id.
    public static var uid: UInt32 { geteuid() }

    public static var pid: Int32 { getpid() }

    /// From now on it is the parent of descendants whose own has ended (PR_SET_CHILD_SUBREAPER). False
    /// where that cannot be had.
    public static func adoptOrphans() -> Bool { cl_prctl_subreaper() == 0 }

    /// Takes the status of a child that has ended.
    public static func reap(_ pid: Int32) {
        var status: Int32 = 0
        _ = cl_wait_pid(pid, &status, nil, 0)
    }

    /// Gives up root's rights for those of another user, for good: groups, gid and uid
    /// (initgroups(3), setuid(2)).
    public static func become(uid: UInt32, gid: UInt32) throws(Errno) {
        let name = getpwuid(uid).map { String(cString: $0.pointee.pw_name) }
        let groups = name.map { initgroups($0, gid) } ?? setgroups(0, nil)
        guard groups == 0, setgid(gid) == 0, setuid(uid) == 0 else { throw Errno.current }
    }

    /// Name of the effective user; nil when the user database has none. `$USER` is not asked:
    /// su(1) keeps it.
    public static var userName: String? {
        guard let entry = getpwuid(geteuid()) else { return nil }
        return String(cString: entry.pointee.pw_name)
    }

    /// `$HOME`, else the user database's.
    public static var home: String? {
        if let home = environment("HOME") { return home }
        guard let entry = getpwuid(geteuid()) else { return nil }
        return String(cString: entry.pointee.pw_dir)
    }

    /// The working directory.
    public static func workingDirectory() throws(Errno) -> String {
        guard let path = getcwd(nil, 0) else { throw Errno.current }
        defer { free(path) }
        return String(cString: path)
    }

    /// The target of a symbolic link; at most 4095 bytes.
    public static func linkTarget(_ path: String) throws(Errno) -> String {
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = try checkedCount {
            bytes.withUnsafeMutableBytes { space in
                guard let base = space.baseAddress else { return 0 }
                return readlink(path, base, space.count)
            }
        }
        return String(decoding: bytes.prefix(count), as: UTF8.self)
    }

    /// Whether the file may be executed by this user (access(2)).
    public static func isExecutable(_ path: String) -> Bool { access(path, X_OK) == 0 }

    /// An absolute path without links, `.` and `..` (realpath(3)).
    public static func realPath(_ path: String) throws(Errno) -> String {
        guard let real = realpath(path, nil) else { throw Errno.current }
        defer { free(real) }
        return String(cString: real)
    }

    /// Becomes another program (execve(2)); returns only by throwing.
    public static func execute(
        path: String, arguments: [String], environment: [String]
    ) throws(Errno) -> Never {
        let program = Program(path: path, arguments: arguments, environment: environment)
        execve(program.path, program.arguments.pointers, program.environment.pointers)
        throw Errno.current
    }

    /// Ends the process at once with a status, as exit(3).
    public static func exit(_ status: Int32) -> Never { Glibc.exit(status) }

    /// Whether a process exists (kill(2) with no signal).
    public static func isAlive(pid: Int32) -> Bool {
        pid > 0 && (kill(pid, 0) == 0 || errno == EPERM)
    }
}

/// What is known of a terminal behind a descriptor.
public enum Terminal {
    /// Whether the caller's session has a controlling terminal (tty(4)); true where nobody can say.
    public static var isControlling: Bool {
        do throws(Errno) {
            _ = try File.open("/dev/tty", flags: [.readWrite, .nonBlocking])
            return true
        } catch {
            return error != .noSuchAddressOrDevice
        }
    }

    public static func isTerminal(_ descriptor: Int32) -> Bool { isatty(descriptor) == 1 }

    /// Its width in columns; nil when it is none or does not say.
    public static func columns(_ descriptor: Int32) -> Int? {
        var size = winsize()
        guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return nil }
        return Int(size.ws_col)
    }
}

extension Pipe {
    /// A pipe whose both ends block: for a child that reads it as its standard input.
    public static func makeBlocking() throws(Errno) -> (read: Int32, write: Int32) {
        var fds: [Int32] = [-1, -1]
        _ = try checked { cl_pipe(&fds, 0) }
        return (fds[0], fds[1])
    }
}
