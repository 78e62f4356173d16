// SPDX-License-Identifier: Apache-2.0
import TaskModel

/// A task of a run in memory.
struct LiveTask {
    enum Standing: Equatable {
        /// Dependencies have not ended.
        case blocked
        /// May start: it has, or waits for, an entry in the ready queue.
        case ready
        case running
        case due(Int64)
        /// Its process has ended, its children have not.
        case closing
        case final(TaskState, FailureReason?)
    }

    private let shared: SharedInputs.Shared
    var input: TaskInput { _read { yield shared.value } }
    var standing = Standing.blocked
    /// The number of the last attempt, 0 before the first.
    var attempt = 0
    var failures = 0
    var losses = 0
    /// Edges into it that are not settled.
    var waitingFor = 0
    /// Its owner wants it ended: the attempt that runs is its last.
    var isCancelled = false
    /// Of one that runs.
    var sleep = Sleep.awake

    enum Sleep {
        case awake
        /// Its process waits for subtasks, without a slot.
        case asleep
        /// These have ended: it goes on once it has a slot.
        case woken
    }

    init(_ input: SharedInputs.Shared) { shared = input }

    /// It waits for a slot.
    var mayStart: Bool { standing == .ready || sleep == .woken }

    var isFinal: Bool {
        if case .final = standing { return true }
        return false
    }
}

/// A run in memory: its tasks and the edges out of each, in one array sorted by origin.
struct LiveRun {
    let id: TaskID
    let generation: Int
    /// Whose subtask it is.
    var kin: Kin? {
        get { kins.first }
        set { kins = newValue.map { [$0] } ?? [] }
    }
    private var kins: [Kin]  // one word where there is none, as of most
    var tasks: [LiveTask]
    /// The items of those that are arrays, by place.
    var arrays: [Int: LiveItems] = [:]
    private let firstEdge: [Int32]
    /// Between places in `tasks`, not numbers.
    private let edges: [RunInput.Edge]
    /// Tasks without a decided result.
    var open: Int32
    var running: Int32 = 0
    /// How many tasks wait for a time.
    var waitingForTime: Int32 = 0
    /// How many tasks wait for their children.
    var closing: Int32 = 0
    /// How many tasks that run are without a slot.
    var asleep: Int32 = 0
    /// Whether a task of it has had children.
    var hasFamilies = false
    var isHeld = false
    /// Nothing more of it starts for now.
    var isBarred = false
    var placement = Placement.ready
    /// Whether it counts among `TaskEngine.resting`.
    var isResting = false
    /// The first failure that counts, as its end must be reported.
    var failure: (task: Int, reason: FailureReason)?
    var cancelled: Int32 = 0
    var succeeded: Int32 = 0

    init(_ input: RunInput, sharing inputs: inout SharedInputs) {
        id = input.id
        generation = input.generation
        kins = input.kin.map { [$0] } ?? []
        tasks = input.tasks.map { LiveTask(inputs.share($0)) }
        for place in tasks.indices {
            if let items = tasks[place].input.items { arrays[place] = LiveItems(items) }
        }
        open = Int32(tasks.count)
        let all = tasks
        edges = input.edges.compactMap { edge in
            guard let from = Self.place(of: edge.from, in: all),
                let to = Self.place(of: edge.to, in: all)
            else { return nil }
            return RunInput.Edge(from: from, to: to, kind: edge.kind)
        }.sorted { $0.from < $1.from }
        var first = [Int32](repeating: 0, count: edges.isEmpty ? 0 : tasks.count + 1)
        for edge in edges {
            first[edge.from + 1] += 1
            tasks[edge.to].waitingFor += 1
        }
        for index in first.indices.dropFirst() { first[index] += first[index - 1] }
        firstEdge = first
    }

    /// The edges that leave a task.
    func edges(from task: Int) -> ArraySlice<RunInput.Edge> {
        if firstEdge.isEmpty { return [] }
        return edges[Int(firstEdge[task])..<Int(firstEdge[task + 1])]
    }

