// SPDX-License-Identifier: Apache-2.0
import TaskModel

/// Reads the whole journal for what it says of subtasks (task-spool(7), "Subtasks").
struct FamilyVerdict {
    private struct Child {
        var parent: TaskRef
        var attempt: Int
        var isOpen = true
        var hasFailed = false
    }

    private var children: [TaskID: Child] = [:]
    private var byParent: [TaskRef: [TaskID]] = [:]
    /// The last attempt of which the process has ended, and how tasks ended.
    private var attempts: [TaskRef: Int] = [:]
    private var ends: [String: TaskState] = [:]
    private var accepts: [TaskID: Int] = [:]
    /// Runs that ended as cancelled, or a task of theirs.
    private var cancelled: Set<TaskID> = []
    /// Where fdatasync failed, records are written again.
    let isRewritten: Bool
    let truth: Truth

    init(_ truth: Truth, isRewritten: Bool) {
        (self.truth, self.isRewritten) = (truth, isRewritten)
    }

    mutating func add(_ line: EventLine) {
        guard let ref = line.ref else { return }
        if ref.task == nil {
            addRun(line, ref.run)
        } else if line.verb == .end, ref.item == nil {
            if let attempt = line.number("a") { attempts[ref] = attempt }
            if line["final"] == "yes" { end(ref, line) }
        }
    }

    private mutating func addRun(_ line: EventLine, _ id: TaskID) {
        let parent = line["parent"].flatMap { TaskRef($0) }
        switch line.verb {
        case .accept, .adopt, .retry, .reject:
            guard let parent else { return }
            if children[id] == nil { byParent[parent, default: []].append(id) }
            var child = children[id] ?? Child(parent: parent, attempt: 0, isOpen: false)
            child.attempt = line.number("a") ?? child.attempt
            if line.verb == .accept, line["recovered"] != "yes" { accepts[id, default: 0] += 1 }
            // One that ran again without its parent is adopted as it runs.
            if line.verb == .accept || line.verb == .retry || line["g"] != nil {
                (child.isOpen, child.hasFailed) = (line["state"] == nil, false)
            }
            if line.verb == .adopt, child.hasFailed, !truth.isTouched(id) {
                truth.fail("P2", "\(id) has failed and is adopted by \(parent)")
            }
            if line.verb == .reject { child.hasFailed = true }
            children[id] = child
        case .end where line["final"] == "yes":
            let state = line["state"]
            if state == "cancelled" { cancelled.insert(id) }
            children[id]?.isOpen = false
            children[id]?.hasFailed = state != "success" && state != "skipped"
        default: break
        }
    }

    /// A task's final end comes after those of all that it dropped, and says what they came to.
    private mutating func end(_ ref: TaskRef, _ line: EventLine) {
        let state = line["state"].flatMap { TaskState(word: $0) } ?? .failure
        ends["\(ref)+\(line["g"] ?? "0")"] = state
        if state == .cancelled { cancelled.insert(ref.run) }
        for id in byParent[ref] ?? [] {
            guard let child = children[id], !isRewritten,
                truth.family.kin[id]?.generation == line.number("g") ?? 0
            else { continue }
            if child.isOpen { truth.fail("family", "\(ref) ended before \(id), which it dropped") }
            if state == .success, child.hasFailed, child.attempt == attempts[ref] {
                truth.fail("family", "\(ref) succeeded, and \(id), which it dropped, failed")
            }
        }
    }

    /// All is read.
    func close() {
        for (id, count) in accepts where count > 1 && !isRewritten {
            truth.fail("P2", "the subtask \(id) has \(count) accepts")
        }
        for drop in truth.family.promised
        where children[drop.child] == nil && !truth.isTouched(drop.key.ref.run) {
            truth.fail(
                "P1",
                "\(drop.name) of \(drop.key.ref) a=\(drop.key.attempt) was acknowledged, and the "
                    + "journal does not know \(drop.child)")
        }
    }

    /// A subtask may be cancelled by its parent's end, and by whoever touched one above it.
    func mayBeCancelled(_ id: TaskID) -> Bool {
        if truth.isTouched(id) { return true }
        guard let kin = truth.family.kin[id] else { return false }
        return ends["\(kin.parent)+\(kin.generation)"].map { $0 != .success && $0 != .skipped }
            ?? cancelled.contains(kin.parent.run)
    }

    /// Of runs that nobody's hand has cancelled.
    func checkCancelled() {
        for id in cancelled.sorted() where !mayBeCancelled(id) {
            truth.fail("P1", "\(id) ended as cancelled, and nobody asked for it")
        }
    }
}
