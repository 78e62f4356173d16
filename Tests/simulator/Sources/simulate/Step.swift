// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage

/// One thing that happens to taskd. What it means is decided by its own dice, so that leaving out
/// another step changes nothing about it.
struct Step {
    /// So many calls of taskd pass after the step before; sooner when taskd has nothing to do.
    var gap: Int
    var action: Action
    var dice: Dice
}

/// What owners, the machine and chance do.
enum Action {
    /// A unit comes into incoming/, in one of these ways.
    case drop(Recipe, Way)
    /// A file that somebody was still writing is whole.
    case finishCopy
    /// The owner renames a plan.
    case move(from: String, to: String)
    /// The owner removes a plan.
    case remove
    /// An empty RUN.cancel.
    case cancel
    /// kill -9 of taskd; of the pool.
    case kill, killPool
    case powerFailure
    /// taskd starts, where it does not run.
    case start
    /// TERM: it ends in order.
    case stop
    /// Calls of a kind fail.
    case fault(Fault)
    /// Others leave so many bytes of the disk; or all that was free.
    case fill(Int), empty
    /// The real time steps, by microseconds.
    case clock(Int64)
    /// Time passes, in microseconds.
    case pass(Int64)
    /// Directory events are lost.
    case overflow
    /// The pool does nothing for a while, in microseconds.
    case stall(Int64)
    /// The connection to the pool breaks; its tasks go on.
    case hangUp
    /// The oldest sealed segments go, as far as the checkpoint does not need them.
    case prune
    /// A bit of a journal segment turns.
    case flip

    /// `synced`: as mv of a synced file, and the directory is synced after it.
    enum Way: String { case plain, move, synced, submit, copy }

    /// For the count of kinds.
    var word: String {
        switch self {
        case .drop(_, let way): "drop by \(way.rawValue)"
        case .finishCopy: "end of a copy"
        case .move: "owner's mv"
        case .remove: "owner's rm"
        case .cancel: "cancel"
        case .kill: "kill"
        case .killPool: "kill of the pool"
        case .powerFailure: "power failure"
        case .start: "start"
        case .stop: "TERM"
        case .fault: "fault armed"
        case .fill: "disk full"
        case .empty: "disk empty"
        case .clock: "clock step"
        case .pass: "pause"
        case .overflow: "lost events"
        case .stall: "slow pool"
        case .hangUp: "broken connection"
        case .prune: "old segments removed"
        case .flip: "bit flip"
        }
    }
}

extension Step: CustomStringConvertible {
    var description: String { "after \(gap) calls: \(action)" }
}

/// A history to come: the same seed makes the same.
enum History {
    /// Half of the disks keep un-synced writes sector by sector, not as a prefix.
    nonisolated(unsafe) static var hasHoles = false

    static func make(_ seed: UInt64, crashes: Int) -> (steps: [Step], rules: Disk.Rules) {
        var dice = Dice(seed)
        var rules = Disk.Rules()
        rules.commitsAll = dice.oneIn(2)
        rules.fileSyncCommits = dice.oneIn(2)
        rules.writesInOrder = dice.oneIn(2) || !hasHoles
        let mood = Mood(&dice)
        var steps: [Step] = []
        var left = crashes
        var name = 0
        while left > 0 {
            let action = mood.action(&dice, &name)
            switch action {
            case .kill, .powerFailure:
                left -= 1
                steps.append(
                    Step(gap: mood.crashGap(&dice), action: action, dice: Dice(dice.next())))
                for _ in 0..<dice.pick([0, 0, 0, 1, 2]) {
                    steps.append(
                        Step(
                            gap: 0, action: mood.offline(&dice, &name),
                            dice: Dice(dice.next())))
                }
                steps.append(Step(gap: 0, action: .start, dice: Dice(dice.next())))
            default:
                steps.append(
                    Step(gap: mood.gap(&dice), action: action, dice: Dice(dice.next())))
            }
        }
        return (steps, rules)
    }
}

/// What a history has much of, so that they differ.
private struct Mood {
    let hasFaults: Bool
    let hasFullDisk: Bool
    let hasClock: Bool
    let hasFlips: Bool
    let hasOwner: Bool
    let isPowerOften: Bool
    let shortest: Int

