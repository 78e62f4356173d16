// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskHistory
import TaskJournal
import TaskModel
import TaskOptions
import TaskSpool
import TaskTool

/// Moves runs between the spool's directories: a rename is the command (task-spool(7)).
struct Mover {
    let runs: LiveRuns
    private let choice: SpoolPath

    init(_ choice: SpoolPath) throws(ToolError) {
        self.choice = choice
        runs = try LiveRuns(choice)
    }

    /// Where a selector looks for runs.
    enum Scope {
        case live, parked, failed
        var directories: [SpoolDirectory] {
            switch self {
            case .live: [.incoming, .tmp, .ready, .deferred, .hold, .active]
            case .parked: [.hold]
            case .failed: [.failed]
            }
        }
        var words: String {
            switch self {
            case .live: "no live run"
            case .parked: "no run in hold/"
            case .failed: "no run in failed/"
            }
        }
    }

    /// Resolves all operands before anything is moved.
    ///
    /// - Throws: exit 3 where one is nobody, 2 where it may be several.
    func resolve(_ words: [String], among scope: Scope) throws(ToolError) -> [TaskRef] {
        var targets: [TaskRef] = []
        for word in words { targets.append(try resolve(word, scope)) }
        return targets
    }

    private func resolve(_ word: String, _ scope: Scope) throws(ToolError) -> TaskRef {
        let selector = Selector(word)
        if case .ref(let ref) = selector { return ref }
        let known = try known(selector, scope)
        switch selector.resolve(among: known) {
        case .one(let ref): return ref
        case .none:
            // It may have ended, or lie elsewhere: who moves it says so.
            if let ref = try? History.open(choice, for: reporter).find(word) { return ref }
            throw ToolError(
                "unable to find \(word): \(scope.words) has this id, ends so or is of this unit, "
                    + "nothing was moved; `task list` shows what there is",
                status: ExitStatus.notFound)
        case .ambiguous(let ids):
            throw ToolError(
                "unable to tell which run is \(word): it may be "
                    + ids.map(\.description).joined(separator: " or ") + ", nothing was moved",
                status: ExitStatus.usage)
        }
    }

    private func known(_ selector: Selector, _ scope: Scope) throws(ToolError) -> [KnownRun] {
        var known: [KnownRun] = []
        try runs.each(in: scope.directories) { place in
            var name = place.name
            if name == nil, case .word = selector,
                let bytes = try? runs.spool.read(
                    place.file, place.directory, limit: Spool.longestPlan)
            {
                name = LiveRuns.unitName(ofPlan: bytes)
            }
            known.append(KnownRun(run: place.run, name: name))
        }
        return known
    }

    /// The run of a target that must not be a single task.
    func wholeRun(_ target: TaskRef) throws(ToolError) -> TaskID {
        if let task = target.task {
            throw ToolError(
                "unable to move task \(task) of \(target.run): only whole runs are parked and released, "
                    + "nothing was moved",
                status: ExitStatus.usage)
        }
        return target.run
    }

    /// Renames a run's file, wherever it is among `sources`, keeping its name.
    ///
    /// - Parameter otherwise: why a run that is elsewhere can't be moved.
    func move(
        _ run: TaskID, from sources: [SpoolDirectory], to target: SpoolDirectory, otherwise: String
    ) throws(ToolError) {
        for _ in 0..<LiveRuns.tries {
            let places = try runs.places(of: run)
            guard let place = places.last(where: { sources.contains($0.directory) }) else {
                if places.contains(where: { $0.directory == target }) { return }
                throw elsewhere(run, places, target, otherwise)
            }
            if try rename(place, to: target) { return }
        }
        throw ToolError(
            "unable to move \(run) to \(target.rawValue)/: it moved \(LiveRuns.tries) times "
                + "meanwhile, nothing was moved; try again",
            status: ExitStatus.tryLater)
    }

    // False when the file had moved before. The plan is synced first: a power failure may keep the move
    // and lose the bytes of a plan whose accept was not durable, which then would run.
    private func rename(_ place: RunPlace, to target: SpoolDirectory) throws(ToolError) -> Bool {
        do {
            try runs.spool.syncFile(place.file.description, place.directory)
            try runs.spool.moveNew(place.file, place.directory, to: place.file, target)
            try runs.spool.sync(target)
            try runs.spool.sync(place.directory)
            return true
        } catch Errno.noSuchFileOrDirectory {
            return false
        } catch {
            throw ToolError(
                unableTo: "move",
                "\(place.directory.rawValue)/\(place.file) to \(target.rawValue)/",
                error, "the run goes on as before")
        }
    }

