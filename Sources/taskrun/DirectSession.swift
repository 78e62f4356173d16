// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskModel

/// An attempt without a jail (`Jail=no`): each step is a child of taskrun, in a process group of its
/// own.
///
/// When a step ends, its process group is killed. What left the group (setsid) is beyond reach:
/// only a jail ends that, and taskrun(1) says so.
final class DirectSession: Session {
    private let job: Job
    private let loop: EventLoop
    private let slot: Slot
    private let streams: Streams
    private let directory: OpenFile?
    private unowned let delegate: any SessionDelegate
    private var options: SpawnOptions
    private var step = 0
    private var child: Child?
    private var token: WatchToken?

    init(
        _ job: Job, slot: Slot, loop: EventLoop, delegate: any SessionDelegate
    ) throws(SessionFailure) {
        self.job = job
        self.loop = loop
        self.slot = slot
        self.delegate = delegate
        streams = try Streams(job.recipe, slot, opensFiles: true)
        let settings = job.recipe.direct
        directory = try settings.directory.map(DirectProgram.openDirectory)
        options = settings.options
        options.directory = directory?.number ?? slot.root
        options.standardInput = streams.input
        options.standardOutput = streams.output
        options.standardError = streams.error
    }

    var weak: [String] { job.recipe.direct.weak }

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

    func breaches() -> [Breach] { [] }

    var nextLook: Int64 { .max }
    func look() {}

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
        if end.memory <= ownPeak(below: end.memory) { end.memory = 0 }  // taskrun's, not the task's
        if let token { loop.remove(token) }
        token = nil
        child = nil
        delegate.stepEnded(end)
        if child == nil { delegate.sessionFinished() }
    }

    /// taskrun's peak, asked only where what is known of it does not decide: it never falls.
    private func ownPeak(below memory: Int64) -> Int64 {
        if memory > slot.ownPeak { slot.ownPeak = ProcessEnd.ownPeak }
        return slot.ownPeak
    }

    private func reap() -> ProcessEnd? {
        do throws(Errno) {
            return try child?.ended()
        } catch {
            return nil
        }
    }
}
