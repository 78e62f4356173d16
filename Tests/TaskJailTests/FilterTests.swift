// SPDX-License-Identifier: Apache-2.0
import CSeccomp
import Glibc
import Testing

@testable import TaskJail

/// The filter against libseccomp's for the same tables, call by call.
@Suite struct Filters {
    private static let plain = [false, true].flatMap { debug in
        [false, true].map { SeccompFilters.Options(allowsDebugging: debug, isRoot: $0) }
    }
    private static let all =
        plain + [
            SeccompFilters.Options(
                allowsDebugging: false, isRoot: false,
                refused: (SeccompGroups.byName["@chown"] ?? []) + [
                    "getrandom", "personality",
                ]),
            SeccompFilters.Options(
                allowsDebugging: true, isRoot: true, refused: SeccompGroups.byName["@timer"] ?? []),
        ]

    @Test(arguments: all) func `decides as libseccomp's filters do`(
        _ options: SeccompFilters.Options
    ) throws {
        let ours = Machine32(SeccompFilters.compiled(options).bytes)
        let reference = try #require(Reference.programs(options))
        let theirs = [Machine32(reference.a), Machine32(reference.b)]
        let sockets = [
            UInt32(try #require(SeccompFilters.number("socket"))),
            UInt32(try #require(SeccompFilters.number("socketpair"))),
        ]
        // 0x8000_0000 and above look at the high half, which must not matter.
        var values: [UInt64] = Array(0..<64) + (6..<32).map { 1 << $0 } + SeccompTables.controls
        values += SeccompTables.personalities + [0o4755, 0o2755, 0o755, 0o6000, 0xffff_ffff]
        values += values.map { $0 | 1 << 32 }
        for number in Array(0..<480) + [0x4000_0000, 0x4000_0010, 0xffff_ffff] as [UInt32] {
            for value in values {
                let call = Call(number: number, arguments: [value, value, value, value])
                // The reference lists families; above them there are none, and the kernel says so.
                let isStrange =
                    sockets.contains(number) && UInt32(truncatingIfNeeded: value) >= 64
                let expected =
                    isStrange
                    ? SeccompAction.errno(EAFNOSUPPORT)
                    : Machine32.combined(theirs.map { $0.run(call) })
                let got = ours.run(call)
                guard got != expected else { continue }
                Issue.record(
                    "call \(number), \(value): \(String(got, radix: 16)), libseccomp \(String(expected, radix: 16))"
                )
                return
            }
        }
    }

    @Test(arguments: [
        (UInt64(16), UInt64(0), true), (16, 9, false), (2, 6, true), (40, 0, false), (1, 9, true),
        (2, 132, false), (10, 33, false), (2, 262, true),
    ])
    func `sockets are decided by family and protocol`(
        _ family: UInt64, _ number: UInt64, _ isAllowed: Bool
    ) throws {
        let options = SeccompFilters.Options(allowsDebugging: false, isRoot: false)
        let program = Machine32(SeccompFilters.compiled(options).bytes)
        let socket = UInt32(try #require(SeccompFilters.number("socket")))
        let got = program.run(Call(number: socket, arguments: [family, 1, number, 0]))
        let refusal = family == 2 || family == 10 ? EPROTONOSUPPORT : EAFNOSUPPORT
        #expect(got == (isAllowed ? SeccompAction.allow : SeccompAction.errno(refusal)))
    }

    @Test func `another architecture is killed`() {
        let options = SeccompFilters.Options(allowsDebugging: false, isRoot: false)
        var call = Call(number: 1, arguments: [0, 0, 0, 0])
        call.architecture = 0x4000_0003
        #expect(
            Machine32(SeccompFilters.compiled(options).bytes).run(call)
                == SeccompAction.killProcess)
    }

    // However many a hostile unit names, and in whatever pattern.
    @Test(arguments: [1, 2, 3, 5]) func `a filter of any length is assembled`(_ step: Int) throws {
        let names = (0..<460).compactMap { number -> String? in
            guard number % step == 0,
                let text = seccomp_syscall_resolve_num_arch(seccomp_arch_native(), Int32(number))
            else { return nil }
            defer { free(text) }
            return String(cString: text)
        }
        for hasX86 in [false, true] {
            var options = SeccompFilters.Options(allowsDebugging: false, isRoot: true)
            options.refused = names
            options.hasX86 = hasX86
            let bytes = SeccompFilters.compiled(options).bytes
            #expect(bytes.count / 8 <= 4096)
            let ours = Machine32(bytes)
            options.refused = []
            let before = Machine32(SeccompFilters.compiled(options).bytes)
            for number in 0..<UInt32(480) {
                let isNamed =
                    number < 460 && Int(number) % step == 0
                    && names.contains {
                        SeccompFilters.number($0) == Int(number)
                    }
                for value in [0, 1, 0x1000_0000, 0x5412] as [UInt64] {
                    let call = Call(number: number, arguments: [value, value, value, value])
                    let expected = isNamed ? SeccompAction.errno(EPERM) : before.run(call)
                    #expect(ours.run(call) == expected, "\(number)")
                }
            }
        }
    }

    #if arch(x86_64)
        @Test(arguments: all) func `32-bit calls are decided by the same tables`(
            _ options: SeccompFilters.Options
        ) throws {
            var options = options
            options.hasX86 = true
            let ours = Machine32(SeccompFilters.compiled(options).bytes)
            let reference = try #require(Reference.x86(options))
            let theirs = [Machine32(reference.a), Machine32(reference.b)]
            let sockets: Set<UInt32> = [359, 360]
            let values: [UInt64] =
                Array(0..<64) + (6..<32).map { 1 << $0 } + SeccompTables.controls
                + SeccompTables.personalities + [0o4755, 0o2755, 0o6000]
            for number in 0..<UInt32(449) where number != 102 && number != 117 {
                for value in values where !sockets.contains(number) || value < 64 {
                    var call = Call(number: number, arguments: [value, value, value, value])
                    call.architecture = SeccompProgram.x86
                    let expected = Machine32.combined(theirs.map { $0.run(call) })
                    let got = ours.run(call)
                    guard got != expected else { continue }
                    Issue.record(
                        "call \(number), \(value): \(String(got, radix: 16)), \(String(expected, radix: 16))"
                    )
                    return
                }
            }
            for (number, action) in [
                (102, SeccompAction.errno(EPERM)), (117, SeccompAction.errno(EPERM)),
                (449, SeccompAction.allow), (467, SeccompAction.errno(ENOSYS)),
                (480, SeccompAction.errno(ENOSYS)),
            ] as [(UInt32, UInt32)] {
                var call = Call(number: number, arguments: [1, 1, 1, 1])
                call.architecture = SeccompProgram.x86
                #expect(ours.run(call) == action, "\(number)")
            }
            // Nothing else changes: the native half, and what is neither.
            let native = Machine32(SeccompFilters.compiled(withoutX86(options)).bytes)
            for number in Array(0..<480) + [0x4000_0010, 0xffff_ffff] as [UInt32] {
                let call = Call(number: number, arguments: [2, 2, 2, 2])
                #expect(ours.run(call) == native.run(call))
            }
            var arm = Call(number: 1, arguments: [0, 0, 0, 0])
            arm.architecture = 0x4000_0028
            #expect(ours.run(arm) == SeccompAction.killProcess)
        }

        private func withoutX86(_ options: SeccompFilters.Options) -> SeccompFilters.Options {
            var options = options
            options.hasX86 = false
            return options
        }

        /// Makes a 32-bit call as int 0x80 does from a 64-bit program: its result, a negative errno.
        private static let old = """
            import mmap
            def old(number, a=0, b=0, c=0):
                code = (b'\\x53\\xb8' + number.to_bytes(4, 'little') + b'\\xbb' + a.to_bytes(4, 'little')
                    + b'\\xb9' + b.to_bytes(4, 'little') + b'\\xba' + c.to_bytes(4, 'little')
                    + b'\\xcd\\x80\\x5b\\xc3')
                m = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
                m.write(code)
                return ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))()

            """

        @Test(arguments: Who.available) func `32-bit programs run where the unit says so`(
            _ who: Who
        ) {
            // getpid; socketcall; ipc; ptrace; mount; socket(VSOCK).
            let script =
                Self.old
                + "print(old(20) == os.getpid(), old(102, 1), old(117), old(26), old(21), old(359, 40, 1))"
            let run = Probe.python(who, ["--arch", "native", "--arch", "x86"], script)
            #expect(run.output == "True -1 -1 -1 -1 -97\n", "\(run.errors)")
            let killed = Probe.python(who, [], script)
            #expect(killed.field("ended", "signal") == String(SIGSYS))
        }
    #endif

    @Test(arguments: Who.available) func `a unit refuses further calls`(_ who: Who) {
        let run = Probe.python(
            who, ["--filter", "~@network-io", "--filter", "~mkdir", "--filter", "~mkdirat"],
            """
            def t(f, *a):
                try: f(*a); return 'OK'
                except OSError as e: return name(e.errno)
            print(t(socket.socket, socket.AF_INET), t(os.mkdir, '/tmp/x'), t(os.listdir, '/tmp'))
            """)
        #expect(run.output == "EPERM EPERM OK\n", "\(run.errors)")
    }

    @Test(arguments: [
        ("@system-service", "a list of what alone is allowed is not carried out"),
        ("connect", "~connect to refuse it"), ("~@no-such", "groups are @aio"),
        ("~execve", "no program starts or ends without it"),
        ("~nosuchcall", "there is no such system call"),
    ])
    func `what is not carried out is said`(_ word: String, _ sentence: String) {
        let error = #expect(throws: JailError.self) {
            try JailSystemCalls(filter: [word], architectures: [])
        }
        #expect(error?.code == 228)
        #expect(error?.message.contains(sentence) == true, "\(error?.message ?? "")")
    }

    @Test func `groups are systemd's`() {
        let analyze = "/usr/bin/systemd-analyze"
        guard access(analyze, X_OK) == 0 else { return }
        for (group, names) in SeccompGroups.byName {
            let run = Probe.plain([analyze, "syscall-filter", group])
            let theirs = run.lines.dropFirst().map { $0.drop { $0 == " " } }
                .filter { !$0.isEmpty && !$0.contains("#") }.map(String.init)
            #expect(!theirs.isEmpty)
            let missing = theirs.filter {
                !names.contains($0) && SeccompNumbers.native[$0] != nil
            }
            #expect(missing.isEmpty, "\(group): \(missing)")
        }
    }

    @Test func `the filter is short`() {
        for options in Self.plain {
            #expect(SeccompFilters.compiled(options).bytes.count / 8 < 180)
        }
    }
}

/// struct seccomp_data.
struct Call {
    var number: UInt32
    var architecture = SeccompProgram.architecture
    var arguments: [UInt64]

