// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskEngine
import TaskJournal
import TaskModel
import TaskSpool

/// The pool: connect, start it where none is, hand over jobs, take back events.
///
/// Rule 10 of task-spool(7): before `slots` ends the table nothing is lost and nothing is started,
/// an event is acknowledged after it is durable, and an attempt is lost only when a complete table
/// does not name it, or the pool says so.
extension Daemon {
    func maintainPool() {
        guard let due = pool.nextAttempt, due <= Clock.boot(), !isStopping else { return }
        do {
            adopt(try connectToPool())
        } catch Errno.wouldBlock {
            pool.nextAttempt = Clock.boot() + 20_000
        } catch {
            // A pool that cannot start or live is started again after 1, 2, 4 … 32 s.
            let pause: Int64 = 500_000 << Int64(min(pool.failures, 6))
            if pool.child == nil { startPool() }
            pool.nextAttempt = Clock.boot() + (pool.child == nil ? pause : 20_000)
        }
    }

    /// A pool of this spool's own first: what it runs nobody else knows of. Else the service, unless
    /// a pool of our own is about to listen.
    private func connectToPool() throws(Errno) -> PoolConnection {
        do {
            return try PoolConnection(spool: spool.rootNumber)
        } catch {
            guard pool.child == nil, options.pool != "none" else { throw error }
            return try PoolConnection(service: options.pool)
        }
    }

    private func adopt(_ connection: PoolConnection) {
        do {
            pool.token = try loop.add(connection.number, .readable) { [self] _ in readPool() }
        } catch {
            report.error("unable to watch the pool's socket: \(error), trying again")
            pool.nextAttempt = Clock.boot() + 1_000_000
            return
        }
        pool.connection = connection
        pool.generation += 1
        pool.nextAttempt = nil
        pool.isWritableWatched = false
        pool.restart()
        forgetUnacknowledged()
        connection.send(.hello(version: PoolMessage.version, spool: spool.path))
        sendLogSegment(to: connection)
    }

    private func sendLogSegment(to connection: PoolConnection) {
        let name =
            pool.logSegment?.next
            ?? SegmentName(epoch: owner.record.epoch, writer: "taskd", number: 1)
        do {
            let file = try LogSegment.create(name, at: spool.number(.log))
            pool.logSegment = name
            connection.send(.log(segment: name.stem), passing: file)
        } catch {
            // One that could neither be written nor unlinked: the next has another name.
            if case .io(_, _, .fileExists) = error { pool.logSegment = name }
            report.error("unable to \(error.sentence), no task starts until there is a log segment")
            dropPool("no log segment")
        }
    }

    func flushPool() {
        guard let connection = pool.connection else { return }
        do {
            try connection.flush()
        } catch {
            return dropPool(error.description)
        }
        guard connection.isBlocked != pool.isWritableWatched, let token = pool.token else { return }
        pool.isWritableWatched = connection.isBlocked
        try? loop.modify(token, connection.isBlocked ? [.readable, .writable] : .readable)
    }

    /// The connection is over; whether its attempts are lost, the next table says.
    func dropPool(_ why: String) {
        if let token = pool.token { loop.remove(token) }
        pool.token = nil
        pool.connection = nil
        // One that ends what it has not begun to serve is not asked again at once.
        pool.refusals = pool.isReady ? 0 : min(pool.refusals + 1, 9)
        pool.isReady = false
        pool.nextAttempt = Clock.boot() + (pool.refusals == 0 ? 0 : 50_000 << Int64(pool.refusals))
        engine.handle(.capacity(slots: 0, memory: 0), at: now())
        perform(engine.takeActions())
    }

    private func readPool() {
        guard let connection = pool.connection else { return }
        do {
            for _ in 0..<16 {
                switch try connection.receive({ handle($0) }) {
                case .messages: continue
                case .nothing: return
                case .closed: return dropPool("closed")
                }
            }
        } catch {
            report.error("unable to go on with the pool: \(error.sentence), connecting again")
            dropPool(error.sentence)
        }
    }

    private func handle(_ message: PoolMessage) {
        // What a connection that is over has still said comes again.
        if pool.connection == nil { return }
        switch message {
        case .hello(let version, _):
            if version != PoolMessage.version {
                report.error("the pool speaks version \(version): waiting for it to end")
                dropPool("version")
            }
        case .running(let ref, let attempt):
            pool.names(ref, attempt)
            if reconcile == nil, pool.sent[ref] == nil {
                // Not ours to run (its run was cancelled, or its end is on record): end it.
                pool.connection?.send(.kill(ref, attempt: attempt, grace: 0))
            } else {
                pool.sent[ref] = attempt
                if pool.killed[ref] == attempt { kill(ref, attempt) }
            }
        case .event(let sequence, let line): take(sequence, line)
        case .slots(let count): completeTable(count)
        case .log, .run, .kill, .ack, .child, .result, .wake, .drain, .sealed:
            report.warning("the pool sent a message of the wrong direction: it is ignored")
        }
    }

    private func take(_ number: Int, _ bytes: ArraySlice<UInt8>) {
        let line: EventLine
        do {
            line = try EventLine(parsing: bytes)
        } catch {
            report.warning("the pool sent no event line: \(error.sentence), it is ignored")
            return after(
                journal.lastSequence, .acknowledge(number, connection: pool.generation))
        }
        let event = PoolEvent(number: number, connection: pool.generation, line: line)
        guard reconcile != nil else { return handle(event) }
        if let ref = line.ref { pool.names(ref, line.number("a") ?? 1) }
        pool.acknowledgements.hold(number)
        reconcile?.events.append(event)
    }

