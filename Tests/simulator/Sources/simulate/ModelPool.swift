// SPDX-License-Identifier: Apache-2.0
import Linux
import TaskModel

/// taskrun's pool as taskd sees it: takes jobs, runs them in slots, keeps each end until it is
/// acknowledged, gives a new client the table (rules 10 and 11 of task-spool(7)).
final class ModelPool: Listener {
    struct Key: Hashable {
        var ref: TaskRef
        var attempt: Int
    }
    private struct Attempt {
        var key: Key
        var name: String
        var kind: String
        var count: Int
        var span: Int64
        /// When it ends; nil: it waits for a slot.
        var ends: Int64?
        var isKilled = false
    }
    private struct Kept {
        var sequence: Int
        var line: [UInt8]
        var end: Key?
    }

    let process: ModelProcess
    private let truth: Truth
    private let listensAt: Int64
    private var isListening = false
    private let directory: DiskNode
    private var client: Channel?
    private var arriving: [Channel] = []
    private var attempts: [Attempt] = []
    private var kept: [Kept] = []
    private var sequence = 0
    private let slots: Int
    var stalledUntil: Int64 = 0
    /// A task took it down.
    private(set) var isDead = false
    private var starts: [TaskRef: Int] = [:]

    init(_ process: ModelProcess, in directory: DiskNode, slots: Int, _ truth: Truth) {
        (self.process, self.directory, self.slots, self.truth) = (process, directory, slots, truth)
        listensAt = Clock.boot() + 3000
    }

    var isAtRest: Bool { attempts.isEmpty && kept.isEmpty }

    /// When it has something to do without being told.
    var nextTime: Int64? {
        if !isListening { return max(listensAt, stalledUntil) }
        let due = attempts.compactMap(\.ends).min()
        let waits = attempts.contains { $0.ends == nil && !$0.isKilled } && freeSlots > 0
        let hasMail = !arriving.isEmpty || !(client?.toPeer.isEmpty ?? true)
        let next = hasMail || waits ? Clock.boot() : due
        return next.map { max($0, stalledUntil) }
    }

    func connected(_ channel: Channel) { arriving.append(channel) }

    func hangUp() {
        client?.isClosedThere = true
        client = nil
        kept.removeAll { $0.end == nil }
    }

    func die() {
        isDead = true
        if MessageSocket.listener === self { MessageSocket.listener = nil }
        client?.isClosedThere = true
        for channel in arriving { channel.isClosedThere = true }
        process.status = 9
        truth.poolDied()
    }

    /// Does what is to be done now; false when there is nothing.
    func turn() -> Bool {
        guard !isDead, Clock.boot() >= stalledUntil else { return false }
        if !isListening {
            guard Clock.boot() >= listensAt else { return false }
            let disk = Machine.current.disk
            if (try? disk.find("run.sock", from: directory)) == nil {
                _ = try? disk.create("run.sock", in: directory, .socket)
            }
            MessageSocket.listener = self
            isListening = true
        }
        var outgoing: [UInt8] = []
        var hasActed = readMail(&outgoing)
        if takeClient(&outgoing) { hasActed = true }
        if runTasks(&outgoing) { hasActed = true }
        if let client, !outgoing.isEmpty { client.toUs.append((outgoing, nil)) }
        return hasActed
    }

    // MARK: The connection

    private func readMail(_ outgoing: inout [UInt8]) -> Bool {
        guard let client else { return false }
        var hasRead = false
        while !client.toPeer.isEmpty {
            hasRead = true
            read(client.toPeer.removeFirst(), &outgoing)
            if isDead { return true }
        }
        if client.isClosedHere {
            self.client = nil
            kept.removeAll { $0.end == nil }
        }
        return hasRead
    }

    private func takeClient(_ outgoing: inout [UInt8]) -> Bool {
        guard let new = arriving.first else { return false }
        arriving.removeFirst()
        if new.isClosedHere, new.toPeer.isEmpty { return true }
        // The old one has been read to its end.
        client?.isClosedThere = true
        client = new
        outgoing = []
        PoolMessage.hello(version: PoolMessage.version, spool: nil).append(to: &outgoing)
        for attempt in attempts {
            PoolMessage.running(attempt.key.ref, attempt: attempt.key.attempt).append(to: &outgoing)
        }
        sequence = 0
        for index in kept.indices {
            sequence += 1
            kept[index].sequence = sequence
            PoolMessage.event(sequence, line: kept[index].line[...]).append(to: &outgoing)
        }
        PoolMessage.slots(slots).append(to: &outgoing)
        return true
    }

