// SPDX-License-Identifier: Apache-2.0
import Linux
public import TaskHistory
import TaskJournal
public import TaskModel
public import TaskTool

extension History {
    /// Opens the history of a spool for a program that people type: a long reading shows how far it
    /// is, and an index that can't be brought up to date is used as it is, with a warning.
    public static func open(
        _ choice: SpoolPath, for reporter: Reporter
    ) throws(ToolError) -> History {
        _ = try choice.open()
        let progress = IndexProgress()
        do {
            let history = try History(spool: choice.path) { progress.show($0) }
            progress.clear()
            if let failure = history.failure {
                reporter.warning(
                    "unable to \(failure.sentence), "
                        + (history.isInMemory
                            ? "the journal was read from its beginning" : "what follows may be old")
                )
            }
            return history
        } catch {
            progress.clear()
            throw ToolError(error)
        }
    }

    /// What a user means by a run or a task; without a word, the latest run.
    ///
    /// - Throws: exit status 3 when there is none, 2 when several ids end so.
    public func find(_ word: String?) throws(ToolError) -> TaskRef {
        do {
            let ref = try lookUp(word)
            guard let task = ref.task, let count = try run(ref.run)?.tasks, task >= count else {
                return ref
            }
            throw ToolError(
                "run \(ref.run) has no task \(task): "
                    + (count == 1 ? "its only one is 0" : "they are 0 to \(count - 1)"),
                status: ExitStatus.notFound)
        } catch let error as HistoryError {
            throw ToolError(error)
        } catch let error as ToolError {
            throw error
        } catch {
            throw ToolError("\(error)", status: ExitStatus.ioError)
        }
    }

    private func lookUp(_ word: String?) throws -> TaskRef {
        switch Selector(word ?? "last") {
        case .last:
            guard let run = try latestRun() else { throw ToolError.noRuns }
            return TaskRef(run: run)
        case .ref(let ref):
            guard try run(ref.run) != nil else { throw ToolError.noSuchRun(word ?? "") }
            return ref
        case .word(let name, let stem, let suffix, let task, let item):
            if let run = try latestRun(named: name) { return TaskRef(run: run) }
            if task != nil, let run = try latestRun(named: stem) {
                return TaskRef(run: run, task: task, item: item)
            }
            if let suffix, let ref = try find(suffix, task, item) { return ref }
            if let ref = try latestTask(named: name) { return ref }
            throw ToolError.noSuchRun(word ?? "")
        }
    }

    private func find(_ suffix: String, _ task: Int?, _ item: Int?) throws -> TaskRef? {
        let found = try runs(endingIn: suffix)
        guard found.count > 1 else {
            return found.first.map { TaskRef(run: $0, task: task, item: item) }
        }
        let ids = found.prefix(5).map(\.description).joined(separator: ", ")
        throw ToolError(
            "unable to find \(suffix): several runs end so (\(ids)), nothing was shown: write more "
                + "of the id",
            status: ExitStatus.usage)
    }
}

/// How far the reading of the journal is, on a terminal.
private final class IndexProgress {
    private var progress = Progress(delay: 500_000)
    private var isOver = false

    func show(_ count: Int) {
        if !isOver { progress.show(done: count, total: 0, label: "\(count) events read") }
    }

    // What is read later, by one who waits or follows, is little, and its line would stand among
    // others.
    func clear() {
        progress.clear()
        isOver = true
    }
}

extension ToolError {
    public init(_ error: HistoryError) {
        let status =
            switch error {
            case .query: ExitStatus.usage
            case .tooLong: ExitStatus.timedOut
            case .index, .damaged, .journal: ExitStatus.ioError
            }
        self.init("unable to \(error.sentence)", status: status)
    }

    /// An error of the journal, the history, or a system call on a file of the spool.
    public static func reading(_ error: any Error) -> ToolError {
        if let error = error as? ToolError { return error }
        let sentence =
            switch error {
            case let error as JournalError: error.sentence
            case let error as HistoryError: error.sentence
            default: "read the spool: \(error)"
            }
        return ToolError(
            "unable to \(sentence), the answer is not complete", status: ExitStatus.ioError)
    }

    static let noRuns = ToolError(
        "no run was ever accepted in this spool: `task submit FILE` or `task run FILE` makes one",
        status: ExitStatus.notFound)

    static func noSuchRun(_ word: String) -> ToolError {
        ToolError(
            "no run, task or unit \(word) is in the history: `task list` shows what is",
            status: ExitStatus.notFound)
    }
}
