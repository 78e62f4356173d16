// SPDX-License-Identifier: Apache-2.0

/// What a spool knows of its session with the ledger: the file `outgoing/session`.
///
/// The ledger's row of the node knows the same; by comparing them `enter` and `register` tell a round that was
/// committed from one that was not, a ledger that is behind, and a spool that is a copy.
public struct Session: Equatable, Sendable {
    /// Names this spool's journal in the ledger; another one for each copy.
    public var spool: UUID
    /// The ledger's, as it was when this session began.
    public private(set) var incarnation: UUID?
    /// 0: there has been no session.
    public private(set) var epoch: Int64 = 0
    /// How many rounds of this session are known to be committed.
    public private(set) var sequence: Int64 = 0
    /// The round after those: it may have been sent, and its outcome is not known.
    public private(set) var round: UUID?
    /// The boot in which it is, or was, held.
    public private(set) var boot: UUID
    /// Microseconds for which the ledger leases it; 0: an older tasklink did not write it down.
    public private(set) var lease: Int64 = 0

    public init(spool: UUID, boot: UUID) {
        self.spool = spool
        self.boot = boot
    }

    /// A session goes on, also in another process, for as long as its boot lasts.
    public func isOpen(boot now: UUID) -> Bool {
        epoch > 0 && incarnation != nil && boot == now
    }

    /// Names the next round: durable before it is sent. One whose outcome is not known keeps its name: that is how
    /// it is told.
    public mutating func begin(_ name: UUID) { round = round ?? name }

    /// The round was committed, now or before.
    public mutating func committed() {
        sequence += 1
        round = nil
    }

    /// A new session has begun.
    public mutating func registered(_ answer: Round.Registered, boot: UUID) {
        (incarnation, epoch, sequence, round) = (answer.incarnation, answer.epoch, 0, nil)
        self.boot = boot
        lease = answer.lease
    }

    /// The next `register` is of this boot.
    public mutating func move(to boot: UUID) { self.boot = boot }

    /// This spool is a copy: it becomes another one, without a past in the ledger.
    public mutating func becomeAnother(_ spool: UUID) {
        self = Session(spool: spool, boot: boot)
    }
}

extension Session {
    private static let heading = "tasklink 1"

    /// The file's bytes: a line a value.
    public var bytes: [UInt8] {
        let lines =
            [
                Self.heading, "spool \(spool)", "incarnation \(incarnation?.description ?? "-")",
                "epoch \(epoch)", "seq \(sequence)", "round \(round?.description ?? "-")",
                "boot \(boot)",
            ] + (lease > 0 ? ["lease \(lease)"] : [])
        return Array(lines.map { $0 + "\n" }.joined().utf8)
    }

    /// nil for what this version did not write, to the byte.
    public init?(_ bytes: [UInt8]) {
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
        var values: [Substring: Substring] = [:]
        for line in lines.dropFirst() {
            let words = line.split(separator: " ")
            guard words.count == 2 else { return nil }
            values[words[0]] = words[1]
        }
        guard let spool = values["spool"].flatMap({ UUID($0) }),
            let boot = values["boot"].flatMap({ UUID($0) }),
            let epoch = values["epoch"].flatMap({ Int64($0) }), epoch >= 0,
            let sequence = values["seq"].flatMap({ Int64($0) }), sequence >= 0
        else { return nil }
        self.init(spool: spool, boot: boot)
        self.epoch = epoch
        self.sequence = sequence
        incarnation = values["incarnation"].flatMap { UUID($0) }
        round = values["round"].flatMap { UUID($0) }
        lease = values["lease"].flatMap { Int64($0) } ?? 0
        guard self.bytes == bytes else { return nil }
    }
}
