// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskJail
import TaskModel

/// An attempt without a jail (`Jail=no`): each step is a child of taskrun, in a process group of its
/// own, and in the slot's cgroup where there is one.
///
/// When a step ends, so does all that it has started, whatever session it has made: by the cgroup,
/// else by their parent (`Orphans`).
final class DirectSession: Session {
    private let job: Job
    private let loop: EventLoop
    private let slot: Slot
    private let streams: Streams
    private let directory: OpenFile?
    private let remains: Remains
    /// Of another owner than taskrun's user, or with a path that may hang.
    private let owner: OwnerStart?
    private unowned let delegate: any SessionDelegate
    private var options: SpawnOptions
    private var step = 0
    private var child: Child?
    private var token: WatchToken?
    /// A step that has ended and has left something.
    private var ended: ProcessEnd?
    private(set) var endingSince: Int64?

    /// - Parameter record: of a step that an earlier program started, to go on with it.
    init(
        _ job: Job, slot: Slot, loop: EventLoop, house: JailHouse, delegate: any SessionDelegate,
        resuming record: HandoverTable.Record? = nil
    ) throws(SessionFailure) {
        self.job = job
        self.loop = loop
        self.slot = slot
        self.delegate = delegate
        let report: Int32? = record?.number("report")
        let isApart = job.recipe.owner.isOther || report != nil || house.mounts.mayHang(job)
        owner = isApart ? try OwnerStart(job) : nil
        streams = try Streams(job.recipe, slot, opensFiles: !isApart)
        let settings = job.recipe.direct
        directory = isApart ? nil : try settings.directory.map(DirectProgram.openDirectory)
        options = settings.options
        remains =
            record == nil
            ? try house.remains(of: job, slot: slot)
            : house.resumedRemains(of: job, slot: slot)
        arrange()
        if let record { resume(record) }
    }

    func handOver(_ record: inout HandoverTable.Record) -> [Int32]? {
        guard endingSince == nil, ended == nil, let pid = child?.pid,
            let pidfd = child?.pidfd.number
        else { return nil }
        record.add("jail", "no")
        record.add("pid", pid)
        record.add("pidfd", pidfd)
        guard let report = owner?.reading else { return [pidfd] }
        record.add("report", report)
        return [pidfd, report]
    }

    private func resume(_ record: HandoverTable.Record) {
        step = record.number("step") ?? 0
        guard let pid: Int32 = record.number("pid"), let pidfd: Int32 = record.number("pidfd")
        else { return }
        if let report: Int32 = record.number("report") { owner?.resume(report) }
        child = Child(pid: pid, pidfd: Descriptor(owning: pidfd))
        token = try? loop.add(pidfd, .readable) { _ in self.childEnded() }
        remains.setMain(pid)
    }

    private func arrange() {
        options.directory = directory?.number ?? slot.root
        options.standardInput = streams.input
        options.standardOutput = streams.output
        options.standardError = streams.error
        options.cgroup = remains.group?.directory ?? -1
        options.procs = remains.group?.procs ?? -1
    }

    var weak: [String] { job.recipe.direct.weak.filter { !remains.holds($0) }.map(\.rawValue) }

    var identity: String? { nil }
    var peakMemory: Int64 { met.peakMemory ?? 0 }
    private lazy var met = remains.group?.breach() ?? JailBreach()

    func start() throws(SessionFailure) {
        try launch()
        delegate.sessionStarted()
    }

    func proceed() throws(SessionFailure) {
        step += 1
        try launch()
    }

    func askForDrops() {}

    func signal(_ number: Int32) { child?.signalGroup(number) }

    func kill() {
        if endingSince == nil { endingSince = Clock.boot() }
        child?.killGroup()
        remains.kill()
    }

    func breaches() -> [Breach] { LimitReport(spec: job.recipe.spec).breaches(met) }

    private func launch() throws(SessionFailure) {
        let program = owner == nil ? try DirectProgram.prepare(step, of: job) : nil
        let started: Child
        do throws(SpawnError) {
            if let owner {
                started = try owner.start(step, options)
            } else if let program {
                started = try Child.start(program, options)
            } else {
                return
            }
        } catch {
            throw DirectProgram.failure(error, step, of: job)
        }
        do throws(Errno) {
            token = try loop.add(started.pidfd.number, .readable) { _ in self.childEnded() }
        } catch {
            started.killGroup()
            throw SessionFailure(
                reason: .jail, exit: 202, what: "unable to watch a process: \(error)",
                isTransient: error.isShortage || error == .noSpace)
        }
        remains.setMain(started.pid)
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
        remains.setMain(nil)
        ended = end
        settle()
    }

    // MARK: What a step has left

    private var pause: Int64 = 0
    private(set) var nextLook = Int64.max

    private func settle() {
        guard let end = ended else { return }
        if remains.areGone {
            ended = nil
            nextLook = .max
            endingSince = nil
            if let failure = owner?.failure(step) {
                delegate.sessionFailed(failure)
                remains.end()
                return delegate.sessionFinished()
            }
            delegate.stepEnded(end)
            if child == nil {
                remains.end()
                delegate.sessionFinished()
            } else {
                look()
            }
            return
        }
        if endingSince == nil { endingSince = Clock.boot() }
        remains.kill()
        // What was killed is gone in a moment; what hangs is asked for less often.
        pause = nextLook == .max ? 1_000 : min(2 * pause, 100_000)
        nextLook = Clock.boot() + pause
    }

    func look() {
        if ended != nil { return settle() }
        nextLook = remains.tidy() ?? .max
    }

    var processes: [Int32] {
        let main = child?.pid
        return (main.map { [$0] } ?? []) + remains.processes.filter { $0 != main }
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
