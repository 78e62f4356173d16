// SPDX-License-Identifier: Apache-2.0
public import TaskModel

/// Subtasks (rule 14): what was dropped by a run that has not ended is kept, with its result.
extension JournalFold {
    /// What an event of a run with `parent=` says to the parent.
    mutating func relate(_ line: EventLine, _ id: TaskID) {
        guard let parent = line["parent"].flatMap({ TaskRef($0) }), let task = parent.task,
            parent.item == nil
        else { return }
        let known = runs[parent.run]?.children[task]?[id]
        var child = known ?? Subtask(id: id, name: line["name"] ?? "", attempt: 0)
        child.attempt = max(child.attempt, line.number("a") ?? 0)
        if let depth = line.number("depth") { child.depth = depth }
        if let digest = line["drop"] { child.digest = digest }
        switch line.verb {
        case .accept, .adopt:
            child.isRefused = false
            let generation = line.number("g") ?? child.generation
            if line.verb == .accept || generation > child.generation {
                child.reopen(generation)
                child.state = line["state"].flatMap { TaskState(word: $0) }
            }
            runs[id]?.kin = Kin(parent: parent, depth: child.depth)
        case .retry:
            child.isRefused = false
            child.reopen(line.number("g") ?? child.generation)
            runs[id]?.kin = Kin(parent: parent, depth: child.depth)
        case .reject:
            child.isRefused = true
            if known == nil { child.state = .rejected }
        case .end:
            child.state = line["state"].flatMap { TaskState(word: $0) } ?? .failure
            child.reason = line.reason
            (child.exit, child.result) = (line.number("exit"), ResultPlace(line))
        default: return
        }
        // The parent's end comes after its children's: of one that has ended nothing is asked.
        if runs[parent.run] != nil { runs[parent.run]?.children[task, default: [:]][id] = child }
    }
}

extension EventLine {
    var reason: FailureReason? { self["reason"].flatMap { FailureReason(rawValue: $0) } }
}

extension Subtask {
    /// Appends its line in a checkpoint.
    func append(_ parent: TaskRef, to bytes: inout [UInt8]) {
        var line = "child \(parent) \(id) name=\(PercentCoding.encode(name)) a=\(attempt)"
        line += " depth=\(depth) drop=\(PercentCoding.encode(digest))"
        if generation > 0 { line += " g=\(generation)" }
        if let state { line += " state=\(state.word)" }
        if let reason { line += " reason=\(reason.rawValue)" }
        if isRefused { line += " refused=yes" }
        if let exit { line += " exit=\(exit)" }
        if let result { line += " result=\(result.place) digest=\(result.digest)" }
        bytes.append(contentsOf: "\(line)\n".utf8)
    }

    init(_ id: TaskID, _ fields: [String: String]) {
        self.init(
            id: id, name: fields["name"] ?? "", attempt: Checkpoint.count(fields["a"]),
            depth: Checkpoint.count(fields["depth"]), digest: fields["drop"] ?? "",
            state: fields["state"].flatMap { TaskState(word: $0) })
        generation = Checkpoint.count(fields["g"])
        reason = fields["reason"].flatMap { FailureReason(rawValue: $0) }
        isRefused = fields["refused"] == "yes"
        exit = fields["exit"].flatMap { Int($0) }
        if let place = fields["result"], let digest = fields["digest"] {
            result = ResultPlace(place: place, digest: digest)
        }
    }
}

extension RunPast {
    /// What is known of subtasks that counts: all of a task that is open; of one that has succeeded, in
    /// whichever generation, what its last attempt dropped and that left something.
    public var subtasks: [Int: [TaskID: Subtask]] {
        var known = earlierSubtasks.merging(children) { $1 }
        for (number, children) in children {
            guard let past = tasks[number], let final = past.final else { continue }
            known[number] = Subtask.leaving(children, to: final, attempt: past.attempt)
        }
        return known.filter { !$0.value.isEmpty }
    }
}

extension Subtask {
    /// Those of a task's subtasks whose results stay when it has ended.
    public static func leaving(
        _ children: [TaskID: Subtask], to state: TaskState, attempt: Int
    ) -> [TaskID: Subtask] {
        if state != .success { return [:] }
        return children.filter { $0.value.result != nil && $0.value.attempt == attempt }
    }

    /// What subtasks left, by the names of their drops.
    public static func results(of children: [TaskID: Subtask]) -> [NamedResult] {
        children.values.sorted { $0.id < $1.id }.compactMap { child in
            child.result.map { NamedResult(name: child.name, result: $0) }
        }
    }
}
