// SPDX-License-Identifier: Apache-2.0
import TaskFleet
import Testing

private let second: Int64 = 1_000_000
private let begin: Int64 = 1_000_000 * second

private func machine(_ id: String, _ state: Machine.State = .up, age: Int64 = 60) -> Machine {
    Machine(id: id, state: state, since: begin - age * second)
}

private func node(
    _ name: String, live: Bool = true, draining: Bool = false, bundles: Int = 0, silent: Int64 = 0
) -> FleetNode {
    FleetNode(
        name: name, isLive: live, isDraining: draining, bundles: bundles,
        seen: begin - silent * second)
}

/// Machines that serve as nodes m1 to mN.
private func fleet(_ count: Int, waiting: Int = 0, held: Int = 0, mean: Int64? = 1) -> Fleet {
    let ids = (0..<count).map { "m\($0 + 1)" }
    return Fleet(
        machines: ids.map { machine($0) }, nodes: ids.map { node($0) },
        backlog: Backlog(waiting: waiting, held: held, mean: mean.map { $0 * second }))
}

private func limits(_ change: (inout ScaleLimits) -> Void = { _ in }) -> ScaleLimits {
    var limits = ScaleLimits()
    limits.slots = 4
    limits.target = 100 * second
    change(&limits)
    return limits
}

/// A machine does 400 tasks of a second in the time that is allowed.
struct ScalerUpTests {
    @Test(arguments: [
        (0, 0, 0, 0), (1, 0, 0, 1), (400, 0, 0, 1), (401, 0, 0, 2), (0, 400, 0, 1),
        (300, 300, 0, 2),
        (4000, 0, 0, 10), (1_000_000, 0, 0, 10), (1200, 0, 2, 1), (800, 0, 2, 0),
    ])
    func `as many as do all in time are wanted`(
        waiting: Int, held: Int, present: Int, created: Int
    ) {
        var scaler = Scaler(limits(), start: nil)
        let decision = scaler.decide(fleet(present, waiting: waiting, held: held), at: begin)
        #expect(decision.steps == (created > 0 ? [.create(created)] : []))
        #expect(decision.reasons.count == decision.steps.count)
        #expect(decision.wanted.contains("\(waiting) tasks wait"))
    }

    @Test func `a step up is ten machines, or half of those that are there`() {
        var scaler = Scaler(limits { $0.most = 1000 }, start: nil)
        #expect(scaler.decide(fleet(0, waiting: 400_000), at: begin).steps == [.create(10)])
        #expect(scaler.decide(fleet(50, waiting: 400_000), at: begin).steps == [.create(25)])
    }

    @Test func `while nothing is known of tasks the guess counts`() {
        var scaler = Scaler(limits { $0.guess = 10 * second }, start: nil)
        let decision = scaler.decide(fleet(0, waiting: 80, mean: nil), at: begin)
        #expect(decision.steps == [.create(2)])
        #expect(decision.wanted.contains("--task-time"))
    }

    @Test func `numbers beyond all measure wrap around to nothing`() {
        var scaler = Scaler(limits(), start: nil)
        let many = Fleet(
            machines: [], nodes: [],
            backlog: Backlog(waiting: 1 << 60, held: 1 << 60, mean: .max))
        #expect(scaler.decide(many, at: begin).steps == [.create(10)])
    }

    @Test func `machines that start or were just created count`() {
        var scaler = Scaler(limits(), start: nil)
        var some = fleet(0, waiting: 1200)
        some.machines = [machine("a", .starting, age: 5)]
        #expect(scaler.decide(some, at: begin).steps == [.create(2)])
        scaler.created(["b", "c"], at: begin)
        #expect(scaler.decide(some, at: begin + second).steps.isEmpty)
        some.machines.append(machine("b", .starting, age: 0))
        #expect(scaler.decide(some, at: begin + 2 * second).steps.isEmpty)
        #expect(scaler.decide(some, at: begin + 61 * second).steps == [.create(1)])
    }

    @Test func `one that stops does not`() {
        var scaler = Scaler(limits(), start: nil)
        var some = fleet(2, waiting: 800)
        some.machines[0].state = .stopping
        #expect(scaler.decide(some, at: begin).steps == [.create(1)])
    }

    @Test func `after a start, and a create without an answer, the list is waited for`() {
        var scaler = Scaler(limits(), start: begin)
        let empty = fleet(0, waiting: 400)
        let early = scaler.decide(empty, at: begin + 59 * second)
        #expect(early.steps.isEmpty && early.omissions.map(\.rule) == [.lag])
        #expect(scaler.decide(empty, at: begin + 60 * second).steps == [.create(1)])
        scaler.createFailed(at: begin + 60 * second)
        #expect(scaler.decide(empty, at: begin + 119 * second).steps.isEmpty)
        #expect(scaler.decide(empty, at: begin + 120 * second).steps == [.create(1)])
    }

    @Test func `nodes that no provider made do their part`() {
        var scaler = Scaler(limits(), start: nil)
        var some = fleet(0, waiting: 1200)
        some.nodes = [node("own"), node("dead", live: false), node("leaves", draining: true)]
        let decision = scaler.decide(some, at: begin)
        #expect(decision.steps == [.create(2)])
        #expect(decision.wanted.contains("1 nodes serve that are none of ours"))
    }

