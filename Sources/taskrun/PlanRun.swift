// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskEngine
import TaskJail
import TaskModel

/// One plan from its first task to its last, without a daemon: the scheduler decides, the executor
/// carries out, and every event goes to the writer.
final class PlanRun: AttemptOwner {
    let sink: any OutputSink
    private let plan: Plan
    private let id: TaskID
    private let executor: Executor
    private let events: EventWriter?
    private var engine = TaskEngine()
    private var recipes = RecipeCache()
    private var lists: ItemLists
    /// The end line that the scheduler has yet to call final or not.
    private var endLine: [UInt8] = []
    private var name = ""
    /// Attempts in a row of which nobody heard the end.
    private var losses: [TaskRef: Int] = [:]
    private let clockOffset = Clock.real() - Clock.boot()

    /// How the tasks ended, by index in the plan.
    private(set) var results: [AttemptResult?]
    /// The run's state once it has ended.
    private(set) var ended: TaskState?

    init(
        _ plan: Plan, id: TaskID, executor: Executor, sink: any OutputSink, events: EventWriter?
    ) {
        self.plan = plan
        self.id = id
        self.executor = executor
        self.sink = sink
        self.events = events
        lists = ItemLists(plan)
        results = Array(repeating: nil, count: plan.tasks.count)
    }

    /// Begins the run.
    ///
    /// - Parameters:
    ///   - name: what the run is called.
    ///   - bytes: the plan's own.
    func begin(name: String, bytes: [UInt8]) {
        self.name = name
        var line = LineBuilder("accept", run: id)
        line.field("name", name)
        line.field("tasks", plan.tasks.count)
        if let root = plan.root, root.number != plan.tasks.last?.number {
            line.field("root", root.number)
        }
        line.field("digest", Plan.digest(ofEncoded: bytes) ?? "")
        if bytes.count <= 4096 { line.field("plan", raw: bytes) }
        events?.append(line.bytes)
        let memory = Int64(clamping: Machine.memory)
        engine.handle(.capacity(slots: executor.slots.count, memory: memory), at: Clock.boot())
        engine.handle(.accepted(RunInput(id: id, plan: plan)), at: Clock.boot())
        carryOut()
    }

    /// Runs the loop until the run has ended.
    func complete() throws(Errno) {
        while ended == nil {
            executor.fill()
            events?.flush()
            if ended != nil { break }
            try executor.loop.turn(until: nextDeadline)
            executor.tick()
            if let due = engine.nextDeadline, due <= Clock.boot() {
                engine.advance(to: Clock.boot())
                carryOut()
            }
        }
        events?.flush()
    }

    /// Ends all that runs and all that has not begun.
    func cancel() {
        engine.handle(.cancel(TaskRef(run: id)), at: Clock.boot())
        carryOut()
    }

    private var nextDeadline: Int64? {
        switch (executor.nextDeadline, engine.nextDeadline) {
        case (let one?, let other?): min(one, other)
        case (let one, let other): one ?? other
        }
    }

    // MARK: Tasks by number

    // A reduced plan keeps the numbers of the one that it comes from, so there may be gaps.
    private func index(of number: Int) -> Int {
        if plan.tasks.indices.contains(number), plan.tasks[number].number == number {
            return number
        }
        return plan.tasks.firstIndex { $0.number == number } ?? 0
    }

    private func job(_ ref: TaskRef, _ attempt: Int) -> Job {
        let task = plan.tasks[index(of: ref.task ?? 0)]
        let item = lists.text(of: ref)
        return Job(
            ref: ref, attempt: attempt, name: task.spec.name, item: item,
            recipe: recipes.recipe(for: task, item: item, in: plan), owner: self)
    }

    // MARK: What the scheduler decides

