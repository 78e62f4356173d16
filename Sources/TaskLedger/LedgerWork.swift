// SPDX-License-Identifier: Apache-2.0
public import TaskModel

/// A run in one of its generations: by that a bundle is known.
public struct RunKey: Hashable, Sendable {
    public var run: TaskID
    /// Retries by an operator.
    public var generation: Int

    public init(_ run: TaskID, _ generation: Int) {
        self.run = run
        self.generation = generation
    }
}

/// The end of a claimed run, as one call of `commit` (task-ledger(7)): of all its places at once.
public struct LedgerCommit: Equatable, Sendable {
    public var key: RunKey
    public var gen: Int
    public var verdict: LedgerVerdict

    public init(_ key: RunKey, gen: Int, _ verdict: LedgerVerdict) {
        (self.key, self.gen, self.verdict) = (key, gen, verdict)
    }

    /// What a commit comes to.
    public enum Word: Equatable, Sendable {
        /// It is the result, now or since an earlier round.
        case committed
        /// Another one has the run, or had it: what was done here is none.
        case refused
        /// Its history was not shipped yet.
        case notYet
    }

    /// - Returns: nil for what no ledger of this version says.
    public static func word(_ answer: Answer) -> Word? {
        switch answer.text(0) {
        case "done", "known", "cancelled": .committed
        case "history", "busy": .notYet
        case nil: nil
        // Of a whole run nothing is committed before its end: a mask, or an overlap, is not this claim's.
        default: .refused
        }
    }

    // What was cancelled has no end of each place.
    func statement(epoch: Int64) -> Statement {
        let id: [Statement.Value] = [
            .number(epoch), .uuid(UUID(key.run)), .number(Int64(key.generation)),
        ]
        if verdict.state == .cancelled { return Statement("cancel", id) }
        let places = verdict.places
        func mask(_ isSet: (LedgerVerdict.Place) -> Bool) -> Statement.Value {
            .bytes(places.map { UInt8(ascii: isSet($0) ? "1" : "0") })
        }
        return Statement(
            "commit",
            id + [
                .number(Int64(gen)), mask { _ in false }, mask { _ in true },
                mask { $0 != .success }, .number(Int64(verdict.state.rawValue)),
            ])
    }
}

/// A run for the cluster, as one call of `push`.
public struct LedgerPush: Equatable, Sendable {
    public var key: RunKey
    public var name: String
    public var places: Int
    public var priority: Int
    /// SHA-256 of the plan, as its last line has it.
    public var digest: String
    public var plan: [UInt8]
    /// It was pushed before a backup was restored.
    public var isAgain = false

    /// What the ledger takes of one run.
    public static let mostPlaces = 1000
    public static let mostBytes = 256 << 10

    public init(
        _ key: RunKey, name: String, places: Int, priority: Int, digest: String, plan: [UInt8]
    ) {
        (self.key, self.name, self.places) = (key, name, places)
        (self.priority, self.digest, self.plan) = (priority, digest, plan)
    }

    public enum Word: Equatable, Sendable {
        /// It is there, now or since an earlier round.
        case there
        /// Once more in a later round.
        case later
        /// It is not there, and will not be.
        case never
        /// The ledger has dropped it, or would not keep it.
        case stale
        /// Another plan is there under that id.
        case conflict
    }

    /// - Returns: nil for what no ledger of this version says.
    public static func word(_ answer: Answer) -> Word? {
        switch answer.text(0) {
        case "new", "known", "mine", "done": .there
        case "later": .later
        case "ahead", "limit": .never
        case "stale": .stale
        case "conflict": .conflict
        default: nil
        }
    }

    func statement(epoch: Int64) -> Statement {
        Statement(
            "push",
            [
                .number(epoch), .uuid(UUID(key.run)), .number(Int64(key.generation)), .null, .null,
                .null, .number(Int64(places)), .number(Int64(Int16(clamping: priority))),
                .number(0), .text(name), .text(name), .text("\\x\(digest)"),
                .text("\\x\(Hex.text(plan))"), .text("f"),
                .text(isAgain ? "t" : "f"),
            ])
    }
}

/// A run that this node holds, as `claim` and `held` tell it.
public struct LedgerClaim: Equatable, Sendable {
    public var key: RunKey
    public var gen: Int
    /// nil: the node has it.
    public var plan: [UInt8]?

    /// - Returns: nil of a row that this version cannot carry out: a range of a plan.
    public static func all(_ answer: Answer) -> [LedgerClaim] {
        answer.rows.indices.compactMap { row in
            let one = Answer(rows: [answer.rows[row]])
            guard let id = one.uuid(0), let generation = one.number(1), let gen = one.number(2),
                one.text(7) == nil
            else { return nil }
            let plan = one.text(10).flatMap { Hex.bytes($0.dropFirst(2)) }
            return LedgerClaim(
                key: RunKey(TaskID(high: id.high, low: id.low), Int(generation)), gen: Int(gen),
                plan: plan)
        }
    }
}

/// Where a pushed run is, as `settle` tells it.
public struct LedgerState: Equatable, Sendable {
    public var key: RunKey
    /// How it ended; nil: it has not.
    public var verdict: LedgerVerdict?

    public static func all(_ answer: Answer) -> [LedgerState] {
        answer.rows.compactMap { row in
            let one = Answer(rows: [row])
            guard let id = one.uuid(0), let generation = one.number(1) else { return nil }
            let key = RunKey(TaskID(high: id.high, low: id.low), Int(generation))
            guard let state = one.number(3).flatMap({ TaskState(rawValue: UInt8(clamping: $0)) })
            else { return LedgerState(key: key) }
            let (done, failed) = (Array((one.text(4) ?? "").utf8), Array((one.text(5) ?? "").utf8))
            let places: [LedgerVerdict.Place] = done.indices.map { place in
                if done[place] != UInt8(ascii: "1") { return .none }
                let isFailed = failed.indices.contains(place) && failed[place] == UInt8(ascii: "1")
                return isFailed ? .failure : .success
            }
            return LedgerState(key: key, verdict: LedgerVerdict(state: state, places: places))
        }
    }
}
