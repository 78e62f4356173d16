// SPDX-License-Identifier: Apache-2.0
import TaskModel

/// Small plans that were parsed last, by their bytes: equal units make equal plans, and a hundred
/// thousand runs of few units are verified and parsed as often as there are units, and share the memory.
///
/// Bounded by `most` plans of `longest` bytes; when it is full it begins anew. A look-up costs O(bytes).
struct ParsedPlans {
    private static let most = 64
    private static let longest = 4096

    private var plans: [[UInt8]: Plan] = [:]
    private var digests: [String: Plan] = [:]

    /// As `Plan.init(parsing:)`.
    mutating func plan(parsing bytes: [UInt8]) throws(PlanError) -> Plan {
        if bytes.count > Self.longest { return try Plan(parsing: bytes) }
        if let plan = plans[bytes] { return plan }
        let plan = try Plan(parsing: bytes)
        if plans.count >= Self.most { (plans, digests) = ([:], [:]) }
        plans[Array(bytes[...])] = plan  // not with the room that it was read into
        if let digest = Plan.digest(ofEncoded: bytes) { digests[digest] = plan }
        return plan
    }

    /// The plan of that digest, where it is one of the last.
    func plan(digest: String) -> Plan? { digests[digest] }
}
