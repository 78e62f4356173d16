// SPDX-License-Identifier: Apache-2.0
public import TaskModel

/// What start-up need not read from the journal again: the file `checkpoint` of a spool.
///
///     taskcheckpoint 1 EPOCH
///     pos SEGMENT SEQ
///     cautious US
///     stop
///     run ID g=G name=NAME digest=DIGEST held=yes cancel=yes gen=N parent=ID.K depth=N
///     att ID.K a=N failures=N losses=N open=yes cancel=yes due=US wait=WORD state=WORD reason=WORD
///     child ID.K CHILD name=NAME a=N depth=N drop=SHA256 g=G state=WORD reason=WORD …
///     result ID.K SEGMENT:OFFSET+LENGTH SHA256
///     bits ID.K FIRST STRETCHES failed=I reason=WORD
///     att ID.K.I …                                  of items that have begun and not ended
///     cron UNIT slots=FROM-THROUGH,… boot=BOOT
///     key ID PREFIX
///     remain KEY UNTIL ID.K SEGMENT:OFFSET+LENGTH SHA256
///     digest SHA256
///
/// Every live run has a line: one whose file is gone was removed. A bad checkpoint is ignored: the
/// whole journal is replayed.
public struct Checkpoint: Equatable, Sendable {
    public var epoch: Int
    /// The segment's stem and the number of the last record that is accounted for.
    public var segment: String
    public var sequence: UInt64
    public var runs: [TaskID: RunPast]
    /// Starts are durable before they run, until then (microseconds since 1970); 0: they need not.
    public var cautiousUntil: Int64 = 0
    /// What is accounted for of units that run by themselves.
    public var firings: [String: FiringPast] = [:]
    /// Runs of keys, and the first 64 bits of their plans' digests.
    public var keys: [TaskID: UInt64] = [:]
    /// Successes that count again.
    public var remaining: [String: Remaining] = [:]
    /// It was written when taskd ended: where no record follows, nothing was lost since.
    public var isStop = false

    public init(epoch: Int, segment: String, sequence: UInt64, runs: [TaskID: RunPast]) {
        self.epoch = epoch
        self.segment = segment
        self.sequence = sequence
        self.runs = runs
    }

    /// The longest checkpoint that is read, in bytes.
    public static let longest = 64 << 20

    public func encode() -> [UInt8] { encode(runs.keys) { runs[$0] ?? RunPast() } }

    /// The same of runs that are asked for one after another: a table of the pasts of many would be larger
    /// than the checkpoint.
    public func encode(
        _ ids: some Sequence<TaskID>, _ past: (TaskID) -> RunPast
    ) -> [UInt8] {
        var bytes = Array("taskcheckpoint 1 \(epoch)\npos \(segment) \(sequence)\n".utf8)
        if cautiousUntil > 0 { bytes.append(contentsOf: "cautious \(cautiousUntil)\n".utf8) }
        if isStop { bytes.append(contentsOf: "stop\n".utf8) }
        for id in ids.sorted() { Self.append(id, past(id), to: &bytes) }
        for (unit, past) in firings.sorted(by: { $0.key < $1.key }) {
            past.append(unit, to: &bytes)
        }
        for (id, prefix) in keys.sorted(by: { $0.key < $1.key }) {
            bytes.append(contentsOf: "key \(id) \(String(prefix, radix: 16))\n".utf8)
        }
        for (key, success) in remaining.sorted(by: { $0.key < $1.key }) {
            success.append(key, to: &bytes)
        }
        DigestLine.append(to: &bytes)
        return bytes
    }

