// SPDX-License-Identifier: Apache-2.0
import Linux
import TaskHistory
import TaskModel
import TaskTool

/// How one task stands, gathered from event lines.
struct TaskOutcome {
    var ref: TaskRef
    var name: String?
    var state = TaskState.created
    var reason: FailureReason?
    var exit: Int?
    var signal: Int?
    var attempt = 1
    var started: Int64?
    var ended: Int64?
    var cpu: Int64?
    var memory: Int64?
    var weak: String?
    /// The sentence of the end record.
    var message: String?
    /// Bytes of output above `LogLimit=`, which are in no log.
    var dropped: Int64 = 0

    init(_ ref: TaskRef, name: String? = nil) {
        self.ref = ref
        self.name = name
    }

    /// What `task run` and `task wait` return for it.
    var exitStatus: Int32 { ExitStatus.of(state, reason: reason, exit: exit, signal: signal) }

    /// Takes in one event of this task.
    mutating func add(_ line: EventLine) {
        switch line.verb {
        case .start:
            state = .running
            name = line["name"] ?? name
            attempt = line.number("a") ?? 1
            started = started ?? line.microseconds
            weak = line["weak"] ?? weak
        case .end: end(line)
        case .retry: state = .pending
        case .skip: state = .skipped
        case .lost: state = .lost
        case .note where line["what"] == "log.limit":
            dropped += Int64(line.number("dropped") ?? 0)
        default: break
        }
    }

    /// Takes in a row of the history.
    mutating func add(_ row: TaskRow) {
        (state, exit, signal) = (row.state, row.exit, row.signal)
        reason = row.reason.flatMap { FailureReason(rawValue: $0) }
        attempt = max(1, row.attempts)
        (started, ended, cpu, memory) = (row.started, row.ended, row.cpu, row.memory)
        (weak, message) = (row.weak, row.message)
    }

    private mutating func end(_ line: EventLine) {
        guard let word = line["state"], let state = TaskState(word: word) else { return }
        self.state = state
        reason = line["reason"].flatMap { FailureReason(rawValue: $0) }
        exit = line.number("exit")
        signal = line["signal"].flatMap { SignalName.number(of: $0) }.map { Int($0) }
        attempt = line.number("a") ?? attempt
        ended = line.microseconds
        cpu = line.number("cpu").map { Int64($0) } ?? cpu
        memory = line.number("mem").map { Int64($0) } ?? memory
        message = line["what"]
    }

    /// `site: failure (exit 3): what to do`.
    var sentence: String {
        (name ?? "\(ref)") + ": " + words + (message.map { ": \($0)" } ?? "")
    }

    /// What is to be said though it may have succeeded; nil when nothing is.
    var loss: String? {
        guard dropped > 0 else { return nil }
        return HumanText.aboveLogLimit(name ?? "\(ref)", dropped)
    }

    /// `failure (exit 3)`, `failure (check, exit 1)`, `success`.
    var words: String {
        var details: [String] = []
        if let reason, reason != .exit, reason != .signal { details.append(reason.rawValue) }
        if let exit, exit != 0 { details.append("exit \(exit)") }
        if let signal { details.append("signal \(SignalName.name(of: Int32(signal)))") }
        return details.isEmpty ? state.word : "\(state.word) (\(details.joined(separator: ", ")))"
    }
}

/// The tasks of one run, by their numbers in its plan.
struct RunOutcome {
    let run: TaskID
    private(set) var tasks: [TaskOutcome]
    private let rootNumber: Int?
    /// The unit whose [Then] the root is.
    private let thenOf: String?

    init(_ run: TaskID, plan: Plan) {
        self.run = run
        rootNumber = plan.root?.number
        thenOf = plan.root?.spec.thenOf
        tasks = plan.tasks.map {
            TaskOutcome(TaskRef(run: run, task: $0.number), name: $0.spec.name)
        }
    }

    /// The task that was asked for; the others are its dependencies, or hang on it.
    var root: TaskOutcome? { tasks.first { $0.ref.task == rootNumber } }

    /// What `task run` returns: where its [Then] did not run, for the unit has failed, the unit's own.
    var exitStatus: Int32 {
        guard let root else { return ExitStatus.toolFailed }
        let unit = thenOf.flatMap { unit in tasks.first { $0.name == unit } }
        guard root.reason == .dependency, let unit else { return root.exitStatus }
        return unit.exitStatus
    }

    /// The root, and before it those that failed it: a `dependency` failure alone says little.
    var culprits: [TaskOutcome] {
        guard let root else { return [] }
        guard root.reason == .dependency else { return [root] }
        return tasks.filter {
            $0.state == .failure && $0.reason != .dependency && $0.ref != root.ref
        } + [root]
    }

    /// Takes in what the history knows of one task.
    mutating func add(_ row: TaskRow) {
        guard let index = tasks.firstIndex(where: { "\($0.ref)" == row.id }) else { return }
        tasks[index].add(row)
    }

    /// Takes in that a part of a task's output was not kept.
    mutating func add(_ cut: CutOutput) {
        guard let index = tasks.firstIndex(where: { "\($0.ref)" == cut.task }) else { return }
        tasks[index].dropped += cut.dropped
    }

    mutating func add(_ line: EventLine) {
        guard let ref = line.ref, ref.run == run, ref.item == nil, let number = ref.task,
            let index = tasks.firstIndex(where: { $0.ref.task == number })
        else { return }
        tasks[index].add(line)
    }

    /// The columns of one task in every answer of this program.
    static let columns = [
        Column("id"), Column("run", nil), Column("name"), Column("state"), Column("reason"),
        Column("exit"), Column("signal"), Column("attempt"), Column("started", nil),
        Column("ended"), Column("cpu_us", "CPU"), Column("mem"), Column("weak", nil),
        Column("message"),
    ]

    var rows: [[Value]] {
        tasks.map { task in
            [
                .id("\(task.ref)"), .id("\(run)"), Value(task.name), .state(task.state),
                Value(task.reason?.rawValue), Value(task.exit),
                Value(task.signal), Value(task.attempt),
                Value(time: task.started), Value(time: task.ended), Value(span: task.cpu),
                Value(size: task.memory), Value(task.weak), Value(task.message),
            ]
        }
    }
}
