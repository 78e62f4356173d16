// SPDX-License-Identifier: Apache-2.0

/// A run as data: tasks, edges, item ranges, and the bytes that travel with them. See task.plan(5).
///
/// Immutable once written; equal units give equal bytes. Every edge leads to a higher number, so a
/// plan cannot hold a cycle, and a reader in file order meets each task after what it waits for.
public struct Plan: Equatable, Sendable {
    /// In the order of their numbers. A reduced plan (what failed, and what hung on it) keeps the
    /// numbers of the plan that it comes from, so there may be gaps.
    public var tasks: [PlanTask]
    public var edges: [PlanEdge]
    public var items: [PlanItems]
    public var blobs: [PlanBlob]

    public init(
        tasks: [PlanTask] = [], edges: [PlanEdge] = [], items: [PlanItems] = [],
        blobs: [PlanBlob] = []
    ) {
        self.tasks = tasks
        self.edges = edges
        self.items = items
        self.blobs = blobs
    }

    /// The carried file, or the item list, that has this digest.
    public func blob(_ kind: PlanBlob.Kind, digest: some StringProtocol) -> PlanBlob? {
        blobs.first { $0.kind == kind && $0.digest == digest }
    }

    /// The list of a task's items, one a line: those of its range. Nil: the item's number is it.
    public func itemList(of task: Int) -> PlanBlob? {
        blobs.first { $0.kind == .items && $0.name == "\(task)" }
    }

    /// The blobs that a task's `file=` keys name, each once.
    public func files(of task: PlanTask) -> [PlanBlob] {
        var seen: Set<String> = []
        return task.spec[.file].compactMap { value in
            let digest = String(value.suffix(64))
            return seen.insert(digest).inserted ? blob(.file, digest: digest) : nil
        }
    }
}

/// One task of a plan.
public struct PlanTask: Equatable, Sendable {
    /// K in `RUN.K`.
    public var number: Int
    public var spec: TaskSpec

    public init(number: Int, spec: TaskSpec) {
        self.number = number
        self.spec = spec
    }
}

/// An order between two tasks of a plan.
public struct PlanEdge: Hashable, Sendable {
    /// When an edge lets its target go on.
    public enum Kind: UInt8, CaseIterable, Sendable {
        /// After success; a failure fails the target (reason `dependency`).
        case ok
        /// After the end, whatever it was.
        case end
        /// After a failure; otherwise the target is skipped.
        case fail

        public var word: String {
            switch self {
            case .ok: "ok"
            case .end: "end"
            case .fail: "fail"
            }
        }
    }

    private let source: UInt32
    private let target: UInt32
    public let kind: Kind

    public var from: Int { Int(source) }
    public var to: Int { Int(target) }

    public init(from: Int, to: Int, kind: Kind) {
        source = UInt32(from)
        target = UInt32(to)
        self.kind = kind
    }
}

/// The items of a task: COUNT of them, numbered from FIRST.
public struct PlanItems: Equatable, Sendable {
    public var task: Int
    public var count: Int
    public var first: Int
    /// They failed before and do not run this time: a later retry may run them.
    public var isRest: Bool

    public init(task: Int, count: Int, first: Int, isRest: Bool = false) {
        self.task = task
        self.count = count
        self.first = first
        self.isRest = isRest
    }
}

/// Bytes that travel in a plan.
public struct PlanBlob: Equatable, Sendable {
    /// What the bytes are.
    public enum Kind: String, CaseIterable, Sendable {
        /// A unit's text, for readers; never parsed again.
        case unit
        /// A drop-in's text, for readers.
        case dropin
        /// A file that `file=PATH:MODE:SHA256` names by its digest.
        case file
        /// The items of task NAME, one a line.
        case items
    }

    public let kind: Kind
    public let name: String
    public let bytes: [UInt8]
    /// SHA-256 of the bytes, 64 hexadecimal digits.
    public let digest: String

    public init(kind: Kind, name: String, bytes: [UInt8]) {
        self.kind = kind
        self.name = name
        self.bytes = bytes
        digest = SHA256.hex(bytes)
    }
}

