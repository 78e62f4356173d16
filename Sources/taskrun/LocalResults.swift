// SPDX-License-Identifier: Apache-2.0
import TaskJail
import TaskModel

/// What tasks of a plan that runs without a daemon leave in `$TASK_RESULT`, in memory, until all that depend on it
/// have ended.
struct LocalResults {
    /// Bytes of all that are still wanted, at most.
    static let most = 64 << 20

    private var left: [Int: JailFile] = [:]
    private var bytes = 0
    /// By number: those that it follows, and how many of those that follow it have not ended.
    private var before: [Int: [Int]] = [:]
    private var waiting: [Int: Int] = [:]
    private let names: [Int: String]

    init(_ plan: Plan) {
        for edge in plan.edges where edge.kind != .fail {
            before[edge.to, default: []].append(edge.from)
            waiting[edge.from, default: 0] += 1
        }
        names = Dictionary(plan.tasks.map { ($0.number, $0.spec.name) }) { first, _ in first }
    }

    /// - Returns: why there is no room for it; nil where it is kept, or nobody asks for it.
    mutating func keep(_ result: [UInt8], of number: Int) -> String? {
        // One whose name no file can have nobody could find.
        guard waiting[number] != nil, let name = names[number], NamedResult.isFileName(name)
        else { return nil }
        forget(number)
        guard bytes + result.count <= Self.most else {
            return "results that tasks still wait for have more than \(Self.most >> 20) MiB: "
                + "run the plan by taskd, which keeps them on disk"
        }
        left[number] = JailFile(
            path: name, mode: 0o444, bytes: result, digest: SHA256.hex(result))
        bytes += result.count
        return nil
    }

    /// A task has ended: what only it asked for goes.
    mutating func ended(_ number: Int) {
        for earlier in before.removeValue(forKey: number) ?? [] {
            let others = (waiting[earlier] ?? 1) - 1
            waiting[earlier] = others > 0 ? others : nil
            if others == 0 { forget(earlier) }
        }
    }

    private mutating func forget(_ number: Int) {
        bytes -= left.removeValue(forKey: number)?.bytes.count ?? 0
    }

    /// What a task finds in `$TASK_INPUTS`.
    func inputs(of number: Int) -> [JailFile] {
        left.isEmpty ? [] : (before[number] ?? []).compactMap { left[$0] }
    }
}