    /// Handles an event: its record is among what has been appended when this returns, or waits for its
    /// run to be readable.
    func handle(_ event: PoolEvent, isHeld: Bool = false) {
        if let ref = event.line.ref, unread[ref.run] != nil {
            if !isHeld { pool.acknowledgements.hold(event.number) }
            unread[ref.run]?.events.append(event)
            return
        }
        handle(event.line)
        acknowledgeLater(event)
    }

    func acknowledgeLater(_ event: PoolEvent) {
        after(
            journal.lastSequence, .acknowledge(event.number, connection: event.connection))
    }

    /// The event's record is durable.
    func acknowledge(_ event: Int, connection: Int) {
        guard pool.generation == connection,
            let through = pool.acknowledgements.settle(event)
        else { return }
        pool.connection?.send(.ack(through))
    }

    /// One event of a task.
    func handle(_ line: EventLine) {
        guard let ref = line.ref, ref.task != nil else {
            append(line)
            if line["what"] == "log.full" { rotateLog() }
            return
        }
        let attempt = line.number("a") ?? 1
        switch line.verb {
        case .start:
            if runs[ref.run] == nil, cluster.abandoned.contains(ref.run) { return }
            if !pool.announced.contains(ref), pool.sent[ref] == attempt { append(line) }
        case .end:
            // Known once: an end that came again after a reconnect is only acknowledged.
            guard pool.sent[ref] == attempt else { return }
            pool.forget(ref)
            engine.handle(.ended(ref, attempt: attempt, outcome(of: line)), at: now())
            perform(engine.takeActions(), for: line)
        case .lost:
            guard pool.sent[ref] == attempt else { return }
            lose(ref, attempt, as: line)
        case .wait: takeWait(line, of: ref, attempt)
        case .note where line["what"] == "submit": takeSubtask(line, of: ref, attempt)
        default: append(line)
        }
    }

    private func outcome(of line: EventLine) -> Outcome {
        switch line["state"] {
        case "success": .success
        case "skipped": .skipped
        case "cancelled": .killed
        default:
            .failure(
                line["reason"].flatMap { FailureReason(rawValue: $0) } ?? .exit,
                exit: line.number("exit"))
        }
    }

    /// taskd creates the next log segment before the pool must stop reading.
    private func rotateLog() {
        guard let connection = pool.connection else { return }
        sendLogSegment(to: connection)
    }

    /// `slots N`: what runs is known, and what does not run is lost.
    private func completeTable(_ count: Int) {
        if !pool.isReady {
            pool.isReady = true
            if pool.child == nil { pool.failures = 0 }
            if reconcile != nil {
                finishReconciliation()
            } else {
                for (ref, attempt) in pool.sent
                where pool.table[ref] != attempt && !pool.gated.contains(ref)
                    && unread[ref.run] == nil
                {
                    lose(ref, attempt)
                }
            }
        }
        if pool.connection == nil { return }
        gatherFamilies()
        tellEnds()
        let early = pool.early
        pool.early = [:]
        for (ref, attempt) in early { openGate(ref, attempt) }
        pool.slots = count
        engine.handle(.capacity(slots: count, memory: Memory.total), at: now())
        perform(engine.takeActions())
    }

    /// Nobody heard an attempt's end: the pool died, or its jail, as the pool says in `line`.
    func lose(_ ref: TaskRef, _ attempt: Int, as line: EventLine? = nil) {
        pool.forget(ref)
        let fields = named(ref, [.init("a", String(attempt))])
        append(line ?? EventLine(Clock.real(), .lost, ref.description, fields))
        engine.handle(.lost(ref, attempt: attempt), at: now())
        perform(engine.takeActions())
    }

    /// Hands an attempt over.
    func sendJob(_ ref: TaskRef, _ attempt: Int) {
        guard pool.sent[ref] == attempt else { return }
        guard let connection = pool.connection, runs[ref.run] != nil else { return }
        guard case .plan(let plan) = plan(of: ref.run) else {
            pool.gated.insert(ref)
            return unreadable.append((ref, attempt))
        }
        guard let task = ref.task.flatMap({ runs[ref.run]?.task($0) }) else { return }
        guard case .text(let item) = itemText(of: ref, plan) else {
            pool.gated.insert(ref)
            return unreadable.append((ref, attempt))
        }
        guard case .blobs(let inputs) = inputs(of: task, in: ref.run) else {
            pool.gated.insert(ref)
            return unreadable.append((ref, attempt))
        }
        var fields: [UInt8] = []
        task.spec.append(to: &fields)
        let blobs = plan.files(of: task).map {
            PoolJob.Blob(name: $0.name, sha256: $0.digest, bytes: $0.bytes[...])
        }
        pool.jobSequence += 1
        var job = PoolJob(
            sequence: pool.jobSequence, ref: ref, attempt: attempt, name: task.spec.name,
            item: item, fields: fields.dropFirst(), blobs: blobs)
        job.inputs = inputs
        connection.send(.run(job))
    }

    /// Ends an attempt, wherever it is: not handed over yet, in the pool, or in a pool that is away.
    func kill(_ ref: TaskRef, _ attempt: Int) {
        pool.killed[ref] = attempt
        if pool.gated.contains(ref) { return }
        let grace = runs[ref.run].flatMap { run in
            ref.task.flatMap { run.task($0) }?.spec.span(.timeoutStopSec).microseconds
        }
        pool.connection?.send(.kill(ref, attempt: attempt, grace: grace ?? 10_000_000))
    }
}
