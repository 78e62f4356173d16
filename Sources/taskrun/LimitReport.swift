// SPDX-License-Identifier: Apache-2.0
import TaskJail
import TaskModel

/// Sentences about limits: directive and value, the figure reached, and what to do.
struct LimitReport {
    let spec: TaskSpec

    /// What a jail's limits met, the one that weighs most first.
    func breaches(_ met: JailBreach) -> [Breach] {
        [memory(met), disk(met), tasks(met), slowed(met), throttled(met)].compactMap { $0 }
    }

    private func memory(_ met: JailBreach) -> Breach? {
        let limit = spec.size(.limitMem)
        if let sum = met.summedMemory {
            return Breach(
                reason: .oom,
                what: "LimitMem=\(limit): its processes had \(Figure.size(sum)) together and were "
                    + "killed: raise it, or use less",
                note: "limit.memory", isFatal: true)
        }
        guard met.oomKills > 0 else { return nil }
        let whom = met.victim.map { "\($0.name) (pid \($0.pid))" } ?? "a process of the task"
        let reached = met.reachedMemory.map { " at \(Figure.size($0))" } ?? ""
        return Breach(
            reason: .oom,
            what: limit.isInfinite
                ? "the machine ran out of memory and the kernel killed \(whom)\(reached): "
                    + "set LimitMem=, or run fewer at once"
                : "LimitMem=\(limit): the kernel killed \(whom)\(reached): raise it, or use less",
            note: "limit.memory", isFatal: true)
    }

    private func disk(_ met: JailBreach) -> Breach? {
        guard let full = met.fullDisk else { return nil }
        let limit = spec.size(.limitDisk)
        let reached =
            full.isOutOfInodes ? "all \(full.inodes) inodes" : Figure.size(full.bytes)
        return Breach(
            reason: .disk,
            what: "LimitDisk=\(limit): /tmp, /dev/shm and scratch were full (\(reached)): raise "
                + "it, or write to WorkingDirectory=",
            note: "limit.disk", isFatal: false)
    }

    private func tasks(_ met: JailBreach) -> Breach? {
        guard met.forksRefused > 0 else { return nil }
        let limit = spec.number(.limitTasks)
        let forks = met.forksRefused == 1 ? "1 fork was" : "\(met.forksRefused) forks were"
        let most = met.peakTasks ?? Int64(limit)
        let above =
            most < limit
            ? "by a limit above it, that of taskrun's own cgroup (TasksMax=)"
            : "raise it, or start fewer"
        return Breach(
            reason: .limit,
            what: "LimitTasks=\(spec.text(.limitTasks) ?? ""): \(forks) refused with \(most) "
                + "processes: \(above)",
            note: "limit.tasks", isFatal: false)
    }

    private func slowed(_ met: JailBreach) -> Breach? {
        guard met.slowed > 0, spec.has(.memoryHigh) else { return nil }
        let reached = met.reachedMemory.map { ", at most \(Figure.size($0))" } ?? ""
        return Breach(
            reason: nil,
            what: "MemoryHigh=\(spec.size(.memoryHigh)): slowed down \(met.slowed) times\(reached)",
            note: "limit.memoryhigh", isFatal: false)
    }

    private func throttled(_ met: JailBreach) -> Breach? {
        guard met.throttled > 0, let limit = spec.text(.limitCPU), spec.has(.limitCPU) else {
            return nil
        }
        let times = met.throttled == 1 ? "once" : "\(met.throttled) times"
        return Breach(
            reason: nil,
            what: "LimitCPU=\(limit): held back \(times), for \(Figure.span(met.throttledTime))",
            note: "limit.cpu", isFatal: false)
    }

    // MARK: What taskrun itself counts

    /// - Parameter used: microseconds from its start to when it was asked to stop.
    func time(_ used: Int64) -> String {
        "MaxTime=\(spec.span(.maxTime)): it ran for \(Figure.span(used)): raise it, or do less"
    }

    func cpuTime(_ used: Int64) -> String {
        "MaxCPUTime=\(spec.span(.maxCPUTime)): a process used it up (all: \(Figure.span(used))): "
            + "raise it, or do less"
    }

    func output(kept: Int, dropped: Int) -> String {
        "LogLimit=\(spec.text(.logLimit) ?? ""): it wrote \(kept + dropped) bytes: raise it, or "
            + "write less"
    }
}

/// Figures as people read them, rounded down.
enum Figure {
    /// `512`, `47.9M`, `1G`.
    static func size(_ bytes: Int64) -> String {
        let units: [(String, Int64)] = [("T", 40), ("G", 30), ("M", 20), ("K", 10)]
        guard let (name, shift) = units.first(where: { bytes >> $0.1 > 0 }) else {
            return "\(bytes)"
        }
        let tenth = (bytes & (1 << shift - 1)) * 10 >> shift
        return "\(bytes >> shift)" + (tenth > 0 ? ".\(tenth)" : "") + name
    }

    /// `812ms`, `2.043s`, `1min20s`.
    static func span(_ microseconds: Int64) -> String {
        switch microseconds {
        case ..<1_000_000: return "\(microseconds / 1000)ms"
        case ..<60_000_000:
            let rest = String(microseconds / 1000 % 1000)
            let zeros = String(repeating: "0", count: 3 - rest.utf8.count)
            return "\(microseconds / 1_000_000).\(zeros)\(rest)s"
        default:
            return TimeSpan(microseconds: microseconds / 1_000_000 * 1_000_000).description
        }
    }
}
