// SPDX-License-Identifier: Apache-2.0
import TaskEngine
import TaskModel
import Testing

private func id(_ number: UInt64) -> TaskID { TaskID(high: number << 16, low: 7) }
private func ref(_ run: UInt64, _ task: Int = 0) -> TaskRef { TaskRef(run: id(run), task: task) }

/// What waits for a slot, and what may not start for now.
@Suite struct QueueTests {
    private func engine(slots: Int) -> TaskEngine {
        var engine = TaskEngine()
        engine.handle(.capacity(slots: slots, memory: 1 << 30), at: 1)
        return engine
    }

    private func accept(
        _ number: UInt64, _ engine: inout TaskEngine, tasks: Int = 1, isBarred: Bool = false,
        change: (inout RunInput) -> Void = { _ in }
    ) {
        var input = RunInput(
            id: id(number), tasks: (0..<tasks).map { TaskInput(number: $0, name: "a") },
            edges: (1..<max(tasks, 1)).map { .init(from: $0 - 1, to: $0, kind: .ok) })
        input.isBarred = isBarred
        change(&input)
        engine.handle(.accepted(input), at: 2)
    }

    private func starts(_ engine: inout TaskEngine) -> [TaskRef] {
        engine.takeActions().compactMap { action in
            if case .start(let ref, _) = action { ref } else { nil }
        }
    }

    @Test func waitingRunsStandInTheOrderOfTheirTurn() {
        var engine = engine(slots: 1)
        for number in [4, 2, 3, 1] as [UInt64] { accept(number, &engine) }
        #expect(starts(&engine) == [ref(4)])
        #expect(engine.hasQueue && engine.idleSlots == 0)
        #expect(engine.waiting(behind: 0) == [id(1), id(2), id(3)])
        #expect(engine.waiting(behind: 2) == [id(3)])
        #expect(engine.waiting(behind: 3) == [])
    }

    @Test func whatHasBegunDoesNotCount() {
        var engine = engine(slots: 1)
        accept(1, &engine, tasks: 2)
        accept(2, &engine)
        engine.handle(.ended(ref(1), attempt: 1, .success), at: 3)
        #expect(starts(&engine) == [ref(1), ref(1, 1)])
        #expect(engine.waiting(behind: 0) == [id(2)])
        engine.handle(.hold(id(2)), at: 4)
        #expect(engine.waiting(behind: 0) == [])
    }

    @Test func anArrayOfWhichAnItemRanHasBegun() {
        var engine = engine(slots: 1)
        accept(1, &engine) { $0.tasks[0].items = .init(ItemRanges([0..<3])) }
        accept(2, &engine) { $0.tasks[0].items = .init(ItemRanges([0..<3])) }
        #expect(engine.waiting(behind: 0) == [id(2)])
    }

    @Test func subtasksStay() {
        var engine = engine(slots: 1)
        accept(1, &engine)
        accept(2, &engine) { $0.kin = Kin(parent: ref(1), depth: 1) }
        #expect(engine.waiting(behind: 0) == [])
    }

    @Test func aBarredRunStartsNothingAndGoesOn() {
        var engine = engine(slots: 2)
        accept(1, &engine, tasks: 2)
        #expect(starts(&engine) == [ref(1)])
        engine.handle(.bar(id(1)), at: 3)
        engine.handle(.ended(ref(1), attempt: 1, .success), at: 4)
        accept(2, &engine)
        #expect(starts(&engine) == [ref(2)])  // not kept up by what may not start
        engine.handle(.unbar(id(1)), at: 5)
        #expect(starts(&engine) == [ref(1, 1)])
    }

    @Test func oneThatCameBarredStartsOnce() {
        var engine = engine(slots: 2)
        accept(1, &engine, isBarred: true)
        #expect(starts(&engine).isEmpty)
        engine.handle(.bar(id(1)), at: 3)
        engine.handle(.unbar(id(1)), at: 4)
        engine.handle(.unbar(id(1)), at: 5)
        #expect(starts(&engine) == [ref(1)])
        engine.handle(.ended(ref(1), attempt: 1, .success), at: 6)
        #expect(starts(&engine).isEmpty && engine.runs == 0 && engine.running == 0)
    }

    @Test func barredItemsWaitToo() {
        var engine = engine(slots: 2)
        accept(1, &engine, isBarred: true) { $0.tasks[0].items = .init(ItemRanges([0..<2])) }
        #expect(starts(&engine).isEmpty)
        engine.handle(.unbar(id(1)), at: 3)
        #expect(starts(&engine).map(\.item) == [0, 1])
    }

    @Test func whatIsParkedWhileItIsBarredStaysParked() {
        var engine = engine(slots: 1)
        accept(1, &engine, isBarred: true)
        engine.handle(.hold(id(1)), at: 3)
        engine.handle(.unbar(id(1)), at: 4)
        #expect(starts(&engine).isEmpty)
        engine.handle(.release(id(1)), at: 5)
        #expect(starts(&engine) == [ref(1)])
    }
}
