// SPDX-License-Identifier: Apache-2.0
import TaskModel

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
                child.state = line["state"].flatMap { TaskState(word: $0) }
                child.reason = nil
            }
            child.generation = generation
            runs[id]?.kin = Kin(parent: parent, depth: child.depth)
        case .retry:
            child.isRefused = false
            (child.state, child.reason) = (nil, nil)
            child.generation = line.number("g") ?? child.generation
            runs[id]?.kin = Kin(parent: parent, depth: child.depth)
        case .reject:
            child.isRefused = true
            if known == nil { child.state = .rejected }
        case .end:
            child.state = line["state"].flatMap { TaskState(word: $0) } ?? .failure
            child.reason = line.reason
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
    }
}