    func word(_ offset: UInt32) -> UInt32 {
        switch offset {
        case 0: return number
        case 4: return architecture
        case 16..<48:
            let value = arguments[Int(offset - 16) / 8]
            return UInt32(truncatingIfNeeded: offset % 8 == 0 ? value : value >> 32)
        default: return 0
        }
    }
}

/// Classic BPF as the kernel runs it, for the instructions that filters use.
struct Machine32 {
    private let code: [SeccompProgram.Instruction]

    init(_ bytes: [UInt8]) {
        code = bytes.withUnsafeBytes { Array($0.bindMemory(to: SeccompProgram.Instruction.self)) }
    }

    func run(_ call: Call) -> UInt32 {
        var accumulator: UInt32 = 0
        var at = 0
        while at < code.count {
            let step = code[at]
            at += 1
            switch step.code {
            case 0x20: accumulator = call.word(step.constant)
            case 0x54: accumulator &= step.constant
            case 0x05: at += Int(step.constant)
            case 0x15: at += skip(step, accumulator == step.constant)
            case 0x25: at += skip(step, accumulator > step.constant)
            case 0x35: at += skip(step, accumulator >= step.constant)
            case 0x45: at += skip(step, accumulator & step.constant != 0)
            case 0x06: return step.constant
            default: return 0xdead_0000 | UInt32(step.code)
            }
        }
        return 0xdead_ffff
    }

    private func skip(_ step: SeccompProgram.Instruction, _ isTrue: Bool) -> Int {
        Int(isTrue ? step.whenTrue : step.whenFalse)
    }

    /// The filter loaded last is asked first; a stricter action of another one replaces its own.
    static func combined(_ results: [UInt32]) -> UInt32 {
        func rank(_ action: UInt32) -> Int32 { Int32(bitPattern: action & 0xffff_0000) }
        var result = SeccompAction.allow
        for action in results.reversed() where rank(action) < rank(result) { result = action }
        return result
    }
}
