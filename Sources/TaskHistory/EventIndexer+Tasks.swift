// SPDX-License-Identifier: Apache-2.0
import TaskModel

extension EventIndexer {
    func start(
        _ event: RawEvent, _ run: ArraySlice<UInt8>, _ task: Int
    ) throws(HistoryError) -> TaskState {
        let attempt = event.number("a") ?? 1
        startTask.bind(1, event.id)
        startTask.bind(2, run)
        startTask.bind(3, Int64(task))
        startTask.bind(4, event.text("name"))
        startTask.bind(5, attempt)
        startTask.bind(6, event.text("as"))
        startTask.bind(7, node)
        startTask.bind(8, event.time)
        startTask.bind(9, event.text("weak"))
        startTask.bind(10, event.item)
        try startTask.run()
        startAttempt.bind(1, event.id)
        startAttempt.bind(2, attempt)
        startAttempt.bind(3, event.time)
        startAttempt.bind(4, event.text("as"))
        startAttempt.bind(5, event.text("weak"))
        try startAttempt.run()
        startRun.bind(1, run)
        startRun.bind(2, node)
        startRun.bind(3, event.time)
        startRun.bind(4, Self.tail(run))
        startRun.bind(5, event.text("name"))
        try startRun.run()
        return .running
    }

    func end(
        _ event: RawEvent, _ run: ArraySlice<UInt8>, _ task: Int
    ) throws(HistoryError) -> TaskState? {
        guard let state = event.text("state").flatMap({ TaskState(word: $0) }) else { return nil }
        if let attempt = event.number("a") { try endAttempt(event, attempt, state) }
        if event.has("rest", "yes") { return try keep(event, state) }
        // Before the last attempt the task goes on: `retry` says when.
        let isFinal = event.has("final", "yes")
        let open: TaskState = event.has("wait", "yes") ? .waiting : .pending
        endTask.bind(1, event.id)
        endTask.bind(2, run)
        endTask.bind(3, Int64(task))
        // Of a failed check, `name=` is the check.
        endTask.bind(4, event.has("reason", "check") ? nil : event.text("name"))
        endTask.bind(5, Int64((isFinal ? state : open).rawValue))
        endTask.bind(6, event.text("reason"))
        endTask.bind(7, event.number("exit"))
        endTask.bind(8, event.signal)
        endTask.bind(9, event.number("a") ?? 0)
        endTask.bind(10, node)
        endTask.bind(11, event.time)
        endTask.bind(12, event.number("cpu"))
        endTask.bind(13, event.number("mem"))
        endTask.bind(14, event.text("what"))
        endTask.bind(15, event.text("weak"))
        endTask.bind(16, event.item)
        if event.item == nil { items.ended(event.id) }
        try endTask.run()
        return state
    }

    private func keep(_ event: RawEvent, _ state: TaskState) throws(HistoryError) -> TaskState {
        keepTask.bind(1, event.id)
        keepTask.bind(2, Int64(state.rawValue))
        keepTask.bind(3, event.time)
        keepTask.bind(4, event.text("reason"))
        try keepTask.run()
        return state
    }

    private func endAttempt(
        _ event: RawEvent, _ attempt: Int64, _ state: TaskState
    ) throws(HistoryError) {
        endAttempt.bind(1, event.id)
        endAttempt.bind(2, attempt)
        endAttempt.bind(3, Int64(state.rawValue))
        endAttempt.bind(4, event.time)
        endAttempt.bind(5, event.number("exit"))
        endAttempt.bind(6, event.signal)
        endAttempt.bind(7, event.text("reason"))
        endAttempt.bind(8, event.number("cpu"))
        endAttempt.bind(9, event.number("mem"))
        endAttempt.bind(10, event.text("what"))
        endAttempt.bind(11, event.places)
        endAttempt.bind(12, event.text("weak"))
        endAttempt.bind(13, event.text("result"))
        try endAttempt.run()
    }

    func skip(
        _ event: RawEvent, _ run: ArraySlice<UInt8>, _ task: Int
    ) throws(HistoryError) -> TaskState? {
        addTask.bind(1, event.id)
        addTask.bind(2, run)
        addTask.bind(3, Int64(task))
        addTask.bind(4, event.text("name"))
        addTask.bindNull(5)
        addTask.bindNull(6)
        addTask.bind(7, Int64(TaskState.skipped.rawValue))
        addTask.bindNull(8)
        addTask.bind(9, node)
        addTask.bind(10, event.time)
        addTask.bind(11, event.item)
        try addTask.run()
        return try set(event, .skipped, ended: event.time)
    }

    func retryTask(
        _ event: RawEvent, _ run: ArraySlice<UInt8>
    ) throws(HistoryError) -> TaskState {
        let state = try set(event, .pending, due: event.number("due"))
        pauseRun.bind(1, run)
        try pauseRun.run()
        return state
    }

    func lost(_ event: RawEvent) throws(HistoryError) -> TaskState? {
        if let attempt = event.number("a") { try endAttempt(event, attempt, .lost) }
        return try set(event, .lost)
    }

    func set(
        _ event: RawEvent, _ state: TaskState, due: Int64? = nil, ended: Int64? = nil
    ) throws(HistoryError) -> TaskState {
        setTask.bind(1, event.id)
        setTask.bind(2, Int64(state.rawValue))
        setTask.bind(3, due)
        setTask.bind(4, ended)
        try setTask.run()
        return state
    }
}
