// SPDX-License-Identifier: Apache-2.0
public import TaskModel

/// What of a failed run its next generation runs: all that is in its plan, or some tasks and items of it.
public struct RetryChoice: Equatable, Sendable {
    /// Tasks that were named, each with all of its items that did not succeed.
    public private(set) var tasks: Set<Int> = []
    /// Items that were named, by task.
    public private(set) var items: [Int: Set<Int>] = [:]
    private var isWhole = false
    /// Whether what waits for them runs, too.
    public var hasDownstream: Bool

    /// - Parameter refs: of one run; the run itself, or none, is all of it.
    public init(_ refs: some Sequence<TaskRef> = [], hasDownstream: Bool = false) {
        self.hasDownstream = hasDownstream
        for ref in refs { add(ref) }
    }

    public mutating func add(_ ref: TaskRef) {
        guard let task = ref.task else { return isWhole = true }
        if let item = ref.item { items[task, default: []].insert(item) } else { tasks.insert(task) }
    }

    /// Nothing of the plan is left out.
    public var isAll: Bool { isWhole || tasks.isEmpty && items.isEmpty }

    /// Why something can't be retried.
    public enum Refusal: Error, Equatable, Sendable {
        /// It is not in the plan: it has succeeded, or never was.
        case absent(task: Int, item: Int?)
        /// It comes after the success of one that has failed and was not named.
        case requires(task: Int, failed: Int)
    }

    /// The plan with `rest` at what does not run this time; O(n log n) of its tasks, edges and items.
    public func applied(to plan: Plan) throws(Refusal) -> Plan {
        let isAll = isAll
        if !isAll { try check(plan) }
        let chosen = isAll ? nil : chosen(in: plan)
        if let chosen { try checkRequirements(chosen, plan) }
        var result = plan
        result.items = []
        for place in result.tasks.indices {
            let number = result.tasks[place].number
            let runs = chosen?.contains(number) ?? true
            guard let listed = plan.listedItems(of: number) else {
                result.tasks[place].spec[.rest] = runs ? [] : ["yes"]
                continue
            }
            result.items += Self.lines(listed, of: number, own(number, chosen, isAll: isAll))
        }
        return result
    }

    private func check(_ plan: Plan) throws(Refusal) {
        let known = Set(plan.tasks.map(\.number))
        for task in tasks.sorted() where !known.contains(task) {
            throw .absent(task: task, item: nil)
        }
        for (task, items) in items.sorted(by: { $0.key < $1.key }) {
            let listed = plan.listedItems(of: task)
            for item in items.sorted() where !(listed?.contains(item) ?? false) {
                throw .absent(task: task, item: item)
            }
        }
    }

    // Where only items were named, all but other arrays runs with them, unless what waits for them was asked
    // for.
    private func chosen(in plan: Plan) -> Set<Int>? {
        if tasks.isEmpty, !hasDownstream { return nil }
        var chosen = tasks.union(items.keys)
        let numbers = Dictionary(
            plan.tasks.map { ($0.spec.name, $0.number) }, uniquingKeysWith: { first, _ in first })
        for task in plan.tasks {
            if let unit = task.spec.thenOf, let number = numbers[unit], chosen.contains(number) {
                chosen.insert(task.number)
            }
        }
        if !hasDownstream { return chosen }
        // Every edge leads to a higher number: by their origins one pass finds all.
        for edge in plan.edges.sorted(by: { $0.from < $1.from }) where chosen.contains(edge.from) {
            chosen.insert(edge.to)
        }
        return chosen
    }

    private func checkRequirements(_ chosen: Set<Int>, _ plan: Plan) throws(Refusal) {
        let named = tasks.union(items.keys)
        for edge in plan.edges
        where edge.kind == .ok && named.contains(edge.to) && !chosen.contains(edge.from) {
            throw .requires(task: edge.to, failed: edge.from)
        }
    }

    /// The items of an array that run, rising; nil: all.
    private func own(_ task: Int, _ chosen: Set<Int>?, isAll: Bool) -> [Int]? {
        if isAll || tasks.contains(task) { return nil }
        if let named = items[task] { return named.sorted() }
        return chosen?.contains(task) ?? false ? nil : []
    }

    /// The ranges of an array, cut at the items that run.
    private static func lines(_ all: ItemRanges, of task: Int, _ own: [Int]?) -> [PlanItems] {
        guard let own else {
            return all.all.map { PlanItems(task: task, count: $0.count, first: $0.lowerBound) }
        }
        var lines: [PlanItems] = []
        func add(_ part: Range<Int>, isRest: Bool) {
            if part.isEmpty { return }
            lines.append(
                PlanItems(task: task, count: part.count, first: part.lowerBound, isRest: isRest))
        }
        var left = own[...]
        for range in all.all {
            var start = range.lowerBound
            while let item = left.first, item < range.upperBound {
                left.removeFirst()
                add(start..<item, isRest: true)
                add(item..<(item + 1), isRest: false)
                start = item + 1
            }
            add(start..<range.upperBound, isRest: true)
        }
        return lines
    }
}
