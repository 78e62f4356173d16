// SPDX-License-Identifier: Apache-2.0

/// The inputs of tasks, each kept once: of a hundred thousand runs of one unit the task is the same.
///
/// Bounded: after `most` different ones it begins anew, and what live runs have stays theirs. O(1).
struct SharedInputs {
    /// One input, owned by all tasks that have it.
    final class Shared: Sendable {
        let value: TaskInput

        init(_ value: TaskInput) { self.value = value }
    }

    private static let most = 64
    /// By name: a unit's tasks have different ones.
    private var last: [String: Shared] = [:]

    /// The shared form of an input.
    mutating func share(_ input: TaskInput) -> Shared {
        if let known = last[input.name], known.value == input { return known }
        if last.count >= Self.most { last = [:] }
        let shared = Shared(input)
        last[input.name] = shared
        return shared
    }
}
