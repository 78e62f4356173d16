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

    private var code: [Instruction] = []
    /// Jumps to what is not placed yet: classic BPF jumps forwards only.
    private var pending: [(at: Int, whenTrue: Bool, block: Block)] = []

    static func assemble(_ verdicts: [SeccompVerdict]) -> [Instruction] {
        var program = SeccompProgram()
        program.prologue()
        program.search(ranges(verdicts)[...])
        program.place { !$0.tests.isEmpty }
        program.place { _ in true }
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
        let kill = Target.action(SeccompAction.killProcess)
        load(4)
        compare(Code.jumpEqual, Self.architecture, .next, kill)
        load(0)
        #if arch(x86_64)
            // x32 calls have the same architecture and bit 30; -1 is just an unknown call.
            compare(Code.jumpAtLeast, 0x4000_0000, .next, .skip(1))
            compare(Code.jumpEqual, .max, .next, kill)
        #endif
    }

    // The left half comes first, and falls to nowhere: each end of the search is a jump. -1 of the
    // prologue comes through here, too, and is above all ranges.
    private mutating func search(_ ranges: ArraySlice<Range>) {
        let middle = ranges.startIndex + ranges.count / 2
        let (left, right) = (ranges[..<middle], ranges[middle...])
        let at = code.count
        compare(
            Code.jumpAtLeast, ranges[middle].first, Self.end(right) ?? .next,
            Self.end(left) ?? .next)
        if left.count > 1 { search(left) }
        if right.count > 1 {
            code[at].whenTrue = Self.distance(from: at, to: code.count)
            search(right)
        }
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
            let distance = Self.distance(from: jump.at, to: to)
            if jump.whenTrue {
                code[jump.at].whenTrue = distance
            } else {
                code[jump.at].whenFalse = distance
            }
        }
    }

    private static func distance(from at: Int, to: Int) -> UInt8 {
        precondition(to - at - 1 < 256, "a filter too long for its jumps")
        return UInt8(to - at - 1)
    }

    private mutating func emit(_ block: Block) {
        if block.tests.isEmpty {
            code.append(Instruction(code: Code.give, constant: block.otherwise))
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
            case .block(let block): pending.append((code.count, isYes, block))
            }
        }
        code.append(step)
    }
}
