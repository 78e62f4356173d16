// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskEngine
import TaskModel
import TaskSpool

/// Arrays: the texts of their items, and what they come to.
extension Daemon {
    /// What is to be had of an item's text.
    enum ItemText {
        /// Nil: its number is it, or it is no item.
        case text(String?)
        case notNow(String)
        case removed
        case damaged
    }

    /// From the list in the plan's file, wherever that is by now.
    func itemText(of ref: TaskRef, _ plan: Plan) -> ItemText {
        guard let task = ref.task, ref.item != nil, plan.itemList(of: task) != nil else {
            return .text(nil)
        }
        do {
            if runs[ref.run]?.lists == nil {
                let file = try openPlan(ref.run)
                guard let lists = try ItemFile(of: plan, in: file) else { return .damaged }
                runs[ref.run]?.lists = lists
            }
            guard let lists = runs[ref.run]?.lists else { return .removed }
            if let text = lists.text(of: ref, in: itemBlock) { return .text(text) }
            let file = try openPlan(ref.run)
            guard let block = try lists.block(with: ref, in: file) else { return .damaged }
            itemBlock = block
            return .text(lists.text(of: ref, in: block))
        } catch Errno.noSuchFileOrDirectory {
            return .removed
        } catch {
            return .notNow(error.description)
        }
    }

    private func openPlan(_ id: TaskID) throws(Errno) -> Descriptor {
        guard let run = runs[id] else { throw .noSuchFileOrDirectory }
        do {
            return try open(run.file, run.directory)
        } catch .noSuchFileOrDirectory {
            guard let (directory, file) = try find(id) else { throw .noSuchFileOrDirectory }
            return try open(file, directory)  // of which the next turn hears
        }
    }

    private func open(
        _ file: RunFileName, _ directory: SpoolDirectory
    ) throws(Errno) -> Descriptor {
        try File.openBeneath(
            file.description, at: spool.number(directory), flags: [.noFollow, .nonBlocking])
    }

    /// All items of an array have ended: its own end, with their numbers.
    func endItems(_ ref: TaskRef, _ result: ItemsResult) {
        var fields: [EventLine.Field] = [.init("state", result.state.word)]
        if let reason = result.reason { fields.append(.init("reason", reason.rawValue)) }
        if let what = result.sentence { fields.append(.init("what", what)) }
        fields += [
            .init("items", String(result.counts.total)),
            .init("success", String(result.counts.success)),
            .init("failure", String(result.counts.failure)),
            .init("cancelled", String(result.counts.cancelled)), .init("final", "yes"),
        ]
        if let generation = runs[ref.run]?.file.generation, generation > 0 {
            fields.append(.init("g", String(generation)))
        }
        record(.end, ref.description, named(ref, fields))
        if let task = ref.task { keepItems(ref.run, task, result) }
    }

    private func keepItems(_ id: TaskID, _ task: Int, _ result: ItemsResult) {
        runs[id]?.results[task] = result.state
        runs[id]?.items[task] = result.state == .success ? nil : result.states
    }

    /// What a retry says of a plan that runs only some of the items that failed.
    static func rest(of plan: Plan) -> [EventLine.Field] {
        plan.items.contains(where: \.isRest) ? [.init("rest", "yes")] : []
    }

    /// What an accept says of arrays, which the journal may not have the plan of: `K:COUNT`, a few.
    static func counts(of plan: Plan) -> EventLine.Field? {
        var words: [String] = []
        var last = -1
        for range in plan.items where range.task != last {
            last = range.task
            words.append("\(range.task):\(plan.items(of: range.task)?.count ?? 0)")
            if words.count == 100 { break }
        }
        return words.isEmpty ? nil : .init("items", words.joined(separator: ","))
    }
}
