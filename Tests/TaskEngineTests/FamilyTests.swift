// SPDX-License-Identifier: Apache-2.0
import TaskEngine
import TaskModel
import Testing

private func id(_ number: UInt64) -> TaskID { TaskID(high: 1 << 16, low: number) }
private func ref(_ number: UInt64) -> TaskRef { TaskRef(run: id(number), task: 0) }

/// Runs of one task, told by hand: a parent drops what a test says.
private struct Grove {
    var engine: TaskEngine
    var now: Int64 = 1_000_000

    init(slots: Int = 1, isGathering: Bool = false) {
        engine = TaskEngine(isGathering: isGathering)
        engine.handle(.capacity(slots: slots, memory: 1 << 30), at: now)
        _ = engine.takeActions()
    }

    @discardableResult
    mutating func tell(_ event: EngineEvent) -> [EngineAction] {
        engine.handle(event, at: now)
        return engine.takeActions()
    }

    static func input(
        _ number: UInt64, retries: Int = 0, under parent: UInt64? = nil, depth: Int = 1
    ) -> RunInput {
        let policy = RetryPolicy(retries: retries, firstDelay: 0)
        var input = RunInput(
            id: id(number), tasks: [TaskInput(number: 0, name: "t\(number)", policy: policy)])
        input.kin = parent.map { Kin(parent: ref($0), depth: depth) }
        return input
    }

    mutating func root(_ number: UInt64 = 1, retries: Int = 0) {
        tell(.accepted(Self.input(number, retries: retries)))
    }

    static func child(_ number: UInt64, _ attempt: Int = 1, _ state: TaskState? = nil) -> Subtask {
        Subtask(id: id(number), name: "c\(number)", attempt: attempt, state: state)
    }

    /// The parent's attempt drops a child, which is accepted.
    @discardableResult
    mutating func drop(
        _ number: UInt64, from parent: UInt64, depth: Int = 1
    ) -> [EngineAction] {
        tell(.dropped(Self.child(number), parent: ref(parent)))
        return tell(.accepted(Self.input(number, under: parent, depth: depth)))
    }

    /// The parent's attempt drops the name of an earlier one.
    mutating func adopt(
        _ number: UInt64, from parent: UInt64, attempt: Int, reopened: Bool = false
    ) {
        guard var child = engine.child(id(number), of: ref(parent)) else { return }
        child.attempt = attempt
        if reopened { (child.state, child.reason, child.generation) = (nil, nil, 1) }
        tell(.dropped(child, parent: ref(parent)))
    }

    @discardableResult
    mutating func end(
        _ number: UInt64, _ attempt: Int = 1, _ outcome: Outcome = .success
    ) -> [EngineAction] {
        tell(.ended(ref(number), attempt: attempt, outcome))
    }
}

private let failed = Outcome.failure(.exit, exit: 1)

@Suite struct FamilyTests {
    /// Its owner has a subtask run again: accepted without a word of its parent's.
    private static func retried(_ number: UInt64, under parent: UInt64) -> EngineEvent {
        var input = Grove.input(number, under: parent)
        input.generation = 1
        return .accepted(input)
    }

    @Test func aSubtaskThatRunsAgainIsItsParents() {
        var grove = Grove()
        grove.root()
        grove.drop(2, from: 1)
        grove.drop(3, from: 1)
        grove.end(1)
        grove.end(2, 1, failed)
        #expect(grove.engine.parent(of: id(2))?.0 == ref(1))
        grove.tell(Self.retried(2, under: 1))
        #expect(grove.engine.openChildren(of: ref(1)) == 2)
        grove.end(3)
        #expect(grove.end(2).last == .runEnded(id(1), .success, nil, because: nil))
        #expect(grove.engine.parent(of: id(2)) == nil)
    }

    @Test func oneWhoseParentIsGoneRunsByItself() {
        var grove = Grove(isGathering: true)
        grove.tell(Self.retried(2, under: 1))
        #expect(grove.tell(.gathered(built: [])) == [])
        #expect(grove.end(2).last == .runEnded(id(2), .success, nil, because: nil))
    }

