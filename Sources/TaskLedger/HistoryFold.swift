// SPDX-License-Identifier: Apache-2.0
import Linux
public import TaskModel

/// Reads the journal's events in the order of each writer, and makes of each end what the ledger keeps of it.
/// An end alone says neither its name nor when it began: that is remembered from accept and start.
///
/// Memory is bounded: what is known of `mostRuns` live runs and `mostEnded` ended ones. Of a run beyond them
/// the unit is not told, and the name is that of its start.
public struct HistoryFold: Sendable {
    /// A task that has started, or is between two attempts.
    struct OpenTask: Equatable, Sendable {
        /// When the attempt that runs, or the one that waits for its subtasks, began; nil between two.
        var started: Int64?
        var name: String?
        var attempt: Int
        /// Of an attempt whose end waits for subtasks.
        var code: Int?
        var cpu: Int64?
        var memory: Int64?
    }

    struct Run: Equatable, Sendable {
        var names = RunNames(name: nil, unit: nil)
        /// The number of the task that was asked for.
        var root: Int?
        var parent: TaskID?
        /// Its arrays: a task's number and how many items that has, by number.
        var arrays: [(task: Int, count: Int)] = []
        var generation = 0
        var started: Int64?
        var tasks: [TaskRef: OpenTask] = [:]

        static func == (left: Run, right: Run) -> Bool {
            left.names == right.names && left.root == right.root && left.parent == right.parent
                && left.arrays.elementsEqual(right.arrays, by: ==)
                && left.generation == right.generation && left.started == right.started
                && left.tasks == right.tasks
        }
    }

    private let mostRuns: Int
    private let mostEnded: Int
    private static let mostNames = 10_000

    private(set) var runs: [TaskID: Run] = [:]
    /// Ended runs that are still known, for a retry: the oldest first, from `firstEnded` on.
    private var ended: [TaskID] = []
    private var firstEnded = 0
    /// Those of which a retry may still come, the oldest first; one may stand there twice.
    var retired: ArraySlice<TaskID> { ended[firstEnded...] }
    /// Equal names share their bytes.
    private var names: [String: String] = [:]

    public init(mostRuns: Int = 100_000, mostEnded: Int = 10_000) {
        self.mostRuns = mostRuns
        self.mostEnded = mostEnded
    }

    /// Whether a record may matter, without parsing it all: its verb.
    public static func concerns(_ line: ArraySlice<UInt8>) -> Bool {
        guard let blank = line.firstIndex(of: UInt8(ascii: " ")) else { return false }
        let verb = line[(blank + 1)...]
        let first = verb.first
        return first != UInt8(ascii: "n") && first != UInt8(ascii: "c")  // note; check and cancel
    }

    /// Follows one event.
    ///
    /// - Returns: what the ledger is told of it; nil where it ends nothing.
    public mutating func add(_ line: EventLine) -> LedgerEnd? {
        guard let ref = line.ref else { return nil }
        // What the ledger said of a run is not told to it; nor that a claim of it is over.
        if line["from"] == "ledger" {
            if ref.task == nil, line.verb == .end { retire(ref.run) }
            return nil
        }
        guard ref.task != nil else { return addToRun(line, ref.run) }
        switch line.verb {
        case .start: start(line, ref)
        case .end: return end(line, ref)
        case .lost: return lost(line, ref)
        default: break
        }
        return nil
    }

    private mutating func addToRun(_ line: EventLine, _ id: TaskID) -> LedgerEnd? {
        switch line.verb {
        case .accept: accept(line, id)
        case .retry: retry(line, id)
        case .start: runs[id]?.started = line.microseconds  // only in `lines`
        case .end: return endRun(line, id)
        // Of a subtask's name that stands for another run, which goes on.
        case .reject where line["reason"] == FailureReason.changed.rawValue: break
        case .reject: return refuse(line, id, .rejected)
        case .skip: return refuse(line, id, .skipped)
        default: break
        }
        return nil
    }

    // MARK: Runs

