// SPDX-License-Identifier: Apache-2.0
import TaskEngine
import TaskModel
import Testing

private func id(_ number: UInt64) -> TaskID { TaskID(high: number << 16, low: 7) }
private func item(_ number: Int, _ task: Int = 0) -> TaskRef {
    TaskRef(run: id(1), task: task, item: number)
}

private func input(
    _ items: [Range<Int>], most: Int = .max, rest: Bool = false, policy: RetryPolicy = .never,
    then names: [String] = []
) -> RunInput {
    var array = TaskInput(number: 0, name: "a", policy: policy)
    array.items = .init(ItemRanges(items), mostAtOnce: most, hasRest: rest)
    let others = names.enumerated().map { TaskInput(number: $0 + 1, name: $1) }
    return RunInput(
        id: id(1), tasks: [array] + others,
        edges: others.map { .init(from: 0, to: $0.number, kind: .ok) })
}

/// Drives an engine, and knows what it has started.
private struct Bench {
    var engine = TaskEngine()
    var now: Int64 = 1_000_000
    var started: [TaskRef: Int] = [:]
    var ends: [EngineAction] = []

    init(slots: Int, _ input: RunInput? = nil) {
        tell(.capacity(slots: slots, memory: 1 << 30))
        if let input { tell(.accepted(input)) }
    }

    mutating func take() {
        for action in engine.takeActions() {
            switch action {
            case .start(let ref, let attempt): started[ref] = attempt
            case .itemsEnded, .runEnded, .taskEnded, .parked: ends.append(action)
            default: break
            }
        }
    }

    mutating func tell(_ event: EngineEvent) {
        if case .ended(let ref, _, _) = event { started[ref] = nil }
        if case .lost(let ref, _) = event { started[ref] = nil }
        engine.handle(event, at: now)
        take()
    }

    mutating func end(_ number: Int, _ outcome: Outcome = .success) {
        tell(.ended(item(number), attempt: started[item(number)] ?? 0, outcome))
    }

    mutating func advance(by span: Int64) {
        now += span
        engine.advance(to: now)
        take()
    }

    var running: [Int] { started.keys.compactMap(\.item).sorted() }

    var result: ItemsResult? {
        ends.lazy.compactMap { if case .itemsEnded(_, let result) = $0 { result } else { nil } }
            .first
    }
    var runState: TaskState? {
        ends.lazy.compactMap { if case .runEnded(_, let state, _, _) = $0 { state } else { nil } }
            .first
    }
}

private let broken = Outcome.failure(.exit, exit: 1)

@Suite struct ItemEngineTests {
    @Test func itemsFillTheSlotsInOrderAndEndTheRun() {
        var bench = Bench(slots: 2, input([0..<3]))
        #expect(bench.running == [0, 1])
        bench.end(1)
        #expect(bench.running == [0, 2] && bench.result == nil)
        bench.end(0)
        bench.end(2)
        #expect(bench.result?.state == .success && bench.result?.counts.success == 3)
        #expect(bench.runState == .success && bench.engine.runs == 0 && bench.engine.running == 0)
    }

    @Test func mostAtOnceHolds() {
        var bench = Bench(slots: 8, input([0..<5], most: 2))
        #expect(bench.running == [0, 1])
        bench.end(0)
        #expect(bench.running == [1, 2])
        bench.tell(.accepted(RunInput(id: id(9), tasks: [TaskInput(number: 0, name: "b")])))
        #expect(bench.started[TaskRef(run: id(9), task: 0)] == 1)
    }

    @Test func rangesAreKept() {
        var bench = Bench(slots: 9, input([2..<3, 7..<9]))
        #expect(bench.running == [2, 7, 8])
        for number in [2, 7, 8] { bench.end(number) }
        #expect(bench.runState == .success)
    }

    @Test func theLowestFailureIsToldInWhateverOrderTheyEnd() {
        var bench = Bench(slots: 3, input([0..<3]))
        bench.end(2, .failure(.oom, exit: nil))
        bench.end(1, broken)
        bench.end(0)
        #expect(bench.result?.failure == ItemFailure(item: 1, reason: .exit))
    }

    @Test func oneFailureStopsNoOtherAndFailsTheArray() {
        var bench = Bench(slots: 1, input([0..<3], then: ["b"]))
        bench.end(0, broken)
        bench.end(1)
        bench.end(2, .failure(.oom, exit: nil))
        #expect(bench.result?.counts.failure == 2)
        #expect(bench.result?.failure == ItemFailure(item: 0, reason: .exit))
        #expect(bench.result?.states[1] == .success && bench.result?.states[2] == .failure)
        let refused = EngineAction.taskEnded(
            TaskRef(run: id(1), task: 1), .failure, .dependency, because: "a")
        #expect(bench.ends.contains(refused) && bench.runState == .failure)
    }

