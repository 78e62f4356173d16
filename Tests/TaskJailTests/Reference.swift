// SPDX-License-Identifier: Apache-2.0
import CLinux
import CSeccomp
import Glibc
import Linux

@testable import TaskJail

/// The same tables compiled by libseccomp, as two filters: what our program is compared with.
enum Reference {
    static func programs(_ options: SeccompFilters.Options) -> (a: [UInt8], b: [UInt8])? {
        var numbers = Compiler(otherwise: SeccompAction.errno(ENOSYS))
        var arguments = Compiler(otherwise: SeccompAction.allow)
        numbers?.addNumbers(options)
        arguments?.addArguments(options)
        guard let first = numbers?.finish(), let second = arguments?.finish() else { return nil }
        return (first, second)
    }

    /// For 32-bit programs of x86.
    static func x86(_ options: SeccompFilters.Options) -> (a: [UInt8], b: [UInt8])? {
        var numbers = Compiler(otherwise: SeccompAction.errno(ENOSYS), isX86: true)
        var arguments = Compiler(otherwise: SeccompAction.allow, isX86: true)
        numbers?.addX86Names(options)
        arguments?.addArguments(options)
        guard let first = numbers?.finish(), let second = arguments?.finish() else { return nil }
        return (first, second)
    }
}

/// One libseccomp context (seccomp_init(3)); a failed call spoils it, `finish` then says nil.
struct Compiler {
    private let context: scmp_filter_ctx
    private var isGood = true

    init?(otherwise action: UInt32, isX86: Bool = false) {
        guard let made = seccomp_init(action) else { return nil }
        context = made
        if isX86 {
            _ = seccomp_arch_add(made, UInt32(SCMP_ARCH_X86))
            _ = seccomp_arch_remove(made, seccomp_arch_native())
        }
        isGood =
            seccomp_attr_set(made, SCMP_FLTATR_ACT_BADARCH, SeccompAction.killProcess) == 0
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

extension Compiler {
    /// Filter A of x86, without the two calls that hold others: those are EPERM, and the library
    /// would write rules of their arguments.
    mutating func addX86Names(_ options: SeccompFilters.Options) {
        var denied = Set(SeccompTables.denied + options.refused)
        if !options.allowsDebugging { denied.formUnion(SeccompTables.debugging) }
        var unknown: Set<String> = ["clone3", "socketcall", "ipc"]
        if options.isRoot { unknown.formUnion(["openat2", "fchmodat2"]) }
        for number in Int32(0)..<449 {
            let architecture = UInt32(SCMP_ARCH_X86)
            guard let text = seccomp_syscall_resolve_num_arch(architecture, number) else {
                continue
            }
            let name = String(cString: text)
            free(text)
            let known = seccomp_syscall_resolve_name(name)
            if denied.contains(name) {
                if !unknown.contains(name) { rule(SeccompAction.errno(EPERM), known) }
            } else if name == "personality" {
                for value in SeccompTables.personalities {
                    rule(SeccompAction.allow, known, [Compiler.equals(0, value)])
                }
            } else if !unknown.contains(name) {
                rule(SeccompAction.allow, known)
            }
        }
    }

    /// Filter A.
    mutating func addNumbers(_ options: SeccompFilters.Options) {
        var denied = Set(SeccompTables.denied.compactMap(Compiler.number))
        denied.formUnion(options.refused.compactMap(Compiler.number))
        if !options.allowsDebugging {
            denied.formUnion(SeccompTables.debugging.compactMap(Compiler.number))
        }
        // Their flags lie in memory, where a filter cannot look: unknown, so that libc falls back.
        var unknown = Set(["clone3"].compactMap(Compiler.number))
        let personality = Compiler.number("personality")
        if options.isRoot {
            unknown.formUnion(["openat2", "fchmodat2"].compactMap(Compiler.number))
        }
        for number in Int32(0)..<462 where Self.isKnown(number) {
            if number == personality && !denied.contains(number) || unknown.contains(number) {
                continue
            }
            if denied.contains(number) {
                rule(SeccompAction.errno(EPERM), number)
            } else if !SeccompTables.newer.contains(number) {
                rule(SeccompAction.allow, number)
            }
        }
        for number in SeccompTables.newer where !(options.isRoot && number == 452) {
            rule(SeccompAction.allow, number)
        }
        for value in SeccompTables.personalities {
            if let personality, !denied.contains(personality) {
                rule(SeccompAction.allow, personality, [Compiler.equals(0, value)])
            }
        }
    }

    private static func isKnown(_ number: Int32) -> Bool {
        guard let name = seccomp_syscall_resolve_num_arch(seccomp_arch_native(), number) else {
            return false
        }
        free(name)
        return true
    }

    /// Filter B.
    mutating func addArguments(_ options: SeccompFilters.Options) {
        let refused = SeccompAction.errno(EPERM)
        for flag in SeccompTables.namespaces {
            for name in ["clone", "unshare"] { forbid(name, refused, [Compiler.has(0, flag)]) }
        }
        forbid("unshare", refused, [Compiler.has(0, SeccompTables.newTime)])
        for request in SeccompTables.controls {
            forbid("ioctl", refused, [Compiler.equals(1, request)])
        }
        forbid("prlimit64", refused, [Compiler.equals(0, 1)])
        let unsupported = SeccompAction.errno(EAFNOSUPPORT)
        for family in UInt64(0)..<64 {
            if family != 1 { forbid("socketpair", unsupported, [Compiler.equals(0, family)]) }
            if SeccompTables.families.contains(family) { continue }
            forbid("socket", unsupported, [Compiler.equals(0, family)])
        }
        let unknown = SeccompAction.errno(EPROTONOSUPPORT)
        for number in UInt64(1)..<300 where !SeccompTables.protocols.contains(number) {
            for family in [UInt64(2), 10] {
                forbid("socket", unknown, [Compiler.equals(0, family), Compiler.equals(2, number)])
            }
        }
        for netlink in UInt64(1)..<32 {
            forbid("socket", unsupported, [Compiler.equals(0, 16), Compiler.equals(2, netlink)])
        }
        if !options.isRoot { return }
        for (name, argument) in SeccompTables.modes {
            for bit in [UInt64(0o4000), 0o2000] {
                forbid(name, refused, [Compiler.has(argument, bit)])
            }
        }
    }

    private mutating func forbid(_ name: String, _ action: UInt32, _ test: [scmp_arg_cmp]) {
        if let number = Compiler.number(name) { rule(action, number, test) }
    }
}
