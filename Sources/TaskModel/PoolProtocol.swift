// SPDX-License-Identifier: Apache-2.0

/// One message between taskd and the pool `taskrun --pool`: a line, and for a job its files.
///
/// Travels over a Unix SEQPACKET socket, many in a packet, each ended by a line feed; a packet has
/// at most 64 KiB. One grammar for both directions; see taskrun(1), "The pool".
///
///     to the pool                          back
///     hello VERSION SPOOL                  hello VERSION
///     log SEGMENT          (descriptor)    running ID a=N
///     run SEQ ID a=N NAME key=value ...    event SEQ LINE
///     kill ID a=N grace=MICROSECONDS       slots TOTAL
///     ack SEQ
///     child ID a=N FILE TEXT
///     result ID a=N FILE BYTES
///     drain
///     sealed BYTES         (descriptor)
public enum PoolMessage: Equatable, Sendable {
    /// The first message of either side. The pool's has no spool.
    case hello(version: Int, spool: String?)
    /// The log segment to append to from now on; the descriptor comes with the packet.
    case log(segment: String)
    case run(PoolJob)
    /// Ends an attempt: its KillSignal, after `grace` microseconds SIGKILL. An unknown one is no error.
    case kill(TaskRef, attempt: Int, grace: Int64)
    /// All events up to this number are durable: their ends need not be kept any more.
    case ack(Int)
    /// What became of a subtask: a file (`NAME.end`, `NAME.reason`) for the attempt that dropped it,
    /// which replaces one of that name. An unknown attempt is no error; the same one may come again.
    case child(TaskRef, attempt: Int, file: String, text: String)
    /// The same of what a subtask left (`NAME.result`).
    case result(TaskRef, attempt: Int, file: String, bytes: [UInt8])
    /// What the attempt sleeps for has ended, and a slot is its own again: it goes on. Or it can't sleep
    /// for that, for a reason. One that does not sleep is no error.
    case wake(TaskRef, attempt: Int, reason: String?)
    /// No further jobs: the pool ends when all is done and acknowledged.
    case drain
    /// A message longer than a packet: its bytes are in a sealed memfd that comes with the packet.
    case sealed(bytes: Int)
    /// The pool has this attempt: it runs or waits for a slot.
    case running(TaskRef, attempt: Int)
    /// An event line, numbered from 1 a connection.
    case event(Int, line: ArraySlice<UInt8>)
    /// How many attempts may run at once. Ends the table that a new connection gets.
    case slots(Int)

    /// The version of this grammar.
    public static let version = 1
    /// The largest packet in bytes.
    public static let largestPacket = 64 * 1024
    /// The largest sealed message in bytes.
    public static let largestSealed = 16 << 20
    /// The longest name of a `child`'s file: a drop's 128 bytes and `.reason` or `.result`.
    public static let longestChildFile = 128 + 7
    /// Files that one job carries at most.
    public static let mostBlobs = 1024
}

/// A job: one attempt of one task, with all that it needs.
public struct PoolJob: Equatable, Sendable {
    /// The sender's own count, for its messages.
    public var sequence: Int
    public var ref: TaskRef
    /// From 1.
    public var attempt: Int
    /// TASK_NAME.
    public var name: String
    /// TASK_ITEM, where it is not the item's number: `item=` before the other fields.
    public var item: String?
    /// The task's fields encoded as on the plan's task line, without the blank before them.
    public var fields: ArraySlice<UInt8>
    /// The files that its `file=` fields name.
    public var blobs: [Blob]
    /// What those left that it depends on, by their names: its `$TASK_INPUTS`.
    public var inputs: [Blob] = []

    /// TASK_ITEM; nil where it is no item.
    public var itemText: String? { item ?? ref.item.map { String($0) } }

    /// A carried file.
    public struct Blob: Equatable, Sendable {
        public var name: String
        /// 64 hexadecimal digits.
        public var sha256: String
        public var bytes: ArraySlice<UInt8>
        public init(name: String, sha256: String, bytes: ArraySlice<UInt8>) {
            self.name = name
            self.sha256 = sha256
            self.bytes = bytes
        }
    }

    public init(
        sequence: Int, ref: TaskRef, attempt: Int, name: String, item: String? = nil,
        fields: ArraySlice<UInt8> = [], blobs: [Blob] = []
    ) {
        self.sequence = sequence
        self.ref = ref
        self.attempt = attempt
        self.name = name
        self.item = item
        self.fields = fields
        self.blobs = blobs
    }
}

// MARK: - Format

