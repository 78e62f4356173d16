// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskJournal
import TaskModel
import TaskSpool

/// `$TASK_RESULT` and `$TASK_INPUTS`: what a task left lies in the log; its place is in the journal, and
/// stays known as long as the run lives.
extension Daemon {
    /// The last attempt of a task has ended, or its process has: what it left is the task's.
    func noteResult(_ ref: TaskRef, _ end: EventLine) {
        guard let task = ref.task, ref.item == nil, runs[ref.run]?.keepsResults ?? false
        else { return }
        let left = end["state"] == TaskState.success.word ? ResultPlace(end) : nil
        runs[ref.run]?.setLeft(left, by: task)
        if runs[ref.run]?.answers(for: task) ?? false { runs[ref.run]?.exit = end.number("exit") }
    }

    /// An end that says where a result lies must not be more durable than the result.
    func syncLater(_ end: EventLine) {
        guard let place = end["result"].flatMap({ LogPlace($0) }) else { return }
        resultSegments.insert(place.segment)
    }

    /// Before the journal's own sync. What cannot be synced is told: who reads it checks it.
    func syncResults() {
        if resultSegments.isEmpty { return }
        for segment in resultSegments {
            do throws(Errno) {
                let file = try File.open(
                    segment.stem + ".log", at: spool.number(.log), flags: .noFollow)
                try File.syncData(file.number)
            } catch .noSuchFileOrDirectory where isCompressed(segment) {
                continue  // it is durable since before its plain form went
            } catch {
                report.error(
                    "unable to sync log/\(segment).log: \(error), results in it may be lost at a "
                        + "power failure")
            }
        }
        resultSegments = []
    }

    private func isCompressed(_ segment: SegmentName) -> Bool {
        LogSegment.modified(segment, at: spool.number(.log)) != nil
    }

    /// What is to be had of the results that an attempt is given.
    enum FoundInputs {
        case blobs([PoolJob.Blob])
        /// Descriptors or memory are short, or the disk failed.
        case notNow(String)
        /// It is not there any more, or there is too much; a sentence.
        case gone(String)
    }

    /// The results of those that the task depends on, by their names. Those that left none, or whose
    /// name no file can have, are left out.
    func inputs(of task: PlanTask, in id: TaskID) -> FoundInputs {
        var blobs: [PoolJob.Blob] = []
        var size = 0
        for input in namedInputs(of: task, in: id) where NamedResult.isFileName(input.name) {
            switch read(input) {
            case .blobs(let found):
                size += found.reduce(0) { $0 + $1.bytes.count }
                blobs += found
            case let other: return other
            }
            if size > ResultPlace.largestInputs {
                return .gone(
                    "the results of its dependencies have more than "
                        + "\(ResultPlace.largestInputs) bytes together")
            }
        }
        return .blobs(blobs)
    }

    private func namedInputs(of task: PlanTask, in id: TaskID) -> [NamedResult] {
        let carried = task.spec[.input].compactMap { NamedResult($0) }
        guard let run = runs[id], !run.left.isEmpty || !run.subtasks.isEmpty else { return carried }
        let numbers = run.dependencies(of: task.number)
        let own = numbers.compactMap { number in
            run.left[number].map { NamedResult(name: run.name(of: number) ?? "", result: $0) }
        }
        // A [Then] has what the subtasks left, too; the names of tasks come first.
        let unit = task.spec.thenOf
        let dropped = numbers.filter { unit != nil && run.name(of: $0) == unit }.flatMap {
            Subtask.results(of: run.subtasks[$0] ?? [:])
        }
        var taken = Set(own.map(\.name))
        return own + (carried + dropped).filter { taken.insert($0.name).inserted }
    }

    func read(_ input: NamedResult) -> FoundInputs {
        let lost = "the result of \(input.name) is not to be had any more: "
        guard let place = LogPlace(input.result.place) else {
            return .gone(lost + "\(input.result.place) is no place in a log")
        }
        do {
            guard let record = try LogRecord.read(place, at: spool.number(.log)) else {
                return .gone(lost + "log/\(place.segment).log is gone, or was damaged")
            }
            guard SHA256.hex(record.payload) == input.result.digest else {
                return .gone(lost + "log/\(place.segment).log has other bytes in its place")
            }
            return .blobs([
                .init(name: input.name, sha256: input.result.digest, bytes: record.payload)
            ])
        } catch {
            return .notNow("unable to \(error.sentence)")
        }
    }

    // MARK: Subtasks

    /// A subtask's run ends: what its command exited with and left, for the end record.
    func leavings(of run: RunRecord, _ state: TaskState) -> [EventLine.Field] {
        var fields = run.exit.map { [EventLine.Field("exit", String($0))] } ?? []
        if state == .success, let result = run.root.flatMap({ run.left[$0] }) {
            fields += [.init("result", result.place), .init("digest", result.digest)]
        }
        return fields
    }

    /// The same for its parent.
    func noteEnd(of id: TaskID, _ end: EventLine, _ kin: Kin) {
        guard let task = kin.parent.task, var child = runs[kin.parent.run]?.subtasks[task]?[id]
        else { return }
        child.state = end["state"].flatMap { TaskState(word: $0) }
        child.reason = end["reason"].flatMap { FailureReason(rawValue: $0) }
        (child.exit, child.result) = (end.number("exit"), ResultPlace(end))
        runs[kin.parent.run]?.set(child, of: task)
        tellEnd(child, to: kin.parent)
    }

    /// `NAME.result`, before `NAME.end` says that it is there.
    ///
    /// - Returns: its bytes; nil where it has none, it is not to be had, or it is too much.
    func tellResult(_ child: Subtask, to parent: TaskRef) -> Int? {
        guard let result = child.result, pool.sent[parent] == child.attempt,
            let pooled = pool.connection,
            case .blobs(let found) = read(NamedResult(name: child.name, result: result)),
            let bytes = found.first?.bytes
        else { return nil }
        let told = pool.told[parent, default: 0] + bytes.count
        if told > ResultPlace.largestInputs { return nil }
        pool.told[parent] = told
        pooled.send(
            .result(
                parent, attempt: child.attempt, file: child.name + ".result", bytes: Array(bytes)))
        return bytes.count
    }

    /// It cannot have what it depends on.
    func endWithoutInput(_ ref: TaskRef, _ attempt: Int, _ why: String) {
        pool.gated.remove(ref)
        let fields: [EventLine.Field] = [
            .init("a", String(attempt)), .init("state", TaskState.failure.word),
            .init("reason", FailureReason.dependency.rawValue), .init("what", why),
        ]
        handle(EventLine(Clock.real(), .end, ref.description, named(ref, fields)))
    }
}
