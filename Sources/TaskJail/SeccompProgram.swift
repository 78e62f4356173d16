// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Assembles a filter in classic BPF: a binary search over ranges of numbers, then blocks that look
/// at arguments, then one return an action, which all of them jump to. libseccomp's own output for
/// the same tables is 700 instructions in two filters, and the kernel compiles them for every attempt
/// and runs them once for each number there is (seccomp_cache_prepare(), Linux 5.11): each
/// instruction costs some 0.2 microseconds an attempt. A test compares the two.
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

    static let x86: UInt32 = 0x4000_0003

    private struct Range {
        var first: UInt32
        var verdict: SeccompVerdict
    }

    /// Where a comparison goes.
    private enum Target {
        case next
        /// So many instructions further.
        case skip(Int)
        case block(Block)

        static func action(_ action: UInt32) -> Target {
            .block(Block(tests: [], otherwise: action))
        }
    }

    /// Placed behind the search, once: tests of arguments, or just an action.
    private struct Block: Hashable {
        var tests: [SeccompTest]
        var otherwise: UInt32

        init(tests: [SeccompTest], otherwise: UInt32) {
            self.tests = tests
            self.otherwise = otherwise
        }

        init(_ verdict: SeccompVerdict) {
            switch verdict {
            case .allow: self.init(tests: [], otherwise: SeccompAction.allow)
            case .refuse(let error): self.init(tests: [], otherwise: SeccompAction.errno(error))
            case .examine(let tests, let otherwise): self.init(tests: tests, otherwise: otherwise)
            }
        }
    }

    /// Which field of an instruction says how far.
    private enum Field {
        case whenTrue, whenFalse, constant
    }

    private var code: [Instruction] = []
    /// Jumps to what is not placed yet: classic BPF jumps forwards only.
    private var pending: [(at: Int, field: Field, block: Block)] = []
    /// Ends of the search are instructions of their own, and jumps are as long as need be: for a unit
    /// that refuses so many calls that a comparison can't reach over them (255 instructions).
    private let isLong: Bool
    private var isTooLong = false

    private init(isLong: Bool) { self.isLong = isLong }

    /// - Parameter compat: the verdicts for 32-bit programs of x86; nil: they are killed.
    static func assemble(_ verdicts: [SeccompVerdict], compat: [SeccompVerdict]? = nil)
        -> [Instruction]
    {
        let native = code(verdicts, architecture, isNative: true)
        guard let compat else { return native }
        let other = code(compat, x86, isNative: false)
        // The one for the native architecture comes behind this test, the other behind that.
        let first = [
            Instruction(code: Code.load, constant: 4),
            Instruction(code: Code.jumpEqual, whenTrue: 1, constant: architecture),
            Instruction(code: Code.jump, constant: UInt32(native.count)),
        ]
        return first + native + other
    }

    private static func code(
        _ verdicts: [SeccompVerdict], _ architecture: UInt32, isNative: Bool
    ) -> [Instruction] {
        for isLong in [false, true] {
            var program = SeccompProgram(isLong: isLong)
            program.prologue(architecture, isNative: isNative)
            program.search(ranges(verdicts)[...])
            program.place { !$0.tests.isEmpty }
            program.place { _ in true }
            if !program.isTooLong { return program.code }
        }
        preconditionFailure("a filter too long for its jumps")
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
    private mutating func prologue(_ architecture: UInt32, isNative: Bool) {
        let kill = Target.action(SeccompAction.killProcess)
        load(4)
        if isLong {
            compare(Code.jumpEqual, architecture, .skip(1), .next)
            give(SeccompAction.killProcess)
        } else {
            compare(Code.jumpEqual, architecture, .next, kill)
        }
        load(0)
        if !isNative { return }
        #if arch(x86_64)
            // x32 calls have the same architecture and bit 30; -1 is just an unknown call.
            compare(Code.jumpAtLeast, 0x4000_0000, .next, .skip(isLong ? 2 : 1))
            if isLong {
                compare(Code.jumpEqual, .max, .skip(1), .next)
                give(SeccompAction.killProcess)
            } else {
                compare(Code.jumpEqual, .max, .next, kill)
            }
        #endif
    }

    // The left half comes first, and falls to nowhere: each end of the search is a jump. -1 of the
    // prologue comes through here, too, and is above all ranges.
    private mutating func search(_ ranges: ArraySlice<Range>) {
        if isLong { return searchLong(ranges) }
        let middle = ranges.startIndex + ranges.count / 2
        let (left, right) = (ranges[..<middle], ranges[middle...])
        let at = code.count
        compare(
            Code.jumpAtLeast, ranges[middle].first, Self.end(right) ?? .next,
            Self.end(left) ?? .next)
        if left.count > 1 { search(left) }
        if right.count > 1 {
            code[at].whenTrue = distance(from: at, to: code.count)
            search(right)
        }
    }

    private mutating func searchLong(_ ranges: ArraySlice<Range>) {
        if ranges.count == 1, let only = ranges.first { return leaf(Block(only.verdict)) }
        let middle = ranges.startIndex + ranges.count / 2
        compare(Code.jumpAtLeast, ranges[middle].first, .next, .skip(1))
        let at = code.count
        code.append(Instruction(code: Code.jump, constant: 0))
        searchLong(ranges[..<middle])
        code[at].constant = UInt32(code.count - at - 1)
        searchLong(ranges[middle...])
    }

    private mutating func leaf(_ block: Block) {
        if block.tests.isEmpty { return give(block.otherwise) }
        pending.append((code.count, .constant, block))
        code.append(Instruction(code: Code.jump, constant: 0))
    }

    private static func end(_ ranges: ArraySlice<Range>) -> Target? {
        ranges.count == 1 ? ranges.first.map { .block(Block($0.verdict)) } : nil
    }

    /// Places each block of a kind that something jumps to, once.
    private mutating func place(_ isWanted: (Block) -> Bool) {
        var placed: [Block: Int] = [:]
        let jumps = pending
        pending = []
        for jump in jumps {
            guard isWanted(jump.block) else {
                pending.append(jump)
                continue
            }
            let to = placed[jump.block] ?? code.count
            if placed.updateValue(to, forKey: jump.block) == nil { emit(jump.block) }
            switch jump.field {
            case .whenTrue: code[jump.at].whenTrue = distance(from: jump.at, to: to)
            case .whenFalse: code[jump.at].whenFalse = distance(from: jump.at, to: to)
            case .constant: code[jump.at].constant = UInt32(to - jump.at - 1)
            }
        }
    }

    private mutating func distance(from at: Int, to: Int) -> UInt8 {
        if to - at - 1 > 255 { isTooLong = true }
        return UInt8(clamping: to - at - 1)
    }

    private mutating func emit(_ block: Block) {
        if block.tests.isEmpty {
            give(block.otherwise)
        }
        for (index, test) in block.tests.enumerated() {
            emit(test, isLast: index == block.tests.count - 1, block.otherwise)
        }
    }

    private mutating func emit(_ test: SeccompTest, isLast: Bool, _ otherwise: UInt32) {
        let rest = isLast ? Target.action(otherwise) : .next
        let miss = test.miss.map(Target.action) ?? rest
        load(16 + 8 * test.argument)
        switch test.condition {
        case .any(let bits):
            compare(Code.jumpBits, bits, test.hit.map(Target.action) ?? rest, miss)
        case .equal(let values):
            for (index, value) in values.enumerated() {
                let left = values.count - 1 - index
                let hit = test.hit.map(Target.action) ?? (isLast ? rest : .skip(left))
                compare(Code.jumpEqual, value, hit, left == 0 ? miss : .next)
            }
        }
    }

    private mutating func give(_ action: UInt32) {
        code.append(Instruction(code: Code.give, constant: action))
    }

    private mutating func load(_ offset: UInt32) {
        code.append(Instruction(code: Code.load, constant: offset))
    }

    private mutating func compare(
        _ operation: UInt16, _ constant: UInt32, _ yes: Target, _ no: Target
    ) {
        var step = Instruction(code: operation, constant: constant)
        for (target, isYes) in [(yes, true), (no, false)] {
            switch target {
            case .next: continue
            case .skip(let count):
                if isYes { step.whenTrue = UInt8(count) } else { step.whenFalse = UInt8(count) }
            case .block(let block):
                pending.append((code.count, isYes ? .whenTrue : .whenFalse, block))
            }
        }
        code.append(step)
    }
}
