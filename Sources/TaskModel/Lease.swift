// SPDX-License-Identifier: Apache-2.0

/// Until when a node may start what it has claimed: the file `outgoing/lease`, which tasklink writes after each round
/// and taskd reads. It is void after a reboot, so it need not be durable.
///
///     tasklease 1
///     boot BOOT
///     epoch E
///     deadline US
///     nodes N
public struct Lease: Equatable, Sendable {
    /// The boot in which it holds (/proc/sys/kernel/random/boot_id).
    public var boot: String
    /// Of the node's session.
    public var epoch: Int64
    /// CLOCK_BOOTTIME in microseconds: the ledger counts it from a later moment, and for longer.
    public var deadline: Int64
    /// How many nodes live, this one among them; 0: nothing is to be handed over now.
    public var nodes: Int

    private static let heading = "tasklease 1"

    public init(boot: String, epoch: Int64, deadline: Int64, nodes: Int) {
        self.boot = boot
        self.epoch = epoch
        self.deadline = deadline
        self.nodes = nodes
    }

    public var bytes: [UInt8] {
        let lines = [
            Self.heading, "boot \(boot)", "epoch \(epoch)", "deadline \(deadline)",
            "nodes \(nodes)",
        ]
        return Array(lines.map { $0 + "\n" }.joined().utf8)
    }

    /// nil for what is none.
    public init?(_ bytes: [UInt8]) {
        let lines = bytes.split(separator: UInt8(ascii: "\n")).map {
            $0.split(separator: UInt8(ascii: " ")).map { String(decoding: $0, as: UTF8.self) }
        }
        guard lines.count == 5, lines.allSatisfy({ $0.count == 2 }),
            lines[0].joined(separator: " ") == Self.heading, lines[1][0] == "boot",
            lines[2][0] == "epoch", let epoch = Int64(lines[2][1]), epoch > 0,
            lines[3][0] == "deadline", let deadline = Int64(lines[3][1]),
            lines[4][0] == "nodes", let nodes = Int(lines[4][1]), nodes >= 0
        else { return nil }
        self.init(boot: lines[1][1], epoch: epoch, deadline: deadline, nodes: nodes)
    }

    /// - Parameter now: CLOCK_BOOTTIME in microseconds.
    public func holds(boot: String, at now: Int64) -> Bool { self.boot == boot && now < deadline }
}