extension Plan {
    /// The format's version, in the first line.
    public static let version = 1

    /// The plan's bytes: what the file holds.
    public func encode() -> [UInt8] {
        var bytes = Array("taskplan \(Self.version)\n".utf8)
        for task in tasks { task.append(to: &bytes) }
        for edge in edges { edge.append(to: &bytes) }
        for range in items {
            range.append(to: &bytes)
        }
        for blob in blobs { blob.append(to: &bytes) }
        DigestLine.append(to: &bytes)
        return bytes
    }

    /// The task that was asked for: the last one that the run needs. What is wanted, or hangs on it
    /// (OnFailure=), is optional. nil of an empty plan.
    public var root: PlanTask? { tasks.last { !$0.spec.flag(.optional) } ?? tasks.last }

    /// TASK_NAME of what was asked for: where its [Then] is what the run needs last, the unit's.
    public var name: String? { root.map { $0.spec.thenOf ?? $0.spec.name } }

    /// `Key=` of what was asked for.
    public var key: String? {
        guard let root else { return nil }
        if let key = root.spec.text(.key) { return key }
        guard let unit = root.spec.thenOf else { return nil }
        return tasks.last { $0.spec.name == unit }?.spec.text(.key)
    }

    /// The digest in the last line of encoded bytes, 64 hexadecimal digits; nil where none is.
    public static func digest(ofEncoded bytes: [UInt8]) -> String? {
        DigestLine.said(in: bytes[...])
    }

    /// The plan's digest. Encodes the plan; where its bytes are at hand take `digest(ofEncoded:)`.
    public var digest: String { Self.digest(ofEncoded: encode()) ?? "" }
}

extension PlanTask {
    /// By what a success is known that counts again (`RemainAfterExit=`): the name and all that the unit
    /// says; nil where none does.
    public var remainKey: String? {
        guard spec.has(.remainAfterExit) else { return nil }
        var own = spec
        for directive in [Directive.input, .rest, .optional, .key] { own[directive] = [] }
        var bytes: [UInt8] = []
        PlanTask(number: 0, spec: own).append(to: &bytes)
        return SHA256.hex(bytes)
    }

    /// Appends `task K NAME key=value …` and a line end.
    public func append(to bytes: inout [UInt8]) {
        bytes.append(contentsOf: "task ".utf8)
        Decimal.append(number, to: &bytes)
        bytes.append(UInt8(ascii: " "))
        PercentCoding.append(spec.name.utf8, to: &bytes)
        spec.append(to: &bytes)
        bytes.append(0x0a)
    }
}

extension PlanEdge {
    /// Appends `edge FROM TO KIND` and a line end.
    public func append(to bytes: inout [UInt8]) {
        bytes.append(contentsOf: "edge ".utf8)
        Decimal.append(from, to: &bytes)
        bytes.append(UInt8(ascii: " "))
        Decimal.append(to, to: &bytes)
        bytes.append(UInt8(ascii: " "))
        bytes.append(contentsOf: kind.word.utf8)
        bytes.append(0x0a)
    }
}

extension PlanItems {
    /// Appends `items K COUNT FIRST`, or `rest K COUNT FIRST`, and a line end.
    public func append(to buffer: inout [UInt8]) {
        buffer.append(contentsOf: isRest ? "rest".utf8 : "items".utf8)
        for number in [task, count, first] {
            buffer.append(UInt8(ascii: " "))
            Decimal.append(number, to: &buffer)
        }
        buffer.append(0x0a)
    }
}

extension PlanBlob {
    /// Appends `blob KIND NAME SHA256 BYTES`, the raw bytes, and a line end.
    public func append(to buffer: inout [UInt8]) {
        buffer.append(contentsOf: "blob \(kind.rawValue) ".utf8)
        PercentCoding.append(name.utf8, to: &buffer)
        buffer.append(contentsOf: " \(digest) \(bytes.count)\n".utf8)
        buffer.append(contentsOf: bytes)
        buffer.append(0x0a)
    }
}
