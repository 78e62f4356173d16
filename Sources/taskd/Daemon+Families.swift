// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskEngine
import TaskModel
import TaskSpool

/// What a parent hears of its subtasks, and how a restart finds them again.
extension Daemon {
    /// NAME.end, where it has ended.
    func tellEnd(_ child: Subtask, to parent: TaskRef) {
        if child.isRefused {
            return sendFile(
                of: child, ".reason", "it is refused: task audit \(child.id) says why\n", to: parent
            )
        }
        guard let state = child.state else { return }
        let size = tellResult(child, to: parent)
        var text = "state=\(state.word)"
        if let reason = child.reason { text += " reason=\(reason.rawValue)" }
        text += " id=\(child.id)"
        if let exit = child.exit { text += " exit=\(exit)" }
        if child.result != nil { text += " result=" + (size.map { String($0) } ?? "no") }
        sendFile(of: child, ".end", text + "\n", to: parent)
    }

    /// A new connection: what its attempts may have missed.
    func tellEnds() {
        for (parent, attempt) in pool.sent where engine.hasChildren(parent) {
            for child in engine.children(of: parent) where child.attempt == attempt {
                tellEnd(whole(child, of: parent), to: parent)
            }
        }
    }

    /// What the engine knows of a subtask, with what that has left.
    func whole(_ child: Subtask, of parent: TaskRef) -> Subtask {
        guard let own = parent.task.flatMap({ runs[parent.run]?.subtasks[$0]?[child.id] }) else {
            return child
        }
        var child = child
        (child.exit, child.result) = (own.exit, own.result)
        return child
    }

    func sendFile(of child: Subtask, _ suffix: String, _ text: String, to parent: TaskRef) {
        guard pool.sent[parent] == child.attempt else { return }
        // A diagnostic is cut, never the message refused.
        let cut = String(decoding: Array(text.utf8.prefix(4096)), as: UTF8.self)
        pool.connection?.send(
            .child(parent, attempt: child.attempt, file: child.name + suffix, text: cut))
    }

    // MARK: A restart

    /// All that was live is there again, or is known not to be.
    func gatherFamilies() {
        guard engine.isGathering, reconcile == nil, unread.isEmpty else { return }
        engine.handle(.gathered(built: Set(built.keys)), at: now())
        perform(engine.takeActions())
    }

    /// Subtasks whose accept is on record and that did not come as far as ready/.
    func enterBuilt(
        _ inventory: inout SpoolInventory, _ fold: JournalFold
    ) throws(SpoolError) {
        for id in inventory.building where inventory.plans[id] == nil {
            guard let past = fold.runs[id], past.isLive, past.generation == 0,
                past.accept?.digest != nil, past.kin != nil
            else { continue }
            try SpoolError.naming("move tmp/\(id) to ready/") { () throws(Errno) in
                try spool.move(id.description, .tmp, to: id.description, .ready)
            }
            inventory.moveBuilt(id)
        }
    }
}