    @Test func dependentsWaitForAll() {
        var bench = Bench(slots: 4, input([0..<2], then: ["b"]))
        let other = TaskRef(run: id(1), task: 1)
        bench.end(0)
        #expect(bench.started[other] == nil)
        bench.end(1)
        #expect(bench.started[other] == 1)
    }

    @Test func itemsThatWereNotAskedForKeepItFailed() {
        var bench = Bench(slots: 1, input([4..<5], rest: true, then: ["b"]))
        bench.end(4)
        #expect(bench.result?.state == .failure && bench.runState == .failure)
        var none = Bench(slots: 1, input([], rest: true))
        #expect(none.runState == .failure)
        none.advance(by: 1)
    }

    @Test func anItemIsTriedAgainByItself() {
        let policy = RetryPolicy(retries: 2, firstDelay: 1_000_000)
        var bench = Bench(slots: 1, input([0..<2], policy: policy))
        bench.end(0, broken)
        #expect(bench.running == [1])
        bench.end(1)
        #expect(bench.running == [] && bench.result == nil)
        bench.advance(by: 2_000_000)
        #expect(bench.started == [item(0): 2])
        bench.end(0, broken)
        bench.advance(by: 4_000_000)
        #expect(bench.started == [item(0): 3])
        bench.end(0, broken)
        #expect(bench.result?.counts.failure == 1 && bench.runState == .failure)
    }

    @Test func whatIsDueComesBeforeWhatIsNew() {
        let policy = RetryPolicy(retries: 1, firstDelay: 1_000_000)
        var bench = Bench(slots: 1, input([0..<9], policy: policy))
        bench.end(0, broken)
        bench.now += 5_000_000
        bench.end(1)
        #expect(bench.running == [0])
    }

    @Test func noFurtherItemsBeginWhileTenThousandWait() {
        let policy = RetryPolicy(retries: 1, firstDelay: 1_000_000)
        var bench = Bench(slots: 1, input([0..<10_010], policy: policy))
        for number in 0..<10_000 { bench.end(number, broken) }
        #expect(bench.running == [] && bench.runState == nil)
        bench.advance(by: 5_000_000)
        #expect(bench.started == [item(0): 2])
        bench.end(0)
        #expect(bench.started == [item(1): 2])
    }

    @Test func aLostItemRunsAgainAndThreeLossesPark() {
        var bench = Bench(slots: 1, input([0..<2]))
        for attempt in 1...3 {
            #expect(bench.started == [item(0): attempt])
            bench.tell(.lost(item(0), attempt: attempt))
        }
        #expect(bench.ends == [.parked(id(1), because: item(0))] && bench.running == [])
        bench.tell(.release(id(1)))
        #expect(bench.started == [item(0): 4])
    }

    @Test func aHoldCountsNothingAndAReleaseGoesOn() {
        var bench = Bench(slots: 2, input([0..<4]))
        bench.tell(.hold(id(1)))
        bench.end(0, .killed)
        bench.end(1, .failure(.signal, exit: nil))
        #expect(bench.running == [] && bench.result == nil)
        bench.tell(.release(id(1)))
        #expect(bench.started == [item(0): 2, item(1): 2])
    }

    @Test func cancelOfOneItem() {
        var bench = Bench(slots: 1, input([0..<3]))
        bench.tell(.cancel(item(2)))
        #expect(bench.ends == [.taskEnded(item(2), .cancelled, nil, because: nil)])
        bench.tell(.cancel(item(2)))
        bench.tell(.cancel(item(99)))
        bench.tell(.cancel(item(0)))
        #expect(bench.ends.count == 1 && bench.running == [0])
        bench.end(0, .killed)
        bench.end(1)
        #expect(bench.result?.counts.cancelled == 2 && bench.runState == .cancelled)
    }

    @Test func cancelOfAll() {
        var bench = Bench(slots: 2, input([0..<1000]))
        bench.end(0)
        bench.tell(.cancel(TaskRef(run: id(1))))
        #expect(bench.result == nil)
        bench.end(1, .killed)
        bench.end(2, .success)  // it was faster than its kill
        #expect(bench.result?.counts.success == 2 && bench.result?.counts.cancelled == 998)
        #expect(bench.runState == .cancelled)
        #expect(bench.ends.count == 2, "those that never began have no end of their own")
    }

    @Test func aForgottenRunHoldsItsSlotUntilItsItemsEnd() {
        var bench = Bench(slots: 2, input([0..<9]))
        bench.tell(.forget(id(1)))
        #expect(bench.engine.running == 2)
        bench.end(0, .killed)
        bench.tell(.lost(item(1), attempt: 1))
        #expect(bench.engine.running == 0)
    }

