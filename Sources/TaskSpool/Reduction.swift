// SPDX-License-Identifier: Apache-2.0
public import TaskModel

/// What a retry by an operator runs: the tasks that failed and those that hung on them.
public enum Reduction {
    /// A plan without the tasks that need not run again. Numbers stay; edges and files of what is
    /// gone go with it.
    ///
    /// - Parameter results: final states by task number.
    public static func reduce(_ plan: Plan, _ results: [Int: TaskState]) -> Plan {
        let again = plan.tasks.filter { results[$0.number] != .success }
        if again.count == plan.tasks.count || again.isEmpty { return plan }
        let kept = Set(again.map(\.number))
        let files = Set(again.flatMap { $0.spec[.file].map { String($0.suffix(64)) } })
        return Plan(
            tasks: again,
            edges: plan.edges.filter { kept.contains($0.from) && kept.contains($0.to) },
            items: plan.items.filter { kept.contains($0.task) },
            blobs: plan.blobs.filter { blob in
                switch blob.kind {
                case .file: files.contains(blob.digest)
                case .items: Int(blob.name).map { kept.contains($0) } ?? false
                case .unit, .dropin: true
                }
            })
    }
}
