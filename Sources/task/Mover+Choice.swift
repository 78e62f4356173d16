// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskModel
import TaskSpool
import TaskTool

/// A retry of single tasks and items: what of a failed run's plan the next generation runs.
extension Mover {
    /// Writes the plan in failed/ so that only what was chosen runs.
    ///
    /// A crash before the move leaves a plan at rest that says the same to the next who moves it.
    func choose(_ choice: RetryChoice, of run: TaskID) throws(ToolError) {
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
            if choice.isAll { return }
            throw ToolError(
                "unable to read failed/\(place.file): it is no whole plan, nothing was moved",
                status: ExitStatus.no)
        }
        let chosen: Plan
        do {
            chosen = try choice.applied(to: plan)
        } catch {
            throw refusal(error, of: run, plan)
        }
        if chosen != plan { try rewrite(place, chosen) }
    }

    private func refusal(
        _ refusal: RetryChoice.Refusal, of run: TaskID, _ plan: Plan
    ) -> ToolError {
        func name(_ number: Int) -> String {
            plan.tasks.first { $0.number == number }?.spec.name ?? "\(number)"
        }
        switch refusal {
        case .absent(let task, let item):
            let ref = TaskRef(run: run, task: task, item: item)
            let kind = item == nil ? "tasks that did not succeed" : "items that failed"
            return ToolError(
                "unable to retry \(ref): it is none of the \(kind), nothing was moved; "
                    + "`task status \(run.short)` names some",
                status: ExitStatus.notFound)
        case .requires(let task, let failed):
            return ToolError(
                "unable to retry \(run).\(task): \(name(task)) requires \(name(failed)), which failed, "
                    + "nothing was moved; `task retry \(run).\(failed) --downstream` runs both",
                status: ExitStatus.no)
        }
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
