// SPDX-License-Identifier: Apache-2.0

/// Decides how many machines there should be; a value, without clock or process.
///
/// It is level-triggered: what is there is looked at each time, and nothing that was wanted before counts. Its
/// memory only delays: a scaler that begins anew creates no machine twice and removes none too early.
public struct Scaler: Sendable {
    private let limits: ScaleLimits
    /// Since when fewer machines are wanted; nil: they are not.
    private var lowSince: Int64?
    /// Created machines that no list has shown yet, and when they were created.
    private var unlisted: [String: Int64] = [:]
    /// Since when a node is seen to drain.
    private var drainingSince: [String: Int64] = [:]
    /// No machine is created before: who asked last may not know what came of it.
    private var mayCreateAt: Int64

    /// - Parameter start: now, in microseconds since 1970, if another scaler may have created machines that
    ///   its provider does not list yet; nil: none has.
    public init(_ limits: ScaleLimits, start: Int64?) {
        self.limits = limits
        mayCreateAt = start.map { $0 + limits.lag } ?? .min
    }

    /// What a create answered. It counts until a list shows it, or has had time to.
    public mutating func created(_ ids: [String], at now: Int64) {
        for id in ids { unlisted[id] = now }
    }

    /// A create without an answer: what it made may not be listed yet.
    public mutating func createFailed(at now: Int64) { mayCreateAt = now + limits.lag }

    /// What to do, for times that go forward. Steps are to be done in order; what fails is decided anew.
    public mutating func decide(_ fleet: Fleet, at now: Int64) -> ScaleDecision {
        var decision = ScaleDecision()
        let nodes = Dictionary(fleet.nodes.map { ($0.name, $0) }) { first, _ in first }
        let listed = fleet.machines.filter { $0.state != .stopping }
        forget(fleet, nodes, now)
        let mute = listed.filter { isMute($0, nodes[$0.id], now) }
        // An outage of the ledger's side looks like this, and no machine comes back from it.
        let isOutage = mute.count > 1 && mute.count * 2 > listed.count
        if isOutage {
            decision.omit(
                .outage,
                "\(mute.count) of \(listed.count) machines are silent at once: none of them is destroyed"
            )
        } else if !mute.isEmpty {
            decision.add(
                .destroy(mute.map(\.id)),
                "destroy \(Self.list(mute.map(\.id))): no word to the ledger for "
                    + "\(Self.span(limits.silence))")
        }
        let gone = isOutage ? [] : Set(mute.map(\.id))
        let present = listed.filter { !gone.contains($0.id) }
        let draining = present.filter { nodes[$0.id]?.isDraining == true }
        let serving = present.count - draining.count + unlisted.count
        let wanted = wanted(fleet, serving, &decision)
        if wanted > serving {
            lowSince = nil
            grow(wanted - serving, draining, nodes, present.count + unlisted.count, now, &decision)
        } else {
            finish(draining, nodes, now, &decision)
            shrink(present, nodes, serving, wanted, now, &decision)
        }
        return decision
    }

    // MARK: - What is there

    private mutating func forget(_ fleet: Fleet, _ nodes: [String: FleetNode], _ now: Int64) {
        for machine in fleet.machines { unlisted[machine.id] = nil }
        unlisted = unlisted.filter { now - $0.value < limits.lag }
        let draining = fleet.machines.filter { nodes[$0.id]?.isDraining == true }.map(\.id)
        drainingSince = Dictionary(
            uniqueKeysWithValues: Set(draining).map { ($0, drainingSince[$0] ?? now) })
    }

    private func isMute(_ machine: Machine, _ node: FleetNode?, _ now: Int64) -> Bool {
        guard node?.isLive != true else { return false }
        return now - max(machine.since, node?.seen ?? 0) > limits.silence
    }

    // MARK: - How many

    private func wanted(_ fleet: Fleet, _ serving: Int, _ decision: inout ScaleDecision) -> Int {
        let backlog = fleet.backlog
        let others = others(fleet)
        let mean = max(1, backlog.mean ?? limits.guess)
        let tasks = max(0, backlog.waiting) + max(0, backlog.held)
        let (work, isHuge) = mean.multipliedReportingOverflow(by: Int64(tasks))
        // What one machine does in the time that is allowed.
        let each = Double(limits.target) * Double(limits.slots)
        let exact = (Double(isHuge ? .max : work) / each).rounded(.up)
        let needed = Int(min(exact, 1e9))
        let wanted = min(limits.most, max(limits.least, needed - others))
        decision.wanted =
            "\(backlog.waiting) tasks wait and \(backlog.held) are held, of \(Self.span(mean))"
            + (backlog.mean == nil ? " as --task-time says" : "")
            + " each: \(needed) machines of \(limits.slots) slots do them in "
            + "\(Self.span(limits.target)); "
            + (others > 0 ? "\(others) nodes serve that are none of ours, " : "")
            + "\(wanted) are wanted (from \(limits.least) to \(limits.most)), \(serving) serve"
        return wanted
    }

