// SPDX-License-Identifier: Apache-2.0
import TaskModel

extension EventIndexer {
    func applyToRun(
        _ event: RawEvent, _ run: ArraySlice<UInt8>
    ) throws(HistoryError) -> TaskState? {
        if event.isVerb("accept") { return try accept(event, run) }
        if event.isVerb("end") { return try endOfRun(event, run) }
        if event.isVerb("reject") {
            // Of a subtask's name that stands for another run, which goes on.
            if event.has("reason", "changed") { return .rejected }
            return try refuse(event, run, .rejected)
        }
        if event.isVerb("skip") { return try refuse(event, run, .skipped) }
        if event.isVerb("hold") { return try set(run: run, .pending, message: event.text("what")) }
        if event.isVerb("release") { return try set(run: run, .ready, message: nil) }
        if event.isVerb("retry") { return try retry(event, run) }
        return nil
    }

    private func accept(
        _ event: RawEvent, _ run: ArraySlice<UInt8>
    ) throws(HistoryError) -> TaskState {
        let outline = try outline(event)
        let count = event.number("tasks") ?? outline.map { Int64($0.tasks.count) }
        let root =
            event.number("root") ?? outline?.root.map { Int64($0) } ?? count.map { $0 - 1 }
        try add(event, run, .ready, count, root)
        let unit = RunNames(event).unit
        for entry in outline?.tasks ?? [] {
            addTask.bind(1, run + [UInt8(ascii: ".")] + Array(String(entry.number).utf8))
            addTask.bind(2, run)
            addTask.bind(3, Int64(entry.number))
            addTask.bind(4, entry.name)
            addTask.bind(5, entry.number == root.map { Int($0) } ? unit : nil)
            addTask.bind(6, event.text("parent"))
            addTask.bind(7, Int64((entry.waits ? TaskState.pending : .ready).rawValue))
            addTask.bind(8, event.text("as"))
            addTask.bind(9, node)
            addTask.bind(10, event.time)
            addTask.bindNull(11)
            try addTask.run()
        }
        if let counts = event.text("items") { try items.accept(run, counts) }
        return .created
    }

    private func outline(_ event: RawEvent) throws(HistoryError) -> PlanOutline? {
        let digest = event.text("digest")
        guard let plan = event.raw("plan").flatMap({ PercentCoding.decode($0) }) else {
            guard let digest else { return nil }
            return try plans.outline(digest)
        }
        let outline = PlanOutline(plan)
        if let digest { try plans.remember(outline, digest) }
        return outline
    }

    private func add(
        _ event: RawEvent, _ run: ArraySlice<UInt8>, _ state: TaskState, _ count: Int64?,
        _ root: Int64?
    ) throws(HistoryError) {
        addRun.bind(1, run)
        let names = RunNames(event)
        addRun.bind(2, names.task)
        addRun.bind(3, names.unit)
        addRun.bind(4, event.text("parent"))
        addRun.bind(5, Int64(state.rawValue))
        addRun.bind(6, event.text("as"))
        addRun.bind(7, event.text("by"))
        addRun.bind(8, node)
        addRun.bind(9, count)
        addRun.bind(10, event.time)
        addRun.bind(11, event.text("digest"))
        addRun.bind(12, root)
        addRun.bind(13, Self.tail(run))
        addRun.bind(14, state == .rejected || state == .skipped ? event.text("what") : nil)
        try addRun.run()
    }

    /// A drop that is bad, a time at which a unit was due and did not run.
    private func refuse(
        _ event: RawEvent, _ run: ArraySlice<UInt8>, _ state: TaskState
    ) throws(HistoryError) -> TaskState {
        try add(event, run, state, nil, nil)
        return state
    }

    private func set(
        run: ArraySlice<UInt8>, _ state: TaskState, message: String?
    ) throws(HistoryError) -> TaskState {
        setRun.bind(1, run)
        setRun.bind(2, Int64(state.rawValue))
        setRun.bind(3, message)
        try setRun.run()
        return state
    }

    // An operator's retry: what failed, and what hung on it, is to come again.
    private func retry(
        _ event: RawEvent, _ run: ArraySlice<UInt8>
    ) throws(HistoryError) -> TaskState {
        nextGeneration.bind(1, run)
        nextGeneration.bind(2, event.number("g"))
        try nextGeneration.run()
        let renew = event.has("rest", "yes") ? renewWhole : renewRest
        renew.bind(1, run)
        renew.bind(2, event.number("g"))
        try renew.run()
        try items.recount(run, isNew: true)
        return .ready
    }

    private func endOfRun(
        _ event: RawEvent, _ run: ArraySlice<UInt8>
    ) throws(HistoryError) -> TaskState? {
        guard let state = event.text("state").flatMap({ TaskState(word: $0) }) else { return nil }
        // Of a claimed run the ledger's word on it follows.
        if event.number("gen") != nil, !event.has("from", "ledger") {
            return try set(run: run, .waiting, message: nil)
        }
        endRun.bind(1, run)
        endRun.bind(2, Int64(state.rawValue))
        endRun.bind(3, event.text("reason"))
        endRun.bind(4, node)
        endRun.bind(5, event.time)
        endRun.bind(6, Self.tail(run))
        endRun.bind(7, event.text("what"))
        try endRun.run()
        if state == .cancelled {  // and its tasks that have no end
            cancelRest.bind(1, run)
            cancelRest.bind(2, Int64(state.rawValue))
            cancelRest.bind(3, event.time)
            try cancelRest.run()
            try items.recount(run, isNew: false)
        }
        return state
    }

    // The id backwards: the end of an id is then a prefix, which an index finds.
    static func tail(_ run: ArraySlice<UInt8>) -> ArraySlice<UInt8> { Array(run.reversed())[...] }
}
