// SPDX-License-Identifier: Apache-2.0
public import TaskModel

/// What a note says of an attempt.
public struct TaskNote: Equatable, Sendable {
    /// `RUN.K`.
    public var task: String
    public var attempt: Int
    /// Its `what=`: `limit.tasks`, `stuck`.
    public var kind: String
    /// Its sentence, empty where it has none.
    public var text: String
}

extension History {
    /// The notes of a run or a task whose kind is a word, or begins with it and a dot; oldest first.
    public func notes(of ref: TaskRef, _ word: String) throws(HistoryError) -> [TaskNote] {
        try events(of: ref, notesOnly: true).compactMap { event in
            var kind = ""
            var text = ""
            for field in event.detail.split(separator: " ") {
                guard let equals = field.firstIndex(of: "="),
                    let value = PercentCoding.decodeText(
                        Array(field[field.index(after: equals)...].utf8)[...])
                else { continue }
                if field.hasPrefix("what=") { kind = value }
                if field.hasPrefix("text=") { text = value }
            }
            guard kind == word || kind.hasPrefix(word + ".") else { return nil }
            return TaskNote(
                task: event.job, attempt: event.attempt ?? 1, kind: kind, text: text)
        }
    }

    /// What attempts that have not ended say of themselves: killed, and still there.
    public func stuck(in run: TaskID) throws(HistoryError) -> [TaskNote] {
        let notes = try notes(of: TaskRef(run: run), "stuck")
        if notes.isEmpty { return [] }
        var open: [TaskNote] = []
        for note in notes {
            guard let ref = TaskRef(note.task) else { continue }
            let attempt = try attempts(of: ref).last { $0.number == note.attempt }
            if let attempt, attempt.ended == nil { open.append(note) }
        }
        return open
    }
}
