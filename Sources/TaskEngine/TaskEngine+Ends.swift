// SPDX-License-Identifier: Apache-2.0
import TaskModel

/// Tasks end, and what follows from it.
extension TaskEngine {
    mutating func end(
        _ ref: TaskRef, _ attempt: Int, _ outcome: Outcome, at now: Int64
    ) {
        guard let (slot, task) = runningTask(ref, attempt), var run = slots[slot].run else {
            return
        }
        slots[slot].run = nil
        stop(task, in: &run)
        run.tasks[task].losses = 0
        switch outcome {
        case .success, .skipped:
            let state: TaskState = outcome == .success ? .success : .skipped
            finish(task, .final, (state, nil), in: &run, slot: slot)
        case .failure, .killed:
            if run.tasks[task].isCancelled {
                finish(task, .cancelled, (.cancelled, nil), in: &run, slot: slot)
            } else if case .failure(.exit, exit: .some(1)) = outcome,
                run.tasks[task].input.isCondition
            {
                finish(task, .skipped, (.skipped, nil), in: &run, slot: slot)
            } else if case .failure(let reason, _) = outcome, !run.isHeld {
                fail(task, ref, outcome, reason, in: &run, slot: slot, at: now)
            } else {  // by a hold: not counted
                actions.append(.attemptEnded(ref, attempt: attempt, .parked))
                _ = makeReady(&run, task, slot: slot)
            }
        }
        settle(run, slot: slot)
    }

    /// The attempt that ended is the task's last, and its end the task's where no child is open.
    private mutating func finish(
        _ task: Int, _ verdict: Verdict, _ result: (TaskState, FailureReason?),
        in run: inout LiveRun, slot: Int
    ) {
        let (ref, attempt) = (run.ref(task), run.tasks[task].attempt)
        if close(task, result.0, result.1, in: &run) {
            actions.append(.attemptEnded(ref, attempt: attempt, .waits(result.0)))
            return
        }
        actions.append(.attemptEnded(ref, attempt: attempt, verdict))
        conclude(task, result.0, result.1, in: &run, slot: slot)
    }

    mutating func fail(
        _ task: Int, _ ref: TaskRef, _ outcome: Outcome, _ reason: FailureReason,
        in run: inout LiveRun, slot: Int, at now: Int64
    ) {
        let attempt = run.tasks[task].attempt
        run.tasks[task].failures += 1
        let input = run.tasks[task].input
        guard input.policy.allowsRetry(after: outcome, failures: run.tasks[task].failures) else {
            return finish(task, .final, (.failure, reason), in: &run, slot: slot)
        }
        let time = now + run.interval(task)
        actions.append(.attemptEnded(ref, attempt: attempt, .retried))
        actions.append(.retry(ref, attempt: attempt + 1, due: time))
        waitUntil(time, task, in: &run, slot: slot)
    }

    mutating func lose(_ ref: TaskRef, _ attempt: Int) {
        guard let (slot, task) = runningTask(ref, attempt), var run = slots[slot].run else {
            return
        }
        slots[slot].run = nil
        stop(task, in: &run)
        run.tasks[task].losses += 1
        if run.tasks[task].isCancelled {
            cancelUnstarted(task, in: &run, slot: slot)
        } else {
            _ = makeReady(&run, task, slot: slot)
            if run.tasks[task].losses >= Self.parkingLosses, !run.isHeld {
                run.isHeld = true
                actions.append(.parked(run.id, because: ref))
                killAll(in: run)
            }
        }
        settle(run, slot: slot)
    }

    func isOrphan(_ ref: TaskRef) -> Bool { orphans[ref] != nil }

    /// The attempt of a run that was forgotten has ended.
    mutating func freeOrphan(_ ref: TaskRef) {
        guard let input = orphans.removeValue(forKey: ref) else { return }
        running -= 1
        give(input)
        endProbation(of: ref)
    }

    /// The slot and number of a task whose attempt runs.
    func runningTask(_ ref: TaskRef, _ attempt: Int) -> (Int, Int)? {
        guard let number = ref.task, let slot = index[ref.run], let run = slots[slot].run,
            let task = run.place(of: number), run.tasks[task].standing == .running,
            run.tasks[task].attempt == attempt
        else { return nil }
        return (slot, task)
    }

    mutating func stop(_ task: Int, in run: inout LiveRun) {
        run.running -= 1
        if run.tasks[task].sleep == .awake {
            running -= 1
            give(run.tasks[task].input)
        } else {
            riseFromSleep(task, in: &run)
        }
        endProbation(of: run.ref(task))
    }

    /// Decides a task and all that follows from it, without recursion.
    mutating func conclude(
        _ task: Int, _ state: TaskState, _ reason: FailureReason?, in run: inout LiveRun, slot: Int
    ) {
        decide(task, state, reason, in: &run)
        resolveEdges(of: [task], in: &run, slot: slot)
    }

    func decide(
        _ task: Int, _ state: TaskState, _ reason: FailureReason?, in run: inout LiveRun
    ) {
        if case .due = run.tasks[task].standing { run.waitingForTime -= 1 }
        run.tasks[task].standing = .final(state, reason)
        run.open -= 1
        switch state {
        case .success: run.succeeded += 1
        case .cancelled: run.cancelled += 1
        case .failure where !run.tasks[task].input.isOptional:
            // One that ran says more than one that was not asked for.
            if let first = run.failure, !run.tasks[first.task].input.isRest { return }
            run.failure = (task, reason ?? .exit)
        default: break
        }
    }

    mutating func resolveEdges(
        of decided: [Int], in run: inout LiveRun, slot: Int
    ) {
        var settled = decided
        while let task = settled.popLast() {
            guard case .final(let state, _) = run.tasks[task].standing else { continue }
            for edge in run.edges(from: task) {
                let next = edge.to
                if run.tasks[next].standing != .blocked { continue }
                run.tasks[next].waitingFor -= 1
                let name = run.tasks[task].input.name
                let (input, dependent) = (run.tasks[task].input, run.tasks[next].input)
                // What a failure may not fail hangs on this one's success: OnSuccess=.
                let isFollower = dependent.isOptional && !input.isOptional
                var verdict = Self.verdict(edge.kind, after: state, isFollower: isFollower)
                // Nor does what hangs on a handler run where that has not.
                let isOfHandler = edge.kind == .ok && input.isOptional && dependent.isOptional
                if state == .skipped, input.isCondition || isOfHandler {
                    verdict = .refused(.skipped, nil)
                }
                switch verdict {
                case .refused(let state, let reason):
                    let ref = run.ref(next)
                    actions.append(.taskEnded(ref, state, reason, because: name))
                    decide(next, state, reason, in: &run)
                    settled.append(next)
                case .satisfied where run.tasks[next].waitingFor == 0:
                    if makeReady(&run, next, slot: slot) { settled.append(next) }
                case .satisfied:
                    break
                }
            }
        }
    }

    enum EdgeVerdict {
        case satisfied
        case refused(TaskState, FailureReason?)
    }

    static func verdict(
        _ kind: EdgeKind, after state: TaskState, isFollower: Bool
    ) -> EdgeVerdict {
        switch (kind, state) {
        case (.end, _), (.ok, .success), (.ok, .skipped), (.fail, .failure): .satisfied
        case (.ok, .cancelled): .refused(.cancelled, nil)
        case (.ok, _) where isFollower: .refused(.skipped, .dependency)
        case (.ok, _): .refused(.failure, .dependency)
        case (.fail, _): .refused(.skipped, nil)
        }
    }
}
