// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskModel
import TaskSpool
import TaskTool

/// A retry of single items: which of its arrays' items a failed run's next generation runs.
extension Mover {
    /// Writes the plan in failed/ so that of arrays only these items run; none: all that are in it.
    ///
    /// A crash before the move leaves a plan at rest that says the same to the next who moves it.
    func choose(_ items: Set<TaskRef>, of run: TaskID) throws(ToolError) {
        guard let place = try runs.places(of: run).last(where: { $0.directory == .failed }) else {
            return  // who moves it says why not
        }
        let bytes: [UInt8]?
        do {
            bytes = try runs.spool.read(place.file, .failed, limit: Spool.longestPlan)
        } catch Errno.noSuchFileOrDirectory {
            return
        } catch {
            throw ToolError(
                unableTo: "read", "failed/\(place.file)", error, "nothing was moved")
        }
        guard let plan = bytes.flatMap({ try? Plan(parsing: $0) }) else {
            if items.isEmpty { return }
            throw ToolError(
                "unable to read failed/\(place.file): it is no whole plan, nothing was moved",
                status: ExitStatus.no)
        }
        let chosen = try Self.choosing(items, in: plan)
        if chosen != plan { try rewrite(place, chosen) }
    }

    private static func choosing(
        _ items: Set<TaskRef>, in plan: Plan
    ) throws(ToolError) -> Plan {
        for ref in items {
            let listed = ref.task.flatMap { plan.listedItems(of: $0) }
            guard let item = ref.item, listed?.contains(item) ?? false else {
                throw ToolError(
                    "unable to retry \(ref): it is none of the items that failed, nothing was moved; "
                        + "`task status \(ref.run.short)` names some",
                    status: ExitStatus.notFound)
            }
        }
        var chosen = plan
        chosen.items = []
        for task in plan.tasks {
            guard let all = plan.listedItems(of: task.number) else { continue }
            let own = items.filter { $0.task == task.number }.compactMap(\.item).sorted()
            for range in all.all {
                chosen.items += parts(of: range, own, isAll: items.isEmpty).map { part, isRest in
                    PlanItems(
                        task: task.number, count: part.count, first: part.lowerBound, isRest: isRest
                    )
                }
            }
        }
        return chosen
    }

    /// A range cut at the items that were chosen.
    private static func parts(
        of range: Range<Int>, _ chosen: [Int], isAll: Bool
    ) -> [(Range<Int>, isRest: Bool)] {
        if isAll { return [(range, false)] }
        var parts: [(Range<Int>, isRest: Bool)] = []
        var start = range.lowerBound
        for item in chosen where range.contains(item) {
            if item > start { parts.append((start..<item, true)) }
            parts.append((item..<(item + 1), false))
            start = item + 1
        }
        if start < range.upperBound { parts.append((start..<range.upperBound, true)) }
        return parts
    }

    private func rewrite(_ place: RunPlace, _ plan: Plan) throws(ToolError) {
        let name = "\(place.run).\(Caller.pid).retry"
        do {
            try runs.spool.write(plan.encode(), to: name, .tmp, durable: true)
            try runs.spool.replace(place.file.description, .failed, by: name, .tmp)
            try runs.spool.sync(.failed)
        } catch {
            try? runs.spool.remove(name, .tmp)
            throw ToolError(
                unableTo: "write", "failed/\(place.file)", error, "nothing was moved")
        }
    }
}
