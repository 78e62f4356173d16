// SPDX-License-Identifier: Apache-2.0
public import TaskModel

/// Subtasks. A task whose process has ended while children are open is closing: it holds no slot, and
/// its end follows the last of theirs. What an end or a cancel means for those above and below goes
/// onto a list that `advance` works off: a tree of any depth costs O(1) a link, and no stack.
extension TaskEngine {
    enum FamilyStep {
        case ended(TaskRef, child: TaskID, TaskState, FailureReason?)
        case decide(TaskRef)
        case cancel(TaskID)
    }

    /// What a parent knows of a child; nil where it has none of that id.
    public func child(_ id: TaskID, of parent: TaskRef) -> Subtask? { families[parent]?[id] }

    /// The task that a run was dropped by, where that is open and not being cancelled, and what it knows of
    /// it. O(tasks with children).
    public func parent(of id: TaskID) -> (TaskRef, Subtask)? {
        for (parent, family) in families {
            guard let child = family[id], !child.isRefused, takesChildren(parent) else { continue }
            return (parent, child)
        }
        return nil
    }

    /// How many children of a task have not ended.
    public func openChildren(of parent: TaskRef) -> Int { families[parent]?.open ?? 0 }

    /// The children of a task that has not ended, by id. O(n log n).
    public func children(of parent: TaskRef) -> [Subtask] { families[parent]?.sorted ?? [] }

    /// Whether a task that has not ended has, or had, children.
    public func hasChildren(_ parent: TaskRef) -> Bool { families[parent] != nil }

    /// The same of all tasks of a run, by number. O(tasks) where one has children.
    public func children(of id: TaskID) -> [Int: [Subtask]] {
        guard let slot = index[id], let run = slots[slot].run, run.hasFamilies else { return [:] }
        var all: [Int: [Subtask]] = [:]
        for task in run.tasks { all[task.input.number] = families[run.ref(of: task)]?.sorted }
        return all
    }

    /// Whether the task is open and not being cancelled: what it drops may run.
    public func takesChildren(_ parent: TaskRef) -> Bool {
        guard let (slot, task) = openTask(parent), families[parent]?.isDoomed != true else {
            return false
        }
        return slots[slot].run?.tasks[task].isCancelled == false
    }

    // MARK: Children come

    /// A parent dropped it: it is new, adopted, or refused.
    mutating func addChild(_ child: Subtask, to parent: TaskRef) {
        guard let (slot, _) = openTask(parent) else { return }
        slots[slot].run?.hasFamilies = true
        families[parent, default: Family()].set(child)
        // One that ran again without it: its end is the parent's from now on.
        if child.isOpen, let own = index[child.id], slots[own].run?.kin == nil {
            slots[own].run?.kin = Kin(parent: parent, depth: child.depth)
        }
    }

    /// One whose parent has ended, or is being ended, does not start; but where its owner had it run again
    /// after that, it is nobody's.
    mutating func greet(_ id: TaskID, _ kin: Kin?) {
        guard let kin, !isGathering, let slot = index[id] else { return }
        let generation = slots[slot].run?.generation ?? 0
        if var child = child(id, of: kin.parent), takesChildren(kin.parent) {
            if child.isOpen { return }
            child.reopen(generation)
            families[kin.parent]?.set(child)
        } else if generation > 0, index[kin.parent.run] == nil {
            slots[slot].run?.kin = nil
        } else {
            familySteps.append(.cancel(id))
        }
    }

    /// All runs of before a restart are there.
    mutating func gather(besides built: Set<TaskID>) {
        isGathering = false
        for (parent, family) in families.sorted(by: { Self.isBefore($0.key, $1.key) }) {
            for id in family.openChildren where index[id] == nil && !built.contains(id) {
                families[parent]?.end(id, .cancelled, nil)
            }
            awaken(parent)
            if family.closing != nil { familySteps.append(.decide(parent)) }
            if !takesChildren(parent) { cancelChildren(of: parent) }
        }
        for (id, slot) in index.sorted(by: { $0.key < $1.key }) {
            greet(id, slots[slot].run?.kin)
        }
    }

    private static func isBefore(_ left: TaskRef, _ right: TaskRef) -> Bool {
        (left.run, left.task ?? 0) < (right.run, right.task ?? 0)
    }

