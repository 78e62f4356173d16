// SPDX-License-Identifier: Apache-2.0
import Linux
import TaskJail
import TaskModel

/// What a task without a jail may leave behind: found by the slot's cgroup, else by `Orphans`.
final class Remains {
    let group: SlotGroup?
    private let orphans: Orphans
    private let mark: Orphans.Mark?
    private var left: [Int32] = []

    init(_ job: Job, group: SlotGroup?, orphans: Orphans) throws(JailError) {
        self.group = group
        self.orphans = orphans
        mark = Orphans.Mark(environment: TaskEnvironment.identifying(job))
        if let group {
            try group.begin(JailLimits(job.recipe.spec))
            if let mark { orphans.join(mark) }
        } else if let mark {
            orphans.begin(mark)
        }
    }

    /// Of an attempt that an earlier program began.
    init(resuming job: Job, group: SlotGroup?, orphans: Orphans) {
        self.group = group
        self.orphans = orphans
        mark = group == nil ? Orphans.Mark(environment: TaskEnvironment.identifying(job)) : nil
        if let mark { orphans.begin(mark) }
    }

    /// Whether a limit holds for all its processes together.
    func holds(_ limit: Directive) -> Bool {
        switch limit {
        case .limitMem, .memoryHigh: group?.holds("memory") ?? false
        case .limitTasks: group?.holds("pids") ?? false
        case .limitCPU: group?.holds("cpu") ?? false
        default: false
        }
    }

    func setMain(_ pid: Int32?) {
        if let mark { orphans.setMain(pid, of: mark) }
    }

    /// Whether nothing is left, and a step may follow; what is left is killed on the way where that
    /// takes looking for it.
    var areGone: Bool {
        // It must not be born where all is held back.
        if let group { return group.isEmpty && group.release() }
        guard let mark else { return true }
        left = orphans.sweep(mark)
        return left.isEmpty
    }

    func kill() { group?.kill() }

    /// No step follows.
    func end() {
        if let mark { orphans.end(mark) }
    }

    /// While a step runs: takes the status of orphans that have ended. When to do so again.
    func tidy() -> Int64? {
        guard mark != nil, group == nil else { return nil }
        orphans.reap()
        return Clock.boot() + 2_000_000
    }

    var processes: [Int32] { group?.processes ?? left }

    deinit { if let mark { orphans.end(mark) } }
}
