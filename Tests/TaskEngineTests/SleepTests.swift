// SPDX-License-Identifier: Apache-2.0
import TaskEngine
import TaskModel
import Testing

private func id(_ number: UInt64) -> TaskID { TaskID(high: 1 << 16, low: number) }
private func ref(_ number: UInt64) -> TaskRef { TaskRef(run: id(number), task: 0) }

/// Runs of one task whose processes wait for what they drop.
private struct Dormitory {
    var engine = TaskEngine()
    private static let now: Int64 = 1_000_000

    init(slots: Int = 1) { tell(.capacity(slots: slots, memory: 1 << 30)) }

    @discardableResult
    mutating func tell(_ event: EngineEvent) -> [EngineAction] {
        engine.handle(event, at: Self.now)
        return engine.takeActions()
    }

    static func input(
        _ number: UInt64, under parent: UInt64? = nil, memory: Int64 = 0, semaphore: String? = nil
    ) -> RunInput {
        let task = TaskInput(
            number: 0, name: "t\(number)", memory: memory,
            semaphore: semaphore.map { .init(name: $0, limit: 1) })
        var input = RunInput(id: id(number), tasks: [task])
        input.kin = parent.map { Kin(parent: ref($0), depth: Int(number)) }
        return input
    }

    @discardableResult
    mutating func drop(_ number: UInt64, from parent: UInt64, _ own: RunInput? = nil)
        -> [EngineAction]
    {
        tell(.dropped(Subtask(id: id(number), name: "c\(number)", attempt: 1), parent: ref(parent)))
        return tell(.accepted(own ?? Self.input(number, under: parent)))
    }

    @discardableResult
    mutating func sleep(_ number: UInt64, on children: [UInt64]? = nil) -> [EngineAction] {
        tell(.sleeps(ref(number), attempt: 1, on: children.map { Set($0.map { id($0) }) }))
    }

    @discardableResult
    mutating func end(_ number: UInt64, _ outcome: Outcome = .success) -> [EngineAction] {
        tell(.ended(ref(number), attempt: 1, outcome))
    }

    var isAtRest: Bool {
        engine.runs == 0 && engine.running == 0 && engine.asleep == 0 && engine.resting == 0
    }
}

private func wake(_ number: UInt64) -> EngineAction { .wake(ref(number), attempt: 1) }
private func start(_ number: UInt64) -> EngineAction { .start(ref(number), attempt: 1) }

@Suite struct SleepTests {
    @Test func theSlotIsTheChilds() {
        var dorm = Dormitory()
        dorm.tell(.accepted(Dormitory.input(1)))
        #expect(!dorm.drop(2, from: 1).contains(start(2)))
        #expect(dorm.sleep(1).contains(start(2)))
        #expect(dorm.engine.isAsleep(ref(1)) && dorm.engine.asleep == 1)
        #expect(dorm.engine.running == 1 && dorm.engine.resting == 1)
        #expect(dorm.end(2).last == wake(1))
        #expect(!dorm.engine.isAsleep(ref(1)) && dorm.engine.running == 1)
        dorm.end(1)
        #expect(dorm.isAtRest)
    }

    @Test func nothingToWaitForIsNoWaiting() {
        var dorm = Dormitory()
        dorm.tell(.accepted(Dormitory.input(1)))
        #expect(dorm.sleep(1) == [wake(1)])
        dorm.drop(2, from: 1)
        #expect(dorm.sleep(1, on: []) == [wake(1)])
    }

    @Test func itWaitsForThoseAlone() {
        var dorm = Dormitory(slots: 3)
        dorm.tell(.accepted(Dormitory.input(1)))
        for child in [2, 3] as [UInt64] { dorm.drop(child, from: 1) }
        dorm.sleep(1, on: [3])
        #expect(!dorm.end(2).contains(wake(1)))
        dorm.drop(4, from: 1)
        #expect(dorm.end(3).contains(wake(1)))
        // Told again after a connection that was lost: it has slept already.
        #expect(!dorm.sleep(1).contains(wake(1)))
        #expect(dorm.end(4).contains(wake(1)))
    }

    @Test func itWaitsForItsSlot() {
        var dorm = Dormitory()
        dorm.tell(.accepted(Dormitory.input(1)))
        dorm.drop(2, from: 1)
        dorm.sleep(1)
        dorm.tell(.accepted(Dormitory.input(3)))
        dorm.drop(4, from: 2)
        dorm.sleep(2)
        #expect(dorm.engine.asleep == 2)
        // The deeper goes on first.
        let last = dorm.end(4)
        #expect(last.contains(wake(2)) && !last.contains(start(3)))
        #expect(dorm.end(2).contains(wake(1)))
        #expect(dorm.end(1).contains(start(3)))
        dorm.end(3)
        #expect(dorm.isAtRest)
    }