    private mutating func accept(_ line: EventLine, _ id: TaskID) {
        guard runs[id] != nil || runs.count < mostRuns else { return }
        // What a claim begins begins anew.
        var run = line["gen"] == nil ? runs[id] ?? Run() : Run()
        run.generation = line.number("g") ?? run.generation
        run.names = shared(line)
        run.root = line.number("root") ?? line.number("tasks").map { $0 - 1 }
        run.parent = line["parent"].flatMap { TaskRef($0)?.run }
        run.arrays = Self.arrays(line["items"] ?? "")
        runs[id] = run
    }

    /// `K:COUNT,…` of an accept.
    static func arrays(_ text: String) -> [(task: Int, count: Int)] {
        text.split(separator: ",").compactMap { pair in
            let parts = pair.split(separator: ":").compactMap { Int($0) }
            guard parts.count == 2, parts[0] >= 0, (1...1 << 30).contains(parts[1]) else {
                return nil
            }
            return (parts[0], parts[1])
        }.sorted { $0.task < $1.task }
    }

    // What failed, and what hung on it, is as if it had never run.
    private mutating func retry(_ line: EventLine, _ id: TaskID) {
        guard runs[id] != nil || runs.count < mostRuns else { return }
        var run = runs[id] ?? Run()
        if run.names.task == nil { run.names.task = shared(line).task }
        if run.parent == nil { run.parent = line["parent"].flatMap { TaskRef($0)?.run } }
        run.generation = line.number("g") ?? run.generation
        run.started = nil
        run.tasks = [:]
        runs[id] = run
    }

    private mutating func endRun(_ line: EventLine, _ id: TaskID) -> LedgerEnd? {
        guard let state = Self.state(line) else { return nil }
        let run = runs[id] ?? Run()
        var end = LedgerEnd(run: id, state: state, ended: line.microseconds)
        end.generation = line.number("g") ?? run.generation
        end.gen = line.number("gen") ?? 0
        end.attempt = 1
        end.name = run.names.task ?? line["name"].map { shared($0) }
        end.unit = run.names.unit
        end.reason = Self.reason(line, state)
        end.code = Self.code(line)
        end.span = run.started.map { max(line.microseconds - $0, 0) }
        end.parent = run.parent ?? line["parent"].flatMap { TaskRef($0)?.run }
        retire(id)
        return end
    }

    /// A drop that is bad, a time at which a unit was due and did not run.
    private mutating func refuse(
        _ line: EventLine, _ id: TaskID, _ state: TaskState
    ) -> LedgerEnd {
        var end = LedgerEnd(run: id, state: state, ended: line.microseconds)
        let names = shared(line)
        end.attempt = 1
        (end.name, end.unit) = (names.task, names.unit)
        end.parent = line["parent"].flatMap { TaskRef($0)?.run }
        runs[id] = nil
        return end
    }

    // Its names are kept for a while: it may be retried.
    private mutating func retire(_ id: TaskID) {
        guard runs[id] != nil else { return }
        runs[id]?.tasks = [:]
        runs[id]?.started = nil
        ended.append(id)
        guard ended.count - firstEnded > mostEnded else { return }
        let oldest = ended[firstEnded]
        firstEnded += 1
        // One that was retried since is live, and its next end retires it again.
        if runs[oldest]?.isIdle == true { runs[oldest] = nil }
        guard firstEnded > mostEnded else { return }
        ended.removeFirst(firstEnded)
        firstEnded = 0
    }

    private mutating func shared(_ line: EventLine) -> RunNames {
        var found = RunNames(name: line["name"], unit: line["unit"])
        found.task = found.task.map { shared($0) }
        found.unit = found.unit.map { shared($0) }
        return found
    }

    private mutating func shared(_ name: String) -> String {
        if let known = names[name] { return known }
        if names.count >= Self.mostNames { names.removeAll(keepingCapacity: true) }
        names[name] = name
        return name
    }
}

// MARK: - Tasks

extension HistoryFold {
    private mutating func start(_ line: EventLine, _ ref: TaskRef) {
        let attempt = line.number("a") ?? 1
        let before = runs[ref.run]?.tasks[ref]
        // taskd and the pool may both have said it.
        if let before, before.attempt == attempt, before.started != nil { return }
        guard runs[ref.run] != nil || runs.count < mostRuns else { return }
        let name = line["name"].map { shared($0) } ?? before?.name
        runs[ref.run, default: Run()].tasks[ref] = OpenTask(
            started: line.microseconds, name: name, attempt: attempt)
        if runs[ref.run]?.started == nil { runs[ref.run]?.started = line.microseconds }
        guard ref.item != nil else { return }
        // The first item that starts starts its array, which has no start of its own.
        let array = TaskRef(run: ref.run, task: ref.task)
        guard runs[ref.run]?.tasks[array] == nil else { return }
        runs[ref.run]?.tasks[array] = OpenTask(
            started: line.microseconds, name: name, attempt: 0)
    }

