// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Linux
import SystemPackage
import TaskModel
import TaskOptions
import TaskSpool
import TaskTool

/// The operands of the commands that move runs.
struct RunOperands: ParsableArguments {
    @OptionGroup var spool: SpoolOptions

    @Argument(
        help: ArgumentHelp("An id, the end of one, a unit's name, or last.", valueName: "run"),
        completion: .runs)
    var runs: [String]
}

/// A command that moves runs.
protocol MovesRuns: ManyOperands {
    var operands: RunOperands { get set }
}

extension MovesRuns {
    var operandWords: [String] {
        get { operands.runs }
        set { operands.runs = newValue }
    }
}

struct CancelCommand: MovesRuns {
    static let configuration = CommandConfiguration(
        commandName: "cancel", abstract: "Stops runs, or single tasks of them (RUN.K), for good.",
        discussion: """
            Moves the run to failed/: what runs is killed, what waits is not started. The same as \
            `mv ready/ID failed/ID`. `task retry` starts it again.
            """)
    @OptionGroup var operands: RunOperands

    func run() throws {
        let mover = try Mover(operands.spool.choice)
        let targets = try mover.resolve(operands.runs, among: .live)
        for target in targets {
            if target.task != nil {
                try mover.dropCancel(target)
            } else {
                try mover.cancel(target.run)
            }
        }
        mover.finish()
    }
}

struct HoldCommand: MovesRuns {
    static let configuration = CommandConfiguration(
        commandName: "hold", abstract: "Parks runs until they are released.",
        discussion: """
            Moves the run to hold/. An attempt that runs is killed and not counted. The same as \
            `mv ready/ID hold/ID`.
            """)
    @OptionGroup var operands: RunOperands

    func run() throws {
        let mover = try Mover(operands.spool.choice)
        for target in try mover.resolve(operands.runs, among: .live) {
            try mover.move(
                mover.wholeRun(target), from: [.ready, .deferred, .active], to: .hold,
                otherwise: "only what waits or runs can be parked")
        }
        mover.finish()
    }
}

struct ReleaseCommand: MovesRuns {
    static let configuration = CommandConfiguration(
        commandName: "release", abstract: "Lets parked runs go on.",
        discussion: "Moves the run from hold/ to ready/. The same as `mv hold/ID ready/ID`.")
    @OptionGroup var operands: RunOperands

    func run() throws {
        let mover = try Mover(operands.spool.choice)
        for target in try mover.resolve(operands.runs, among: .parked) {
            try mover.move(
                mover.wholeRun(target), from: [.hold], to: .ready,
                otherwise: "only what is in hold/ can be released")
        }
        mover.finish()
    }
}

struct RetryCommand: MovesRuns {
    static let configuration = CommandConfiguration(
        commandName: "retry", abstract: "Runs again what failed, and what hung on it.",
        discussion: """
            Moves the run from failed/ to ready/: its next generation begins, with the tasks that \
            did not succeed. The same as `mv failed/ID+1 ready/ID+1`. RUN.K is one task of it, and \
            no other runs; RUN.K.I is one item of an array: of its arrays nothing else runs. What \
            was not asked for comes back to failed/ when the run has ended.
            """)
    @OptionGroup var operands: RunOperands

    @Flag(help: "Of tasks and items: what waits for them runs, too.")
    var downstream = false

    func run() throws {
        let mover = try Mover(operands.spool.choice)
        var choices: [TaskID: RetryChoice] = [:]
        let targets = try mover.resolve(operands.runs, among: .failed)
        for target in targets {
            choices[target.run, default: RetryChoice(hasDownstream: downstream)].add(target)
        }
        for run in targets.map(\.run) {
            guard let choice = choices.removeValue(forKey: run) else { continue }
            try mover.choose(choice, of: run)
            try mover.move(
                run, from: [.failed], to: .ready,
                otherwise: "only what is in failed/ can be retried; a run that succeeded, or ran "
                    + "without a taskd, leaves no file there: submit it again")
            mover.noteParent(of: run)
        }
        mover.finish()
    }
}