    @Test func chainsAreLinear() {
        var dorm = Dormitory()
        let depth: UInt64 = 1000
        dorm.tell(.accepted(Dormitory.input(1)))
        for level in 1..<depth {
            dorm.drop(level + 1, from: level)
            #expect(dorm.sleep(level).contains(start(level + 1)))
        }
        #expect(dorm.engine.asleep == Int(depth) - 1 && dorm.engine.running == 1)
        for level in (2...depth).reversed() { #expect(dorm.end(level).contains(wake(level - 1))) }
        dorm.end(1)
        #expect(dorm.isAtRest)
    }

    /// A tree that waits keeps no more asleep than it is deep, whatever the ids of its tasks are.
    @Test(arguments: [true, false]) func whoHasSleptGoesOnFirst(isLower: Bool) {
        var dorm = Dormitory()
        dorm.tell(.accepted(Dormitory.input(10)))
        let (first, second): (UInt64, UInt64) = isLower ? (2, 3) : (3, 2)
        for child in [first, second] {
            let own = Subtask(id: id(child), name: "c\(child)", attempt: 1)
            dorm.tell(.dropped(own, parent: ref(10)))
        }
        dorm.sleep(10)
        // As their accepts become durable.
        for child in [first, second] {
            var own = Dormitory.input(child, under: 10)
            own.kin = Kin(parent: ref(10), depth: 1)
            dorm.tell(.accepted(own))
        }
        var last = Dormitory.input(1, under: first)
        last.kin = Kin(parent: ref(first), depth: 2)
        dorm.drop(1, from: first, last)
        #expect(dorm.sleep(first).contains(start(1)))
        #expect(dorm.end(1).contains(wake(first)))
        #expect(dorm.end(first).contains(start(second)))
    }

    @Test func itsSemaphoreIsItsChilds() {
        var dorm = Dormitory(slots: 2)
        dorm.tell(.accepted(Dormitory.input(1, semaphore: "s")))
        let own = Dormitory.input(2, under: 1, semaphore: "s")
        #expect(!dorm.drop(2, from: 1, own).contains(start(2)))
        #expect(dorm.sleep(1).contains(start(2)))
        dorm.tell(.accepted(Dormitory.input(3, semaphore: "s")))
        #expect(dorm.end(2).contains(wake(1)))
        #expect(dorm.end(1).contains(start(3)))
        dorm.end(3)
        #expect(dorm.isAtRest)
    }

    @Test func itsMemoryStaysAndOneOfItsSubtasksRuns() {
        var dorm = Dormitory(slots: 3)
        let half: Int64 = 1 << 29
        dorm.tell(.accepted(Dormitory.input(1, memory: half)))
        for child in [2, 3] as [UInt64] {
            dorm.drop(child, from: 1, Dormitory.input(child, under: 1, memory: half + 1))
        }
        #expect(dorm.sleep(1).filter { $0 == start(2) || $0 == start(3) } == [start(3)])
        #expect(dorm.end(3).contains(start(2)))
        #expect(dorm.end(2).contains(wake(1)))
        dorm.end(1)
        #expect(dorm.isAtRest)
    }

    @Test(arguments: [Outcome.success, .failure(.exit, exit: 1), .killed])
    func itMayEndAsleep(outcome: Outcome) {
        var dorm = Dormitory()
        dorm.tell(.accepted(Dormitory.input(1)))
        dorm.drop(2, from: 1)
        dorm.sleep(1)
        if outcome == .killed {
            #expect(dorm.tell(.cancel(ref(1))).contains(.kill(ref(1), attempt: 1)))
        }
        dorm.end(1, outcome)
        #expect(dorm.engine.asleep == 0 && dorm.engine.running == 1)
        dorm.end(2, outcome == .success ? .success : .killed)
        #expect(dorm.isAtRest)
    }

    @Test func itMayBeLostOrForgotten() {
        var dorm = Dormitory()
        dorm.tell(.accepted(Dormitory.input(1)))
        dorm.drop(2, from: 1)
        dorm.sleep(1)
        dorm.tell(.lost(ref(2), attempt: 1))
        #expect(!dorm.tell(.lost(ref(1), attempt: 1)).contains(wake(1)))
        #expect(dorm.engine.asleep == 0)
        dorm.tell(.sleeps(ref(1), attempt: 2, on: nil))
        dorm.tell(.forget(id(1)))
        dorm.tell(.ended(ref(1), attempt: 2, .killed))
        dorm.tell(.ended(ref(2), attempt: 2, .killed))
        #expect(dorm.isAtRest)
    }
}
