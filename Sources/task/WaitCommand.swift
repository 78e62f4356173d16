// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Linux
import SystemPackage
import TaskHistory
import TaskModel
import TaskOptions
import TaskSpool
import TaskTool

struct WaitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "wait", abstract: "Waits until runs have ended, returns their status.",
        discussion: """
            The status is that of the first, in the order of the arguments, that did not succeed: \
            its own, 124 when --timeout runs out, 75 when it is parked in hold. Ctrl-C does not \
            touch the tasks.
            """)

    @OptionGroup var spool: SpoolOptions
    @OptionGroup var format: FormatOptions

    @Option(help: ArgumentHelp("Give up after this span; the tasks go on.", valueName: "span"))
    var timeout: String?

    @Argument(
        help: ArgumentHelp("An id, the end of one, a unit's name, or last.", valueName: "run"))
    var runs: [String]

    func validate() throws {
        if let timeout, HumanText.parseSpan(timeout) == nil {
            throw ValidationError("'\(timeout)' is no span: 90, 2s, 1h 30min")
        }
    }

    func run() throws {
        let waiting = try Waiting(spool.choice, runs)
        let end = timeout.flatMap { HumanText.parseSpan($0) }.map { Clock.boot() + $0 }
        let isInTime = try waiting.wait(until: end)
        try waiting.makeDurable()
        if format.format != .table {
            let output = format.makeOutput()
            try output.write(waiting.rows(format))
            try output.finish()
        }
        guard isInTime else {
            reporter.error(
                "unable to wait for \(waiting.open): more than \(timeout ?? "") have passed, the "
                    + "tasks go on")
            throw ExitCode(ExitStatus.timedOut)
        }
        throw ExitCode(waiting.status)
    }
}

/// Runs that are waited for, in the order of the arguments.
final class Waiting {
    private let choice: SpoolPath
    private let words: [String]
    private let history: History
    private let live: LiveRuns
    private let loop: EventLoop
    private let inotify: Inotify?
    private var refs: [TaskRef?]
    private var ends: [Int32?]

    init(_ choice: SpoolPath, _ words: [String]) throws {
        self.choice = choice
        self.words = words
        history = try History.open(choice, for: reporter)
        live = try LiveRuns(choice)
        loop = try EventLoop()
        inotify = try? Inotify()
        refs = words.map { _ in nil }
        ends = words.map { _ in nil }
        // Where events can't be had, every second is looked at.
        guard let inotify,
            (try? inotify.watch(path: choice.path + "/journal", for: [.modified, .created])) != nil
        else { return }
        _ = try loop.add(inotify.number, .readable) { _ in _ = try? inotify.read() }
    }

    /// False when the time ran out first.
    func wait(until end: Int64?) throws -> Bool {
        var progress = Progress()
        defer { progress.clear() }
        while true {
            try history.refresh()
            for index in words.indices where ends[index] == nil { try look(index) }
            let done = ends.count { $0 != nil }
            if done == words.count { return true }
            let now = Clock.boot()
            if let end, now >= end { return false }
            progress.show(done: done, total: words.count, label: open)
            _ = try loop.turn(until: min(end ?? .max, now + 1_000_000))
        }
    }

    /// The first that has not ended.
    var open: String { zip(words, ends).first { $0.1 == nil }?.0 ?? "" }

    /// The status of the first that did not succeed.
    var status: Int32 { ends.compactMap { $0 }.first { $0 != 0 } ?? ExitStatus.ok }

    private func look(_ index: Int) throws {
        if refs[index] == nil { refs[index] = try find(words[index]) }
        guard let ref = refs[index], let run = try history.run(ref.run) else { return }
        let task = ref.task == nil ? run.main : try history.task(ref)
        let state = ref.task == nil ? run.state : task?.state ?? run.state
        if state.isFinal {
            // A run that failed by another task than its own has that one's reason.
            let isOwn = task?.state == state
            ends[index] = ExitStatus.of(
                state, reason: (isOwn ? task?.reason : run.reason).flatMap(FailureReason.init),
                exit: isOwn ? task?.exit : nil, signal: isOwn ? task?.signal : nil)
        } else if run.state.isFinal {
            ends[index] = ExitStatus.no
        } else if state == .pending, try live.places(of: ref.run).last?.directory == .hold {
            ends[index] = ExitStatus.tryLater
        }
    }

    // A drop that taskd has not accepted yet is in no journal: it is waited for all the same.
    private func find(_ word: String) throws -> TaskRef? {
        do {
            return try history.find(word)
        } catch {
            guard error.status == ExitStatus.notFound, try isOnItsWay(word) else { throw error }
            return nil
        }
    }

    private func isOnItsWay(_ word: String) throws -> Bool {
        if let ref = TaskRef(word) { return try !live.places(of: ref.run).isEmpty }
        let names = try live.spool.allNames(in: .incoming)
        if names.contains(where: { Selector.unitName($0) == Selector.unitName(word) }) {
            return true
        }
        var isTaken = false
        try live.each(in: [.incoming, .tmp]) { place in
            if place.name == Selector.unitName(word) { isTaken = true }
        }
        return isTaken
    }

    /// What was told to others must not be taken back by a power failure: the ends are synced here
    /// too, should taskd not have come to it.
    func makeDurable() throws {
        for name in (try? live.spool.allNames(in: .journal)) ?? [] where name.hasSuffix(".open") {
            guard let file = try? File.open("\(choice.path)/journal/\(name)", flags: .noFollow)
            else { continue }
            try File.syncData(file.number)
        }
    }

    func rows(_ format: FormatOptions) throws -> [UInt8] {
        var table = format.makeTable([
            Column("id"), Column("name"), Column("state"), Column("reason"), Column("exit"),
            Column("status"),
        ])
        for (index, ref) in refs.enumerated() {
            let run = try ref.flatMap { try history.run($0.run) }
            table.add([
                ref.map { .id($0.description) } ?? .absent, Value(run?.name ?? words[index]),
                run.map { .state($0.state) } ?? .absent, Value(run?.main?.reason ?? run?.reason),
                Value(run?.main?.exit), Value(ends[index].map { Int($0) }),
            ])
        }
        table.finish()
        return table.take()
    }
}

extension Spool {
    /// The names in a directory, as text.
    fileprivate func allNames(in directory: SpoolDirectory) throws(Errno) -> [String] {
        var all: [String] = []
        try names(in: directory) { all.append(String(decoding: $0, as: UTF8.self)) }
        return all
    }
}
