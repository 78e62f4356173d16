// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Assembles a filter in classic BPF: a binary search over ranges of numbers, then blocks that look
/// at arguments. libseccomp's own output for the same tables is 700 instructions in two filters, and
/// the kernel compiles them for every attempt; this one is a third of it. A test compares the two.
struct SeccompProgram {
    /// struct sock_filter (linux/filter.h).
    struct Instruction: Equatable {
        var code: UInt16
        var whenTrue: UInt8 = 0
        var whenFalse: UInt8 = 0
        var constant: UInt32
    }

    private enum Code {
        static let load: UInt16 = 0x20  // BPF_LD|BPF_W|BPF_ABS
        static let jump: UInt16 = 0x05
        static let jumpEqual: UInt16 = 0x15
        static let jumpAtLeast: UInt16 = 0x35
        static let jumpBits: UInt16 = 0x45
        static let give: UInt16 = 0x06
    }

    /// AUDIT_ARCH_* (linux/audit.h).
    #if arch(x86_64)
        static let architecture: UInt32 = 0xc000_003e
    #elseif arch(arm64)
        static let architecture: UInt32 = 0xc000_00b7
    #endif

    private struct Range {
        var first: UInt32
        var verdict: SeccompVerdict
    }

    private var code: [Instruction] = []
    /// Jumps to blocks that are not placed yet.
    private var pending: [(at: Int, verdict: SeccompVerdict)] = []

    static func assemble(_ verdicts: [SeccompVerdict]) -> [Instruction] {
        var program = SeccompProgram()
        program.prologue()
        program.search(ranges(verdicts)[...])
        program.placeBlocks()
        return program.code
    }

    private static func ranges(_ verdicts: [SeccompVerdict]) -> [Range] {
        var result: [Range] = []
        for (number, verdict) in verdicts.enumerated() where result.last?.verdict != verdict {
            result.append(Range(first: UInt32(number), verdict: verdict))
        }
        result.append(Range(first: UInt32(verdicts.count), verdict: .refuse(ENOSYS)))
        return result
    }

    // struct seccomp_data: nr at 0, arch at 4, args from 16 (little-endian: the low word first).
    private mutating func prologue() {
        load(4)
        code.append(Instruction(code: Code.jumpEqual, whenTrue: 1, constant: Self.architecture))
        give(SeccompAction.killProcess)
        load(0)
        #if arch(x86_64)
            // x32 calls have the same architecture and bit 30; -1 is just an unknown call.
            code.append(Instruction(code: Code.jumpAtLeast, whenFalse: 2, constant: 0x4000_0000))
            code.append(Instruction(code: Code.jumpEqual, whenTrue: 1, constant: .max))
            give(SeccompAction.killProcess)
        #endif
    }

    // Returns with `code` complete for these ranges; the left half comes first.
    private mutating func search(_ ranges: ArraySlice<Range>) {
        guard ranges.count > 1 else {
            if let only = ranges.first { leaf(only.verdict) }
            return
        }
        let middle = ranges.startIndex + ranges.count / 2
        let at = code.count
        code.append(Instruction(code: Code.jumpAtLeast, constant: ranges[middle].first))
        search(ranges[..<middle])
        let distance = code.count - at - 1
        precondition(distance < 256, "a filter too long for its jumps")
        code[at].whenTrue = UInt8(distance)
        search(ranges[middle...])
    }

    private mutating func leaf(_ verdict: SeccompVerdict) {
        switch verdict {
        case .allow: give(SeccompAction.allow)
        case .refuse(let error): give(SeccompAction.errno(error))
        case .examine:
            pending.append((code.count, verdict))
            code.append(Instruction(code: Code.jump, constant: 0))
        }
    }

    private mutating func placeBlocks() {
        var placed: [SeccompVerdict: Int] = [:]
        for (at, verdict) in pending {
            guard case .examine(let tests, let otherwise) = verdict else { continue }
            if placed[verdict] == nil {
                placed[verdict] = code.count
                for test in tests { emit(test) }
                give(otherwise)
            }
            code[at].constant = UInt32((placed[verdict] ?? 0) - at - 1)
        }
    }

    private mutating func emit(_ test: SeccompTest) {
        load(16 + 8 * test.argument)
        let first = code.count
        switch test.condition {
        case .any(let bits): code.append(Instruction(code: Code.jumpBits, constant: bits))
        case .equal(let values):
            code += values.map { Instruction(code: Code.jumpEqual, constant: $0) }
        }
        let last = code.count
        if let miss = test.miss {
            give(miss)
        } else if test.hit != nil {
            code.append(Instruction(code: Code.jump, constant: 1))
        }
        // A hit goes just behind what a miss does.
        for index in first..<last { code[index].whenTrue = UInt8(code.count - index - 1) }
        if let hit = test.hit { give(hit) }
    }

    private mutating func load(_ offset: UInt32) {
        code.append(Instruction(code: Code.load, constant: offset))
    }

    private mutating func give(_ action: UInt32) {
        code.append(Instruction(code: Code.give, constant: action))
    }
}