    private mutating func end(_ line: EventLine, _ ref: TaskRef) -> LedgerEnd? {
        guard let state = Self.state(line) else { return nil }
        if line["rest"] == "yes" { return nil }  // it did not run, and stands as it stood
        if line["wait"] == "yes" {
            wait(line, ref)
            return nil
        }
        let open = runs[ref.run]?.tasks[ref]
        var end = described(line, ref, state, open)
        end.isFinal = line["final"] == "yes"
        end.code = Self.code(line) ?? open?.code
        end.cpu = Self.count(line, "cpu") ?? open?.cpu
        end.memory = Self.count(line, "mem") ?? open?.memory
        if end.isFinal {
            runs[ref.run]?.tasks[ref] = nil
        } else {
            runs[ref.run]?.tasks[ref]?.started = nil
        }
        return end
    }

    /// Its subtasks decide; what its process came to is told with their end.
    private mutating func wait(_ line: EventLine, _ ref: TaskRef) {
        guard var open = runs[ref.run]?.tasks[ref] else { return }
        open.code = Self.code(line)
        open.cpu = Self.count(line, "cpu")
        open.memory = Self.count(line, "mem")
        runs[ref.run]?.tasks[ref] = open
    }

    private mutating func lost(_ line: EventLine, _ ref: TaskRef) -> LedgerEnd {
        var end = described(line, ref, .lost, runs[ref.run]?.tasks[ref])
        end.isFinal = false
        runs[ref.run]?.tasks[ref]?.started = nil
        return end
    }

    private mutating func described(
        _ line: EventLine, _ ref: TaskRef, _ state: TaskState, _ open: OpenTask?
    ) -> LedgerEnd {
        let run = runs[ref.run] ?? Run()
        let task = ref.task ?? 0
        var end = LedgerEnd(run: ref.run, state: state, ended: line.microseconds)
        end.generation = line.number("g") ?? run.generation
        end.gen = line.number("gen") ?? 0
        end.task = task
        let place = run.place(of: task)
        end.first = ref.item == nil ? nil : place
        end.item = place + (ref.item ?? 0)
        end.attempt = line.number("a") ?? open?.attempt ?? 0
        end.reason = Self.reason(line, state)
        // Of a failed check, `name=` is the check.
        let said = end.reason == .check ? nil : line["name"].map { shared($0) }
        let isRoot = run.root == task
        end.name = open?.name ?? said ?? (isRoot ? run.names.task : nil)
        end.unit = isRoot ? run.names.unit : nil
        end.span = open?.started.map { max(line.microseconds - $0, 0) }
        if end.span == nil, line["a"] != nil { end.span = Self.count(line, "us") }
        end.parent = run.parent
        return end
    }

    private static func state(_ line: EventLine) -> TaskState? {
        line["state"].flatMap { TaskState(word: $0) }.flatMap {
            $0.isFinal || $0 == .lost ? $0 : nil
        }
    }

    private static func reason(_ line: EventLine, _ state: TaskState) -> FailureReason? {
        line["reason"].flatMap { FailureReason(rawValue: $0) }
    }

    private static func code(_ line: EventLine) -> Int? {
        if let exit = line.number("exit") { return exit }
        return line["signal"].flatMap { SignalName.number(of: $0) }.map { -Int($0) }
    }

    private static func count(_ line: EventLine, _ key: String) -> Int64? {
        line[key].flatMap { Int64($0) }.map { max($0, 0) }
    }
}

extension HistoryFold.Run {
    /// Of a task, or the first item of an array: its tasks in their order, items counted one by one.
    func place(of task: Int) -> Int {
        arrays.prefix { $0.task < task }.reduce(task) { $0 + $1.count - 1 }
    }
}
