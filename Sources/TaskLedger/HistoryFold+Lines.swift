// SPDX-License-Identifier: Apache-2.0
public import TaskModel

/// What is remembered, as the lines that lead to it: read by `add`, they make the same again. So it has no format of
/// its own.
extension HistoryFold {
    /// Calls the body with each line.
    public func lines(_ body: (EventLine) -> Void) {
        for id in retired where runs[id]?.isIdle == true {
            guard let run = runs[id] else { continue }
            begin(id, run, body)
            body(EventLine(0, .end, id.description, [.init("state", TaskState.success.word)]))
        }
        let known = Set(retired)
        for (id, run) in runs where !(run.isIdle && known.contains(id)) {
            begin(id, run, body)
            if let started = run.started { body(EventLine(started, .start, id.description)) }
            // An array comes before its items: the first of those would begin it.
            let tasks = run.tasks.sorted { ($0.key.item ?? -1) < ($1.key.item ?? -1) }
            for (ref, open) in tasks { Self.task(ref, open, body) }
        }
    }

    private func begin(_ id: TaskID, _ run: Run, _ body: (EventLine) -> Void) {
        var fields: [EventLine.Field] = []
        if let name = run.names.unit ?? run.names.task { fields.append(.init("name", name)) }
        if run.names.unit != nil, let task = run.names.task { fields.append(.init("unit", task)) }
        if let root = run.root { fields.append(.init("root", String(root))) }
        if let parent = run.parent { fields.append(.init("parent", parent.description)) }
        if !run.arrays.isEmpty {
            let counts = run.arrays.map { "\($0.task):\($0.count)" }
            fields.append(.init("items", counts.joined(separator: ",")))
        }
        body(EventLine(0, .accept, id.description, fields))
        guard run.generation > 0 else { return }
        body(EventLine(0, .retry, id.description, [.init("g", String(run.generation))]))
    }

    private static func task(_ ref: TaskRef, _ open: OpenTask, _ body: (EventLine) -> Void) {
        let id = ref.description
        let attempt = EventLine.Field("a", String(open.attempt))
        let name = open.name.map { [EventLine.Field("name", $0)] } ?? []
        body(EventLine(open.started ?? 0, .start, id, [attempt] + name))
        if open.started == nil {
            body(EventLine(0, .end, id, [attempt, .init("state", TaskState.failure.word)]))
        }
        guard open.code != nil || open.cpu != nil || open.memory != nil else { return }
        var fields: [EventLine.Field] = [
            .init("state", TaskState.success.word), .init("wait", "yes"),
        ]
        if let code = open.code {
            fields.append(code < 0 ? .init("signal", String(-code)) : .init("exit", String(code)))
        }
        if let cpu = open.cpu { fields.append(.init("cpu", String(cpu))) }
        if let memory = open.memory { fields.append(.init("mem", String(memory))) }
        body(EventLine(0, .end, id, fields))
    }
}

extension HistoryFold.Run {
    /// Nothing of it has begun in this generation.
    var isIdle: Bool { started == nil && tasks.isEmpty }
}
