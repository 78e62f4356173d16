// SPDX-License-Identifier: Apache-2.0
import Linux
import TaskModel

/// What a task without a jail asks of its processes: the same for all of its attempts.
struct DirectSettings {
    /// The directory that steps start in; nil for the root.
    let directory: String?
    /// All but the descriptors.
    let options: SpawnOptions
    /// Limits of the unit that a cgroup or a jail holds; else memory is limited for each process alone.
    let weak: [Directive]

    init(_ spec: TaskSpec) {
        directory = spec.text(.workingDirectory) ?? spec.text(.dir)
        var options = SpawnOptions()
        options.newSession = Self.hasTerminal
        options.newGroup = !Self.hasTerminal
        options.diesWithParent = true
        options.nice = Int32(clamping: spec.number(.nice))
        options.openFiles = OpenFiles.usual
        let memory = spec.size(.limitMem)
        options.memoryLimit = memory.isInfinite ? 0 : UInt64(memory.bytes)
        if let cpu = spec.span(.maxCPUTime).finite {
            options.cpuLimit = UInt64(max(1, (cpu + 999_999) / 1_000_000))
        }
        self.options = options
        let limits: [Directive] = [.limitMem, .memoryHigh, .limitDisk, .limitCPU, .limitTasks]
        weak = limits.filter { spec.has($0) }
    }

    /// A session keeps a task away from taskrun's terminal. Where there is none a process group does:
    /// the kernel schedules each session as a group of its own (sched(7), autogroups), and on a busy
    /// machine the first turn of a new group may take milliseconds, while taskrun waits for its exec.
    private static let hasTerminal = Terminal.isControlling
}