    private func carryOut() {
        for action in engine.takeActions() {
            switch action {
            case .start(let ref, let attempt):
                executor.submit(job(ref, attempt))
            case .kill(let ref, let attempt):
                executor.kill(ref, attempt: attempt, of: self, grace: nil)
            case .attemptEnded(_, _, let verdict):
                if verdict == .final || verdict == .cancelled {
                    endLine.append(contentsOf: " final=yes".utf8)
                }
                events?.append(endLine)
            case .retry(let ref, let attempt, let due),
                .retryClosed(let ref, let attempt, let due, _):
                var line = LineBuilder("retry", ref, attempt: attempt)
                line.field("due", due + clockOffset)
                events?.append(line.bytes)
            case .taskEnded(let ref, let state, let reason, let because):
                taskEnded(ref, state, reason, because)
            case .itemsEnded(let ref, let result): itemsEnded(ref, result)
            case .runEnded(_, let state, let reason, let because):
                runEnded(state, reason, because)
            case .place, .parked, .wake:
                break
            }
        }
    }

    private func taskEnded(
        _ ref: TaskRef, _ state: TaskState, _ reason: FailureReason?, _ because: String?
    ) {
        results[index(of: ref.task ?? 0)] = AttemptResult(
            state: state, reason: reason, what: because.map { "\($0) failed" })
        var line = LineBuilder("end", ref)
        line.field("state", state.word)
        if let because, state == .skipped {
            let what = reason == .dependency ? "did not succeed" : "did not fail"
            line.field("what", "\(because) \(what)")
        } else if let reason {
            line.field("reason", reason.rawValue)
            if let because, reason == .dependency {
                line.field("what", "\(because), which it requires, failed")
            }
        }
        line.field("name", plan.tasks[index(of: ref.task ?? 0)].spec.name)
        line.word("final=yes")
        events?.append(line.bytes)
    }

    private func itemsEnded(_ ref: TaskRef, _ result: ItemsResult) {
        let at = index(of: ref.task ?? 0)
        results[at] = AttemptResult(
            state: result.state, reason: result.reason, exit: result.state == .failure ? 1 : nil,
            what: result.sentence)
        var line = LineBuilder("end", ref)
        line.field("state", result.state.word)
        if let reason = result.reason { line.field("reason", reason.rawValue) }
        if let what = result.sentence { line.field("what", what) }
        line.field("items", result.counts.total)
        line.field("success", result.counts.success)
        line.field("failure", result.counts.failure)
        line.field("cancelled", result.counts.cancelled)
        line.field("name", plan.tasks[at].spec.name)
        line.word("final=yes")
        events?.append(line.bytes)
    }

    private func runEnded(_ state: TaskState, _ reason: FailureReason?, _ because: String?) {
        ended = state
        var line = LineBuilder("end", run: id)
        line.field("state", state.word)
        if let reason { line.field("reason", reason.rawValue) }
        if let because, plan.tasks.count > 1 { line.field("what", "\(because) failed") }
        line.field("name", name)
        events?.append(line.bytes)
    }

    // MARK: What the executor reports

    func report(_ line: [UInt8]) { events?.append(line) }

    // There is no hold/ here: the third in a row fails the task.
    func repeatsLost(_ job: Job) -> Bool { losses[job.ref, default: 0] < 2 }

    private func lost(_ job: Job, _ line: [UInt8], _ result: AttemptResult) {
        losses[job.ref, default: 0] += 1
        Message.warning("\(job.name): \(result.what ?? "it is lost"), another attempt follows")
        events?.append(line)
        engine.handle(.lost(job.ref, attempt: job.attempt), at: Clock.boot())
        carryOut()
    }

    func ended(_ job: Job, _ line: [UInt8], _ result: AttemptResult) {
        if result.state == .lost { return lost(job, line, result) }
        losses[job.ref] = nil
        if job.ref.item == nil { results[index(of: job.ref.task ?? 0)] = result }
        endLine = line
        engine.handle(
            .ended(job.ref, attempt: job.attempt, Outcome(result)), at: Clock.boot())
        carryOut()
    }
}

extension Outcome {
    init(_ result: AttemptResult) {
        switch result.state {
        case .success: self = .success
        case .skipped: self = .skipped
        case .cancelled: self = .killed
        default: self = .failure(result.reason ?? .signal, exit: result.exit.map(Int.init))
        }
    }
}
