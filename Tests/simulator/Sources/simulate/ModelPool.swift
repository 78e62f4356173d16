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
        var family = FamilyRecipe()
        /// Items of its array that may run at once.
        var most: Int?
        /// When it does its next step; nil: it waits for a slot, or sleeps.
        var ends: Int64?
        var isKilled = false
        /// Subtasks that it has dropped, and files that taskd has put beside them.
        var dropped: [String] = []
        var files: [String: String] = [:]
        var sleep: Sleep?
        /// Once it has slept.
        var hasSlept = false
    }
    /// It waits for subtasks (`.wait`), without a slot.
    private struct Sleep {
        var line: [UInt8]
        var names: [String]
        /// taskd has said that it may go on, or why it cannot sleep.
        var isWoken = false
        var isRefused = false
    }
    private struct Kept {
        enum About: Equatable {
            case end(Key), submit(Key, name: String), wait(Key), other
        }
        var sequence: Int
        var line: [UInt8]
        var about: About

        var isEnd: Bool {
            if case .end = about { return true }
            return false
        }
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
        let waits = attempts.contains { wantsSlot($0) } && freeSlots > 0
        let hasMail = !arriving.isEmpty || !(client?.toPeer.isEmpty ?? true)
        let next = hasMail || waits ? Clock.boot() : due
        return next.map { max($0, stalledUntil) }
    }

    func connected(_ channel: Channel) { arriving.append(channel) }

    func hangUp() {
        client?.isClosedThere = true
        disconnect()
    }

    /// Ends, subtasks and who sleeps are kept for the next client.
    private func disconnect() {
        client = nil
        kept.removeAll { $0.about == .other }
        for index in kept.indices { kept[index].sequence = 0 }
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
        if client.isClosedHere { disconnect() }
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
        for attempt in attempts where !Defect.has("sleepers-untold") {
            guard let sleep = attempt.sleep else { continue }
            if kept.contains(where: { $0.about == .wait(attempt.key) }) { continue }
            kept.append(Kept(sequence: 0, line: sleep.line, about: .wait(attempt.key)))
        }
        if Defect.has("end-first") { kept = kept.filter(\.isEnd) + kept.filter { !$0.isEnd } }
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
                case .ack(let number): acknowledge(number)
                case .child(let ref, let attempt, let file, let text):
                    if let index = place(of: Key(ref: ref, attempt: attempt)) {
                        attempts[index].files[file] = text
                    }
                case .wake(let ref, let attempt, let reason):
                    wake(Key(ref: ref, attempt: attempt), isRefused: reason != nil)
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
        if place(of: key) != nil || kept.contains(where: { $0.about == .end(key) }) { return }
        truth.handedOver(key, others: attempts.map(\.key))
        let words = job.fields.split(separator: UInt8(ascii: " ")).compactMap { word in
            let text = String(decoding: word, as: UTF8.self)
            return text.hasPrefix("arg=") ? String(text.dropFirst(4)) : nil
        }
        attempts.append(
            Attempt(
                key: key, name: job.name, kind: words.first ?? "ok",
                count: words.count > 1 ? Int(words[1]) ?? 0 : 0,
                span: words.count > 2 ? (Int64(words[2]) ?? 0) * 1000 : 0,
                family: FamilyRecipe(words.dropFirst(3)),
                most: words.count == 4 ? Int(words[3]) : nil))
    }

    private func place(of key: Key) -> Int? { attempts.firstIndex { $0.key == key } }

    private func acknowledge(_ number: Int) {
        for event in kept where event.sequence <= number && event.sequence > 0 {
            switch event.about {
            case .end(let key): truth.acknowledged(key)
            case .submit(let key, let name): truth.acknowledged(name, of: key)
            case .wait, .other: break
            }
        }
        kept.removeAll { $0.sequence <= number && $0.sequence > 0 }
    }

    private func kill(_ key: Key) {
        guard let index = place(of: key) else { return }
        attempts[index].isKilled = true
        attempts[index].ends = Clock.boot()
    }

    private func wake(_ key: Key, isRefused: Bool) {
        guard let index = place(of: key), attempts[index].sleep?.isWoken == false else { return }
        attempts[index].sleep?.isWoken = true
        attempts[index].sleep?.isRefused = isRefused
        kept.removeAll { $0.about == .wait(key) }
    }

    // MARK: Tasks

    private var freeSlots: Int { slots - attempts.count { $0.ends != nil && $0.sleep == nil } }

    /// It was not begun, or goes on after it has slept.
    private func wantsSlot(_ attempt: Attempt) -> Bool {
        attempt.ends == nil && attempt.sleep?.isWoken ?? true
    }

    private func runTasks(_ outgoing: inout [UInt8]) -> Bool {
        var hasActed = false
        for key in attempts.filter({ $0.ends.map { $0 <= Clock.boot() } ?? false }).map(\.key) {
            step(key, &outgoing)
            hasActed = true
        }
        // What goes on comes before what begins.
        for index in attempts.indices where attempts[index].sleep != nil && freeSlots > 0 {
            guard wantsSlot(attempts[index]) else { continue }
            goOn(index)
            hasActed = true
        }
        for index in attempts.indices where wantsSlot(attempts[index]) && freeSlots > 0 {
            start(index, &outgoing)
            if isDead { return true }
            hasActed = true
        }
        return hasActed
    }

    private func start(_ index: Int, _ outgoing: inout [UInt8]) {
        let attempt = attempts[index]
        attempts[index].ends = Clock.boot() + attempt.span
        truth.started(attempt.key, mostItems: attempt.most)
        if attempt.kind == "poison", truth.starts(of: attempt.key.ref) <= attempt.count {
            return die()
        }
        tell(attempt, .start, [], .other, &outgoing)
    }

    /// It drops its next subtask, falls asleep, or ends.
    private func step(_ key: Key, _ outgoing: inout [UInt8]) {
        guard let index = place(of: key) else { return }
        let attempt = attempts[index]
        if !attempt.isKilled, attempt.dropped.count < attempt.family.breadth {
            drop(index, &outgoing)
        } else if !attempt.isKilled, attempt.family.sleeps, !attempt.hasSlept {
            fallAsleep(index, &outgoing)
        } else {
            attempts.remove(at: index)
            kept.removeAll { $0.about == .wait(key) }
            end(attempt, &outgoing)
        }
    }

    private func drop(_ index: Int, _ outgoing: inout [UInt8]) {
        let attempt = attempts[index]
        let number = attempt.dropped.count
        let name = "c\(number).task"
        let text = attempt.family.child(number, attempt: attempt.key.attempt)
        attempts[index].dropped.append(name)
        attempts[index].ends = Clock.boot() + attempt.span / 2
        truth.dropped(name, of: attempt.key)
        tell(
            attempt, .note, [.init("what", "submit"), .init("name", name), .init("unit", text)],
            .submit(attempt.key, name: name), &outgoing)
    }

    private func fallAsleep(_ index: Int, _ outgoing: inout [UInt8]) {
        let attempt = attempts[index]
        let isForOne = attempt.family.sleepsForOne
        let names = isForOne ? Array(attempt.dropped.prefix(1)) : attempt.dropped
        let fields = isForOne ? [EventLine.Field("for", names.joined(separator: ","))] : []
        attempts[index].hasSlept = true
        attempts[index].ends = nil
        let line = tell(attempt, .wait, fields, .wait(attempt.key), &outgoing)
        attempts[index].sleep = Sleep(line: line, names: names)
    }

    private func goOn(_ index: Int) {
        let attempt = attempts[index]
        if let sleep = attempt.sleep, !sleep.isRefused, !truth.isTainted {
            for name in sleep.names
            where attempt.files[name + ".end"] == nil && attempt.files[name + ".reason"] == nil {
                truth.fail("P5", "\(attempt.key.ref) is woken, and of \(name) it knows no end")
            }
        }
        attempts[index].sleep = nil
        attempts[index].ends = Clock.boot() + attempt.span
    }

    private func end(_ attempt: Attempt, _ outgoing: inout [UInt8]) {
        if attempt.kind == "unheard", !attempt.isKilled,
            truth.starts(of: attempt.key.ref) <= attempt.count
        {  // its jail was killed
            truth.ended(attempt.key, "lost")
            tell(attempt, .lost, [.init("what", "its jail")], .end(attempt.key), &outgoing)
            return
        }
        var fields: [EventLine.Field]
        if attempt.isKilled {
            fields = [.init("state", "cancelled")]
        } else {
            switch attempt.kind {
            case "fail" where attempt.key.attempt <= attempt.count:
                fields = Self.failure("exit", exit: 1)
            case "heal" where truth.starts(of: attempt.key.ref) <= attempt.count:
                fields = Self.failure("exit", exit: 1)
            // One item in so many fails, whatever is tried.
            case "third" where (attempt.key.ref.item ?? 0) % max(1, attempt.count) == 1:
                fields = Self.failure("exit", exit: 1)
            case "exit": fields = Self.failure("exit", exit: attempt.count)
            case "check": fields = Self.failure("check", exit: 1)
            case "timeout": fields = Self.failure("timeout", exit: nil)
            case "missing": fields = Self.failure("missing", exit: 127)
            default: fields = [.init("state", "success"), .init("exit", "0")]
            }
        }
        truth.ended(attempt.key, fields[0].value)
        tell(attempt, .end, fields, .end(attempt.key), &outgoing)
    }

    private static func failure(_ reason: String, exit: Int?) -> [EventLine.Field] {
        [.init("state", "failure"), .init("reason", reason)]
            + (exit.map { [.init("exit", String($0))] } ?? [])
    }

    @discardableResult
    private func tell(
        _ attempt: Attempt, _ verb: EventLine.Verb, _ fields: [EventLine.Field],
        _ about: Kept.About, _ outgoing: inout [UInt8]
    ) -> [UInt8] {
        let own: [EventLine.Field] = [.init("a", String(attempt.key.attempt))]
        // Of a drop `name=` is the drop's.
        let name: [EventLine.Field] = verb == .note ? [] : [.init("name", attempt.name)]
        let line = EventLine(
            Clock.real(), verb, attempt.key.ref.description, own + fields + name
        ).bytes
        if client != nil { sequence += 1 }
        kept.append(Kept(sequence: client == nil ? 0 : sequence, line: line, about: about))
        if client != nil { PoolMessage.event(sequence, line: line[...]).append(to: &outgoing) }
        return line
    }
}
