// SPDX-License-Identifier: Apache-2.0

/// Why bytes are not a plan.
public struct PlanError: Error, Equatable, Sendable {
    /// The line, from 1; lines of blobs count too.
    public let line: Int
    public let what: String
    public let allowed: String

    /// `line N: what is wrong: what is allowed`.
    public var sentence: String { "line \(line): \(what): \(allowed)" }
}

/// What a plan may hold at most.
public enum PlanLimits {
    /// Tasks.
    public static let tasks = 1_000_000
    /// Edges.
    public static let edges = 10_000_000
    /// Items of all tasks together, from the lowest of each to its highest.
    public static let items = 10_000_000
    /// Bytes of an item's text.
    public static let item = 16 << 10
    /// Bytes of a task's line.
    public static let line = 1 << 20
    /// Bytes of all blobs together.
    public static let blobs = 64 << 20
    /// Bytes of a task's name; `systemd:` stands before some.
    public static let name = 160
}

extension Plan {
    /// Reads a plan's bytes and checks them: the digest first, then every line.
    public init(parsing bytes: [UInt8]) throws(PlanError) {
        var reader = PlanReader(bytes: bytes[...])
        try reader.verify()
        try reader.read()
        self = reader.plan
    }
}

extension PlanBlob {
    /// Takes one blob, its line and its bytes, from the front of a buffer.
    ///
    /// - Throws: where the line is none, the bytes are short, or the digest is another.
    public init(takingFrom buffer: inout ArraySlice<UInt8>) throws(PlanError) {
        var reader = PlanReader(bytes: buffer)
        guard let line = reader.nextLine(), let words = Optional(reader.words(line)),
            words.first?.elementsEqual("blob".utf8) == true
        else { throw reader.problem("no blob line", "blob KIND NAME SHA256 BYTES") }
        self = try reader.blob(words)
        buffer = reader.rest
    }
}

private struct PlanReader {
    var plan = Plan()
    var rest: ArraySlice<UInt8>
    private var number = 0
    private var blobBytes = 0
    private var itemCount = 0
    private var names: Set<String> = []

    init(bytes: ArraySlice<UInt8>) { rest = bytes }

    func problem(_ what: String, _ allowed: String) -> PlanError {
        PlanError(line: max(number, 1), what: what, allowed: allowed)
    }

    /// Checks the last line, and takes it off.
    mutating func verify() throws(PlanError) {
        guard rest.starts(with: "taskplan ".utf8) else {
            throw problem("not a plan", "the first line is taskplan \(Plan.version)")
        }
        guard let digest = DigestLine.said(in: rest) else {
            throw problem("the last line is no digest", "digest SHA256, the plan's end")
        }
        rest = rest.dropLast(DigestLine.length)
        guard SHA256.hex(rest) == digest else {
            throw problem("the digest is another", "head -n -1 PLAN | sha256sum gives it")
        }
    }

    mutating func read() throws(PlanError) {
        guard let first = nextLine(), first.elementsEqual("taskplan \(Plan.version)".utf8) else {
            throw problem("another version", "taskplan \(Plan.version)")
        }
        while let line = nextLine() {
            let words = words(line)
            switch String(decoding: words[0], as: UTF8.self) {
            case "task": try task(line)
            case "edge": try edge(words)
            case "items": try items(words, isRest: false)
            case "rest": try items(words, isRest: true)
            case "blob": plan.blobs.append(try blob(words))
            default: throw problem("unknown line", "task, edge, items, rest, blob or digest")
            }
        }
        guard rest.isEmpty else { throw problem("no line end", "every line ends in one") }
        guard !plan.tasks.isEmpty else { throw problem("no task", "at least one") }
        try checkItemLists()
    }

    mutating func nextLine() -> ArraySlice<UInt8>? {
        guard let end = rest.firstIndex(of: 0x0a) else { return nil }
        let line = rest[rest.startIndex..<end]
        rest = rest[(end + 1)...]
        number += 1
        return line
    }

    func words(_ line: ArraySlice<UInt8>) -> [ArraySlice<UInt8>] {
        line.split(separator: UInt8(ascii: " "), maxSplits: 8, omittingEmptySubsequences: false)
    }

    private mutating func task(_ line: ArraySlice<UInt8>) throws(PlanError) {
        guard line.count <= PlanLimits.line, plan.tasks.count < PlanLimits.tasks else {
            throw problem("too much", "\(PlanLimits.tasks) tasks, \(PlanLimits.line) bytes each")
        }
        let parts = line.split(separator: UInt8(ascii: " "), maxSplits: 3)
        guard parts.count >= 3, let number = Decimal.parse(parts[1]),
            number > plan.tasks.last?.number ?? -1, number <= Int(UInt32.max)
        else { throw problem("bad task line", "task K NAME key=value ..., K rising") }
        guard let name = PercentCoding.decodeText(parts[2]), name.utf8.count <= PlanLimits.name,
            !name.isEmpty, name.utf8.allSatisfy(\.isNameByte), names.insert(name).inserted
        else { throw problem("bad name", "letters, digits, @ . _ : -, once in a plan") }
        do throws(TaskSpecError) {
            let spec = try TaskSpec(name: name, parsing: parts.count > 3 ? parts[3] : [])
            plan.tasks.append(PlanTask(number: number, spec: spec))
        } catch {
            throw problem("\(error.key): \(error.problem.what)", error.problem.allowed)
        }
    }