    init(_ dice: inout Dice) {
        hasFaults = dice.oneIn(3)
        hasFullDisk = dice.oneIn(8)
        hasClock = dice.oneIn(5)
        hasFlips = dice.oneIn(25)
        hasOwner = dice.oneIn(2)
        isPowerOften = dice.oneIn(2)
        shortest = dice.pick([20, 60, 150, 400])
    }

    func gap(_ dice: inout Dice) -> Int { dice.below(dice.pick([3, 30, 200])) }
    func crashGap(_ dice: inout Dice) -> Int { dice.below(dice.pick([shortest, 120, 300])) }

    func action(_ dice: inout Dice, _ name: inout Int) -> Action {
        switch dice.below(100) {
        case 0..<26: return drop(&dice, &name)
        case 26..<44: return .pass(dice.pick([1000, 20_000, 1_000_000, 5_000_000, 70_000_000]))
        case 44..<64: return isPowerOften && dice.oneIn(2) ? .powerFailure : .kill
        case 64..<70: return hasOwner ? owner(&dice) : .pass(50_000)
        case 70..<74: return hasFaults ? .fault(fault(&dice)) : .pass(3000)
        case 74..<77: return .killPool
        case 77..<79: return .stall(dice.pick([10_000, 1_000_000]))
        case 79: return .hangUp
        case 80..<82: return .overflow
        case 82..<84: return .stop
        case 84..<86: return .finishCopy
        case 86: return .prune
        case 87..<90: return hasClock ? .clock(clock(&dice)) : .pass(200_000)
        case 90..<92: return hasFullDisk ? .fill(dice.pick([0, 5000, 70_000, 2 << 20])) : .empty
        case 92..<94: return .empty
        case 94..<96: return hasFlips ? .flip : .pass(1000)
        default: return drop(&dice, &name)
        }
    }

    func offline(_ dice: inout Dice, _ name: inout Int) -> Action {
        switch dice.below(10) {
        case 0..<4: drop(&dice, &name)
        case 4..<6: hasOwner ? owner(&dice) : .killPool
        case 6: .killPool
        case 7: hasFlips ? .flip : .finishCopy
        case 8: hasClock ? .clock(clock(&dice)) : .pass(1000)
        default: hasFaults ? .fault(fault(&dice)) : .pass(1_000_000)
        }
    }

    private func drop(_ dice: inout Dice, _ name: inout Int) -> Action {
        name += 1
        let way = dice.pick([Action.Way.plain, .move, .synced, .submit, .submit, .copy])
        return .drop(Recipe(number: name, &dice), way)
    }

    private func owner(_ dice: inout Dice) -> Action {
        let live = ["ready", "active", "deferred", "hold"]
        switch dice.below(8) {
        case 0, 1: return .move(from: dice.pick(live), to: "hold")
        case 2, 3: return .move(from: "hold", to: "ready")
        case 4: return .move(from: "failed", to: "ready")
        case 5: return .move(from: dice.pick(live), to: dice.pick(["failed", "ready"]))
        case 6: return .remove
        default: return .cancel
        }
    }

    private func clock(_ dice: inout Dice) -> Int64 {
        dice.pick([-86_400_000_000, 31_536_000_000_000, 3_600_000_000, -1_000_000])
    }

    private func fault(_ dice: inout Dice) -> Fault {
        let kinds: [(Call, [Errno])] = [
            (.syncData, [.ioError]), (.sync, [.ioError]), (.write, [.noSpace, .ioError]),
            (.open, [.tooManyOpenFiles, .tooManyOpenFilesInSystem, .ioError, .noMemory]),
            (.create, [.tooManyOpenFiles, .noSpace, .ioError]),
            (.rename, [.noSpace, .ioError]), (.unlink, [.ioError]), (.wait, [.interrupted]),
            (.read, [.ioError]), (.list, [.ioError]), (.stat, [.noMemory]),
            (.lease, [.noMemory]),
            (.connect, [.resourceTemporarilyUnavailable, .connectionRefused]),
            (.receive, [.noMemory]), (.send, [.noBufferSpace]), (.spawn, [.noMemory]),
            (.events, [.noMemory]), (.watch, [.noSpace]), (.truncate, [.ioError]),
        ]
        let (call, errors) = dice.pick(kinds)
        return Fault(
            call, dice.pick(errors), skip: dice.below(dice.pick([1, 8, 40])),
            times: dice.pick([1, 1, 1, 2, 3]))
    }
}
