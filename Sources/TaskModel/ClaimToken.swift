// SPDX-License-Identifier: Apache-2.0

/// Under what a node may start a run over which the ledger decides (task-ledger(7)): the node's session, and how
/// often the run has been claimed. A run of the node alone has none.
public struct ClaimToken: Hashable, Sendable {
    /// Of the session; another one after each `register`.
    public var epoch: Int64
    /// From 1.
    public var gen: Int

    public init(epoch: Int64, gen: Int) {
        self.epoch = epoch
        self.gen = gen
    }

    /// Parses `EPOCH.GEN`.
    public init?(_ bytes: ArraySlice<UInt8>) {
        let parts = bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 2, let epoch = Decimal.parse(parts[0]), epoch > 0,
            let gen = Decimal.parse(parts[1]), gen > 0, gen <= Int32.max
        else { return nil }
        self.init(epoch: Int64(epoch), gen: gen)
    }
}

extension ClaimToken: CustomStringConvertible {
    public var description: String { "\(epoch).\(gen)" }
}

/// A run that a node has claimed, on its way into the spool: the drop `incoming/ULID@GEN.claim`.
///
///     ledger 1 epoch=E gen=N generation=G name=NAME
///     taskplan 1
///     …
public struct ClaimDrop: Equatable, Sendable {
    public var token: ClaimToken
    /// Retries by an operator.
    public var generation: Int
    /// TASK_NAME.
    public var name: String
    /// The plan, encoded.
    public var plan: [UInt8]

    private static let heading = "ledger 1"

    public init(token: ClaimToken, generation: Int, name: String, plan: [UInt8]) {
        self.token = token
        self.generation = generation
        self.name = name
        self.plan = plan
    }

    public var bytes: [UInt8] {
        let head =
            "\(Self.heading) epoch=\(token.epoch) gen=\(token.gen) generation=\(generation) "
            + "name=\(PercentCoding.encode(name))\n"
        return Array(head.utf8) + plan
    }

    /// nil for what is none.
    public init?(_ bytes: [UInt8]) {
        guard let end = bytes.firstIndex(of: UInt8(ascii: "\n")) else { return nil }
        let words = bytes[..<end].split(separator: UInt8(ascii: " "))
        guard words.count == 6, bytes.starts(with: "\(Self.heading) ".utf8) else { return nil }
        var values: [String: ArraySlice<UInt8>] = [:]
        for word in words[2...] {
            guard let sign = word.firstIndex(of: UInt8(ascii: "=")) else { return nil }
            values[String(decoding: word[..<sign], as: UTF8.self)] = word[(sign + 1)...]
        }
        guard let epoch = values["epoch"], let gen = values["gen"],
            let token = ClaimToken(epoch + [UInt8(ascii: ".")] + gen),
            let generation = values["generation"].flatMap({ Decimal.parse($0) }),
            let name = values["name"].flatMap({ PercentCoding.decodeText($0) })
        else { return nil }
        self.init(
            token: token, generation: generation, name: name, plan: Array(bytes[(end + 1)...]))
    }

    /// The drop's name, and what it says.
    public static func fileName(_ run: TaskID, gen: Int) -> String { "\(run)@\(gen).claim" }

    /// Whether a name behind `ULID@` is that of a claim.
    public static func isName(_ name: some StringProtocol) -> Bool {
        guard name.hasSuffix(".claim") else { return false }
        return Decimal.parse(name.utf8.dropLast(6)) != nil
    }
}
