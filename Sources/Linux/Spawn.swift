// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
public import SystemPackage

/// A program to start, prepared once: C strings for execve(2), reused by every start.
public final class Program {
    let path: UnsafeMutablePointer<CChar>
    let arguments: CStringArray
    let environment: CStringArray

    /// - Parameters:
    ///   - path: looked up as given, without a search of PATH.
    ///   - arguments: argv, the program's name first.
    ///   - environment: `NAME=VALUE` strings.
    public init(path: String, arguments: [String], environment: [String]) {
        self.path = strdup(path)
        self.arguments = CStringArray(arguments)
        self.environment = CStringArray(environment)
    }

    /// The same program with further variables, before its own: `NAME=VALUE` strings, each ended by
    /// a zero byte.
    public init(_ program: Program, adding variables: [UInt8]) {
        path = strdup(program.path)
        arguments = program.arguments
        environment = CStringArray(variables, before: program.environment)
    }

    /// The same with other arguments as well.
    public init(_ program: Program, arguments: [String], adding variables: [UInt8]) {
        path = strdup(program.path)
        self.arguments = CStringArray(arguments)
        environment = CStringArray(variables, before: program.environment)
    }

    /// The path as it was given.
    public var name: String { String(cString: path) }

    deinit { free(path) }
}

/// A null-terminated array of C strings, freed with its owner.
public final class CStringArray {
    public let pointers: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
    private let count: Int
    /// Who owns the strings after the first block.
    private let rest: CStringArray?
    private let block: UnsafeMutablePointer<CChar>?

    public init(_ strings: [String]) {
        count = strings.count
        rest = nil
        block = nil
        pointers = .allocate(capacity: count + 1)
        for (index, string) in strings.enumerated() { pointers[index] = strdup(string) }
        pointers[count] = nil
    }

    /// - Parameter bytes: strings, each ended by a zero byte; they come before the others.
    init(_ bytes: [UInt8], before rest: CStringArray) {
        let block = UnsafeMutablePointer<CChar>.allocate(capacity: bytes.count)
        let own = bytes.count { $0 == 0 }
        count = own + rest.count
        self.rest = rest
        self.block = block
        pointers = .allocate(capacity: count + 1)
        var index = 0
        var isStart = true
        for (at, byte) in bytes.enumerated() {
            block[at] = CChar(bitPattern: byte)
            if isStart, index < own {
                pointers[index] = block + at
                index += 1
            }
            isStart = byte == 0
        }
        (pointers + own).update(from: rest.pointers, count: rest.count + 1)
    }

    deinit {
        if block == nil { for index in 0..<count { free(pointers[index]) } }
        block?.deallocate()
        pointers.deallocate()
    }
}

/// Why a program could not be started: the step and its errno.
public struct SpawnError: Error, Equatable, Sendable {
    /// Which step of the start failed.
    public enum Step: String, Sendable {
        case clone, cgroup, directory, session, limit, descriptors, identity, input, output
        case execute
    }
    public var step: Step
    public var errno: Errno

    public init(step: Step, errno: Errno) {
        self.step = step
        self.errno = errno
    }
}

/// Descriptors and limits of one start.
public struct SpawnOptions: Sendable {
    /// -1 keeps the caller's directory.
    public var directory: Int32 = -1
    public var standardInput: Int32 = 0
    public var standardOutput: Int32 = 1
    public var standardError: Int32 = 2
    /// Becomes descriptor 3 of the child when not negative.
    public var extra: Int32 = -1
    public var newSession = false
    /// A process group of its own, in the caller's session.
    public var newGroup = false
    /// SIGKILL when the starting process dies.
    public var diesWithParent = false
    public var nice: Int32 = 0
    /// Its I/O waits for that of all others (ioprio_set(2)).
    public var isIdleIO = false
    /// RLIMIT_DATA in bytes, 0 for none.
    public var memoryLimit: UInt64 = 0
    /// RLIMIT_CPU in seconds, 0 for none; SIGKILL comes 5 seconds after SIGXCPU.
    public var cpuLimit: UInt64 = 0
    /// RLIMIT_NOFILE's soft limit where the caller's is higher, 0 for his.
    public var openFiles: UInt64 = 0
    /// A directory of cgroup v2 to be born in; -1 for the caller's.
    public var cgroup: Int32 = -1
    /// cgroup.procs of a v1 hierarchy to enter first; -1 for none.
    public var procs: Int32 = -1
    public init() {}