    private func elsewhere(
        _ run: TaskID, _ places: [RunPlace], _ target: SpoolDirectory, _ otherwise: String
    ) -> ToolError {
        guard let place = places.last else {
            if let history = try? History.open(choice, for: reporter),
                let row = try? history.run(run), row.state.isFinal
            {
                let isRetired = (try? history.isPlanRetired(run)) ?? false
                return ended(row, target, isRetired ? Self.retired : otherwise)
            }
            return ToolError(
                "unable to move \(run) to \(target.rawValue)/: no file in \(choice.path) has this "
                    + "id (it ended, or never was: `task audit \(run)` knows), nothing was moved",
                status: ExitStatus.notFound)
        }
        return ToolError(
            "unable to move \(run) to \(target.rawValue)/: it is in \(place.directory.rawValue)/: "
                + "\(otherwise), nothing was moved",
            status: ExitStatus.no)
    }

    private static let retired =
        "its plan was removed from failed/: FailedMax= bounds how many are kept; submit it again"

    private func ended(
        _ run: RunRow, _ target: SpoolDirectory, _ otherwise: String
    ) -> ToolError {
        let name = run.name ?? "\(run.id)"
        let why =
            run.state == .rejected
            ? "it was rejected: `task explain \(name)` says why"
            : "it ended, \(run.state.word): \(otherwise)"
        return ToolError(
            "unable to move \(name) (\(run.id.short)) to \(target.rawValue)/: \(why), nothing was "
                + "moved",
            status: ExitStatus.notFound)
    }

    /// Cancels a whole run. One that nobody has accepted yet is taken back from incoming/.
    func cancel(_ run: TaskID) throws(ToolError) {
        if runs.outgoing(of: run) != nil { return try drop(cancel: TaskRef(run: run)) }
        if try takeBack(run) { return }
        try move(
            run, from: [.ready, .deferred, .hold, .active], to: .failed,
            otherwise: "there is nothing to cancel")
    }

    private func takeBack(_ run: TaskID) throws(ToolError) -> Bool {
        guard let place = try runs.places(of: run).last, place.directory == .incoming else {
            return false
        }
        do {
            try runs.spool.remove(place.file, .incoming)
            try runs.spool.sync(.incoming)
            return true
        } catch Errno.noSuchFileOrDirectory {
            return false
        } catch {
            throw ToolError(
                unableTo: "remove", "incoming/\(place.file)", error, "the run is accepted later")
        }
    }

    /// Cancels one task: an empty file `RUN.K.cancel` dropped into incoming/.
    func dropCancel(_ target: TaskRef) throws(ToolError) {
        guard try !runs.places(of: target.run).isEmpty else {
            throw ToolError(
                "unable to cancel \(target): no file in \(choice.path) has this run's id (it ended, "
                    + "or never was), nothing was done",
                status: ExitStatus.notFound)
        }
        try drop(cancel: target)
    }

    private func drop(cancel target: TaskRef) throws(ToolError) {
        do {
            try runs.spool.write([], to: "\(target).cancel", .incoming, durable: false)
            try runs.spool.sync(.incoming)
        } catch {
            throw ToolError(
                unableTo: "make", "incoming/\(target).cancel", error, "the task goes on as before")
        }
    }

    /// A retried subtask is its parent's again, unless that has ended: then who retries it is told.
    func noteParent(of run: TaskID) {
        guard let history = try? History.open(choice, for: reporter),
            let parent = (try? history.run(run))?.parent.flatMap({ TaskRef($0) }),
            let row = try? history.run(parent.run), row.state.isFinal
        else { return }
        let name = row.name.map { "\($0) (\(parent.run.short))" } ?? parent.run.short
        reporter.notice(
            "\(run.short) is a subtask of \(name), which has ended, \(row.state.word): it runs by itself, "
                + "and that stays as it is; `task retry \(parent.run)` runs it anew with its subtasks"
        )
    }

    /// Says so when nobody is there to obey.
    func finish() {
        if Daemon.isAlive(runs.spool) { return }
        reporter.notice(
            "no taskd holds \(choice.path): the move stands and is obeyed when one starts")
    }
}

/// Whether a taskd holds the spool.
enum Daemon {
    static func isAlive(_ spool: Spool) -> Bool {
        (try? SpoolOwner.read(spool: spool.rootNumber))??.isAlive == true
    }
}