    @Test func memoryAndSemaphoresAreHeldByItems() {
        var run = input([0..<9])
        run.tasks[0].memory = 1 << 29
        var bench = Bench(slots: 8, run)
        #expect(bench.running == [0, 1])
        run = input([0..<9])
        run.tasks[0].semaphore = .init(name: "s", limit: 3)
        bench = Bench(slots: 8, run)
        #expect(bench.running == [0, 1, 2])
        #expect(bench.engine.resting == 0)
        var other = RunInput(id: id(2), tasks: run.tasks)
        other.tasks[0].semaphore = .init(name: "s", limit: 1)
        bench.tell(.accepted(other))
        #expect(bench.engine.resting == 1)
        for number in 0..<9 { bench.end(number) }
        #expect(bench.runState == .success)
        #expect(bench.engine.resting == 0)
        #expect(bench.started == [TaskRef(run: id(2), task: 0, item: 0): 1])
    }

    @Test func whatEndedBeforeARestartDoesNotRunAgain() {
        var states = ItemStates()
        states[0] = .success
        states[1] = .failure
        var run = input([0..<6], policy: RetryPolicy(retries: 9, firstDelay: 1_000_000))
        run.items = [
            .init(
                task: 0, states: states, failure: ItemFailure(item: 1, reason: .oom),
                begun: [
                    .init(task: 2, standing: .running, attempt: 4),
                    .init(task: 3, standing: .due(1_500_000), attempt: 1, failures: 1),
                    .init(task: 4, standing: .open, attempt: 2),
                ])
        ]
        var bench = Bench(slots: 3)
        bench.started[item(2)] = 4
        bench.tell(.accepted(run))
        #expect(bench.engine.running == 3)
        #expect(bench.started == [item(2): 4, item(4): 3, item(5): 1])
        bench.end(2)
        bench.advance(by: 1_000_000)
        #expect(bench.started == [item(3): 2, item(4): 3, item(5): 1])
        for number in [3, 4, 5] { bench.end(number) }
        #expect(bench.result?.failure == ItemFailure(item: 1, reason: .oom))
        #expect(bench.result?.counts.success == 5 && bench.result?.counts.failure == 1)
    }

    @Test func allEndedBeforeARestartEndsTheArray() {
        var states = ItemStates()
        for number in 0..<3 { states[number] = .success }
        var run = input([0..<3], then: ["b"])
        run.items = [.init(task: 0, states: states)]
        let bench = Bench(slots: 3, run)
        #expect(bench.result?.state == .success)
        #expect(bench.started == [TaskRef(run: id(1), task: 1): 1])
    }

    @Test func progressIsWhatARestartTakes() {
        let policy = RetryPolicy(retries: 1, firstDelay: 1_000_000)
        var bench = Bench(slots: 3, input([0..<5], policy: policy))
        bench.end(0)
        bench.end(1, broken)
        let past = bench.engine.items(of: id(1))
        #expect(past.count == 1 && past[0].states[0] == .success && past[0].states[1] == .open)
        #expect(past[0].begun.map(\.task) == [1, 2, 3, 4])
        var again = input([0..<5], policy: policy)
        again.items = past
        var other = Bench(slots: 3, again)
        #expect(other.engine.items(of: id(1)) == past && other.engine.running == 3)
        other.tell(.hurry(id(1)))
        for number in 2...4 { other.tell(.ended(item(number), attempt: 1, .success)) }
        #expect(other.started == [item(1): 2])
    }

    @Test func aThousandAttemptsEndEachItemOnce() {
        var bench = Bench(
            slots: 7, input([0..<200], most: 5, policy: RetryPolicy(retries: 3, firstDelay: 50_000))
        )
        var seed: UInt64 = 11
        var dice = Dice()
        var steps = 0
        while bench.runState == nil, steps < 100_000 {
            steps += 1
            seed = seed &* 6_364_136_223_846_793_005 &+ 1
            #expect(bench.running.count <= 5)
            guard let number = bench.running.randomElement(using: &dice) else {
                bench.advance(by: 100_000)
                continue
            }
            switch seed >> 60 {
            case 0...3: bench.end(number, broken)
            case 4: bench.tell(.lost(item(number), attempt: bench.started[item(number)] ?? 0))
            case 5: bench.advance(by: 30_000)
            case 6: bench.tell(.release(id(1)))
            default: bench.end(number)
            }
        }
        let counts = bench.result?.counts
        #expect(counts?.total == 200 && counts?.open == 0 && bench.engine.running == 0)
    }

    private struct Dice: RandomNumberGenerator {
        var state: UInt64 = 99
        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state ^ state >> 29
        }
    }
}
