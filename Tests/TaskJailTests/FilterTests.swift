// SPDX-License-Identifier: Apache-2.0
import Glibc
import Testing

@testable import TaskJail

/// The filter against libseccomp's for the same tables, call by call.
@Suite struct Filters {
    private static let all = [false, true].flatMap { debug in
        [false, true].map { SeccompFilters.Options(allowsDebugging: debug, isRoot: $0) }
    }

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

    @Test func `the filter is short`() {
        for options in Self.all {
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
