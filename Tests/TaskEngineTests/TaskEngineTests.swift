// SPDX-License-Identifier: Apache-2.0
import TaskEngine
import TaskModel
import Testing

/// Drives an engine by hand: time stands still unless a test moves it.
private struct Bench {
    var engine = TaskEngine()
    var now: Int64 = 1_000_000

    init(slots: Int = 2) {
        engine.handle(.capacity(slots: slots, memory: 1 << 30), at: now)
        _ = engine.takeActions()
    }

    mutating func tell(_ event: EngineEvent) -> [EngineAction] {
        engine.handle(event, at: now)
        return engine.takeActions()
    }

    mutating func advance(to time: Int64) -> [EngineAction] {
        now = time
        engine.advance(to: now)
        return engine.takeActions()
    }
}

private func id(_ number: UInt64) -> TaskID { TaskID(high: number << 16, low: 7) }
private func ref(_ run: UInt64, _ task: Int = 0) -> TaskRef { TaskRef(run: id(run), task: task) }

private func run(
    _ number: UInt64, _ names: [String] = ["a"], _ edges: [(Int, Int, EdgeKind)] = [],
    policy: RetryPolicy = .never
) -> EngineEvent {
    .accepted(
        RunInput(
            id: id(number),
            tasks: names.enumerated().map {
                TaskInput(
                    number: $0, name: $1, isOptional: $1 == "wanted", policy: policy)
            },
            edges: edges.map { .init(from: $0.0, to: $0.1, kind: $0.2) }))
}