    @Test func `what drains serves again before another is made`() {
        var scaler = Scaler(limits(), start: nil)
        var some = fleet(2, waiting: 1200)
        some.nodes[1].isDraining = true
        #expect(scaler.decide(some, at: begin).steps == [.resume("m2"), .create(1)])
    }
}

struct ScalerDownTests {
    @Test func `what is not needed for a whole cool-down drains, then it goes`() {
        var scaler = Scaler(limits(), start: nil)
        var some = fleet(3)
        some.nodes[2].bundles = 1
        let first = scaler.decide(some, at: begin)
        #expect(first.steps.isEmpty && first.omissions.map(\.rule) == [.coolDown])
        #expect(scaler.decide(some, at: begin + 299 * second).steps.isEmpty)
        #expect(
            scaler.decide(some, at: begin + 300 * second).steps
                == [.drain("m1"), .drain("m2"), .drain("m3")])
        for index in some.nodes.indices { some.nodes[index].isDraining = true }
        #expect(scaler.decide(some, at: begin + 310 * second).steps == [.destroy(["m1", "m2"])])
        some.machines.removeFirst(2)
        #expect(scaler.decide(some, at: begin + 320 * second).steps.isEmpty)
        some.nodes[2].bundles = 0
        #expect(scaler.decide(some, at: begin + 330 * second).steps == [.destroy(["m3"])])
    }

    @Test func `a little more work starts the cool-down again`() {
        var scaler = Scaler(limits(), start: nil)
        _ = scaler.decide(fleet(3), at: begin)
        _ = scaler.decide(fleet(3, waiting: 1200), at: begin + 200 * second)
        #expect(scaler.decide(fleet(3), at: begin + 301 * second).steps.isEmpty)
        #expect(scaler.decide(fleet(3), at: begin + 601 * second).steps.count == 3)
    }

    @Test func `one more than is needed among many stays`() {
        var scaler = Scaler(limits(), start: nil)
        for time in [0, 400] {
            #expect(
                scaler.decide(fleet(10, waiting: 3600), at: begin + Int64(time) * second).steps
                    .isEmpty)
        }
    }

    @Test func `a step down is one a cool-down`() {
        var scaler = Scaler(limits { $0.least = 1 }, start: nil)
        _ = scaler.decide(fleet(3), at: begin)
        #expect(scaler.decide(fleet(3), at: begin + 300 * second).steps.count == 2)
        #expect(scaler.decide(fleet(3), at: begin + 310 * second).steps.isEmpty)
    }

    @Test func `what holds least goes first, then what came last`() {
        var scaler = Scaler(limits { $0.least = 1 }, start: nil)
        var some = fleet(3)
        some.nodes[0].bundles = 2
        some.machines[2].since += second
        _ = scaler.decide(some, at: begin)
        #expect(
            scaler.decide(some, at: begin + 300 * second).steps == [.drain("m3"), .drain("m2")])
    }

    @Test func `what has not registered is destroyed at once`() {
        var scaler = Scaler(limits(), start: nil)
        var some = fleet(1)
        some.nodes = []
        _ = scaler.decide(some, at: begin)
        #expect(scaler.decide(some, at: begin + 300 * second).steps == [.destroy(["m1"])])
    }

    @Test func `who drains for too long is not waited for`() {
        var scaler = Scaler(limits { $0.drain = 1000 * second }, start: nil)
        var some = fleet(1)
        some.nodes[0] = node("m1", draining: true, bundles: 1)
        #expect(scaler.decide(some, at: begin).steps.isEmpty)
        #expect(scaler.decide(some, at: begin + 1000 * second).steps.isEmpty)
        let late = scaler.decide(some, at: begin + 1001 * second)
        #expect(late.steps == [.destroy(["m1"])] && late.reasons[0].contains("starts again"))
    }
}

struct ScalerSilenceTests {
    @Test func `a machine that never registered is destroyed, and replaced`() {
        var scaler = Scaler(limits(), start: nil)
        var some = fleet(2, waiting: 800)
        some.nodes.removeLast()
        some.machines[1] = machine("m2", age: 600)
        #expect(scaler.decide(some, at: begin).steps.isEmpty)
        #expect(
            scaler.decide(some, at: begin + second).steps == [.destroy(["m2"]), .create(1)])
    }

    @Test func `so is one whose node is silent`() {
        var scaler = Scaler(limits(), start: nil)
        var some = fleet(3, waiting: 1200)
        some.machines[1] = machine("m2", age: 10_000)
        some.nodes[1] = node("m2", live: false, silent: 601)
        #expect(scaler.decide(some, at: begin).steps == [.destroy(["m2"]), .create(1)])
    }

    @Test func `when most are silent at once none is`() {
        var scaler = Scaler(limits(), start: nil)
        var some = fleet(3, waiting: 1200)
        for index in 0..<2 {
            some.machines[index].since = 0
            some.nodes[index].isLive = false
            some.nodes[index].seen = 0
        }
        let decision = scaler.decide(some, at: begin)
        #expect(decision.steps.isEmpty && decision.omissions.map(\.rule) == [.outage])
    }
}
