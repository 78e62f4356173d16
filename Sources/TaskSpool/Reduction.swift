// SPDX-License-Identifier: Apache-2.0
public import TaskModel

/// What a retry by an operator runs: the tasks that failed and those that hung on them.
public enum Reduction {
    /// A plan without the tasks that need not run again. Numbers stay; edges and files of what is
    /// gone go with it.
    ///
    /// - Parameters:
    ///   - results: final states by task number.
    ///   - left: what tasks left: what remains carries what it is to be given.
    ///   - subtasks: what is known of those that tasks dropped, by task: a [Then] carries what they left.
    ///   - items: what became of items, by task number: of an array those that did not succeed.
    public static func reduce(
        _ plan: Plan, _ results: [Int: TaskState], _ items: [Int: ItemStates] = [:],
        _ left: [Int: ResultPlace] = [:], _ subtasks: [Int: [TaskID: Subtask]] = [:]
    ) -> Plan {
        let again = plan.tasks.filter { results[$0.number] != .success }
        if again.isEmpty { return plan }
        var whole = again.count == plan.tasks.count ? plan : reduce(plan, to: again, left, subtasks)
        // What was not asked for comes back.
        for place in whole.tasks.indices where whole.tasks[place].spec.has(.rest) {
            whole.tasks[place].spec[.rest] = []
        }
        return whole.items.isEmpty ? whole : reduce(whole, items)
    }

    private static func reduce(
        _ plan: Plan, to chosen: [PlanTask], _ left: [Int: ResultPlace],
        _ subtasks: [Int: [TaskID: Subtask]]
    ) -> Plan {
        let again = carrying(left, subtasks, chosen, of: plan)
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

    private static func carrying(
        _ left: [Int: ResultPlace], _ subtasks: [Int: [TaskID: Subtask]], _ chosen: [PlanTask],
        of plan: Plan
    ) -> [PlanTask] {
        if left.isEmpty, subtasks.isEmpty { return chosen }
        let kept = Set(chosen.map(\.number))
        let names = Dictionary(uniqueKeysWithValues: plan.tasks.map { ($0.number, $0.spec.name) })
        let units = Dictionary(uniqueKeysWithValues: chosen.map { ($0.number, $0.spec.thenOf) })
        var inputs: [Int: [String]] = [:]
        for edge in plan.edges where edge.kind != .fail && !kept.contains(edge.from) {
            guard let name = names[edge.from] else { continue }
            if let result = left[edge.from] {
                inputs[edge.to, default: []].append(NamedResult(name: name, result: result).text)
            }
            if units[edge.to] == name, let dropped = subtasks[edge.from] {
                inputs[edge.to, default: []] += Subtask.results(of: dropped).map(\.text)
            }
        }
        return chosen.map { task in
            var own = task
            own.spec[.input] += inputs[task.number] ?? []
            // Of so many an attempt could not be given all.
            return own.spec.fitsLine ? own : task
        }
    }

    /// Items that succeeded are left out, with their lines; those that were not asked for come back.
    private static func reduce(_ plan: Plan, _ items: [Int: ItemStates]) -> Plan {
        var reduced = plan
        reduced.items = []
        for task in plan.tasks {
            guard let all = plan.listedItems(of: task.number) else { continue }
            let again = remaining(of: all, items[task.number] ?? ItemStates())
            if again.count == all.count || again.isEmpty {
                reduced.items += lines(all, of: task.number)
                continue
            }
            reduced.items += lines(again, of: task.number)
            guard
                let at = plan.blobs.firstIndex(where: {
                    $0.kind == .items && $0.name == "\(task.number)"
                })
            else { continue }
            let blob = plan.blobs[at]
            reduced.blobs[at] = PlanBlob(
                kind: .items, name: blob.name, bytes: lines(blob.bytes, of: all, again))
        }
        return reduced
    }

    private static func remaining(of all: ItemRanges, _ states: ItemStates) -> ItemRanges {
        var again = ItemRanges()
        for range in all.all {
            for item in range where states[item] != .success { again.append(item..<(item + 1)) }
        }
        return again
    }

    private static func lines(_ items: ItemRanges, of task: Int) -> [PlanItems] {
        items.all.map { PlanItems(task: task, count: $0.count, first: $0.lowerBound) }
    }

    private static func lines(
        _ list: [UInt8], of all: ItemRanges, _ again: ItemRanges
    ) -> [UInt8] {
        var kept: [UInt8] = []
        var start = 0
        for range in all.all {
            for item in range {
                guard let end = list[start...].firstIndex(of: 0x0a) else { return kept }
                if again.contains(item) { kept.append(contentsOf: list[start...end]) }
                start = end + 1
            }
        }
        return kept
    }
}
