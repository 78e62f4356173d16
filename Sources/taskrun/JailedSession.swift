// SPDX-License-Identifier: Apache-2.0
import Glibc
import Linux
import SystemPackage
import TaskJail
import TaskModel

/// An attempt in a jail: one init for all its steps (TaskJail).
final class JailedSession: Session {
    private let job: Job
    private let loop: EventLoop
    private let house: JailHouse
    private let slot: Slot
    private let streams: Streams?
    private let plan: JailPlan
    private unowned let delegate: any SessionDelegate
    private var inner: JailSession?
    private var control: WatchToken?
    private var process: WatchToken?
    private var memory: WatchToken?
    private var ended = JailBreach()
    private var summed: Int64?

    init(
        _ job: Job, slot: Slot, loop: EventLoop, house: JailHouse,
        delegate: any SessionDelegate
    ) throws(SessionFailure) {
        self.job = job
        self.loop = loop
        self.house = house
        self.slot = slot
        self.delegate = delegate
        streams = try Streams(job.recipe, slot, opensFiles: false)
        plan = try house.plan(of: job)
    }

    var weak: [String] { plan.weak }

    var identity: String? {
        let who = plan.request.identity
        guard let outside = who.outside else { return who.uid == Caller.uid ? nil : who.user }
        return outside.uid == who.uid ? nil : "\(who.user) outside=\(outside.uid)"
    }

    func handOver(_ record: inout HandoverTable.Record) -> [Int32]? {
        guard endingSince == nil, let jail = inner?.handover else { return nil }
        record.add("jail", "yes")
        record.add("pid", jail.pid)
        record.add("pidfd", jail.pidfd)
        record.add("launcher", jail.launcher)
        record.add("launch", jail.launch)
        record.add("control", jail.control)
        record.add("generation", jail.generation)
        return jail.descriptors
    }

    /// Goes on with a jail that an earlier program started; nil where that can't be.
    init?(
        resuming record: HandoverTable.Record, _ job: Job, slot: Slot, loop: EventLoop,
        house: JailHouse, delegate: any SessionDelegate
    ) {
        guard let pid: Int32 = record.number("pid"), let pidfd: Int32 = record.number("pidfd"),
            let launcher: Int32 = record.number("launcher"),
            let launch: Int32 = record.number("launch"),
            let control: Int32 = record.number("control"),
            let generation: UInt32 = record.number("generation"),
            let plan = try? house.plan(of: job)
        else { return nil }
        self.job = job
        self.loop = loop
        self.house = house
        self.slot = slot
        self.delegate = delegate
        self.plan = plan
        streams = nil
        let jail = JailHandover(
            pid: pid, pidfd: pidfd, launcher: launcher, launch: launch, control: control,
            generation: generation)
        guard let inner = house.resume(jail, plan, slot: slot) else { return nil }
        self.inner = inner
        self.control = try? loop.add(inner.control, .readable) { _ in self.read() }
        process = try? loop.add(inner.pidfd, .readable) { _ in self.read() }
        watchMemory(inner)
    }

    func start() throws(SessionFailure) {
        guard let streams else { return }
        let inner = try house.start(plan, job, slot: slot, streams: streams)
        self.inner = inner
        watch(inner)
        watchMemory(inner)
    }

    // Without room for one more watch (ENOSPC, ENOMEM) it is looked at from time to time: a jail that
    // runs, and whose end nobody sees, would keep its slot for ever.
    private func watch(_ inner: JailSession) {
        if control == nil {
            control = try? loop.add(inner.control, .readable) { _ in self.read() }
        }
        if process == nil, inner.pidfd >= 0 {
            process = try? loop.add(inner.pidfd, .readable) { _ in self.read() }
        }
        let isWatched = control != nil && (process != nil || inner.pidfd < 0)
        watchLook = isWatched ? .max : Clock.boot() + 20_000
    }

    private func watchAgain() {
        guard let inner else { return watchLook = .max }
        watch(inner)
        read()
    }