    @Test func theParentEndsAfterItsChild() {
        var grove = Grove()
        grove.root()
        #expect(grove.drop(2, from: 1) == [])
        #expect(
            grove.end(1) == [
                .attemptEnded(ref(1), attempt: 1, .waits(.success)),
                .place(id(2), .active), .start(ref(2), attempt: 1),
            ])
        #expect(grove.engine.resting == 1)
        #expect(
            grove.end(2) == [
                .attemptEnded(ref(2), attempt: 1, .final),
                .runEnded(id(2), .success, nil, because: nil),
                .taskEnded(ref(1), .success, nil, because: nil),
                .runEnded(id(1), .success, nil, because: nil),
            ])
        #expect(grove.engine.runs == 0 && grove.engine.running == 0 && grove.engine.resting == 0)
    }

    @Test func theParentEndsItselfWhereItsChildEndedBefore() {
        var grove = Grove(slots: 2)
        grove.root()
        grove.drop(2, from: 1)
        grove.end(2)
        #expect(
            grove.end(1) == [
                .attemptEnded(ref(1), attempt: 1, .final),
                .runEnded(id(1), .success, nil, because: nil),
            ])
    }

    @Test(arguments: [true, false]) func aFailedChildFailsTheParent(isLast: Bool) {
        var grove = Grove(slots: 2)
        grove.root()
        grove.drop(2, from: 1)
        var last: [EngineAction] = []
        if isLast {
            grove.end(1)
            last = grove.end(2, 1, failed)
        } else {
            grove.end(2, 1, failed)
            last = grove.end(1)
            #expect(last.first == .attemptEnded(ref(1), attempt: 1, .waits(.success)))
        }
        #expect(
            last.suffix(2) == [
                .taskEnded(ref(1), .failure, .dependency, because: "c2"),
                .runEnded(id(1), .failure, .dependency, because: "t1"),
            ])
    }

    @Test func aSkippedChildIsNoFailure() {
        var grove = Grove(slots: 2)
        grove.root()
        grove.drop(2, from: 1)
        grove.end(1)
        #expect(grove.end(2, 1, .skipped).last == .runEnded(id(1), .success, nil, because: nil))
    }

    @Test func aRefusedDropFailsTheParent() {
        var grove = Grove()
        grove.root()
        var child = Grove.child(2, 1, .failure)
        child.isRefused = true
        grove.tell(.dropped(child, parent: ref(1)))
        #expect(
            grove.end(1).contains(.taskEnded(ref(1), .failure, .dependency, because: "c2")))
    }

    @Test func aParentIsTriedAgainForItsChild() {
        var grove = Grove()
        grove.root(retries: 1)
        grove.drop(2, from: 1)
        grove.end(1)
        #expect(
            grove.end(2, 1, failed).contains(
                .retryClosed(ref(1), attempt: 2, due: grove.now, because: "c2")))
        #expect(
            grove.tell(.capacity(slots: 1, memory: 0)) == [
                .place(id(1), .active), .start(ref(1), attempt: 2),
            ])
        // It drops the same again: its next generation succeeds.
        var child = Grove.child(2, 2)
        child.generation = 1
        grove.tell(.dropped(child, parent: ref(1)))
        var input = Grove.input(2, under: 1)
        input.generation = 1
        grove.tell(.accepted(input))
        grove.end(1, 2)
        #expect(grove.end(2).last == .runEnded(id(1), .success, nil, because: nil))
    }

    @Test func whatTheLastAttemptDidNotDropDoesNotCount() {
        var grove = Grove(slots: 2)
        grove.root(retries: 1)
        grove.drop(2, from: 1)
        grove.end(2, 1, failed)
        grove.end(1)
        grove.tell(.capacity(slots: 2, memory: 0))
        #expect(grove.end(1, 2).last == .runEnded(id(1), .success, nil, because: nil))
    }

    @Test func aRetryAdoptsWhatStillRuns() {
        var grove = Grove(slots: 2)
        grove.root(retries: 1)
        grove.drop(2, from: 1)
        grove.end(1, 1, failed)
        grove.tell(.capacity(slots: 2, memory: 0))
        grove.adopt(2, from: 1, attempt: 2)
        #expect(grove.end(1, 2).first == .attemptEnded(ref(1), attempt: 2, .waits(.success)))
        #expect(grove.end(2).last == .runEnded(id(1), .success, nil, because: nil))
    }

    @Test func whatRanAgainWithoutItIsTheParents() {
        var grove = Grove(slots: 2)
        grove.root(retries: 1)
        grove.drop(2, from: 1)
        grove.end(2, 1, failed)
        grove.end(1)
        grove.tell(.capacity(slots: 2, memory: 0))
        var again = Grove.input(2, under: 1)
        again.kin = nil  // its owner retried it
        grove.tell(.accepted(again))
        grove.adopt(2, from: 1, attempt: 2, reopened: true)
        #expect(grove.end(1, 2).first == .attemptEnded(ref(1), attempt: 2, .waits(.success)))
        #expect(grove.end(2).last == .runEnded(id(1), .success, nil, because: nil))
    }

    @Test func aLostParentAdoptsToo() {
        var grove = Grove(slots: 2)
        grove.root()
        grove.drop(2, from: 1)
        #expect(grove.tell(.lost(ref(1), attempt: 1)) == [.start(ref(1), attempt: 2)])
        grove.adopt(2, from: 1, attempt: 2)
        grove.end(1, 2)
        #expect(
            grove.end(2, 1, failed).last == .runEnded(id(1), .failure, .dependency, because: "t1"))
    }

    /// Ends of a tree that is ended from its root: 1 has 2 (which runs, with 3 below it) and 4, unstarted.
    enum Blow: CaseIterable { case failure, cancel, cancelTask, cancelClosing, forget }

    @Test(arguments: Blow.allCases) func whatEndsTheRootEndsAllBelow(blow: Blow) {
        var grove = Grove(slots: 2)
        grove.root()
        grove.drop(2, from: 1)
        grove.drop(3, from: 2, depth: 2)
        grove.drop(4, from: 1)
        var all: [EngineAction] = []
        switch blow {
        case .failure: all += grove.end(1, 1, failed)
        case .cancel: all += grove.tell(.cancel(TaskRef(run: id(1)))) + grove.end(1, 1, .killed)
        case .cancelTask: all += grove.tell(.cancel(ref(1))) + grove.end(1, 1, .killed)
        case .cancelClosing:
            // A slot is free: 3 runs.
            all += grove.end(1) + grove.tell(.cancel(TaskRef(run: id(1))))
            all += grove.end(3, 1, .killed)
        case .forget: all += grove.tell(.forget(id(1))) + grove.end(1, 1, .killed)
        }
        all += grove.end(2, 1, .killed)
        let ended = all.compactMap { action in
            if case .runEnded(let id, let state, _, _) = action { return "\(id.low) \(state.word)" }
            return nil
        }
        #expect(Set(ended.prefix(3)) == ["2 cancelled", "3 cancelled", "4 cancelled"])
        let last: [Blow: [String]] = [.failure: ["1 failure"], .forget: []]
        #expect(Array(ended.dropFirst(3)) == last[blow, default: ["1 cancelled"]])
        #expect(!all.contains(.start(ref(4), attempt: 1)))
        #expect(grove.engine.runs == 0 && grove.engine.running == 0 && grove.engine.resting == 0)
    }

    @Test func aParentThatWaitsForItsNextAttemptIsCancelledWithItsChildren() {
        var grove = Grove(slots: 2)
        var input = Grove.input(1, retries: 1)
        input.tasks[0].policy.firstDelay = 60_000_000
        grove.tell(.accepted(input))
        grove.drop(2, from: 1)
        grove.end(1, 1, failed)
        #expect(
            grove.tell(.cancel(TaskRef(run: id(1)))) == [
                .place(id(1), .active), .kill(ref(2), attempt: 1),
            ])
        #expect(
            grove.end(2, 1, .killed).suffix(2) == [
                .taskEnded(ref(1), .cancelled, nil, because: nil),
                .runEnded(id(1), .cancelled, nil, because: nil),
            ])
    }

    @Test func whatComesAfterItsParentsEndDoesNotStart() {
        var grove = Grove()
        #expect(
            grove.tell(.accepted(Grove.input(2, under: 1))) == [
                .taskEnded(ref(2), .cancelled, nil, because: nil),
                .runEnded(id(2), .cancelled, nil, because: nil),
            ])
    }

    @Test func whatComesWhileItsParentIsCancelledDoesNotStart() {
        var grove = Grove(slots: 2)
        grove.root()
        grove.tell(.cancel(TaskRef(run: id(1))))
        #expect(grove.drop(2, from: 1).last == .runEnded(id(2), .cancelled, nil, because: nil))
        #expect(
            grove.end(1, 1, .killed).last == .runEnded(id(1), .cancelled, nil, because: nil))
    }

    @Test func aHeldParentsTaskStillCloses() {
        var grove = Grove(slots: 2)
        grove.root()
        grove.drop(2, from: 1)
        grove.end(1)
        grove.tell(.hold(id(1)))
        #expect(grove.tell(.release(id(1))) == [.place(id(1), .active)])
        #expect(grove.end(2).last == .runEnded(id(1), .success, nil, because: nil))
    }

    // MARK: Order and cost

    /// Depth first: with one slot no more runs are open than one level's on each level.
    @Test(arguments: [(8, 2), (4, 6)]) func aTreeOnOneSlotKeepsFewRunsOpen(depth: Int, fan: Int) {
        var grove = Grove()
        var levels: [TaskID: Int] = [id(1): 0]
        var next: UInt64 = 2
        var (most, ended) = (0, 0)
        var pending = grove.tell(.accepted(Grove.input(1)))
        while !pending.isEmpty {
            var following: [EngineAction] = []
            for case .start(let ref, _) in pending {
                let level = levels[ref.run] ?? 0
                for _ in 0..<(level < depth ? fan : 0) {
                    levels[id(next)] = level + 1
                    following += grove.drop(next, from: ref.run.low, depth: level + 1)
                    next += 1
                }
                most = max(most, grove.engine.runs)
                following += grove.end(ref.run.low)
            }
            ended += pending.count { if case .runEnded = $0 { true } else { false } }
            pending = following
        }
        #expect(ended == Int(next) - 1)
        #expect(grove.engine.runs == 0)
        #expect(most <= 1 + depth * fan)
    }

    /// A chain: each drops the next. The last end is all others', without a stack.
    @Test func aChainIsAsLongAsYouLike() {
        let length: UInt64 = 10_000
        var grove = Grove()
        grove.root()
        for number in 2...length {
            grove.drop(number, from: number - 1, depth: Int(number) - 1)
            grove.end(number - 1)
        }
        #expect(grove.engine.runs == Int(length) && grove.engine.running == 1)
        let actions = grove.end(length)
        let expected: [EngineAction] = (1..<length).reversed().flatMap { number in
            [
                EngineAction.taskEnded(ref(number), .success, nil, because: nil),
                .runEnded(id(number), .success, nil, because: nil),
            ]
        }
        #expect(Array(actions.dropFirst(2)) == expected)
        #expect(grove.engine.runs == 0)
    }

    @Test func aChainIsCancelledAsAWhole() {
        let length: UInt64 = 10_000
        var grove = Grove()
        grove.root()
        for number in 2...length {
            grove.drop(number, from: number - 1, depth: Int(number) - 1)
            grove.end(number - 1)
        }
        #expect(
            grove.tell(.cancel(TaskRef(run: id(1)))) == [.kill(ref(length), attempt: 1)])
        let ends = grove.end(length, 1, .killed).compactMap { action -> UInt64? in
            if case .runEnded(let id, .cancelled, _, _) = action { return id.low }
            return nil
        }
        #expect(ends == Array((1...length).reversed()))
    }

    // MARK: A restart

    /// The same tree in a new engine, whatever comes first: what it had said of itself goes on.
    @Test(arguments: [[1, 2, 3], [3, 2, 1], [2, 1, 3]] as [[UInt64]])
    func aRestartGoesOn(order: [UInt64]) {
        var old = Grove()
        old.root()
        old.drop(2, from: 1)
        old.end(1)
        old.drop(3, from: 2, depth: 2)
        old.end(2)
        var new = Grove(slots: 0, isGathering: true)
        for number in order {
            var input = Grove.input(
                number, under: number > 1 ? number - 1 : nil, depth: Int(number) - 1)
            input.progress = old.engine.progress(of: id(number))
            input.children = [0: old.engine.children(of: ref(number))]
            new.tell(.accepted(input))
        }
        #expect(old.engine.progress(of: id(1)).map(\.standing) == [.closing(.success, nil)])
        #expect(new.tell(.gathered(built: [])) == [])
        new.tell(.capacity(slots: 1, memory: 0))
        #expect(new.end(3) == old.end(3))
    }

    @Test func aRestartEndsWhoseParentIsGone() {
        var grove = Grove(slots: 0, isGathering: true)
        #expect(grove.tell(.accepted(Grove.input(2, under: 1))) == [])
        #expect(
            grove.tell(.gathered(built: [])).last == .runEnded(id(2), .cancelled, nil, because: nil)
        )
    }

    /// Its plan was removed while taskd was away: it has ended. One that is being built has not.
    @Test(arguments: [true, false]) func aRestartMissesAChild(isBuilt: Bool) {
        var grove = Grove(slots: 0, isGathering: true)
        var input = Grove.input(1)
        input.progress = [.init(task: 0, standing: .closing(.success, nil), attempt: 1)]
        input.children = [0: [Grove.child(2)]]
        grove.tell(.accepted(input))
        let all = grove.tell(.gathered(built: isBuilt ? [id(2)] : []))
        #expect(all.isEmpty == isBuilt)
        #expect(
            isBuilt || all.last == .runEnded(id(1), .failure, .dependency, because: "t1"))
    }

    /// The last child ended, and the crash came before its parent's end was on record.
    @Test(arguments: [
        (TaskState.success, TaskState.success), (.failure, .failure), (.cancelled, .failure),
    ])
    func aRestartDecides(child: TaskState, parent: TaskState) {
        var grove = Grove(slots: 0, isGathering: true)
        var input = Grove.input(1)
        input.progress = [.init(task: 0, standing: .closing(.success, nil), attempt: 1)]
        input.children = [0: [Grove.child(2, 1, child)]]
        #expect(grove.tell(.accepted(input)) == [])
        let reason: FailureReason? = parent == .failure ? .dependency : nil
        #expect(
            grove.tell(.gathered(built: [])).last
                == .runEnded(id(1), parent, reason, because: parent == .failure ? "t1" : nil))
    }

    /// A parent that failed, or is cancelled, ends its children again after a restart.
    @Test func aRestartGoesOnCancelling() {
        var grove = Grove(slots: 0, isGathering: true)
        var input = Grove.input(1)
        input.progress = [.init(task: 0, standing: .closing(.failure, .exit), attempt: 1)]
        input.children = [0: [Grove.child(2)]]
        grove.tell(.accepted(Grove.input(2, under: 1)))
        grove.tell(.accepted(input))
        #expect(
            grove.tell(.gathered(built: [])) == [
                .taskEnded(ref(2), .cancelled, nil, because: nil),
                .runEnded(id(2), .cancelled, nil, because: nil),
                .taskEnded(ref(1), .failure, .exit, because: nil),
                .runEnded(id(1), .failure, .exit, because: "t1"),
            ])
    }
}