    /// The slot and place of a task that has not ended.
    func openTask(_ ref: TaskRef) -> (Int, Int)? {
        guard ref.item == nil, let number = ref.task, let slot = index[ref.run],
            let run = slots[slot].run, let task = run.place(of: number), !run.tasks[task].isFinal
        else { return nil }
        return (slot, task)
    }

    // MARK: Parents end

    /// The task's end is decided by `state`, or it waits for its children.
    ///
    /// - Returns: whether it waits.
    mutating func close(
        _ task: Int, _ state: TaskState, _ reason: FailureReason?, in run: inout LiveRun
    ) -> Bool {
        let ref = run.ref(task)
        guard run.hasFamilies, let family = families[ref] else { return false }
        let hasFailed = state == .success && family.failed(of: run.tasks[task].attempt) != nil
        guard family.open > 0 || hasFailed else {
            families[ref] = nil
            return false
        }
        if case .due = run.tasks[task].standing { run.waitingForTime -= 1 }
        run.tasks[task].standing = .closing
        run.closing += 1
        families[ref]?.closing = .init(state, reason)
        if family.open == 0 { familySteps.append(.decide(ref)) }
        if state != .success, state != .skipped { cancelChildren(of: ref) }
        return true
    }

    /// The task is being cancelled while its children run.
    mutating func doom(_ task: Int, in run: LiveRun) {
        let ref = run.ref(task)
        guard run.hasFamilies, families[ref] != nil else { return }
        if run.tasks[task].standing == .closing {
            families[ref]?.closing = .decided(.cancelled, nil)
        }
        cancelChildren(of: ref)
    }

    private mutating func cancelChildren(of parent: TaskRef) {
        for id in families[parent]?.openChildren ?? [] { familySteps.append(.cancel(id)) }
    }

    /// A run is no longer there: its parent hears of it, and its children end.
    mutating func leave(_ run: LiveRun, _ state: TaskState, _ reason: FailureReason?) {
        if let kin = run.kin {
            familySteps.append(.ended(kin.parent, child: run.id, state, reason))
        }
        if !run.hasFamilies { return }
        for task in run.tasks.indices {
            cancelChildren(of: run.ref(task))
            families[run.ref(task)] = nil
        }
    }

    // MARK: The list

    mutating func settleFamilies(at now: Int64) {
        var next = 0
        while next < familySteps.count {
            switch familySteps[next] {
            case .cancel(let id): cancel(TaskRef(run: id))
            case .decide(let parent): decide(parent, at: now)
            case .ended(let parent, let child, let state, let reason):
                families[parent]?.end(child, state, reason)
                awaken(parent)
                decide(parent, at: now)
            }
            next += 1
        }
        if next > 0 { familySteps = [] }
    }

    /// The last child of a closing task has ended: so does the task, or it is tried again.
    private mutating func decide(_ parent: TaskRef, at now: Int64) {
        guard !isGathering, let family = families[parent], family.open == 0,
            let closing = family.closing, let (slot, task) = openTask(parent),
            var run = slots[slot].run
        else { return }
        slots[slot].run = nil
        run.closing -= 1
        families[parent]?.closing = nil
        switch closing {
        case .decided(let state, let reason):
            conclude(closing: task, (state, reason, nil), in: &run, slot: slot)
        case .byChildren(let state):
            if let name = family.failed(of: run.tasks[task].attempt) {
                fail(task, becauseOf: name, in: &run, slot: slot, at: now)
            } else {
                conclude(closing: task, (state, nil, nil), in: &run, slot: slot)
            }
        }
        settle(run, slot: slot)
    }

    private mutating func conclude(
        closing task: Int, _ result: (TaskState, FailureReason?, because: String?),
        in run: inout LiveRun, slot: Int
    ) {
        families[run.ref(task)] = nil
        actions.append(.taskEnded(run.ref(task), result.0, result.1, because: result.because))
        conclude(task, result.0, result.1, in: &run, slot: slot)
    }

    private mutating func fail(
        _ task: Int, becauseOf child: String, in run: inout LiveRun, slot: Int, at now: Int64
    ) {
        run.tasks[task].failures += 1
        let own = run.tasks[task]
        guard own.failures <= own.input.policy.retries else {
            let result = (TaskState.failure, FailureReason.dependency, because: child)
            return conclude(closing: task, result, in: &run, slot: slot)
        }
        let time = now + run.interval(task)
        actions.append(
            .retryClosed(run.ref(task), attempt: own.attempt + 1, due: time, because: child))
        waitUntil(time, task, in: &run, slot: slot)
    }
}
