// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskHistory
import TaskModel
import TaskOptions
import TaskSpool
import TaskTool

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
    /// How often in a row nobody served the spool, and when to look next.
    private var unserved = 0
    private var nextLook: Int64 = 0
    /// Looked at in each turn as well.
    var follower: (any Follower)?

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
            // After the look: what an ended task wrote was written before its end.
            try follower?.turn()
            if done == words.count { return true }
            let now = Clock.boot()
            if let end, now >= end { return false }
            try sayUnserved(now, &progress)
            if follower == nil { progress.show(done: done, total: words.count, label: open) }
            _ = try loop.turn(until: min(end ?? .max, now + (follower?.pause ?? Self.pause)))
        }
    }

    private static let pause: Int64 = 1_000_000

    // What lies in the spool ends only when a taskd serves it: said once, and not for the moment in
    // which one taskd follows another.
    private func sayUnserved(_ now: Int64, _ progress: inout Progress) throws {
        guard unserved < 2, now >= nextLook else { return }
        nextLook = now + Self.pause
        guard !Daemon.isAlive(live.spool), try isInSpool() else {
            unserved = 0
            return
        }
        unserved += 1
        guard unserved == 2 else { return }
        progress.clear()
        reporter.notice(
            "no taskd holds \(choice.path): what is waited for goes on when one starts: taskd "
                + "--spool=\(choice.path)")
    }

    // A run by pipe has no file there: it needs no taskd.
    private func isInSpool() throws -> Bool {
        for (ref, end) in zip(refs, ends) where end == nil {
            guard let ref else { return true }
            if try !live.places(of: ref.run).isEmpty { return true }
        }
        return false
    }

    /// Something else that is looked at in each turn.
    protocol Follower {
        /// How long a turn may sleep, in microseconds.
        var pause: Int64 { get }
        func turn() throws
    }

    /// Calls the body when the descriptor is readable.
    func watch(_ number: Int32, _ body: @escaping () -> Void) throws {
        _ = try loop.add(number, .readable) { _ in body() }
    }

    /// What the history knows of a run's tasks.
    func outcome(_ run: TaskID, _ plan: Plan) throws -> RunOutcome {
        var outcome = RunOutcome(run, plan: plan)
        for row in try history.tasks(ofRun: run) { outcome.add(row) }
        for cut in try history.cutOutput(of: TaskRef(run: run)) { outcome.add(cut) }
        return outcome
    }

    /// What the history says of a run as a whole.
    func sentence(of run: TaskID) throws -> String {
        guard let row = try history.run(run) else { return "\(run): it left no trace" }
        return "\(row.name ?? "\(run)"): \(row.state.word)" + (row.message.map { ": \($0)" } ?? "")
    }

    /// The first that has not ended.
    var open: String { zip(words, ends).first { $0.1 == nil }?.0 ?? "" }

    /// The status of the first that did not succeed.
    var status: Int32 { ends.compactMap { $0 }.first { $0 != 0 } ?? ExitStatus.ok }

    private func look(_ index: Int) throws {
        if refs[index] == nil { refs[index] = try find(words[index]) }
        guard let ref = refs[index], let run = try history.run(ref.run) else { return }
        let task = ref.task == nil ? run.main : try history.outcome(of: ref)
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

    // A drop that taskd has not accepted yet is in no journal: it is waited for, and not for an older
    // run of its name. What is in neither may have been accepted between the two looks: then the
    // journal knows it by now.
    private func find(_ word: String) throws -> TaskRef? {
        if try history.pendingDrop(word, in: choice) != nil { return nil }
        if let ref = TaskRef(word), try history.run(ref.run) == nil,
            try !live.places(of: ref.run).isEmpty
        {
            return nil
        }
        try history.refresh()
        return try history.find(word)
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
            let isRun = ref?.task == nil
            let task = isRun ? run?.main : try ref.flatMap { try history.outcome(of: $0) }
            let state = isRun ? run?.state : task?.state ?? run?.state
            table.add([
                ref.map { .id($0.description) } ?? .absent,
                Value((isRun ? run?.name : task?.name) ?? words[index]),
                state.map { .state($0) } ?? .absent,
                Value(task?.reason ?? (isRun ? run?.reason : nil)),
                Value(task?.exit), Value(ends[index].map { Int($0) }),
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