    private static func append(_ id: TaskID, _ past: RunPast, to bytes: inout [UInt8]) {
        bytes.append(contentsOf: "run \(id) g=\(past.generation)".utf8)
        if let accept = past.accept {
            let fields = [("name", accept.name), ("unit", accept.unit), ("digest", accept.digest)]
            for (key, value) in fields {
                guard let value else { continue }
                bytes.append(contentsOf: " \(key)=\(PercentCoding.encode(value))".utf8)
            }
        }
        if past.isHeld { bytes.append(contentsOf: " held=yes".utf8) }
        if past.isCancelled { bytes.append(contentsOf: " cancel=yes".utf8) }
        if past.gen > 0 { bytes.append(contentsOf: " gen=\(past.gen)".utf8) }
        if let kin = past.kin {
            bytes.append(contentsOf: " parent=\(kin.parent) depth=\(kin.depth)".utf8)
        }
        bytes.append(UInt8(ascii: "\n"))
        for (task, attempts) in past.tasks.sorted(by: { $0.key < $1.key }) {
            attempts.append(TaskRef(run: id, task: task), to: &bytes)
        }
        for (task, items) in past.items.sorted(by: { $0.key < $1.key }) {
            items.append(TaskRef(run: id, task: task), to: &bytes)
        }
        for (task, left) in past.left.sorted(by: { $0.key < $1.key }) {
            let line = "result \(id).\(task) \(left.place) \(left.digest)\n"
            bytes.append(contentsOf: line.utf8)
        }
        for (task, children) in past.children.sorted(by: { $0.key < $1.key }) {
            for child in children.values.sorted(by: { $0.id < $1.id }) {
                child.append(TaskRef(run: id, task: task), to: &bytes)
            }
        }
    }

    /// Parses a checkpoint; nil when it is not whole.
    public init?(parsing bytes: [UInt8]) {
        guard let body = DigestLine.body(of: bytes) else { return nil }
        self.init(epoch: 0, segment: "", sequence: 0, runs: [:])
        var isFirst = true
        for line in body.split(separator: UInt8(ascii: "\n")) {
            let words = line.split(separator: UInt8(ascii: " ")).map {
                String(decoding: $0, as: UTF8.self)
            }
            guard let verb = words.first else { return nil }
            if isFirst {
                guard verb == "taskcheckpoint", words.count == 3, words[1] == "1",
                    let epoch = Int(words[2])
                else { return nil }
                self.epoch = epoch
                isFirst = false
                continue
            }
            guard take(verb, Array(words.dropFirst())) else { return nil }
        }
        if isFirst || segment.isEmpty { return nil }
    }

    private mutating func take(_ verb: String, _ words: [String]) -> Bool {
        // What is said of a task stands behind the line of its run.
        if ["att", "bits", "child", "result"].contains(verb),
            let ref = words.first.flatMap({ TaskRef($0) })
        {
            guard let run = runs[ref.run] else { return false }
            if ref.item != nil, run.items[ref.task ?? 0] == nil { return false }
        }
        switch verb {
        case "pos":
            guard words.count == 2, let sequence = UInt64(words[1]) else { return false }
            segment = words[0]
            self.sequence = sequence
        case "cautious":
            guard words.count == 1, let until = Int64(words[0]), until > 0 else { return false }
            cautiousUntil = until
        case "stop":
            guard words.isEmpty else { return false }
            isStop = true
        case "run":
            guard let id = words.first.flatMap({ TaskID($0) }) else { return false }
            let fields = Self.fields(words.dropFirst())
            var past = RunPast()
            past.generation = Self.count(fields["g"])
            past.isHeld = fields["held"] == "yes"
            past.isCancelled = fields["cancel"] == "yes"
            past.gen = Self.count(fields["gen"])
            past.kin = fields["parent"].flatMap { TaskRef($0) }.map {
                Kin(parent: $0, depth: Self.count(fields["depth"]))
            }
            past.accept = .init(
                name: fields["name"] ?? "", unit: fields["unit"], digest: fields["digest"])
            runs[id] = past
        case "cron":
            guard let unit = words.first.flatMap({ PercentCoding.decodeText(Array($0.utf8)[...]) }),
                let past = FiringPast(Self.fields(words.dropFirst()))
            else { return false }
            firings[unit] = past
        case "remain":
            guard words.count > 1, let success = Remaining(words.dropFirst()) else { return false }
            remaining[words[0]] = success
        case "key":
            guard words.count == 2, let id = TaskID(words[0]),
                let prefix = UInt64(words[1], radix: 16)
            else { return false }
            keys[id] = prefix
        case "att":
            guard let ref = words.first.flatMap({ TaskRef($0) }), let task = ref.task else {
                return false
            }
            let past = RunPast.TaskPast(Self.fields(words.dropFirst()))
            if let item = ref.item {
                runs[ref.run, default: RunPast()].items[task, default: RunPast.ItemsPast()]
                    .begun[item] = past
            } else {
                runs[ref.run, default: RunPast()].tasks[task] = past
            }
        case "child":
            guard let ref = words.first.flatMap({ TaskRef($0) }), let task = ref.task,
                words.count > 1,
                let id = TaskID(words[1])
            else { return false }
            runs[ref.run, default: RunPast()].children[task, default: [:]][id] =
                Subtask(id, Self.fields(words.dropFirst(2)))
        case "result":
            guard let ref = words.first.flatMap({ TaskRef($0) }), let task = ref.task,
                words.count == 3
            else { return false }
            runs[ref.run]?.left[task] = ResultPlace(place: words[1], digest: words[2])
        case "bits":
            guard let ref = words.first.flatMap({ TaskRef($0) }), let task = ref.task,
                runs[ref.run] != nil, let items = RunPast.ItemsPast(words)
            else { return false }
            runs[ref.run, default: RunPast()].items[task] = items
        default: return false
        }
        return true
    }

