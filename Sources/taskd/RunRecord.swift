// SPDX-License-Identifier: Apache-2.0
import TaskJournal
import TaskModel
import TaskSpool

/// What taskd knows of a live run beside the engine: its plan, and where its file is.
///
/// A cache: the directory is the truth, and a rename that meets ENOENT looks there.
struct RunRecord {
    /// What few runs have, or only for a while.
    private struct Rare {
        var plan: Plan?
        var hadSubtasks: Set<TaskRef> = []
        var cancelled: Set<TaskRef> = []
        var results: [Int: TaskState] = [:]
        var left: [Int: ResultPlace] = [:]
        var into: [PlanEdge] = []
        var items: [Int: ItemStates] = [:]
        var lists: ItemFile?
        var kin: Kin?
        /// TASK_NAME of a single one, where that is not the run's name.
        var taskName: String?
        var subtasks: [Int: [TaskID: Subtask]] = [:]
        var exit: Int?
        var remains: [Int: Remain] = [:]
        /// Log segments with results that its plan names.
        var carried: Set<SegmentName> = []

        var isEmpty: Bool {
            plan == nil && hadSubtasks.isEmpty && cancelled.isEmpty && results.isEmpty
                && left.isEmpty && items.isEmpty && lists == nil && kin == nil
                && taskName == nil && subtasks.isEmpty && remains.isEmpty && carried.isEmpty
        }
    }

    /// Unit name, as `name=` of its events.
    var name: String
    var directory: SpoolDirectory
    var file: RunFileName
    /// The run's end is journaled; the file goes when that is durable.
    var isEnded = false
    /// Its owner removed the file.
    var isRemoved = false
    /// fsync(2) of its file has failed: another must not be believed.
    var isSyncLost = false
    /// A run of one task carries its attempt in its file name.
    let isSingle: Bool
    private let firstNumber: Int32
    /// The number of its first task.
    var first: Int { Int(firstNumber) }
    /// Whose subtask it is.
    var kin: Kin? {
        get { rare.first?.kin }
        set { if newValue != nil || !rare.isEmpty { own.kin = newValue } }
    }
    /// None or one: a word where it is not there, as with 20,000 runs that wait.
    private var rare: [Rare] = []

    private var own: Rare {
        get { rare.first ?? Rare() }
        _modify {
            if rare.isEmpty { rare.append(Rare()) }
            yield &rare[0]
        }
    }

    /// Nil: one of many that wait; it is read from its file when it starts. Item lists stay there.
    private(set) var plan: Plan? {
        get { rare.first?.plan }
        set { own.plan = newValue }
    }
    /// Tasks that have dropped subtasks.
    var hadSubtasks: Set<TaskRef> {
        get { own.hadSubtasks }
        _modify { yield &own.hadSubtasks }
    }
    /// What its owner has cancelled and has not ended: the run, or tasks of it.
    var cancelled: Set<TaskRef> {
        get { own.cancelled }
        _modify { yield &own.cancelled }
    }
    /// What tasks have dropped, by number: of a task that has ended what that left for its [Then].
    private(set) var subtasks: [Int: [TaskID: Subtask]] {
        get { own.subtasks }
        _modify { yield &own.subtasks }
    }
    /// Of a subtask: how the command exited that it was dropped for.
    var exit: Int? {
        get { rare.first?.exit }
        set { if newValue != nil || !rare.isEmpty { own.exit = newValue } }
    }
    /// `RemainAfterExit=` of its tasks, by number.
    var remains: [Int: Remain] { rare.first?.remains ?? [:] }

    struct Remain {
        var key: String
        /// Microseconds.
        var span: Int64
    }

    /// Final states by task number, for the reduced plan; kept only where there are several tasks.
    var results: [Int: TaskState] {
        get { own.results }
        _modify { yield &own.results }
    }
    /// What tasks left on which others depend, by number.
    private(set) var left: [Int: ResultPlace] {
        get { own.left }
        _modify { yield &own.left }
    }
    /// Edges by where they lead, once there is a result.
    private var into: [PlanEdge] {
        get { own.into }
        set { own.into = newValue }
    }
    /// What became of the items of arrays that have ended, for the same.
    var items: [Int: ItemStates] {
        get { own.items }
        _modify { yield &own.items }
    }
    /// Where its item lists are in its file, once one was needed.
    var lists: ItemFile? {
        get { rare.first?.lists }
        set { own.lists = newValue }
    }

    init(plan: Plan, name: String, directory: SpoolDirectory, file: RunFileName) {
        self.name = name
        self.directory = directory
        self.file = file
        isSingle = plan.isSingle
        firstNumber = Int32(plan.tasks.first?.number ?? 0)
        self.plan = plan.withoutItemLists
        if isSingle, let own = plan.tasks.first?.spec.name, own != name { self.own.taskName = own }
        for task in plan.tasks {
            guard let key = task.remainKey else { continue }
            self.own.remains[task.number] = Remain(
                key: key, span: task.spec.span(.remainAfterExit).microseconds)
        }
        let places = plan.tasks.flatMap { $0.spec[.input] }.compactMap { NamedResult($0)?.result }
        if !places.isEmpty { self.own.carried = Self.segments(places) }
    }

