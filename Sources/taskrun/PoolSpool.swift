// SPDX-License-Identifier: Apache-2.0
import DequeModule
import Linux
import SystemPackage
import TaskJournal
import TaskModel

/// What the pool holds for one spool: its jobs, its log segment, and every event until the taskd of
/// that spool has acknowledged it. Outlives any number of taskd's.
final class PoolSpool: AttemptOwner {
    let owner: PoolOwner
    let executor: Executor
    let segments: SegmentSink
    var connection: PoolConnection?
    /// Accepted and not ended.
    var live: Set<AttemptKey> = []
    /// Jobs that came before there was a log segment.
    var waiting: [Job] = []
    var kept = KeptEvents()
    var recipes: PoolRecipes
    var saidFull = false
    var isDraining = false
    /// The pool starts no more than it has: it ends, and another follows.
    var isRetiring = false

    init(executor: Executor, owner: PoolOwner) {
        self.executor = executor
        self.owner = owner
        segments = SegmentSink(owner: owner.task)
        recipes = PoolRecipes(owner: owner)
    }

    var sink: any OutputSink { segments }
    var account: UInt32 { owner.task.uid }
    var isBlocked: Bool { owner.isBlocked }
    /// Nothing runs, nothing waits for an acknowledgement.
    var isAtRest: Bool { live.isEmpty && kept.isEmpty }
    var isConnected: Bool { connection != nil }

    // MARK: The connection

    /// Gives a new client the table: what runs, every event that is not acknowledged, `slots`.
    ///
    /// The old connection must have been read to its end.
    func connect(_ new: PoolConnection) {
        connection = new
        new.send(.hello(version: PoolMessage.version, spool: nil))
        for key in live { new.send(.running(key.ref, attempt: key.attempt)) }
        tellSleepers()
        kept.restart()
        for event in kept.events { new.send(.event(event.sequence, line: event.line[...])) }
        new.send(.slots(isRetiring ? 0 : executor.capacity))
    }

    // What sleeps is told to each, whoever has acknowledged it.
    private func tellSleepers() {
        for attempt in executor.slots.compactMap(\.attempt) {
            guard let sleep = attempt.sleep, attempt.job.owner === self else { continue }
            let key = AttemptKey(ref: attempt.job.ref, attempt: attempt.job.attempt)
            if kept.hasWait(of: key) { continue }
            change { _ = $0.append(sleep.line, .wait(key), isConnected: false) }
        }
    }

    /// No further jobs: what was accepted is done.
    func retire() {
        isRetiring = true
        connection?.send(.slots(0))
    }

    /// A client is gone; nothing happens unless it is the one that is served.
    func disconnect(_ old: PoolConnection) {
        guard old === connection else { return }
        change { $0.disconnect(sent: old.sentEvent) }
        connection = nil
    }

    // MARK: What the client says

    func handle(_ message: PoolMessage, _ file: PassedDescriptor?) throws(PoolFault) {
        switch message {
        case .log(let name): try openLog(name, file)
        case .run(let job): try accept(job)
        case .kill(let ref, let attempt, let grace): kill(ref, attempt, grace)
        case .ack(let number): acknowledge(number)
        case .child(let ref, let attempt, let file, let text):
            running(AttemptKey(ref: ref, attempt: attempt))?.put(file, Array(text.utf8))
        case .result(let ref, let attempt, let file, let bytes):
            running(AttemptKey(ref: ref, attempt: attempt))?.put(file, bytes)
        case .wake(let ref, let attempt, let reason):
            running(AttemptKey(ref: ref, attempt: attempt))?.wakeUp(reason)
        case .drain: isDraining = true
        case .hello: throw PoolFault(sentence: "a second hello")
        case .running, .event, .slots, .sealed:
            throw PoolFault(sentence: "a message of the wrong direction")
        }
    }