    /// The place of the task with that number; nil where there is none. O(1) without gaps, else
    /// O(log n).
    func place(of number: Int) -> Int? { Self.place(of: number, in: tasks) }

    private static func place(of number: Int, in tasks: [LiveTask]) -> Int? {
        if tasks.indices.contains(number), tasks[number].input.number == number { return number }
        var low = 0
        var high = tasks.count
        while low < high {
            let middle = (low + high) / 2
            if tasks[middle].input.number < number { low = middle + 1 } else { high = middle }
        }
        return low < tasks.count && tasks[low].input.number == number ? low : nil
    }

    /// Whether the task at a place has items.
    func isArray(_ place: Int) -> Bool { !arrays.isEmpty && arrays.keys.contains(place) }

    /// All that is open of it waits for subtasks.
    var rests: Bool { closing + asleep > 0 && closing + asleep == open }

    /// Something of it waits for nothing but slots.
    var hasStartable: Bool {
        mutating get {
            for place in tasks.indices where tasks[place].standing == .ready {
                if !isArray(place) || arrays[place]?.candidate() != nil { return true }
            }
            return false
        }
    }

    /// Microseconds from the last failure of an item to its next attempt.
    func interval(_ place: Int, item: Int) -> Int64 {
        let own = arrays[place]?.begun[item] ?? LiveItem()
        let mixed = UInt64(item) &* 0x2545_f491_4f6c_dd1d
        let seed = id.low &+ UInt64(place) &* 31 &+ UInt64(own.attempt) &+ mixed
        return tasks[place].input.policy.delay(failures: max(1, own.failures), seed: seed)
    }

    /// Microseconds from the last failure of the task at a place to its next attempt.
    func interval(_ place: Int) -> Int64 {
        let task = tasks[place]
        let seed = id.low &+ UInt64(place) &* 31 &+ UInt64(task.attempt)
        return task.input.policy.delay(failures: max(1, task.failures), seed: seed)
    }

    func ref(of task: LiveTask) -> TaskRef { TaskRef(run: id, task: task.input.number) }

    /// How event lines name the task at a place.
    func ref(_ place: Int) -> TaskRef { TaskRef(run: id, task: tasks[place].input.number) }

    /// How event lines name an item.
    func ref(_ place: Int, item: Int) -> TaskRef {
        TaskRef(run: id, task: tasks[place].input.number, item: item)
    }

    /// State, reason and the name of the task that decided, once nothing is open.
    var result: (state: TaskState, reason: FailureReason?, because: String?) {
        if let failure {
            return (.failure, failure.reason, tasks[failure.task].input.name)
        }
        if cancelled > 0 { return (.cancelled, nil, nil) }
        return (succeeded > 0 ? .success : .skipped, nil, nil)
    }
}

/// A place in the queue of tasks that may start: priority first, then age, then plan order. Subtasks
/// have the age of their root: of one age the deeper goes first, so that a tree keeps few runs open. For
/// the same reason who has slept goes on before any other starts.
struct ReadyEntry: Comparable {
    var priority: Int
    var id: TaskID
    var task: Int
    var slot: Int
    var stamp: UInt32
    /// How far below its root.
    var depth: UInt32
    /// It goes on, and does not start.
    var hasSlept = false

    static func < (left: ReadyEntry, right: ReadyEntry) -> Bool {
        if left.priority != right.priority { return left.priority > right.priority }
        if left.hasSlept != right.hasSlept { return left.hasSlept }
        if left.depth != right.depth, left.id.milliseconds == right.id.milliseconds {
            return left.depth > right.depth
        }
        if left.id != right.id { return left.id < right.id }
        return left.task < right.task
    }
}

/// A place in the queue of tasks that wait for a time.
struct DueEntry: Comparable {
    var due: Int64
    var slot: Int
    var stamp: UInt32
    var task: Int

    static func < (left: DueEntry, right: DueEntry) -> Bool {
        (left.due, left.slot, left.task) < (right.due, right.slot, right.task)
    }
}