    /// A number that is counted on from; one that nobody writes is 0.
    static func count(_ text: String?) -> Int {
        text.flatMap { Int($0) }.flatMap { (0...1 << 53).contains($0) ? $0 : nil } ?? 0
    }

    private static func fields(_ words: ArraySlice<String>) -> [String: String] {
        var fields: [String: String] = [:]
        for word in words {
            let pair = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if pair.count == 2 {
                fields[String(pair[0])] = PercentCoding.decodeText(Array(pair[1].utf8)[...])
            }
        }
        return fields
    }
}

extension RunPast.ItemsPast {
    func append(_ ref: TaskRef, to bytes: inout [UInt8]) {
        bytes.append(contentsOf: "bits \(ref)".utf8)
        states.append(to: &bytes)
        if let failed { bytes.append(contentsOf: " failed=\(failed)".utf8) }
        if let reason { bytes.append(contentsOf: " reason=\(reason.rawValue)".utf8) }
        bytes.append(UInt8(ascii: "\n"))
        for (item, past) in begun.sorted(by: { $0.key < $1.key }) {
            past.append(TaskRef(run: ref.run, task: ref.task, item: item), to: &bytes)
        }
    }

    /// From the words of its line, the verb left out.
    init?(_ words: [String]) {
        self.init()
        guard words.count >= 3,
            let states = ItemStates(first: words[1].utf8, stretches: words[2].utf8)
        else { return nil }
        self.states = states
        for word in words[3...] {
            if word.hasPrefix("failed=") { failed = Int(word.dropFirst(7)) }
            if word.hasPrefix("reason=") {
                reason = FailureReason(rawValue: "\(word.dropFirst(7))")
            }
        }
    }
}

extension RunPast.TaskPast {
    func append(_ ref: TaskRef, to bytes: inout [UInt8]) {
        var line = "att \(ref) a=\(attempt)"
        if failures > 0 { line += " failures=\(failures)" }
        if losses > 0 { line += " losses=\(losses)" }
        if isOpen { line += " open=yes" }
        if isCancelled { line += " cancel=yes" }
        if let due { line += " due=\(due)" }
        if let closing { line += " wait=\(closing.word)" }
        if let final { line += " state=\(final.word)" }
        if let reason { line += " reason=\(reason.rawValue)" }
        bytes.append(contentsOf: "\(line)\n".utf8)
    }

    init(_ fields: [String: String]) {
        self.init()
        attempt = Checkpoint.count(fields["a"])
        failures = Checkpoint.count(fields["failures"])
        losses = Checkpoint.count(fields["losses"])
        isOpen = fields["open"] == "yes"
        isCancelled = fields["cancel"] == "yes"
        due = fields["due"].flatMap { Int64($0) }
        closing = fields["wait"].flatMap { TaskState(word: $0) }
        final = fields["state"].flatMap { TaskState(word: $0) }
        reason = fields["reason"].flatMap { FailureReason(rawValue: $0) }
    }
}