    func proceed() throws(SessionFailure) { inner?.proceed() }
    func askForDrops() { inner?.askForSubmit() }
    func signal(_ number: Int32) { inner?.signal(number) }
    func kill() {
        if endingSince == nil { endingSince = Clock.boot() }
        inner?.kill()
    }

    private(set) var endingSince: Int64?
    var processes: [Int32] { inner?.processes ?? [] }

    private func read() {
        guard let inner else { return }
        for report in inner.reports() { take(report, inner) }
    }

    private func take(_ report: JailReport, _ inner: JailSession) {
        switch report {
        case .started:
            watch(inner)
            watchSum(inner)
            delegate.sessionStarted()
        case .submits(let directory):
            delegate.sessionSubmits(OpenFile(Descriptor(owning: directory)))
        case .failed(let failure):
            delegate.sessionFailed(meaning(of: failure))
        case .programEnded(let program):
            delegate.stepEnded(program.end)
        case .finished(let end):
            ended = end.breach
            ended.summedMemory = summed
            unwatch()
            self.inner = nil
            delegate.sessionFinished()
        }
    }

    // Before the session goes: it closes the first and gives back the others.
    private func unwatch() {
        for token in [process, control, memory] { if let token { loop.remove(token) } }
        (process, control, memory) = (nil, nil, nil)
        (killLook.next, sumLook, sum) = (.max, .max, nil)
        watchLook = .max
    }

    private func meaning(of failure: JailFailure) -> SessionFailure {
        var result = SessionFailure(
            reason: .jail, exit: failure.code, what: "\(failure.message), task not started",
            isTransient: failure.isTransient)
        guard failure.code == JailCode.execute.rawValue else { return result }
        let steps = job.steps
        let isCheck = steps.indices.contains(failure.program) && steps[failure.program].check != nil
        switch failure.errno {
        case ENOENT, ENOTDIR: result.exit = 127
        case EACCES, ENOEXEC: result.exit = 126
        default: return result
        }
        result.reason = isCheck ? .check : .missing
        result.what = failure.message
        return result
    }

    var peakMemory: Int64 { ended.peakMemory ?? 0 }

    func breaches() -> [Breach] { LimitReport(spec: job.recipe.spec).breaches(ended) }

    // MARK: Out of memory

    // Cgroup v1: the kernel kills one process and leaves the rest. When to look again, and for how
    // long: the event comes just before it kills.
    private var killLook = (next: Int64.max, until: Int64(0))
    // No cgroup: all are looked at, ten times a second at most.
    private var sum: JailMemory?
    private var sumLook = Int64.max
    // Something that could not be watched yet.
    private var watchLook = Int64.max

    private func watchMemory(_ inner: JailSession) {
        let event = inner.memoryEvent
        if event < 0 { return }
        memory = try? loop.add(event, .readable) { _ in self.memoryIsShort() }
    }

    private func watchSum(_ inner: JailSession) {
        guard plan.weak.contains("LimitMem"), plan.request.limits.memory != nil else { return }
        sum = JailMemory(initial: inner.pid)
        sumLook = Clock.boot() + 100_000
    }

    private func memoryIsShort() {
        let now = Clock.boot()
        killLook = (now, now + 1_000_000)
        look()
        delegate.sessionWantsLook()
    }

    var nextLook: Int64 { min(killLook.next, sumLook, watchLook) }

    func look() {
        let now = Clock.boot()
        if now >= killLook.next { lookForKills(now) }
        if now >= sumLook { lookAtSum(now) }
        if now >= watchLook { watchAgain() }
    }

    private func lookForKills(_ now: Int64) {
        guard let inner else { return }
        let hasKilled = inner.outOfMemory()
        if hasKilled { endingSince = endingSince ?? now }
        killLook.next = hasKilled || now >= killLook.until ? .max : now + 5_000
    }

    // A jail of many processes takes its time: a tenth of it at most.
    private func lookAtSum(_ now: Int64) {
        guard let limit = plan.request.limits.memory else { return }
        if let reached = sum?.sum(above: Int64(clamping: limit)) {
            summed = reached
            sumLook = .max
            return kill()
        }
        let after = Clock.boot()
        sumLook = after + max(100_000, 10 * (after - now))
    }
}