    private func openLog(_ name: String, _ file: PassedDescriptor?) throws(PoolFault) {
        guard let segment = SegmentName(stem: name), let file else {
            throw PoolFault(sentence: "a log segment without its name or its descriptor")
        }
        let own = try PassedSegment.open(file, for: owner.task)
        do throws(Errno) {
            try segments.open(segment, own)
        } catch {
            throw PoolFault(sentence: "the log segment can't be used: \(error)")
        }
        saidFull = false
        for job in waiting { executor.submit(job) }
        waiting = []
    }

    private func accept(_ job: PoolJob) throws(PoolFault) {
        let key = AttemptKey(ref: job.ref, attempt: job.attempt)
        if live.contains(key) || kept.hasEnd(of: key) { return }
        guard owner.jobs < PoolOwner.mostJobs, !isDraining else {
            throw PoolFault(sentence: "too many jobs, or a job after drain")
        }
        let recipe = try recipes.take(for: job)
        live.insert(key)
        owner.jobs += 1
        let made = Job(
            ref: job.ref, attempt: job.attempt, name: job.name, item: job.itemText,
            recipe: recipe, owner: self)
        if segments.isOpen { executor.submit(made) } else { waiting.append(made) }
    }

    private func kill(_ ref: TaskRef, _ attempt: Int, _ grace: Int64) {
        if let at = waiting.firstIndex(where: { $0.ref == ref && $0.attempt == attempt }) {
            executor.submit(waiting.remove(at: at))
        }
        executor.kill(ref, attempt: attempt, of: self, grace: grace)
    }

    // Nobody has read what was not sent: its memory would be the connection's, without a limit.
    private func acknowledge(_ number: Int) {
        var waited: Set<AttemptKey> = []
        change { waited = $0.acknowledge(through: min(number, connection?.sentEvent ?? 0)) }
        for key in waited { running(key)?.canTakeDrops() }
    }

    private func running(_ key: AttemptKey) -> Attempt? { executor.attempt(key, of: self) }

    // MARK: What the executor reports

    func report(_ line: [UInt8]) { keep(line, .other) }

    func submitted(_ job: Job, _ line: [UInt8]) {
        keep(line, .submit(AttemptKey(ref: job.ref, attempt: job.attempt)))
    }

    func sleeps(_ job: Job, _ line: [UInt8]) {
        keep(line, .wait(AttemptKey(ref: job.ref, attempt: job.attempt)))
    }

    func woke(_ job: Job) {
        let key = AttemptKey(ref: job.ref, attempt: job.attempt)
        change { $0.forgetWait(of: key) }
    }

    func unacknowledged(_ job: Job) -> Int {
        kept.bytesSubmitted(by: AttemptKey(ref: job.ref, attempt: job.attempt))
    }

    func ended(_ job: Job, _ line: [UInt8], _ result: AttemptResult) {
        let key = AttemptKey(ref: job.ref, attempt: job.attempt)
        live.remove(key)
        owner.jobs -= 1
        recipes.giveBack(job.recipe)
        keep(line, .end(key))
    }

    private func keep(_ line: [UInt8], _ about: KeptEvents.About) {
        let isConnected = isConnected
        var number: Int?
        change { number = $0.append(line, about, isConnected: isConnected) }
        if let number { connection?.send(.event(number, line: line[...])) }
    }

    func change(_ body: (inout KeptEvents) -> Void) {
        let before = kept.cost
        body(&kept)
        owner.keptBytes += kept.cost - before
    }

    /// Once a turn, before the events that name it go out.
    func flushLog() {
        segments.flush()
        if let loss = segments.takeLoss() {
            var line = LineBuilder("note", run: nil)
            line.field("what", "log.lost")
            line.field("bytes", loss.bytes)
            line.field("errno", loss.errno.description)
            report(line.bytes)
        }
        if segments.wantsNext, !saidFull {
            saidFull = true
            report(noteFull())
        }
    }

    private func noteFull() -> [UInt8] {
        var line = LineBuilder("note", run: nil)
        line.field("what", "log.full")
        return line.bytes
    }
}