@Suite struct TaskEngineTests {
    @Test func oneTaskStartsAndEnds() {
        var bench = Bench()
        #expect(
            bench.tell(run(1)) == [.place(id(1), .active), .start(ref(1), attempt: 1)])
        #expect(
            bench.tell(.ended(ref(1), attempt: 1, .success)) == [
                .attemptEnded(ref(1), attempt: 1, .final),
                .runEnded(id(1), .success, nil, because: nil),
            ])
        #expect(bench.engine.runs == 0 && bench.engine.running == 0)
    }

    @Test func whatDoesNotRunThisTimeFails() {
        var bench = Bench()
        guard case .accepted(var input) = run(1, ["a", "b", "c"], [(0, 2, .ok)]) else { return }
        input.tasks[0].isRest = true
        #expect(
            bench.tell(.accepted(input)) == [
                .taskEnded(ref(1), .failure, .dependency, because: nil),
                .taskEnded(ref(1, 2), .failure, .dependency, because: "a"),
                .place(id(1), .active), .start(ref(1, 1), attempt: 1),
            ])
        // One that ran says more than one that did not.
        #expect(
            bench.tell(.ended(ref(1, 1), attempt: 1, .failure(.exit, exit: 3))).last
                == .runEnded(id(1), .failure, .dependency, because: "c"))
    }

    private static func conditional(_ names: [String]) -> EngineEvent {
        var tasks = names.enumerated().map { TaskInput(number: $0, name: $1) }
        tasks[0].isCondition = true
        let edges = tasks.indices.dropFirst().map { RunInput.Edge(from: 0, to: $0, kind: .ok) }
        return .accepted(RunInput(id: id(1), tasks: tasks, edges: edges))
    }

    @Test func aConditionThatSaysNoSkipsAll() {
        var bench = Bench()
        _ = bench.tell(Self.conditional(["a.check", "lib", "a"]))
        #expect(
            bench.tell(.ended(ref(1), attempt: 1, .failure(.exit, exit: 1))) == [
                .attemptEnded(ref(1), attempt: 1, .skipped),
                .taskEnded(ref(1, 1), .skipped, nil, because: "a.check"),
                .taskEnded(ref(1, 2), .skipped, nil, because: "a.check"),
                .runEnded(id(1), .skipped, nil, because: nil),
            ])
    }

    @Test func aConditionThatFailsFailsTheRun() {
        var bench = Bench()
        _ = bench.tell(Self.conditional(["a.check", "a"]))
        #expect(
            bench.tell(.ended(ref(1), attempt: 1, .failure(.exit, exit: 2))) == [
                .attemptEnded(ref(1), attempt: 1, .final),
                .taskEnded(ref(1, 1), .failure, .dependency, because: "a.check"),
                .runEnded(id(1), .failure, .exit, because: "a.check"),
            ])
    }

    @Test func aConditionThatSaysYesLetsItRun() {
        var bench = Bench()
        _ = bench.tell(Self.conditional(["a.check", "a"]))
        #expect(
            bench.tell(.ended(ref(1), attempt: 1, .success)).contains(
                .start(ref(1, 1), attempt: 1)))
    }

    @Test func slotsLimitAndOrderIsByAge() {
        var bench = Bench(slots: 1)
        _ = bench.tell(run(3))
        #expect(bench.tell(run(2)) == [])
        #expect(bench.tell(run(1)) == [])
        let next = bench.tell(.ended(ref(3), attempt: 1, .success))
        #expect(next.contains(.start(ref(1), attempt: 1)))
    }

    @Test func aLevelStartsAtOnce() {
        var bench = Bench(slots: 8)
        let begun = bench.tell(
            run(1, ["a", "b", "c", "d"], [(0, 1, .ok), (0, 2, .ok), (1, 3, .ok), (2, 3, .ok)]))
        #expect(begun == [.place(id(1), .active), .start(ref(1, 0), attempt: 1)])
        let level = bench.tell(.ended(ref(1, 0), attempt: 1, .success))
        #expect(level.contains(.start(ref(1, 1), attempt: 1)))
        #expect(level.contains(.start(ref(1, 2), attempt: 1)))
        _ = bench.tell(.ended(ref(1, 1), attempt: 1, .success))
        let last = bench.tell(.ended(ref(1, 2), attempt: 1, .success))
        #expect(last.contains(.start(ref(1, 3), attempt: 1)))
    }

    @Test func aFailedDependencyEndsTheRestAndIsNamed() {
        var bench = Bench()
        _ = bench.tell(run(1, ["libjpeg", "libpng", "site"], [(0, 1, .ok), (1, 2, .ok)]))
        let end = bench.tell(.ended(ref(1, 0), attempt: 1, .failure(.exit, exit: 3)))
        #expect(
            end == [
                .attemptEnded(ref(1, 0), attempt: 1, .final),
                .taskEnded(ref(1, 1), .failure, .dependency, because: "libjpeg"),
                .taskEnded(ref(1, 2), .failure, .dependency, because: "libpng"),
                .runEnded(id(1), .failure, .exit, because: "libjpeg"),
            ])
    }

    @Test func whatIsOnlyWantedMayFail() {
        var bench = Bench()
        _ = bench.tell(run(1, ["wanted", "site"], [(0, 1, .end)]))
        let next = bench.tell(.ended(ref(1, 0), attempt: 1, .failure(.exit, exit: 1)))
        #expect(next.contains(.start(ref(1, 1), attempt: 1)))
        let end = bench.tell(.ended(ref(1, 1), attempt: 1, .success))
        #expect(end.last == .runEnded(id(1), .success, nil, because: nil))
    }

    @Test func onSuccessIsSkippedAfterAFailure() {
        var bench = Bench()
        _ = bench.tell(run(1, ["site", "wanted"], [(0, 1, .ok)]))
        #expect(
            bench.tell(.ended(ref(1, 0), attempt: 1, .failure(.exit, exit: 1))) == [
                .attemptEnded(ref(1, 0), attempt: 1, .final),
                .taskEnded(ref(1, 1), .skipped, .dependency, because: "site"),
                .runEnded(id(1), .failure, .exit, because: "site"),
            ])
    }

    @Test func onFailureRunsAfterAFailureOnly() {
        var bench = Bench()
        _ = bench.tell(run(1, ["job", "alarm"], [(0, 1, .fail)]))
        let next = bench.tell(.ended(ref(1, 0), attempt: 1, .failure(.exit, exit: 1)))
        #expect(next.contains(.start(ref(1, 1), attempt: 1)))
        let end = bench.tell(.ended(ref(1, 1), attempt: 1, .success))
        #expect(end.last == .runEnded(id(1), .failure, .exit, because: "job"))

        _ = bench.tell(run(2, ["job", "alarm"], [(0, 1, .fail)]))
        let fine = bench.tell(.ended(ref(2, 0), attempt: 1, .success))
        #expect(fine.contains(.taskEnded(ref(2, 1), .skipped, nil, because: "job")))
        #expect(fine.last == .runEnded(id(2), .success, nil, because: nil))
    }

    @Test func whatFollowsAHandlerIsSkippedWithIt() {
        var bench = Bench()
        _ = bench.tell(run(1, ["job", "wanted", "wanted"], [(0, 1, .fail), (1, 2, .ok)]))
        let end = bench.tell(.ended(ref(1), attempt: 1, .success))
        #expect(end.contains(.taskEnded(ref(1, 1), .skipped, nil, because: "job")))
        #expect(end.contains(.taskEnded(ref(1, 2), .skipped, nil, because: "wanted")))
        #expect(end.last == .runEnded(id(1), .success, nil, because: nil))
    }

    @Test func retriesGrowAndEnd() throws {
        var bench = Bench()
        let policy = RetryPolicy(retries: 3, firstDelay: 1_000_000, longestDelay: 3_000_000)
        _ = bench.tell(run(1, policy: policy))
        var delays: [Int64] = []
        for attempt in 1...3 {
            let actions = bench.tell(.ended(ref(1), attempt: attempt, .failure(.exit, exit: 1)))
            #expect(actions[0] == .attemptEnded(ref(1), attempt: attempt, .retried))
            guard case .retry(_, attempt + 1, let due) = actions[1] else {
                Issue.record("no retry after attempt \(attempt): \(actions)")
                return
            }
            #expect(actions[2] == .place(id(1), .deferred(until: due, attempt: attempt + 1)))
            #expect(bench.engine.nextDeadline == due)
            delays.append(due - bench.now)
            #expect(bench.advance(to: due - 1) == [])
            let again = bench.advance(to: due)
            #expect(again == [.place(id(1), .active), .start(ref(1), attempt: attempt + 1)])
        }
        #expect((900_000...1_100_000).contains(delays[0]))
        #expect((1_800_000...2_200_000).contains(delays[1]))
        #expect((2_700_000...3_300_000).contains(delays[2]))
        let end = bench.tell(.ended(ref(1), attempt: 4, .failure(.signal, exit: nil)))
        #expect(end.last == .runEnded(id(1), .failure, .signal, because: "a"))
    }

    @Test(arguments: [64, 65, 77, 78])
    func permanentExitsAreNotRepeated(code: Int) {
        var bench = Bench()
        _ = bench.tell(run(1, policy: RetryPolicy(retries: 5)))
        let end = bench.tell(.ended(ref(1), attempt: 1, .failure(.exit, exit: code)))
        #expect(end.last == .runEnded(id(1), .failure, .exit, because: "a"))
    }

    @Test func aLostAttemptDoesNotCountAndThreeInARowPark() {
        var bench = Bench()
        _ = bench.tell(run(1))
        #expect(bench.tell(.lost(ref(1), attempt: 1)) == [.start(ref(1), attempt: 2)])
        #expect(bench.tell(.lost(ref(1), attempt: 2)) == [.start(ref(1), attempt: 3)])
        #expect(
            bench.tell(.lost(ref(1), attempt: 3)) == [
                .parked(id(1), because: ref(1)), .place(id(1), .hold),
            ])
        let again = bench.tell(.release(id(1)))
        #expect(again.last == .start(ref(1), attempt: 4))
    }

    /// A pool of four slots dies with all four, again and again: of what is lost each time only the
    /// culprit is parked.
    @Test func neighboursOfWhatTakesThePoolDownAreNotParked() {
        var bench = Bench(slots: 4)
        let culprit = ref(3)
        var running: [TaskRef: Int] = [:]
        var parked: [TaskRef] = []
        func carryOut(_ actions: [EngineAction]) {
            for action in actions {
                switch action {
                case .start(let ref, let attempt): running[ref] = attempt
                case .parked(_, let ref): parked.append(ref)
                default: break
                }
            }
        }
        for number in 1...6 { carryOut(bench.tell(run(UInt64(number)))) }
        for _ in 0..<20 {
            guard running[culprit] != nil else {
                // It does not run: the first that does ends well.
                guard let (ref, attempt) = running.min(by: { $0.key.run < $1.key.run }) else {
                    break
                }
                running[ref] = nil
                carryOut(bench.tell(.ended(ref, attempt: attempt, .success)))
                continue
            }
            let lost = running.sorted { $0.key.run < $1.key.run }
            running = [:]
            carryOut(bench.tell(.capacity(slots: 0, memory: 0)))
            for (ref, attempt) in lost { carryOut(bench.tell(.lost(ref, attempt: attempt))) }
            carryOut(bench.tell(.capacity(slots: 4, memory: 1 << 30)))
        }
        #expect(parked == [culprit])
        #expect(bench.engine.runs == 1 && running.isEmpty)
    }

    /// What waits for something other than a slot takes no place among those that wait for one.
    @Test func restingRunsAreCounted() {
        var bench = Bench(slots: 1)
        let one = TaskInput.Semaphore(name: "one", limit: 1)
        for number in 1...3 {
            let task = TaskInput(
                number: 0, name: "a", policy: RetryPolicy(retries: 1), semaphore: one)
            _ = bench.tell(.accepted(RunInput(id: id(UInt64(number)), tasks: [task])))
        }
        #expect(bench.engine.resting == 0)  // the one slot is taken: nobody asked for the semaphore
        _ = bench.tell(.capacity(slots: 4, memory: 1 << 30))
        #expect(bench.engine.resting == 2)
        _ = bench.tell(.hold(id(3)))
        #expect(bench.engine.resting == 2)
        let failed = bench.tell(.ended(ref(1), attempt: 1, .failure(.exit, exit: 2)))
        #expect(failed.last == .start(ref(2), attempt: 1))
        #expect(bench.engine.resting == 2)  // 1 waits for its time, 3 is parked
        _ = bench.tell(.release(id(3)))
        #expect(bench.engine.resting == 2)  // now for the semaphore
        _ = bench.tell(.ended(ref(2), attempt: 1, .success))
        #expect(bench.engine.resting == 1)
        _ = bench.tell(.cancel(TaskRef(run: id(1), task: nil)))
        _ = bench.tell(.ended(ref(3), attempt: 1, .success))
        #expect(bench.engine.resting == 0 && bench.engine.runs == 0)
    }

    @Test func aSuspectThatRunsForLongKeepsTheOthersForAMinute() {
        var bench = Bench(slots: 4)
        for number in 1...2 {
            _ = bench.tell(run(UInt64(number)))
            _ = bench.tell(.lost(ref(UInt64(number)), attempt: 1))
        }
        _ = bench.tell(.capacity(slots: 0, memory: 0))
        _ = bench.tell(.lost(ref(1), attempt: 2))
        _ = bench.tell(.lost(ref(2), attempt: 2))
        #expect(
            bench.tell(.capacity(slots: 4, memory: 1 << 30)) == [.start(ref(1), attempt: 3)])
        #expect(bench.tell(run(3)) == [.place(id(3), .active), .start(ref(3), attempt: 1)])
        let until = bench.now + 60_000_000
        #expect(bench.engine.nextDeadline == until)
        #expect(bench.advance(to: until - 1) == [])
        #expect(bench.advance(to: until) == [.start(ref(2), attempt: 3)])
        #expect(bench.engine.nextDeadline == nil)
    }

    @Test func aSuspectWaitsForASlotOfItsOwn() {
        var bench = Bench(slots: 1)
        bench.engine.lookAhead = 8
        _ = bench.tell(run(1))
        for attempt in 1...2 { _ = bench.tell(.lost(ref(1), attempt: attempt)) }
        _ = bench.tell(.ended(ref(1), attempt: 3, .success))
        _ = bench.tell(run(2))
        _ = bench.tell(run(3))
        _ = bench.tell(.capacity(slots: 0, memory: 0))
        _ = bench.tell(.lost(ref(3), attempt: 1))
        _ = bench.tell(.capacity(slots: 1, memory: 1 << 30))
        _ = bench.tell(.lost(ref(3), attempt: 2))
        #expect(
            bench.tell(.ended(ref(2), attempt: 1, .success)).last == .start(ref(3), attempt: 3))
    }

    @Test func aRunThatComesParkedStaysWhereItIs() {
        var bench = Bench(slots: 4)
        var input = RunInput(
            id: id(1), tasks: [TaskInput(number: 0, name: "a")],
            progress: [.init(task: 0, standing: .due(50), attempt: 1, failures: 1)])
        input.isHeld = true
        #expect(bench.tell(.accepted(input)) == [])
        var other = RunInput(
            id: id(2), tasks: [TaskInput(number: 0, name: "a")],
            progress: [.init(task: 0, standing: .running, attempt: 1)])
        other.isHeld = true
        #expect(bench.tell(.accepted(other)) == [.kill(ref(2), attempt: 1)])
    }

    @Test func holdKillsWithoutCounting() {
        var bench = Bench()
        _ = bench.tell(run(1))
        #expect(
            bench.tell(.hold(id(1))) == [.kill(ref(1), attempt: 1), .place(id(1), .hold)])
        #expect(
            bench.tell(.ended(ref(1), attempt: 1, .failure(.signal, exit: nil))) == [
                .attemptEnded(ref(1), attempt: 1, .parked)
            ])
        let again = bench.tell(.release(id(1)))
        #expect(again.last == .start(ref(1), attempt: 2))
    }

    @Test func aReleaseBeforeTheKilledAttemptEndsDoesNotCountItEither() {
        var bench = Bench()
        _ = bench.tell(run(1))
        _ = bench.tell(.hold(id(1)))
        #expect(bench.tell(.release(id(1))) == [.place(id(1), .active)])
        #expect(
            bench.tell(.ended(ref(1), attempt: 1, .killed)) == [
                .attemptEnded(ref(1), attempt: 1, .parked), .start(ref(1), attempt: 2),
            ])
        // What follows counts again.
        let end = bench.tell(.ended(ref(1), attempt: 2, .failure(.exit, exit: 1)))
        #expect(end.last == .runEnded(id(1), .failure, .exit, because: "a"))
    }

    @Test func aKilledAttemptThatWasCancelledIsTheLast() {
        var bench = Bench()
        _ = bench.tell(run(1))
        _ = bench.tell(.hold(id(1)))
        _ = bench.tell(.release(id(1)))
        _ = bench.tell(.cancel(TaskRef(run: id(1))))
        #expect(
            bench.tell(.ended(ref(1), attempt: 1, .killed)) == [
                .attemptEnded(ref(1), attempt: 1, .cancelled),
                .runEnded(id(1), .cancelled, nil, because: nil),
            ])
    }

    @Test func hurryStartsWhatWaitsForATime() {
        var bench = Bench()
        _ = bench.tell(run(1, policy: RetryPolicy(retries: 1)))
        _ = bench.tell(.ended(ref(1), attempt: 1, .failure(.exit, exit: 1)))
        let again = bench.tell(.hurry(id(1)))
        #expect(again == [.place(id(1), .active), .start(ref(1), attempt: 2)])
        #expect(bench.advance(to: bench.now + 10_000_000) == [])
    }

    @Test func cancelEndsAll() {
        var bench = Bench(slots: 1)
        _ = bench.tell(run(1, ["a", "b", "c"], [(0, 2, .ok)]))
        let actions = bench.tell(.cancel(TaskRef(run: id(1))))
        #expect(actions.first == .kill(ref(1, 0), attempt: 1))
        let end = bench.tell(.ended(ref(1, 0), attempt: 1, .failure(.signal, exit: nil)))
        #expect(end.last == .runEnded(id(1), .cancelled, nil, because: nil))
        #expect(bench.engine.running == 0)
    }

    @Test func groupsNeedNoSlot() {
        var bench = Bench(slots: 0)
        let event = EngineEvent.accepted(
            RunInput(
                id: id(1),
                tasks: (0..<3).map { TaskInput(number: $0, name: "x", isGroup: true) },
                edges: [.init(from: 0, to: 1, kind: .ok), .init(from: 1, to: 2, kind: .ok)]))
        #expect(bench.tell(event).last == .runEnded(id(1), .success, nil, because: nil))
    }

    @Test func forgottenAttemptsHoldTheirSlotUntilTheyEnd() {
        var bench = Bench(slots: 1)
        _ = bench.tell(run(1))
        #expect(bench.tell(.forget(id(1))) == [.kill(ref(1), attempt: 1)])
        #expect(bench.tell(run(2)) == [])
        let next = bench.tell(.ended(ref(1), attempt: 1, .failure(.signal, exit: nil)))
        #expect(next.last == .start(ref(2), attempt: 1))
    }

    @Test func memoryIsPromisedOnce() {
        var bench = Bench(slots: 8)
        func big(_ number: UInt64) -> EngineEvent {
            .accepted(
                RunInput(
                    id: id(number), tasks: [TaskInput(number: 0, name: "m", memory: 700 << 20)]))
        }
        _ = bench.tell(big(1))
        #expect(bench.tell(big(2)) == [])
        let next = bench.tell(.ended(ref(1), attempt: 1, .success))
        #expect(next.contains(.start(ref(2), attempt: 1)))
    }

    @Test func semaphoresHoldTheRestBack() {
        var bench = Bench(slots: 8)
        func guarded(_ number: UInt64) -> EngineEvent {
            .accepted(
                RunInput(
                    id: id(number),
                    tasks: [TaskInput(number: 0, name: "s", semaphore: .init(name: "db", limit: 1))]
                ))
        }
        _ = bench.tell(guarded(1))
        #expect(bench.tell(guarded(2)) == [])
        let next = bench.tell(.ended(ref(1), attempt: 1, .success))
        #expect(next.contains(.start(ref(2), attempt: 1)))
    }

    /// One that was woken and is parked before it starts leaves its place to the next.
    @Test func whoIsParkedOnItsWayFromASemaphoreLeavesItsPlace() {
        var bench = Bench(slots: 3)
        func guarded(_ number: UInt64) -> EngineEvent {
            let task = TaskInput(number: 0, name: "s", semaphore: .init(name: "db", limit: 1))
            return .accepted(RunInput(id: id(number), tasks: [task]))
        }
        for event in [guarded(1), run(2), guarded(3), guarded(4)] { _ = bench.tell(event) }
        _ = bench.tell(.capacity(slots: 2, memory: 0))
        let urgent = TaskInput(number: 0, name: "u", priority: 1)
        _ = bench.tell(.accepted(RunInput(id: id(5), tasks: [urgent])))
        #expect(
            bench.tell(.ended(ref(1), attempt: 1, .success)).last == .start(ref(5), attempt: 1))
        _ = bench.tell(.hold(id(3)))
        #expect(
            bench.tell(.ended(ref(2), attempt: 1, .success)).last == .start(ref(4), attempt: 1))
    }

    /// Whatever happens, no more hold a semaphore than may, and none waits for one that has room.
    @Test(arguments: 1...20) func semaphoresAreFullOrNobodyWaits(seed: UInt64) {
        var random = SplitMix(state: seed)
        var capacity = 6
        var bench = Bench(slots: capacity)
        var waiting: [UInt64: Int] = [:]
        var held: Set<UInt64> = []
        var running: [UInt64: Int] = [:]
        let limits = [1, 2, 3]
        func name(_ number: UInt64) -> Int { Int(number % 3) }
        func carryOut(_ actions: [EngineAction]) {
            for case .start(let ref, let attempt) in actions {
                let number = UInt64(ref.run.high >> 16)
                waiting[number] = nil
                running[number] = attempt
            }
        }
        for number in UInt64(1)...400 {
            let which = name(number)
            let task = TaskInput(
                number: 0, name: "s", priority: Int(number % 2),
                semaphore: .init(name: "n\(which)", limit: limits[which]))
            waiting[number] = 1
            carryOut(bench.tell(.accepted(RunInput(id: id(number), tasks: [task]))))
            for _ in 0..<Int.random(in: 0...2, using: &random) {
                let idle = waiting.keys.filter { !held.contains($0) }.sorted()
                switch Int.random(in: 0..<8, using: &random) {
                case 0:
                    guard let one = idle.randomElement(using: &random) else { continue }
                    held.insert(one)
                    carryOut(bench.tell(.hold(id(one))))
                case 1:
                    guard let one = held.sorted().randomElement(using: &random) else { continue }
                    held.remove(one)
                    carryOut(bench.tell(.release(id(one))))
                case 2:
                    guard let one = idle.randomElement(using: &random) else { continue }
                    waiting[one] = nil
                    carryOut(bench.tell(.cancel(TaskRef(run: id(one), task: nil))))
                case 3:
                    capacity = Int.random(in: 1...6, using: &random)
                    carryOut(bench.tell(.capacity(slots: capacity, memory: 0)))
                default:
                    guard let one = running.keys.sorted().randomElement(using: &random) else {
                        continue
                    }
                    let attempt = running.removeValue(forKey: one) ?? 1
                    carryOut(bench.tell(.ended(ref(one), attempt: attempt, .success)))
                }
            }
            for which in 0..<3 {
                let holders = running.keys.count { name($0) == which }
                #expect(holders <= limits[which])
                let wants = waiting.keys.contains { name($0) == which && !held.contains($0) }
                #expect(!wants || holders == limits[which] || running.count >= capacity)
            }
        }
    }

    @Test func restartGoesOnWhereTheJournalEnds() {
        var bench = Bench()
        let input = RunInput(
            id: id(1), tasks: (0..<3).map { TaskInput(number: $0, name: "a") },
            edges: [.init(from: 0, to: 2, kind: .ok), .init(from: 1, to: 2, kind: .ok)],
            progress: [
                .init(task: 0, standing: .final(.success, nil), attempt: 1),
                .init(task: 1, standing: .running, attempt: 2),
            ])
        #expect(bench.tell(.accepted(input)) == [])
        let next = bench.tell(.ended(ref(1, 1), attempt: 2, .success))
        #expect(next.contains(.start(ref(1, 2), attempt: 1)))
    }

    @Test func anAttemptThatTheRestartDidNotKnowOfIsTakenUp() {
        var bench = Bench(slots: 0)
        _ = bench.tell(run(1, ["a", "b"], [(0, 1, .ok)]))
        #expect(bench.tell(.found(ref(1), attempt: 1)) == [.place(id(1), .active)])
        #expect(bench.engine.isRunning(ref(1), attempt: 1))
        // One that it knows, and one of another's number, change nothing.
        #expect(bench.tell(.found(ref(1), attempt: 1)).isEmpty)
        #expect(bench.tell(.found(ref(9), attempt: 1)).isEmpty)
        #expect(bench.tell(.capacity(slots: 2, memory: 1 << 30)).isEmpty)
        #expect(
            bench.tell(.ended(ref(1), attempt: 1, .success)) == [
                .attemptEnded(ref(1), attempt: 1, .final), .start(ref(1, 1), attempt: 1),
            ])
    }

    @Test func anItemsAttemptThatTheRestartDidNotKnowOfIsTakenUp() {
        var bench = Bench(slots: 0)
        var task = TaskInput(number: 0, name: "a")
        task.items = .init(ItemRanges([0..<3]), mostAtOnce: 2)
        var input = RunInput(id: id(1), tasks: [task], edges: [])
        input.isHeld = true
        _ = bench.tell(.accepted(input))
        func item(_ number: Int) -> TaskRef { TaskRef(run: id(1), task: 0, item: number) }
        #expect(bench.tell(.found(item(1), attempt: 1)) == [.kill(item(1), attempt: 1)])
        #expect(bench.engine.isRunning(item(1), attempt: 1))
        #expect(bench.tell(.found(item(1), attempt: 1)).isEmpty)
        #expect(bench.tell(.found(item(3), attempt: 1)).isEmpty)
        #expect(
            bench.tell(.ended(item(1), attempt: 1, .killed)) == [
                .attemptEnded(item(1), attempt: 1, .parked)
            ])
        _ = bench.tell(.release(id(1)))
        // Its number is not used again, and with what runs no more do than may at once.
        #expect(bench.tell(.found(item(2), attempt: 1)) == [.place(id(1), .active)])
        #expect(
            bench.tell(.capacity(slots: 4, memory: 1 << 30)) == [.start(item(1), attempt: 2)])
        #expect(
            bench.tell(.ended(item(2), attempt: 1, .success)) == [
                .attemptEnded(item(2), attempt: 1, .final), .start(item(0), attempt: 1),
            ])
    }

    @Test func anAttemptThatIsFoundOfAParkedRunIsEnded() {
        var bench = Bench()
        var input = RunInput(
            id: id(1), tasks: [TaskInput(number: 0, name: "a")], edges: [])
        input.isHeld = true
        _ = bench.tell(.accepted(input))
        #expect(bench.tell(.found(ref(1), attempt: 1)) == [.kill(ref(1), attempt: 1)])
        #expect(
            bench.tell(.ended(ref(1), attempt: 1, .killed)) == [
                .attemptEnded(ref(1), attempt: 1, .parked)
            ])
        #expect(bench.tell(.release(id(1))).contains(.start(ref(1), attempt: 2)))
    }

    @Test func numbersMayHaveGaps() {
        var bench = Bench()
        let input = RunInput(
            id: id(1), generation: 1,
            tasks: [3, 17].map { TaskInput(number: $0, name: "t\($0)") },
            edges: [.init(from: 3, to: 17, kind: .ok), .init(from: 2, to: 17, kind: .ok)])
        #expect(bench.tell(.accepted(input)).last == .start(ref(1, 3), attempt: 1))
        let next = bench.tell(.ended(ref(1, 3), attempt: 1, .success))
        #expect(next.last == .start(ref(1, 17), attempt: 1))
    }

    @Test func aLongChainNeedsNoStack() {
        let count = 200_000
        var bench = Bench()
        _ = bench.tell(
            run(
                1, (0..<count).map { _ in "t" }, (1..<count).map { ($0 - 1, $0, .ok) }))
        let end = bench.tell(.ended(ref(1, 0), attempt: 1, .failure(.exit, exit: 1)))
        #expect(end.count == count + 1)
        #expect(end.last == .runEnded(id(1), .failure, .exit, because: "t"))
    }
}

/// Steele, Lea, Flood 2014: one seed, one sequence.
private struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
