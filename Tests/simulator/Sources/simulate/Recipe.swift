// SPDX-License-Identifier: Apache-2.0
import Linux

/// A drop: its name, its text, and what must come of it.
///
/// What a task does stands in its arguments, where the model's pool reads it: `KIND N MILLISECONDS`.
struct Recipe {
    let name: String
    let text: String
    /// It is to be rejected.
    var isBad = false

    /// Some tasks drop subtasks, some plans have arrays.
    nonisolated(unsafe) static var hasFamilies = false  // one thread, set before the first history

    init(number: Int, _ dice: inout Dice) {
        let base = "d\(number)"
        switch dice.below(Self.hasFamilies ? 26 : 20) {
        case 0..<5: (name, text) = ("\(base).task", Self.unit("ok", 0, &dice))
        case 5..<7:
            let restart = "[Service]\nRestart=3\nRestartSec=\(dice.pick(["2s", "50ms"]))\n"
            (name, text) = ("\(base).task", restart + Self.unit("fail", dice.below(5), &dice))
        case 7:
            (name, text) = (
                "\(base).task", Self.unit(dice.pick(["exit", "timeout", "missing"]), 9, &dice)
            )
        case 8:
            // Of two tasks: then no file's name has the attempt's number.
            let isUnheard = number.isMultiple(of: 3)
            let needs = isUnheard ? "[Dependencies]\nRequires=lib.task\n" : ""
            let kind = isUnheard ? "unheard" : "poison"
            (name, text) = ("\(base).task", needs + Self.unit(kind, dice.below(5), &dice))
        case 9..<11:
            let check = "[Checks]\nc=\"/bin/check\"\n"
            (name, text) = (
                "\(base).task", check + Self.unit(dice.pick(["check", "ok"]), 9, &dice)
            )
        case 11..<14:
            let needs = dice.pick(["mid.task", "lib.task", "bad.task", "mid.task slow.task"])
            let after = dice.pick([
                "", "After=bad.task\n", "Wants=bad.task\n", "OnFailure=lib.task\n",
            ])
            (name, text) = (
                "\(base).task",
                "[Dependencies]\nRequires=\(needs)\n\(after)" + Self.unit("ok", 0, &dice)
            )
        case 14..<16:
            (name, text) = (
                "\(base).yaml",
                "- lib.task\n- parallel:\n    - mid.task\n    - \(dice.pick(["slow.task", "bad.task"]))\n- lib.task\n"
            )
        case 16:
            let much = String(repeating: "x", count: 5000)
            (name, text) = (
                "\(base).task", "[Environment]\nA=\"\(much)\"\n" + Self.unit("ok", 0, &dice)
            )
        case 17:
            (name, text) = (
                "\(base).task", "[Command]\ncommand=\"/bin/x\"\n[Args]\nargs=\"ok 0 1\"\n"
            )
        case 18:
            (name, text) = (
                "\(base).task",
                dice.pick([
                    "[Service]\nMemoryMax=3\n", "[Dependencies]\nRequires=absent.task\n", "",
                ])
            )
            isBad = true
        case 23..<25: (name, text) = ("\(base).task", Self.array(&dice))
        case 19..<23 where Self.hasFamilies: (name, text) = ("\(base).task", Self.parent(&dice))
        default:
            (name, text) = ("\(base) \(number)", "[Command]\ncommand=\"/bin/x\"\n")
            isBad = true
        }
    }

    private static func unit(_ kind: String, _ count: Int, _ dice: inout Dice) -> String {
        let milliseconds = dice.pick([0, 1, 30, 2000])
        return "[Command]\ncommand=\"/bin/x\"\n[Args]\nargs=\"\(kind) \(count) \(milliseconds)\"\n"
    }

    /// A task that drops subtasks, to three levels.
    private static func parent(_ dice: inout Dice) -> String {
        let words = FamilyRecipe.words(
            breadth: 1 + dice.below(3), depth: 1 + dice.below(3), seed: dice.below(65536))
        let restart = dice.oneIn(2) ? "[Service]\nRestart=2\nRestartSec=50ms\n" : ""
        let what = dice.pick(["ok 0", "ok 0", "heal 1", "exit 9"])
        let milliseconds = dice.pick([0, 4, 60])
        return restart
            + "[Command]\ncommand=\"/bin/x\"\n[Args]\nargs=\"\(what) \(milliseconds)\(words)\"\n"
    }

    /// A task with items; how many may run at once is its last argument, too.
    private static func array(_ dice: inout Dice) -> String {
        let most = 1 + dice.below(2)
        let restart = dice.oneIn(2) ? "[Service]\nRestart=2\nRestartSec=50ms\n" : ""
        let what = dice.pick(["ok 0", "ok 0", "heal 1", "third 3", "third 2"])
        return restart
            + "[Array]\nCount=\(1 + dice.below(9))\nMaxParallel=\(most)\n"
            + "[Command]\ncommand=\"/bin/x\"\n[Args]\nargs=\"\(what) \(dice.pick([0, 3, 40])) \(most)\"\n"
    }

    /// What units/ has from the beginning.
    static let installed: [(name: String, text: String)] = [
        ("lib.task", "[Command]\ncommand=\"/bin/x\"\n[Args]\nargs=\"ok 0 3\"\n"),
        (
            "slow.task",
            "[Service]\nRestart=2\nRestartSec=1s\n[Command]\ncommand=\"/bin/x\"\n[Args]\nargs=\"fail 1 700\"\n"
        ),
        (
            "mid.task",
            "[Dependencies]\nRequires=lib.task\n[Command]\ncommand=\"/bin/x\"\n[Args]\nargs=\"ok 0 20\"\n"
        ),
        ("bad.task", "[Command]\ncommand=\"/bin/x\"\n[Args]\nargs=\"exit 1 5\"\n"),
    ]
}