    /// Nodes that serve and that no provider made for us.
    private func others(_ fleet: Fleet) -> Int {
        let own = Set(fleet.machines.map(\.id))
        return fleet.nodes.count {
            $0.isLive && !$0.isDraining && !own.contains($0.name) && unlisted[$0.name] == nil
        }
    }

    // MARK: - Up

    private func grow(
        _ missing: Int, _ draining: [Machine], _ nodes: [String: FleetNode], _ present: Int,
        _ now: Int64, _ decision: inout ScaleDecision
    ) {
        var missing = missing
        for machine in draining.prefix(missing) where nodes[machine.id]?.isLive == true {
            decision.add(.resume(machine.id), "\(machine.id) is wanted again and drains no more")
            missing -= 1
        }
        let number = min(missing, max(10, (present + 1) / 2), limits.most - present)
        guard number > 0 else { return }
        guard now >= mayCreateAt else {
            decision.omit(
                .lag,
                "\(number) machines are missing: some may have been asked for that the provider does "
                    + "not list yet, in \(Self.span(mayCreateAt - now)) it is asked for what is missing then"
            )
            return
        }
        decision.add(
            .create(number),
            "create \(number)" + (number < missing ? " of \(missing) that are missing" : ""))
    }

    // MARK: - Down

    /// Machines that drain and hold nothing any more, or have done so for too long, go.
    private func finish(
        _ draining: [Machine], _ nodes: [String: FleetNode], _ now: Int64,
        _ decision: inout ScaleDecision
    ) {
        let empty = draining.filter { nodes[$0.id]?.bundles == 0 }.map(\.id)
        if !empty.isEmpty {
            decision.add(
                .destroy(empty), "destroy \(Self.list(empty)): drained, and nothing is held there")
        }
        let late = draining.map(\.id).filter {
            nodes[$0]?.bundles != 0 && now - (drainingSince[$0] ?? now) > limits.drain
        }
        if !late.isEmpty {
            decision.add(
                .destroy(late),
                "destroy \(Self.list(late)): what it holds has not ended in \(Self.span(limits.drain)), "
                    + "and starts again elsewhere")
        }
    }

    private mutating func shrink(
        _ present: [Machine], _ nodes: [String: FleetNode], _ serving: Int, _ wanted: Int,
        _ now: Int64, _ decision: inout ScaleDecision
    ) {
        guard wanted * 5 < serving * 4 else { return lowSince = nil }
        let since = lowSince ?? now
        lowSince = since
        guard now - since >= limits.coolDown else {
            decision.omit(
                .coolDown,
                "\(serving - wanted) machines are not needed: in "
                    + "\(Self.span(limits.coolDown - (now - since))) they will drain")
            return
        }
        lowSince = now  // one step a cool-down
        let candidates = present.filter { nodes[$0.id]?.isDraining != true }
        for machine in candidates.sorted(by: { Self.goesBefore($0, $1, nodes) })
            .prefix(serving - wanted)
        {
            guard nodes[machine.id] != nil else {
                // It has not registered: there is nothing to drain, and nothing is lost.
                decision.add(
                    .destroy([machine.id]), "destroy \(machine.id): not needed, it is no node yet")
                continue
            }
            decision.add(.drain(machine.id), "drain \(machine.id): not needed any more")
        }
    }

    /// What holds least goes first, then what came last.
    private static func goesBefore(
        _ left: Machine, _ right: Machine, _ nodes: [String: FleetNode]
    ) -> Bool {
        let (a, b) = (nodes[left.id]?.bundles ?? 0, nodes[right.id]?.bundles ?? 0)
        if a != b { return a < b }
        return left.since != right.since ? left.since > right.since : left.id < right.id
    }

    // MARK: - Words

    private static func list(_ ids: [String]) -> String {
        let shown = ids.prefix(5).joined(separator: " ")
        return ids.count > 5 ? "\(shown) and \(ids.count - 5) more" : shown
    }

    private static func span(_ microseconds: Int64) -> String {
        microseconds < 10_000_000
            ? "\(microseconds / 1_000_000).\(microseconds / 100_000 % 10) s"
            : "\(microseconds / 1_000_000) s"
    }
}
