// SPDX-License-Identifier: Apache-2.0
import CLinux
import CSeccomp
import Glibc
import Linux

/// The two system call filters, compiled by libseccomp once and kept as BPF.
///
/// A decides by number: known and harmless is allowed, what is listed says EPERM, all else ENOSYS,
/// so that libc falls back. B decides by argument. A call of another architecture's table kills.
enum SeccompFilters {
    struct Options: Hashable, Sendable {
        /// SystemCallFilter=@debug.
        var allowsDebugging: Bool
        /// User=root: no set-id bits.
        var isRoot: Bool
    }

    enum Which: Sendable { case byNumber, byArgument }

    struct Programs: Sendable {
        var byNumber: [UInt8]
        var byArgument: [UInt8]
        var allowed: Int
        var denied: Int
    }

    private static let plain = compile(Options(allowsDebugging: false, isRoot: false))
    private static let plainDebug = compile(Options(allowsDebugging: true, isRoot: false))
    private static let root = compile(Options(allowsDebugging: false, isRoot: true))
    private static let rootDebug = compile(Options(allowsDebugging: true, isRoot: true))

    /// Compiled at the first use of these options; nil when libseccomp fails.
    static func programs(_ options: Options) -> Programs? {
        switch (options.isRoot, options.allowsDebugging) {
        case (false, false): plain
        case (false, true): plainDebug
        case (true, false): root
        case (true, true): rootDebug
        }
    }

    static func bytes(_ options: Options, _ which: Which) throws(JailError) -> [UInt8] {
        guard let programs = programs(options) else {
            throw JailError(.seccomp, "unable to compile the system call filter with libseccomp")
        }
        return which == .byNumber ? programs.byNumber : programs.byArgument
    }

    static func summary(_ options: Options) -> String {
        guard let programs = programs(options) else { return "not available" }
        return "A: \(programs.allowed) allowed + \(SeccompTables.newer.count) by number, "
            + "\(programs.denied) EPERM, rest ENOSYS; B: clone unshare ioctl socket"
            + (options.isRoot ? " chmod mknod open" : "") + "; native only"
    }

    private static func compile(_ options: Options) -> Programs? {
        var numbers = Compiler(otherwise: Action.errno(ENOSYS))
        var arguments = Compiler(otherwise: Action.allow)
        let counts = numbers?.addNumbers(options)
        arguments?.addArguments(options)
        guard let first = numbers?.finish(), let second = arguments?.finish(), let counts else {
            return nil
        }
        return Programs(
            byNumber: first, byArgument: second, allowed: counts.allowed, denied: counts.denied)
    }

    enum Action {
        static let allow: UInt32 = 0x7fff_0000
        static let killProcess: UInt32 = 0x8000_0000
        static func errno(_ number: Int32) -> UInt32 { 0x0005_0000 | UInt32(number) }
    }
}

/// One libseccomp context (seccomp_init(3)); a failed call spoils it, `finish` then says nil.
struct Compiler {
    private let context: scmp_filter_ctx
    private var isGood = true

    init?(otherwise action: UInt32) {
        guard let made = seccomp_init(action) else { return nil }
        context = made
        isGood =
            seccomp_attr_set(made, SCMP_FLTATR_ACT_BADARCH, SeccompFilters.Action.killProcess) == 0
        // A binary tree: some ten comparisons instead of three hundred.
        _ = seccomp_attr_set(made, SCMP_FLTATR_CTL_OPTIMIZE, 2)
    }

    mutating func rule(_ action: UInt32, _ number: Int32, _ comparisons: [scmp_arg_cmp] = []) {
        let result = seccomp_rule_add_array(
            context, action, number, UInt32(comparisons.count), comparisons)
        if result != 0 { isGood = false }
    }

    /// The program's bytes.
    mutating func finish() -> [UInt8]? {
        defer { seccomp_release(context) }
        let memory = Descriptor(owning: cl_memfd("filter"))
        guard isGood, memory.number >= 0, seccomp_export_bpf(context, memory.number) == 0,
            lseek(memory.number, 0, SEEK_SET) == 0
        else { return nil }
        return try? File.readAll(memory.number, limit: 1 << 20)
    }

    /// The number of a call on this architecture; nil where it does not exist.
    static func number(_ name: String) -> Int32? {
        let number = seccomp_syscall_resolve_name(name)
        return number >= 0 ? number : nil
    }

    /// Compares the low 32 bits only: with a range comparison `1<<32|TIOCSTI` reached the kernel.
    static func equals(_ argument: UInt32, _ value: UInt64) -> scmp_arg_cmp {
        scmp_arg_cmp(
            arg: argument, op: SCMP_CMP_MASKED_EQ, datum_a: 0xffff_ffff, datum_b: value)
    }

    static func has(_ argument: UInt32, _ bits: UInt64) -> scmp_arg_cmp {
        scmp_arg_cmp(arg: argument, op: SCMP_CMP_MASKED_EQ, datum_a: bits, datum_b: bits)
    }
}
