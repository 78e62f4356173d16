// SPDX-License-Identifier: Apache-2.0
import CSeccomp
import Glibc
import Synchronization

/// What a system call filter returns to the kernel (seccomp(2)).
enum SeccompAction {
    static let allow: UInt32 = 0x7fff_0000
    static let killProcess: UInt32 = 0x8000_0000
    static func errno(_ number: Int32) -> UInt32 { 0x0005_0000 | UInt32(number) }
}

/// The system call filter of a jail: libseccomp names the calls, `SeccompProgram` compiles once.
///
/// By number: known and harmless is allowed, what is listed says EPERM, all else ENOSYS, so that
/// libc falls back. Some calls are decided by argument. A call of another architecture kills.
enum SeccompFilters {
    struct Options: Hashable, Sendable {
        /// SystemCallFilter=@debug.
        var allowsDebugging: Bool
        /// User=root: no set-id bits.
        var isRoot: Bool
        /// SystemCallFilter=~…: names of further calls that say EPERM, sorted.
        var refused: [String] = []
        /// SystemCallArchitectures=native x86: calls of 32-bit programs, by the same tables.
        var hasX86 = false
    }

    struct Compiled: Sendable {
        var bytes: [UInt8]
        var allowed: Int
        var denied: Int
    }

    private static let plain = compile(Options(allowsDebugging: false, isRoot: false))
    private static let plainDebug = compile(Options(allowsDebugging: true, isRoot: false))
    private static let root = compile(Options(allowsDebugging: false, isRoot: true))
    private static let rootDebug = compile(Options(allowsDebugging: true, isRoot: true))

    // A job line is hostile: it can't fill the memory.
    private static let most = 64
    private static let others = Mutex<[Options: Compiled]>([:])

    /// Compiled at the first use of these options.
    static func compiled(_ options: Options) -> Compiled {
        if !options.refused.isEmpty || options.hasX86 {
            return others.withLock { known in
                if let found = known[options] { return found }
                if known.count >= most { known.removeAll() }
                let made = compile(options)
                known[options] = made
                return made
            }
        }
        return switch (options.isRoot, options.allowsDebugging) {
        case (false, false): plain
        case (false, true): plainDebug
        case (true, false): root
        case (true, true): rootDebug
        }
    }

    static func summary(_ options: Options) -> String {
        let compiled = compiled(options)
        return "\(compiled.allowed) allowed, \(compiled.denied) EPERM, rest ENOSYS; "
            + "by argument clone unshare ioctl prlimit64 socket socketpair personality"
            + (options.isRoot ? " chmod mknod open" : "")
            + (options.refused.isEmpty ? "" : "; \(options.refused.count) more by the unit")
            + (options.hasX86 ? "; native and x86" : "; native only")
    }

    private static func compile(_ options: Options) -> Compiled {
        let verdicts = Verdicts(options)
        let compat = options.hasX86 ? Verdicts(options, .x86).byNumber : nil
        let program = SeccompProgram.assemble(verdicts.byNumber, compat: compat)
        return Compiled(
            bytes: program.withUnsafeBytes { Array($0) },
            allowed: verdicts.byNumber.count { $0 == .allow || $0.isExamination },
            denied: verdicts.byNumber.count { $0 == .refuse(EPERM) })
    }

    /// The number of a call on this architecture; nil where it does not exist.
    static func number(_ name: String) -> Int? {
        let number = seccomp_syscall_resolve_name(name)
        return number >= 0 ? Int(number) : nil
    }
}

/// What becomes of one system call.
enum SeccompVerdict: Hashable, Sendable {
    case allow
    case refuse(Int32)
    /// Tests in order; the action of the last one when none decides.
    case examine([SeccompTest], otherwise: UInt32)

    var isExamination: Bool {
        if case .examine = self { return true }
        return false
    }
}

/// A test of the low 32 bits of an argument, as the kernel takes them.
struct SeccompTest: Hashable, Sendable {
    enum Condition: Hashable, Sendable {
        case any(bits: UInt32)
        case equal([UInt32])
    }
    var argument: UInt32
    var condition: Condition
    /// nil goes on with the next test.
    var hit: UInt32?
    var miss: UInt32?
}

/// The numbers of an architecture's calls.
struct SeccompNumbers {
    /// By name, as the library has them. It resolves names of x86 that socketcall(2) and ipc(2) have, too,
    /// to numbers that no kernel knows; by number it names the calls that there are.
    private let byName: [String: Int]