    private func read(_ packet: Channel.Packet, _ outgoing: inout [UInt8]) {
        var rest = packet.bytes[...]
        do {
            while let message = try PoolMessage.next(from: &rest) {
                switch message {
                case .run(let job): take(job)
                case .kill(let ref, let attempt, _): kill(Key(ref: ref, attempt: attempt))
                case .ack(let number):
                    for event in kept where event.sequence <= number && event.sequence > 0 {
                        if let key = event.end { truth.acknowledged(key) }
                    }
                    kept.removeAll { $0.sequence <= number && $0.sequence > 0 }
                case .sealed:
                    if let passed = packet.passed, case let bytes? = passed.sealedBytes {
                        read((bytes, nil), &outgoing)
                    }
                default: break
                }
            }
        } catch {
            truth.fail("P3", "taskd sent the pool what it does not understand: \(error)")
        }
    }

    private func take(_ job: PoolJob) {
        let key = Key(ref: job.ref, attempt: job.attempt)
        if attempts.contains(where: { $0.key == key }) || kept.contains(where: { $0.end == key }) {
            return
        }
        truth.handedOver(key, others: attempts.map(\.key))
        let words = job.fields.split(separator: UInt8(ascii: " ")).compactMap { word in
            let text = String(decoding: word, as: UTF8.self)
            return text.hasPrefix("arg=") ? String(text.dropFirst(4)) : nil
        }
        attempts.append(
            Attempt(
                key: key, name: job.name, kind: words.first ?? "ok",
                count: words.count > 1 ? Int(words[1]) ?? 0 : 0,
                span: words.count > 2 ? (Int64(words[2]) ?? 0) * 1000 : 0))
    }

    private func kill(_ key: Key) {
        guard let index = attempts.firstIndex(where: { $0.key == key }) else { return }
        attempts[index].isKilled = true
        attempts[index].ends = Clock.boot()
    }

    // MARK: Tasks

    private var freeSlots: Int { slots - attempts.count { $0.ends != nil } }

    private func runTasks(_ outgoing: inout [UInt8]) -> Bool {
        var hasActed = false
        for attempt in attempts where attempt.ends.map({ $0 <= Clock.boot() }) ?? false {
            attempts.removeAll { $0.key == attempt.key }
            end(attempt, &outgoing)
            hasActed = true
        }
        for index in attempts.indices where attempts[index].ends == nil && freeSlots > 0 {
            start(index, &outgoing)
            if isDead { return true }
            hasActed = true
        }
        return hasActed
    }

    private func start(_ index: Int, _ outgoing: inout [UInt8]) {
        let attempt = attempts[index]
        attempts[index].ends = Clock.boot() + attempt.span
        truth.started(attempt.key)
        if attempt.kind == "poison", truth.starts(of: attempt.key.ref) <= attempt.count {
            return die()
        }
        tell(attempt, .start, [], &outgoing, isEnd: false)
    }

    private func end(_ attempt: Attempt, _ outgoing: inout [UInt8]) {
        var fields: [EventLine.Field]
        if attempt.isKilled {
            fields = [.init("state", "cancelled")]
        } else {
            switch attempt.kind {
            case "fail" where attempt.key.attempt <= attempt.count:
                fields = Self.failure("exit", exit: 1)
            case "exit": fields = Self.failure("exit", exit: attempt.count)
            case "check": fields = Self.failure("check", exit: 1)
            case "timeout": fields = Self.failure("timeout", exit: nil)
            case "missing": fields = Self.failure("missing", exit: 127)
            default: fields = [.init("state", "success"), .init("exit", "0")]
            }
        }
        truth.ended(attempt.key, fields[0].value)
        tell(attempt, .end, fields, &outgoing, isEnd: true)
    }

    private static func failure(_ reason: String, exit: Int?) -> [EventLine.Field] {
        [.init("state", "failure"), .init("reason", reason)]
            + (exit.map { [.init("exit", String($0))] } ?? [])
    }

    private func tell(
        _ attempt: Attempt, _ verb: EventLine.Verb, _ fields: [EventLine.Field],
        _ outgoing: inout [UInt8], isEnd: Bool
    ) {
        let line = EventLine(
            Clock.real(), verb, attempt.key.ref.description,
            [.init("a", String(attempt.key.attempt))] + fields + [.init("name", attempt.name)])
        if client != nil { sequence += 1 }
        kept.append(
            Kept(
                sequence: client == nil ? 0 : sequence, line: line.bytes,
                end: isEnd ? attempt.key : nil))
        if client != nil {
            PoolMessage.event(sequence, line: line.bytes[...]).append(to: &outgoing)
        }
    }
}