    func request(_ program: borrowing Program) -> cl_spawn {
        var request = cl_spawn()
        request.path = UnsafePointer(program.path)
        request.argv = UnsafePointer(program.arguments.pointers)
        request.envp = UnsafePointer(program.environment.pointers)
        request.directory = directory
        request.stdin_fd = standardInput
        request.stdout_fd = standardOutput
        request.stderr_fd = standardError
        request.keep_fd = extra
        request.new_session = newSession ? 1 : 0
        request.new_group = newGroup ? 1 : 0
        request.death_signal = diesWithParent ? SIGKILL : 0
        request.nice = nice
        request.idle_io = isIdleIO ? 1 : 0
        request.memory_limit = memoryLimit
        request.cpu_limit = cpuLimit
        request.open_files = openFiles
        request.cgroup = cgroup
        request.procs = procs
        return request
    }
}

/// A child process known by its pidfd (pidfd_open(2)): never by a number that may be reused.
public struct Child: ~Copyable {
    public let pid: Int32
    /// Readable when the process has ended.
    public let pidfd: Descriptor

    /// A child that this process had before it became another program.
    public init(pid: Int32, pidfd: consuming Descriptor) {
        self.pid = pid
        self.pidfd = pidfd
    }

    /// Starts a program by clone3(VM|VFORK|PIDFD|CLEAR_SIGHAND). One thread only.
    public static func start(
        _ program: borrowing Program, _ options: SpawnOptions
    ) throws(SpawnError) -> Child {
        var request = options.request(program)
        var pidfd: Int32 = -1
        var step: CChar = 0
        let pid = cl_spawn_start(&request, &pidfd, &step)
        if pid < 0 { throw SpawnError(step: Self.step(step), errno: Errno.current) }
        return Child(pid: pid, pidfd: Descriptor(owning: pidfd))
    }

    static func step(_ code: CChar) -> SpawnError.Step {
        switch UInt8(bitPattern: code) {
        case UInt8(ascii: "g"): .cgroup
        case UInt8(ascii: "d"): .directory
        case UInt8(ascii: "s"): .session
        case UInt8(ascii: "r"): .limit
        case UInt8(ascii: "f"): .descriptors
        case UInt8(ascii: "i"): .identity
        case UInt8(ascii: "n"): .input
        case UInt8(ascii: "o"): .output
        case UInt8(ascii: "x"): .execute
        default: .clone
        }
    }

    /// SIGKILL to a child by its number, which is ours until it is reaped; then waits for that.
    public static func killUnreaped(_ pid: Int32) {
        guard pid > 0, kill(pid, SIGKILL) == 0 else { return }
        _ = waitpid(pid, nil, 0)
    }

    /// The end of the process, without waiting; nil while it runs. Reaps it.
    public func ended() throws(Errno) -> ProcessEnd? { try ProcessEnd.of(pidfd: pidfd.number) }

    /// Sends a signal; an ended process is no error.
    public func signal(_ number: Int32) {
        _ = cl_pidfd_send_signal(pidfd.number, number)
    }

    /// SIGKILL to the process and all of its group; needs `newSession` or `newGroup`,
    /// and must come before `ended` has reaped it: until then its number cannot mean another process.
    public func killGroup() {
        _ = kill(-pid, SIGKILL)
    }

    /// A signal to the process and all of its group; needs `newSession` or `newGroup`. Not
    /// after `ended`.
    public func signalGroup(_ number: Int32) {
        _ = kill(-pid, number)
    }
}

/// How a process ended and what it used.
public struct ProcessEnd: Equatable, Sendable {
    /// The raw word of wait(2).
    public var status: Int32
    /// User and system time in microseconds.
    public var cpu: Int64
    /// Peak resident memory in bytes.
    public var memory: Int64

    /// Exit code, nil when a signal ended it.
    public var exitCode: Int32? {
        cl_status_exited(status) != 0 ? cl_status_code(status) : nil
    }
    /// The signal that ended it, nil when it exited.
    public var signal: Int32? {
        cl_status_exited(status) != 0 ? nil : cl_status_signal(status)
    }

    /// Peak resident memory of this process in bytes; it only grows. A child of `Child.start` begins
    /// with it: its `memory` tells nothing unless it is more.
    public static var ownPeak: Int64 {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return Int64(usage.ru_maxrss) * 1024
    }

    public init(status: Int32, cpu: Int64, memory: Int64) {
        self.status = status
        self.cpu = cpu
        self.memory = memory
    }

    /// waitid(P_PIDFD) without waiting; nil while the process runs.
    public static func of(pidfd: Int32) throws(Errno) -> ProcessEnd? {
        var status: Int32 = 0
        var usage = cl_usage()
        let result = try checked { cl_wait_pidfd(pidfd, &status, &usage) }
        if result == 0 { return nil }
        return ProcessEnd(
            status: status, cpu: usage.cpu_microseconds, memory: usage.max_rss_bytes)
    }
}