    static let native = SeccompNumbers(seccomp_arch_native())
    static let x86 = SeccompNumbers(UInt32(SCMP_ARCH_X86))

    private init(_ architecture: UInt32) {
        var names: [String: Int] = [:]
        for number in 0..<Verdicts.end {
            guard let name = seccomp_syscall_resolve_num_arch(architecture, Int32(number)) else {
                continue
            }
            names[String(cString: name)] = number
            free(name)
        }
        byName = names
    }

    subscript(name: String) -> Int? { byName[name] }
    var all: some Sequence<Int> { byName.values.lazy.filter { $0 < 462 } }
}

/// The tables by number of an architecture.
struct Verdicts {
    /// Calls above are unknown.
    static let end = 470
    private(set) var byNumber = [SeccompVerdict](repeating: .refuse(ENOSYS), count: Verdicts.end)
    private let numbers: SeccompNumbers

    init(_ options: SeccompFilters.Options, _ numbers: SeccompNumbers = .native) {
        self.numbers = numbers
        for number in numbers.all { byNumber[number] = .allow }
        for number in SeccompTables.newer { byNumber[Int(number)] = .allow }
        set(SeccompTables.denied, .refuse(EPERM))
        if !options.allowsDebugging { set(SeccompTables.debugging, .refuse(EPERM)) }
        // Their flags lie in memory, where a filter cannot look: unknown, so that libc falls back.
        set(["clone3"], .refuse(ENOSYS))
        examineArguments()
        if options.isRoot { forbidSetID() }
        set(options.refused, .refuse(EPERM))
    }

    private mutating func set(_ names: [String], _ verdict: SeccompVerdict) {
        for name in names {
            if let number = numbers[name] { byNumber[number] = verdict }
        }
    }

    private mutating func examineArguments() {
        let refused = SeccompAction.errno(EPERM)
        let spaces = UInt32(SeccompTables.namespaces.reduce(0, |))
        forbid("clone", 0, .any(bits: spaces), refused)
        forbid("unshare", 0, .any(bits: spaces | UInt32(SeccompTables.newTime)), refused)
        forbid("ioctl", 1, .equal(SeccompTables.controls.map { UInt32($0) }), refused)
        // Init has the uid of an ordinary user's task, and of root's: RLIMIT_CPU would end it.
        forbid("prlimit64", 0, .equal([1]), refused)
        let allowed = SeccompTables.personalities.map { UInt32($0) }
        set(
            ["personality"],
            .examine(
                [SeccompTest(argument: 0, condition: .equal(allowed), hit: SeccompAction.allow)],
                otherwise: SeccompAction.errno(ENOSYS)))
        examineSockets()
    }

    // A family or protocol that is not there makes the kernel load a module, also for socketpair(2).
    private mutating func examineSockets() {
        let unix: UInt32 = 1
        let netlink: UInt32 = 16
        let families = SeccompTables.families.map { UInt32($0) }.sorted()
        let protocols = SeccompTables.protocols.map { UInt32($0) }
        let unsupported = SeccompAction.errno(EAFNOSUPPORT)
        let allow = SeccompAction.allow
        set(
            ["socket"],
            .examine(
                [
                    SeccompTest(argument: 0, condition: .equal([unix]), hit: allow),
                    SeccompTest(argument: 0, condition: .equal(families), miss: unsupported),
                    SeccompTest(argument: 2, condition: .equal([0]), hit: allow),
                    SeccompTest(argument: 0, condition: .equal([netlink]), hit: unsupported),
                    SeccompTest(argument: 2, condition: .equal(protocols), hit: allow),
                ], otherwise: SeccompAction.errno(EPROTONOSUPPORT)))
        set(
            ["socketpair"],
            .examine(
                [SeccompTest(argument: 0, condition: .equal([unix]), hit: allow)],
                otherwise: unsupported))
    }

    private mutating func forbidSetID() {
        for (name, argument) in SeccompTables.modes {
            forbid(name, argument, .any(bits: 0o6000), SeccompAction.errno(EPERM))
        }
        set(["openat2", "fchmodat2"], .refuse(ENOSYS))
        byNumber[452] = .refuse(ENOSYS)  // fchmodat2, where the library does not know its name
    }

    private mutating func forbid(
        _ name: String, _ argument: UInt32, _ condition: SeccompTest.Condition, _ action: UInt32
    ) {
        let test = SeccompTest(argument: argument, condition: condition, hit: action)
        set([name], .examine([test], otherwise: SeccompAction.allow))
    }
}
