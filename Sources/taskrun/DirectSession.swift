// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskModel

/// An attempt without a jail (`Jail=no`): each step is a child of taskrun, in a session of its own.
///
/// When a step ends, its process group is killed. What left the group (setsid) is beyond reach:
/// only a jail ends that, and taskrun(1) says so.
final class DirectSession: Session {
    private let job: Job
    private let loop: EventLoop
    private let streams: Streams
    private let directory: OpenFile?
    private unowned let delegate: any SessionDelegate
    private var options = SpawnOptions()
    private var step = 0
    private var child: Child?
    private var token: WatchToken?

    init(
        _ job: Job, slot: Slot, loop: EventLoop, delegate: any SessionDelegate
    ) throws(SessionFailure) {
        self.job = job
        self.loop = loop
        self.delegate = delegate
        streams = try Streams(job.recipe.spec, slot)
        directory = try DirectProgram.openDirectory(of: job.recipe.spec)
        options.directory = directory?.number ?? -1
        options.standardInput = streams.input
        options.standardOutput = streams.output
        options.standardError = streams.error
        options.newSession = true
        options.diesWithParent = true
        options.nice = Int32(clamping: job.recipe.spec.number(.nice))
        let memory = job.recipe.spec.size(.limitMem)
        options.memoryLimit = memory.isInfinite ? 0 : UInt64(memory.bytes)
        if let cpu = job.recipe.spec.span(.maxCPUTime).finite {
            options.cpuLimit = UInt64(max(1, (cpu + 999_999) / 1_000_000))
        }
    }

    /// Limits of the unit that only a jail can hold; memory is limited for each process alone.
    var weak: [String] {
        let limits: [Directive] = [.limitMem, .memoryHigh, .limitDisk, .limitCPU, .limitTasks]
        return limits.filter { job.recipe.spec.has($0) }.map(\.rawValue)
    }

    var identity: String? { nil }
    var peakMemory: Int64 { 0 }

    func start() throws(SessionFailure) {
        try launch()
        delegate.sessionStarted()
    }

    func proceed() throws(SessionFailure) {
        step += 1
        try launch()
    }

    func signal(_ number: Int32) { child?.signalGroup(number) }

    func kill() { child?.killGroup() }

    func breach() -> Breach? { nil }

    private func launch() throws(SessionFailure) {
        let program = try DirectProgram.prepare(step, of: job)
        let started: Child
        do throws(SpawnError) {
            started = try Child.start(program, options)
        } catch {
            throw DirectProgram.failure(error, step, of: job)
        }
        do throws(Errno) {
            token = try loop.add(started.pidfd.number, .readable) { _ in self.childEnded() }
        } catch {
            started.killGroup()
            throw SessionFailure(
                reason: .jail, exit: 202, what: "unable to watch a process: \(error)")
        }
        child = consume started
    }

    private func childEnded() {
        // Before it is reaped: until then the number of its group means no other.
        child?.killGroup()
        guard var end = reap() else { return }
        if end.memory <= ProcessEnd.ownPeak { end.memory = 0 }  // taskrun's, not the task's
        if let token { loop.remove(token) }
        token = nil
        child = nil
        delegate.stepEnded(end)
        if child == nil { delegate.sessionFinished() }
    }

    private func reap() -> ProcessEnd? {
        do throws(Errno) {
            return try child?.ended()
        } catch {
            return nil
        }
    }
}
