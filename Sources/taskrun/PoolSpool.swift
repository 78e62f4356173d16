// SPDX-License-Identifier: Apache-2.0
import DequeModule
import Linux
import SystemPackage
import TaskJournal
import TaskModel

/// What the pool holds for one spool: its jobs, its log segment, and every event until the taskd of
/// that spool has acknowledged it. Outlives any number of taskd's.
final class PoolSpool: AttemptOwner {
    /// An attempt's name.
    private struct Key: Hashable {
        var ref: TaskRef
        var attempt: Int
    }

    private struct Kept {
        var sequence: Int
        var line: [UInt8]
        /// The end of this attempt; nil for other events.
        var end: Key?
    }

    private let executor: Executor
    private let segments = SegmentSink()
    private var connection: PoolConnection?
    /// Accepted and not ended.
    private var live: Set<Key> = []
    /// Jobs that came before there was a log segment.
    private var waiting: [Job] = []
    private var kept: Deque<Kept> = []
    private var endedKeys: Set<Key> = []
    private var sequence = 0
    private var saidFull = false
    private var cache = RecipeCache()
    private(set) var isDraining = false

    // Beyond these a peer is out of its mind: a taskd hands over slots + 16 at most.
    private static let mostJobs = 8192

    init(executor: Executor) { self.executor = executor }

    var sink: any OutputSink { segments }
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
        sequence = 0
        for index in kept.indices {
            sequence += 1
            kept[index].sequence = sequence
            new.send(.event(sequence, line: kept[index].line[...]))
        }
        new.send(.slots(executor.slots.count))
    }

    /// A client is gone; nothing happens unless it is the one that is served.
    func disconnect(_ old: PoolConnection) {
        guard old === connection else { return }
        forgetSent(old.sentEvent)
        connection = nil
        // From now on sequence numbers mean nothing until the next client's.
        for index in kept.indices { kept[index].sequence = 0 }
    }

    // Only ends are kept for the next client when this one had them: another start would be told
    // twice. What never went out is kept.
    private func forgetSent(_ sent: Int) {
        kept.removeAll { $0.end == nil && $0.sequence <= sent }
    }

    // MARK: What the client says

    func handle(_ message: PoolMessage, _ file: OpenFile?) throws(PoolFault) {
        switch message {
        case .log(let name): try openLog(name, file)
        case .run(let job): try accept(job)
        case .kill(let ref, let attempt, let grace): kill(ref, attempt, grace)
        case .ack(let number): acknowledge(number)
        case .drain: isDraining = true
        case .hello: throw PoolFault(sentence: "a second hello")
        case .running, .event, .slots, .sealed:
            throw PoolFault(sentence: "a message of the wrong direction")
        }
    }

    private func openLog(_ name: String, _ file: OpenFile?) throws(PoolFault) {
        guard let segment = SegmentName(stem: name), let file else {
            throw PoolFault(sentence: "a log segment without its name or its descriptor")
        }
        do throws(Errno) {
            guard try segments.open(segment, file) else {
                throw Errno.invalidArgument
            }
        } catch {
            throw PoolFault(sentence: "the log segment can't be used: \(error)")
        }
        saidFull = false
        for job in waiting { executor.submit(job) }
        waiting = []
    }

    private func accept(_ job: PoolJob) throws(PoolFault) {
        let key = Key(ref: job.ref, attempt: job.attempt)
        if live.contains(key) || endedKeys.contains(key) { return }
        guard live.count < Self.mostJobs, !isDraining else {
            throw PoolFault(sentence: "too many jobs, or a job after drain")
        }
        live.insert(key)
        let made = Job(
            ref: job.ref, attempt: job.attempt, name: job.name, recipe: cache.recipe(for: job),
            owner: self)
        if segments.isOpen { executor.submit(made) } else { waiting.append(made) }
    }

    private func kill(_ ref: TaskRef, _ attempt: Int, _ grace: Int64) {
        if let at = waiting.firstIndex(where: { $0.ref == ref && $0.attempt == attempt }) {
            executor.submit(waiting.remove(at: at))
        }
        executor.kill(ref, attempt: attempt, grace: grace)
    }

    private func acknowledge(_ number: Int) {
        while let first = kept.first, first.sequence <= number {
            if let key = first.end { endedKeys.remove(key) }
            kept.removeFirst()
        }
    }

    // MARK: What the executor reports

    func report(_ line: [UInt8]) { keep(line, end: nil) }

    func ended(_ job: Job, _ line: [UInt8], _ result: AttemptResult) {
        let key = Key(ref: job.ref, attempt: job.attempt)
        live.remove(key)
        endedKeys.insert(key)
        keep(line, end: key)
    }

    private func keep(_ line: [UInt8], end: Key?) {
        guard let connection else {
            kept.append(Kept(sequence: 0, line: line, end: end))
            return
        }
        sequence += 1
        kept.append(Kept(sequence: sequence, line: line, end: end))
        connection.send(.event(sequence, line: line[...]))
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
