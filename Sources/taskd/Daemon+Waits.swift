// SPDX-License-Identifier: Apache-2.0
import TaskEngine
import TaskModel

/// Tasks that sleep until subtasks have ended. What sleeps the pool knows, and tells each connection:
/// the journal's `wait` and `resume` are for those who read it.
extension Daemon {
    /// Tasks that sleep at once, at most: each keeps its processes, and the pool a job.
    static let mostAsleep = 4000

    /// An attempt sleeps: until the children named in `for=` have ended, or all that it has dropped.
    func takeWait(_ line: EventLine, of ref: TaskRef, _ attempt: Int) {
        guard pool.sent[ref] == attempt else { return }
        let isNews = !engine.isAsleep(ref)
        if ref.item != nil {
            return refuseWait(ref, attempt, "an item of an array has no subtasks")
        }
        if isNews, engine.asleep >= Self.mostAsleep {
            return refuseWait(
                ref, attempt, "\(Self.mostAsleep) tasks wait for subtasks: no more may at once")
        }
        var awaited: Set<TaskID>?
        do throws(UnknownChild) {
            if let names = line["for"] { awaited = try ids(of: names, ref, attempt) }
        } catch {
            return refuseWait(
                ref, attempt, "\(error.name) is no subtask of this attempt: it has not dropped it")
        }
        // What it has dropped gets its slot, not what is older and less deep: else a tree would grow in
        // breadth, and each that waits keeps its processes.
        if !built.isEmpty { settleJournal(force: true, now: true) }
        if isNews { append(line) }
        engine.handle(.sleeps(ref, attempt: attempt, on: awaited), at: now())
        perform(engine.takeActions())
    }

    private struct UnknownChild: Error {
        var name: String
    }

    private func ids(
        of names: String, _ parent: TaskRef, _ attempt: Int
    ) throws(UnknownChild) -> Set<TaskID> {
        var known: [String: TaskID] = [:]
        for child in engine.children(of: parent) where child.attempt == attempt {
            known[child.name] = child.id
        }
        var ids: Set<TaskID> = []
        for name in names.split(separator: ",").map(String.init) {
            guard let id = known[name] else { throw UnknownChild(name: name) }
            ids.insert(id)
        }
        return ids
    }

    private func refuseWait(_ ref: TaskRef, _ attempt: Int, _ why: String) {
        pool.connection?.send(.wake(ref, attempt: attempt, reason: why))
    }

    func wake(_ ref: TaskRef, _ attempt: Int) {
        record(.resume, ref.description, named(ref, [.init("a", String(attempt))]))
        pool.connection?.send(.wake(ref, attempt: attempt, reason: nil))
    }
}