    /// Log segments with results that its tasks may be given.
    var resultSegments: Set<SegmentName> {
        guard let rare = rare.first else { return [] }
        let dropped = rare.subtasks.values.flatMap { $0.values.compactMap(\.result) }
        return rare.carried.union(Self.segments(rare.left.values)).union(Self.segments(dropped))
    }

    private static func segments(_ places: some Sequence<ResultPlace>) -> Set<SegmentName> {
        Set(places.compactMap { LogPlace($0.place)?.segment })
    }

    /// Forgets the plan of a run of one task.
    mutating func unload() {
        guard isSingle, !rare.isEmpty else { return }
        rare[0].plan = nil
        if rare[0].isEmpty { rare = [] }
    }

    mutating func load(_ plan: Plan) { self.plan = plan.withoutItemLists }

    /// The task's name; nil where there is none of that number.
    func name(of number: Int) -> String? {
        if isSingle { return number == first ? rare.first?.taskName ?? name : nil }
        return task(number)?.spec.name
    }

    /// The number of what was asked for.
    var root: Int? { isSingle ? first : plan?.root?.number }

    // MARK: Results

    /// Whether anybody may ask for what a task of it left.
    var keepsResults: Bool { !isSingle || kin != nil || !remains.isEmpty }

    /// Whether it is a subtask, and a task of it what was dropped.
    func answers(for task: Int) -> Bool { kin != nil && task == root }

    func hasSubtasks(_ task: Int) -> Bool { rare.first?.subtasks[task] != nil }

    /// What is known of a subtask has changed.
    mutating func set(_ child: Subtask, of task: Int) {
        lookAtEdges()
        subtasks[task, default: [:]][child.id] = child
    }

    mutating func set(_ children: [Int: [TaskID: Subtask]]) {
        if children.isEmpty { return }
        lookAtEdges()
        subtasks = children
    }

    /// A task has ended: of what it dropped that stays which its [Then] is given.
    mutating func closeSubtasks(of task: Int, _ state: TaskState, attempt: Int) {
        let children = subtasks.removeValue(forKey: task) ?? [:]
        let left = Subtask.leaving(children, to: state, attempt: attempt)
        if !left.isEmpty { subtasks[task] = left }
    }

    private mutating func lookAtEdges() {
        if into.isEmpty { into = plan?.edges.sorted { ($0.to, $0.from) < ($1.to, $1.from) } ?? [] }
    }

    /// A task's process has ended: what it left takes the place of what an earlier attempt left.
    mutating func setLeft(_ result: ResultPlace?, by task: Int) {
        guard result != nil || left[task] != nil else { return }
        lookAtEdges()
        left[task] = result
    }

    /// The numbers of the tasks that a task follows, where one has left a result; one whose failure it
    /// follows leaves none. O(log n), and its edges.
    func dependencies(of task: Int) -> [Int] {
        var (low, high) = (0, into.count)
        while low < high {
            let middle = (low + high) / 2
            if into[middle].to < task { low = middle + 1 } else { high = middle }
        }
        return into[low...].prefix { $0.to == task }.filter { $0.kind != .fail }.map(\.from)
    }

    /// The task of that number, where the plan is in memory.
    func task(_ number: Int) -> PlanTask? {
        guard let tasks = plan?.tasks else { return nil }
        if tasks.indices.contains(number), tasks[number].number == number { return tasks[number] }
        // A reduced plan has gaps.
        var (low, high) = (0, tasks.count)
        while low < high {
            let middle = (low + high) / 2
            if tasks[middle].number < number { low = middle + 1 } else { high = middle }
        }
        return low < tasks.count && tasks[low].number == number ? tasks[low] : nil
    }
}

/// What may be done only once a journal record is durable.
enum AfterSync {
    /// Step 4 of task-spool(7): the drop is in the journal.
    case removeTaken(TakenName)
    /// Rule 6: the reject is in the journal.
    case moveRejected(TakenName, as: String)
    /// The subtask's accept is in the journal: it gets its place.
    case enterSubtask(TaskID)
    /// Step 6 of task-spool(7): the run's end is in the journal.
    case finish(TaskID, TaskState)
    /// The same after a restart, from where it was interrupted; and what is left of it then.
    case recoverFull(TaskID, RunPast, [PlanPlace])
    case removeLeft(TaskID, String, SpoolDirectory)
    /// The pool may forget its events up to this number, if it is still the same connection.
    case acknowledge(Int, connection: Int)
    /// Attempts that may take the machine down start only when that is on record.
    case startGated(TaskRef, attempt: Int)
    /// An installed definition's drop.
    case install(TakenName, as: String)
    /// A command's drop.
    case removeCommand(String)
    /// That it goes to outgoing/ is on record, and so is its accept.
    case handOver(TaskID)
    /// What the ledger says of a run of this spool is in the journal.
    case settle(OutgoingName, Plan?, LedgerVerdict)
    /// What it says of a claim is.
    case removeOutgoing(OutgoingName)
    /// That they go is on record.
    case remove([RetentionState.Expired])
}
