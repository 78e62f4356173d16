// SPDX-License-Identifier: Apache-2.0

/// One event: `MICROSECONDS VERB ID key=value …`, one line of at most 16 KiB, percent-encoded.
///
/// The grammar of the journal, of pipes and of the socket between taskd and taskrun. Readers keep
/// verbs and keys that they do not know. See task.journal(5).
public struct EventLine: Equatable, Sendable {
    /// Microseconds since 1970.
    public var microseconds: Int64
    public var verb: Verb
    /// `RUN`, `RUN.K`, `RUN.K.I`, or `-` where there is none.
    public var id: String
    public var fields: [Field]

    /// One `key=value`; the value is raw here, encoded in the line.
    public struct Field: Equatable, Sendable {
        public var key: String
        public var value: String
        public init(_ key: String, _ value: String) {
            self.key = key
            self.value = value
        }
    }

    /// What happened. A closed list; an unknown word is kept as it is.
    public enum Verb: Hashable, Sendable {
        case accept, reject, arm, start, check, wait, resume, end, retry, skip, hold, release
        case cancel, adopt, lost, note
        case other(String)
    }

    /// The longest line, in bytes, without its line end.
    public static let longest = 16 * 1024

    public init(_ microseconds: Int64, _ verb: Verb, _ id: String, _ fields: [Field] = []) {
        self.microseconds = microseconds
        self.verb = verb
        self.id = id
        self.fields = fields
    }

    /// The first value of a key.
    public subscript(_ key: String) -> String? {
        fields.first { $0.key == key }?.value
    }

    /// The value of a key as a number.
    public func number(_ key: String) -> Int? { self[key].flatMap { Int($0) } }

    /// What the event is about; nil for `-` and foreign ids.
    public var ref: TaskRef? { TaskRef(id) }

    /// Sets or replaces a key.
    public mutating func set(_ key: String, _ value: String) {
        if let index = fields.firstIndex(where: { $0.key == key }) {
            fields[index].value = value
        } else {
            fields.append(Field(key, value))
        }
    }

    /// Appends the line, without a line end.
    public func append(to bytes: inout [UInt8]) {
        Decimal.append(microseconds, to: &bytes)
        bytes.append(UInt8(ascii: " "))
        bytes.append(contentsOf: verb.word.utf8)
        bytes.append(UInt8(ascii: " "))
        PercentCoding.append(id.utf8, to: &bytes)
        for field in fields {
            bytes.append(UInt8(ascii: " "))
            PercentCoding.append(field.key.utf8, to: &bytes)
            bytes.append(UInt8(ascii: "="))
            PercentCoding.append(field.value.utf8, to: &bytes)
        }
    }

    /// The line's bytes, without a line end.
    public var bytes: [UInt8] {
        var bytes: [UInt8] = []
        append(to: &bytes)
        return bytes
    }
}

/// Why bytes are not an event line.
public enum EventLineError: Error, Equatable, Sendable {
    case tooLong(Int)
    case noTime
    case noVerb
    case noID
    /// A field without `=`, or with a bad `%` escape; the field as it stands.
    case field(String)

    /// What is wrong, and what is allowed.
    public var sentence: String {
        switch self {
        case .tooLong(let count):
            "line of \(count) bytes: at most \(EventLine.longest) are allowed"
        case .noTime: "no time: a line begins with microseconds since 1970"
        case .noVerb: "no verb: a line is MICROSECONDS VERB ID key=value ..."
        case .noID: "no id: a line is MICROSECONDS VERB ID key=value ..."
        case .field(let text): "bad field \(text): a field is key=value, percent-encoded"
        }
    }
}

extension EventLine {
    /// Parses one line without its line end.
    public init(parsing line: ArraySlice<UInt8>) throws(EventLineError) {
        if line.count > Self.longest { throw .tooLong(line.count) }
        var parts = line.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: true)[...]
        guard let time = parts.popFirst().flatMap({ Decimal.parse($0) }) else { throw .noTime }
        guard let verb = parts.popFirst() else { throw .noVerb }
        guard let id = parts.popFirst().flatMap({ PercentCoding.decodeText($0) }) else {
            throw .noID
        }
        self.init(Int64(time), Verb(word: String(decoding: verb, as: UTF8.self)), id)
        fields.reserveCapacity(parts.count)
        for part in parts {
            guard let equals = part.firstIndex(of: UInt8(ascii: "=")), equals > part.startIndex,
                let key = PercentCoding.decodeText(part[..<equals]),
                let value = PercentCoding.decodeText(part[(equals + 1)...])
            else { throw .field(String(decoding: part.prefix(80), as: UTF8.self)) }
            fields.append(Field(key, value))
        }
    }
}

extension EventLine.Verb {
    private static let known: [EventLine.Verb] = [
        .accept, .reject, .arm, .start, .check, .wait, .resume, .end, .retry, .skip, .hold,
        .release, .cancel, .adopt, .lost, .note,
    ]
    private static let words: [String: EventLine.Verb] = Dictionary(
        uniqueKeysWithValues: known.map { ($0.word, $0) })

    public init(word: String) {
        self = Self.words[word] ?? .other(word)
    }

    public var word: String {
        switch self {
        case .accept: "accept"
        case .reject: "reject"
        case .arm: "arm"
        case .start: "start"
        case .check: "check"
        case .wait: "wait"
        case .resume: "resume"
        case .end: "end"
        case .retry: "retry"
        case .skip: "skip"
        case .hold: "hold"
        case .release: "release"
        case .cancel: "cancel"
        case .adopt: "adopt"
        case .lost: "lost"
        case .note: "note"
        case .other(let word): word
        }
    }
}