extension PoolMessage {
    /// Appends the message with its line feed.
    public func append(to bytes: inout [UInt8]) {
        switch self {
        case .hello(let version, let spool):
            bytes.append(contentsOf: "hello ".utf8)
            Decimal.append(version, to: &bytes)
            if let spool { Self.appendWord(spool, to: &bytes) }
        case .log(let segment):
            bytes.append(contentsOf: "log".utf8)
            Self.appendWord(segment, to: &bytes)
        case .run(let job):
            return job.append(to: &bytes)
        case .kill(let ref, let attempt, let grace):
            Self.appendAttempt("kill ", ref, attempt, to: &bytes)
            bytes.append(contentsOf: " grace=".utf8)
            Decimal.append(grace, to: &bytes)
        case .ack(let sequence):
            bytes.append(contentsOf: "ack ".utf8)
            Decimal.append(sequence, to: &bytes)
        case .child(let ref, let attempt, let file, let text):
            Self.appendAttempt("child ", ref, attempt, to: &bytes)
            Self.appendWord(file, to: &bytes)
            Self.appendWord(text, to: &bytes)
        case .result(let ref, let attempt, let file, let content):
            Self.appendAttempt("result ", ref, attempt, to: &bytes)
            Self.appendWord(file, to: &bytes)
            bytes.append(UInt8(ascii: " "))
            PercentCoding.append(content, to: &bytes)
        case .wake(let ref, let attempt, let reason):
            Self.appendAttempt("wake ", ref, attempt, to: &bytes)
            if let reason { Self.appendWord(reason, to: &bytes) }
        case .drain:
            bytes.append(contentsOf: "drain".utf8)
        case .sealed(let count):
            bytes.append(contentsOf: "sealed ".utf8)
            Decimal.append(count, to: &bytes)
        case .running(let ref, let attempt):
            Self.appendAttempt("running ", ref, attempt, to: &bytes)
        case .event(let sequence, let line):
            bytes.append(contentsOf: "event ".utf8)
            Decimal.append(sequence, to: &bytes)
            bytes.append(UInt8(ascii: " "))
            bytes.append(contentsOf: line)
        case .slots(let count):
            bytes.append(contentsOf: "slots ".utf8)
            Decimal.append(count, to: &bytes)
        }
        bytes.append(UInt8(ascii: "\n"))
    }

    /// The message's bytes, with its line feed.
    public var bytes: [UInt8] {
        var bytes: [UInt8] = []
        append(to: &bytes)
        return bytes
    }

    private static func appendAttempt(
        _ verb: StaticString, _ ref: TaskRef, _ attempt: Int, to bytes: inout [UInt8]
    ) {
        verb.withUTF8Buffer { bytes.append(contentsOf: $0) }
        ref.append(to: &bytes)
        bytes.append(contentsOf: " a=".utf8)
        Decimal.append(attempt, to: &bytes)
    }

    static func appendWord(_ word: String, to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: " "))
        PercentCoding.append(word.utf8, to: &bytes)
    }
}

extension PoolJob {
    func append(to bytes: inout [UInt8]) {
        bytes.append(contentsOf: "run ".utf8)
        Decimal.append(sequence, to: &bytes)
        bytes.append(UInt8(ascii: " "))
        ref.append(to: &bytes)
        bytes.append(contentsOf: " a=".utf8)
        Decimal.append(attempt, to: &bytes)
        PoolMessage.appendWord(name, to: &bytes)
        if let item {
            bytes.append(contentsOf: " item=".utf8)
            PercentCoding.append(item.utf8, to: &bytes)
        }
        if !fields.isEmpty {
            bytes.append(UInt8(ascii: " "))
            bytes.append(contentsOf: fields)
        }
        if blobs.count + inputs.count > 0 {
            bytes.append(contentsOf: " blobs=".utf8)
            Decimal.append(blobs.count + inputs.count, to: &bytes)
        }
        bytes.append(UInt8(ascii: "\n"))
        for blob in blobs { blob.append("file", to: &bytes) }
        for blob in inputs { blob.append("input", to: &bytes) }
    }
}

extension PoolJob.Blob {
    func append(_ kind: StaticString, to bytes: inout [UInt8]) {
        bytes.append(contentsOf: "blob ".utf8)
        kind.withUTF8Buffer { bytes.append(contentsOf: $0) }
        PoolMessage.appendWord(name, to: &bytes)
        PoolMessage.appendWord(sha256, to: &bytes)
        bytes.append(UInt8(ascii: " "))
        Decimal.append(self.bytes.count, to: &bytes)
        bytes.append(UInt8(ascii: "\n"))
        bytes.append(contentsOf: self.bytes)
        bytes.append(UInt8(ascii: "\n"))
    }
}