    private func isTask(_ number: Int) -> Bool {
        if plan.tasks.indices.contains(number), plan.tasks[number].number == number { return true }
        var low = 0
        var high = plan.tasks.count
        while low < high {
            let middle = (low + high) / 2
            if plan.tasks[middle].number < number { low = middle + 1 } else { high = middle }
        }
        return low < plan.tasks.count && plan.tasks[low].number == number
    }

    private mutating func edge(_ words: [ArraySlice<UInt8>]) throws(PlanError) {
        guard plan.edges.count < PlanLimits.edges else {
            throw problem("too many edges", "\(PlanLimits.edges)")
        }
        guard words.count == 4, let from = Decimal.parse(words[1]),
            let to = Decimal.parse(words[2]), from < to, isTask(from), isTask(to),
            let kind = PlanEdge.Kind.allCases.first(where: {
                words[3].elementsEqual($0.word.utf8)
            })
        else { throw problem("bad edge", "edge FROM TO ok|end|fail, tasks with FROM < TO") }
        plan.edges.append(PlanEdge(from: from, to: to, kind: kind))
    }

    // Of a task several ranges, as a retry leaves them: rising, with gaps.
    private mutating func items(
        _ words: [ArraySlice<UInt8>], isRest: Bool
    ) throws(PlanError) {
        guard words.count == 4, let task = Decimal.parse(words[1]),
            let count = Decimal.parse(words[2]), let first = Decimal.parse(words[3]),
            isTask(task), count > 0, count <= PlanLimits.items, first <= PlanLimits.items - count
        else { throw problem("bad items", "items K COUNT FIRST, at most \(PlanLimits.items)") }
        let last = plan.items.last
        let before = last?.task == task ? last?.range.upperBound : nil
        guard task > last?.task ?? -1 || before.map({ first >= $0 }) ?? false else {
            throw problem("items out of order", "rising tasks, rising ranges of each")
        }
        itemCount += count + (before.map { first - $0 } ?? 0)
        guard itemCount <= PlanLimits.items else {
            throw problem("too many items", "\(PlanLimits.items)")
        }
        plan.items.append(PlanItems(task: task, count: count, first: first, isRest: isRest))
    }

    /// A list has a line for each item of its task, and no other list.
    private func checkItemLists() throws(PlanError) {
        var seen: Set<Int> = []
        for blob in plan.blobs where blob.kind == .items {
            guard let task = Decimal.parse(blob.name.utf8), seen.insert(task).inserted,
                let items = plan.listedItems(of: task), blob.hasLines(items.count)
            else {
                throw problem(
                    "the item list of task \(blob.name) is not that of its items",
                    "a line of at most \(PlanLimits.item) bytes for each")
            }
        }
    }

    mutating func blob(_ words: [ArraySlice<UInt8>]) throws(PlanError) -> PlanBlob {
        guard words.count == 5, let name = PercentCoding.decodeText(words[2]),
            let kind = PlanBlob.Kind(rawValue: String(decoding: words[1], as: UTF8.self)),
            let count = Decimal.parse(words[4])
        else {
            throw problem("bad blob", "blob unit|dropin|file|items NAME SHA256 BYTES")
        }
        guard count <= PlanLimits.blobs - blobBytes, count < rest.count else {
            throw problem("a blob is short, or too large", "\(PlanLimits.blobs) bytes together")
        }
        let raw = rest.prefix(count)
        rest = rest.dropFirst(count)
        guard rest.popFirst() == 0x0a else { throw problem("no line end", "one after the bytes") }
        let blob = PlanBlob(kind: kind, name: name, bytes: Array(raw))
        guard words[3].elementsEqual(blob.digest.utf8) else {
            throw problem("a blob's digest is another", "SHA-256 of its bytes")
        }
        blobBytes += count
        number += raw.reduce(1) { $1 == 0x0a ? $0 + 1 : $0 }
        return blob
    }
}

extension PlanBlob {
    /// Whether it is so many lines, none too long, each ended, without a zero byte.
    fileprivate func hasLines(_ count: Int) -> Bool {
        var lines = 0
        var length = 0
        for byte in bytes {
            if byte == 0x0a {
                lines += 1
                length = 0
                continue
            }
            length += 1
            if byte == 0 || length > PlanLimits.item { return false }
        }
        return lines == count && length == 0
    }
}
