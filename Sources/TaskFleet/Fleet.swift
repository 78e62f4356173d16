// SPDX-License-Identifier: Apache-2.0

/// A machine as its provider lists it.
public struct Machine: Equatable, Sendable {
    /// Where a machine stands with its provider.
    public enum State: String, CaseIterable, Sendable {
        case starting, up, stopping
    }
    /// The provider's name of it, and that of its node in the ledger.
    public var id: String
    public var state: State
    /// When it was asked for, in microseconds since 1970.
    public var since: Int64

    public init(id: String, state: State, since: Int64) {
        self.id = id
        self.state = state
        self.since = since
    }
}

/// A node as the ledger knows it; its name is its machine's id.
public struct FleetNode: Equatable, Sendable {
    public var name: String
    /// Its lease runs.
    public var isLive: Bool
    /// It claims nothing any more.
    public var isDraining: Bool
    /// Bundles that it holds.
    public var bundles: Int
    /// When the ledger last heard of it, in microseconds since 1970; 0: never.
    public var seen: Int64

    public init(name: String, isLive: Bool, isDraining: Bool, bundles: Int, seen: Int64) {
        self.name = name
        self.isLive = isLive
        self.isDraining = isDraining
        self.bundles = bundles
        self.seen = seen
    }
}

/// Tasks that have not ended, of the whole cluster.
public struct Backlog: Equatable, Sendable {
    /// Tasks that wait for a machine.
    public var waiting: Int
    /// Tasks that machines hold.
    public var held: Int
    /// What a task took on average of late, in microseconds; nil: nothing ended.
    public var mean: Int64?

    public init(waiting: Int, held: Int, mean: Int64?) {
        self.waiting = waiting
        self.held = held
        self.mean = mean
    }
}

/// What is there: the provider's list and the ledger's answer, read one after the other.
public struct Fleet: Equatable, Sendable {
    public var machines: [Machine]
    public var nodes: [FleetNode]
    public var backlog: Backlog

    public init(machines: [Machine], nodes: [FleetNode], backlog: Backlog) {
        self.machines = machines
        self.nodes = nodes
        self.backlog = backlog
    }
}

/// What the operator allows. Spans are microseconds.
public struct ScaleLimits: Equatable, Sendable {
    /// Machines that are always there, and that are never exceeded.
    public var least = 0
    public var most = 10
    /// Tasks that a machine runs at once.
    public var slots = 8
    /// In what time all that waits should be done.
    public var target: Int64 = 600_000_000
    /// What a task takes while nothing is known of it.
    public var guess: Int64 = 10_000_000
    /// For so long must fewer be wanted before one step down.
    public var coolDown: Int64 = 300_000_000
    /// After so long without a word to the ledger a machine is destroyed.
    public var silence: Int64 = 600_000_000
    /// After so long a draining machine is destroyed though it holds something.
    public var drain: Int64 = 3_600_000_000
    /// For so long a created machine may be absent from its provider's list.
    public var lag: Int64 = 60_000_000

    public init() {}
}

/// One thing to do.
public enum ScaleStep: Equatable, Sendable {
    case create(Int)
    /// The node claims nothing any more; or does again.
    case drain(String)
    case resume(String)
    case destroy([String])
}

/// What to do now, and why, in sentences for people.
public struct ScaleDecision: Equatable, Sendable {
    public var steps: [ScaleStep] = []
    /// How many machines are wanted, and from what that follows.
    public var wanted = ""
    /// A sentence a step.
    public var reasons: [String] = []
    /// What is not done, and why.
    public var omissions: [Omission] = []

    /// What is not done now.
    public struct Omission: Equatable, Sendable {
        /// Which rule holds it back: what is said once need not be said at each look.
        public enum Rule: Sendable {
            case outage, lag, coolDown
        }
        public var rule: Rule
        public var sentence: String
    }

    mutating func omit(_ rule: Omission.Rule, _ sentence: String) {
        omissions.append(Omission(rule: rule, sentence: sentence))
    }

    mutating func add(_ step: ScaleStep, _ reason: String) {
        steps.append(step)
        reasons.append(reason)
    }
}
