// SPDX-License-Identifier: Apache-2.0
public import TaskModel

/// What goes into one pipelined transaction, and how its answers are read. A value: who sends it keeps it until
/// its outcome is known, and sends the very same again where that is not.
public struct Round: Equatable, Sendable {
    public enum Step: Equatable, Sendable {
        /// A new session (`register`).
        case register
        /// Begins a round and renews the lease.
        case enter
        /// The lease alone: for a round that has nothing to say.
        case renew
        case ship(Shipment)
        /// A claimed run has ended here.
        case commit(LedgerCommit)
        /// A run for whoever claims it.
        case push(LedgerPush)
        /// Up to so many runs to be started here.
        case claim(Int)
        /// What the ledger says is this node's; the plans of what is not among these.
        case held(have: [TaskID])
        /// Its owner wants a run ended that this node pushed.
        case cancel(RunKey)
        /// What became of runs that this node pushed.
        case settle([RunKey])
        /// While recovering: all is told.
        case reported
        /// Frees what dead nodes held and makes partitions; in a transaction of its own.
        case reap
    }

    public let steps: [Step]

    public init(_ steps: [Step]) { self.steps = steps }

    /// It counts in the session: a session file with its `round` must be durable before it is sent.
    public var isCounted: Bool { steps.first == .enter }

    /// - Parameters:
    ///   - session: with `round` set where it is counted.
    ///   - free: free slots of this node; 0 for one that takes no work.
    public func statements(_ session: Session, free: Int = 0) -> [Statement] {
        steps.map { step in
            switch step {
            case .register:
                Statement(
                    "register",
                    [
                        .uuid(session.incarnation), .number(session.epoch),
                        .number(session.sequence),
                        .uuid(session.round), .uuid(session.spool), .uuid(session.boot),
                        .number(Int64(free)),
                    ])
            case .enter:
                Statement(
                    "enter",
                    [
                        .uuid(session.incarnation), .number(session.epoch),
                        .number(session.sequence + 1), .uuid(session.round), .uuid(session.boot),
                        .number(Int64(free)),
                    ])
            case .renew:
                Statement(
                    "renew",
                    [
                        .uuid(session.incarnation), .number(session.epoch), .uuid(session.boot),
                        .number(Int64(free)),
                    ])
            case .ship(let shipment):
                shipment.statement(epoch: session.epoch, spool: session.spool)
            case .commit(let commit): commit.statement(epoch: session.epoch)
            case .push(let push): push.statement(epoch: session.epoch)
            case .claim(let most):
                Statement("claim", [.number(session.epoch), .number(Int64(most))])
            case .held(let have):
                Statement("held", [.number(session.epoch), .bytes(ArrayText.uuids(have))])
            case .cancel(let key):
                Statement(
                    "cancel",
                    [
                        .number(session.epoch), .uuid(UUID(key.run)),
                        .number(Int64(key.generation)),
                    ])
            case .settle(let runs):
                Statement(
                    "settle",
                    [
                        .number(session.epoch), .bytes(ArrayText.uuids(runs.map(\.run))),
                        .bytes(
                            ArrayText.of(
                                runs.map(\.generation), isWhole: true, ArrayText.number)),
                    ])
            case .reported: Statement("reported", [.number(session.epoch)])
            case .reap: Statement("reap", [])
            }
        }
    }

    /// What a round came to, and what follows from it.
    public enum Outcome: Equatable, Sendable {
        /// It was committed; an answer for each step.
        case committed([Answer])
        /// It was not committed, and nothing is wrong: the same again.
        case again(LedgerFailure)
        /// Nobody knows whether it was: on a new connection the same again, under the same number.
        case unknown(LedgerFailure)
        /// TL004: this very round was committed before.
        case committedBefore
        /// TL001, TL002: a new session.
        case fenced
        /// TL003: the ledger is an old backup that nobody announced. Stay out and alarm.
        case ledgerBehind
        /// TL005: another boot has a lease under this name. Stay out and alarm.
        case nameInUse
        /// TL006: the spool is a copy, or an old state, of the one that spoke last.
        case copy
        /// The login role is no node, or may not call, or may not log in.
        case notAllowed(LedgerFailure)
        /// The database has no ledger, or one of another version.
        case otherVersion(LedgerFailure)
        /// What is no answer that can come: nothing was committed.
        case refused(LedgerFailure)
    }

    /// Reads what came back.
    ///
    /// - Parameter session: the one that it was sent with.
    public func outcome(of reply: Reply, _ session: Session) -> Outcome {
        switch reply {
        case .answers(let answers) where answers.count == steps.count: .committed(answers)
        case .answers(let answers):
            .refused(
                LedgerFailure(
                    code: nil, message: "\(answers.count) answers to \(steps.count) statements"))
        case .lost(let failure):
            Self.isLogin(failure) ? .notAllowed(failure) : .unknown(failure)
        case .failed(let failure): Self.outcome(of: failure, session)
        }
    }

    /// What one of SQLSTATE's classes, or a code of the ledger's own, means for a round (task-ledger(7),
    /// PostgreSQL's Appendix A).
    static func outcome(of failure: LedgerFailure, _ session: Session) -> Outcome {
        guard let code = failure.code else { return .unknown(failure) }
        switch code {
        case "TL000": return session.epoch > 0 ? .ledgerBehind : .notAllowed(failure)
        case "TL001", "TL002": return .fenced
        case "TL003": return .ledgerBehind
        case "TL004": return .committedBefore
        case "TL005": return .nameInUse
        case "TL006": return .copy
        // Serialization, deadlock, a lock that was not to be had: rolled back.
        case "40001", "40P01", "55P03": return .again(failure)
        // A primary that became a standby; a statement that took too long, perhaps while it was committed.
        case "25006", "25P03", "57014": return .unknown(failure)
        case "42501": return .notAllowed(failure)
        default: break
        }
        switch code.prefix(2) {
        case "08", "53", "57", "58": return .unknown(failure)
        case "28": return .notAllowed(failure)
        case "3D", "3F", "42": return .otherVersion(failure)
        default: return .refused(failure)
        }
    }

    // Told while connecting: who may not log in, or a database that is not there.
    private static func isLogin(_ failure: LedgerFailure) -> Bool {
        failure.code.map { $0.hasPrefix("28") || $0.hasPrefix("3D") || $0 == "42501" } ?? false
    }
}

extension Round {
    /// What `enter` answered.
    public struct Entered: Equatable, Sendable {
        public var isRecovering: Bool
        public var isDraining: Bool
        /// Nodes that live.
        public var nodes: Int
    }

    public static func entered(_ answer: Answer) -> Entered {
        Entered(
            isRecovering: answer.isTrue(0), isDraining: answer.isTrue(1),
            nodes: Int(answer.number(2) ?? 1))
    }

    /// What `register` answered.
    public struct Registered: Equatable, Sendable {
        public var epoch: Int64
        public var incarnation: UUID
        /// Microseconds of the lease.
        public var lease: Int64
        public var isRecovering: Bool
    }

    /// nil for what is no such answer.
    public static func registered(_ answer: Answer) -> Registered? {
        guard let epoch = answer.number(0), epoch > 0, let incarnation = answer.uuid(1) else {
            return nil
        }
        return Registered(
            epoch: epoch, incarnation: incarnation, lease: answer.number(2) ?? 15_000_000,
            isRecovering: answer.isTrue(3))
    }

    /// Where the ledger's cursor is after `ship`.
    public static func cursor(_ answer: Answer) -> Int64? { answer.number(0) }
}
