// SPDX-License-Identifier: Apache-2.0

/// What a task drops, and whether it sleeps for it: `BREADTH DEPTH SEED`, behind the other arguments. The
/// same words make the same subtasks, so that an attempt that follows drops what the one before did.
struct FamilyRecipe {
    private(set) var breadth = 0
    private var depth = 0
    private var seed = 0

    init() {}

    init(_ words: ArraySlice<String>) {
        let numbers = words.compactMap { Int($0) }
        guard numbers.count == 3 else { return }
        (breadth, depth, seed) = (numbers[0], numbers[1], numbers[2])
    }

    /// Three levels at most.
    static func words(breadth: Int, depth: Int, seed: Int) -> String {
        depth > 0 ? " \(breadth) \(depth) \(seed)" : ""
    }

    var sleeps: Bool { breadth > 0 && seed % 3 != 0 }
    var sleepsForOne: Bool { seed % 9 == 4 }

    /// The text of a subtask.
    func child(_ number: Int, attempt: Int) -> String {
        let own = (seed &* 31 &+ number &* 17 &+ depth) & 0xFFFF
        let milliseconds = [0, 3, 30, 400][own % 4]
        let family = Self.words(breadth: 1 + own % 2, depth: depth - 1, seed: own)
        func unit(_ what: String) -> String {
            "[Command]\ncommand=\"/bin/x\"\n[Args]\nargs=\"\(what) \(milliseconds)\(family)\"\n"
        }
        // An attempt that follows has changed its mind.
        if attempt > 1, number == 0, seed % 16 == 5 { return unit("ok 9") }
        switch own % 13 {
        case 0: return unit("exit 3")
        case 1, 2: return unit("heal 1")
        case 3: return "[Service]\nRestart=2\nRestartSec=50ms\n" + unit("heal 1")
        case 4 where own % 2 == 0: return "[Service]\nMemoryMax=3\n"
        default: return unit("ok 0")
        }
    }
}
