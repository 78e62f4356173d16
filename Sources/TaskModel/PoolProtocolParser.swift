// SPDX-License-Identifier: Apache-2.0

/// Why bytes are not a message of the pool's protocol. The connection cannot go on after it.
public enum PoolProtocolError: Error, Equatable, Sendable {
    /// The packet ends within a line or a file.
    case unfinished
    /// A verb that this version does not know.
    case unknown(String)
    /// A known verb with missing or malformed words; the verb.
    case malformed(String)

    /// What is wrong, and what is allowed.
    public var sentence: String {
        switch self {
        case .unfinished: "a message ends within a line: each line ends with a line feed"
        case .unknown(let verb):
            "unknown message \(verb): this is version \(PoolMessage.version) of the protocol"
        case .malformed(let verb): "malformed message \(verb)"
        }
    }
}

extension PoolMessage {
    /// Takes the next message off a packet; nil at its end.
    ///
    /// The input may be hostile: it costs no more than its length.
    public static func next(
        from packet: inout ArraySlice<UInt8>
    ) throws(PoolProtocolError) -> PoolMessage? {
        if packet.isEmpty { return nil }
        var words = Words(try line(from: &packet))
        let verb = words.next()
        guard let known = verb.flatMap({ Verb(bytes: $0) }) else {
            let text = String(decoding: (verb ?? []).prefix(40), as: UTF8.self)
            throw .unknown(PercentCoding.encode(text))
        }
        guard let message = try parse(known, &words, &packet) else {
            throw .malformed(known.rawValue)
        }
        return message
    }

    private enum Verb: String {
        case run, event, ack, kill, running, slots, hello, log, child, result, wake, drain, sealed
        init?(bytes: ArraySlice<UInt8>) {
            if bytes.count > 8 { return nil }
            self.init(rawValue: String(decoding: bytes, as: UTF8.self))
        }
    }

    private static func parse(
        _ verb: Verb, _ words: inout Words, _ packet: inout ArraySlice<UInt8>
    ) throws(PoolProtocolError) -> PoolMessage? {
        switch verb {
        case .run:
            return try PoolJob.parse(&words, &packet).map { .run($0) }
        case .event:
            guard let sequence = words.number(), !words.rest.isEmpty else { return nil }
            return .event(sequence, line: words.rest)
        case .hello:
            guard let version = words.number() else { return nil }
            if words.rest.isEmpty { return .hello(version: version, spool: nil) }
            return words.text().flatMap { words.end(.hello(version: version, spool: $0)) }
        case .log: return words.text().flatMap { words.end(.log(segment: $0)) }
        case .kill:
            guard let (ref, attempt) = words.attempt(), let grace = words.number(after: "grace=")
            else { return nil }
            return words.end(.kill(ref, attempt: attempt, grace: Int64(grace)))
        case .running:
            return words.attempt().flatMap { words.end(.running($0.0, attempt: $0.1)) }
        case .child:
            guard let (ref, attempt) = words.attempt(), let file = words.fileName(),
                words.rest.count <= EventLine.longest, let text = words.text()
            else { return nil }
            return words.end(.child(ref, attempt: attempt, file: file, text: text))
        case .result:
            guard let (ref, attempt) = words.attempt(), let file = words.fileName(),
                words.rest.count <= 3 * ResultPlace.largest,
                let bytes = PercentCoding.decode(words.next() ?? [])
            else { return nil }
            return words.end(.result(ref, attempt: attempt, file: file, bytes: bytes))
        case .wake:
            guard let (ref, attempt) = words.attempt() else { return nil }
            if words.rest.isEmpty { return .wake(ref, attempt: attempt, reason: nil) }
            guard words.rest.count <= EventLine.longest, let reason = words.text() else {
                return nil
            }
            return words.end(.wake(ref, attempt: attempt, reason: reason))
        case .ack: return words.number().flatMap { words.end(.ack($0)) }
        case .slots: return words.number().flatMap { words.end(.slots($0)) }
        case .sealed: return words.number().flatMap { words.end(.sealed(bytes: $0)) }
        case .drain: return words.end(.drain)
        }
    }

    /// Takes the line up to the next line feed.
    fileprivate static func line(
        from packet: inout ArraySlice<UInt8>
    ) throws(PoolProtocolError) -> ArraySlice<UInt8> {
        guard let end = packet.firstIndex(of: UInt8(ascii: "\n")) else { throw .unfinished }
        let line = packet[packet.startIndex..<end]
        packet = packet[(end + 1)...]
        return line
    }

    /// The words of a line, one blank between two.
    fileprivate struct Words {
        var rest: ArraySlice<UInt8>

        init(_ line: ArraySlice<UInt8>) { rest = line }

        mutating func next() -> ArraySlice<UInt8>? {
            if rest.isEmpty { return nil }
            let end = rest.firstIndex(of: UInt8(ascii: " ")) ?? rest.endIndex
            let word = rest[rest.startIndex..<end]
            rest = rest[min(end + 1, rest.endIndex)...]
            return word
        }

        mutating func number() -> Int? { next().flatMap { Decimal.parse($0) } }

        mutating func number(after key: StaticString) -> Int? {
            guard let word = next() else { return nil }
            return key.withUTF8Buffer { key in
                word.starts(with: key) ? Decimal.parse(word.dropFirst(key.count)) : nil
            }
        }

        /// A word that is not empty.
        mutating func text() -> String? {
            guard let word = next(), !word.isEmpty else { return nil }
            return PercentCoding.decodeText(word)
        }

        /// A name that leads nowhere else: of a drop's letters, not hidden.
        mutating func fileName() -> String? {
            guard let word = next(), (1...PoolMessage.longestChildFile).contains(word.count),
                word.first != UInt8(ascii: "."), word.allSatisfy(\.isNameByte)
            else { return nil }
            return String(decoding: word, as: UTF8.self)
        }

        mutating func attempt() -> (TaskRef, Int)? {
            guard let ref = next().flatMap({ TaskRef(bytes: $0) }), ref.task != nil,
                let attempt = number(after: "a="), attempt >= 1
            else { return nil }
            return (ref, attempt)
        }

        func end(_ message: PoolMessage) -> PoolMessage? { rest.isEmpty ? message : nil }
    }
}

extension PoolJob {
    fileprivate static func parse(
        _ words: inout PoolMessage.Words, _ packet: inout ArraySlice<UInt8>
    ) throws(PoolProtocolError) -> PoolJob? {
        guard let sequence = words.number(), let (ref, attempt) = words.attempt(),
            let name = words.text(), !name.isEmpty
        else { return nil }
        var job = PoolJob(sequence: sequence, ref: ref, attempt: attempt, name: name)
        if words.rest.starts(with: "item=".utf8) {
            guard let item = words.next().flatMap({ PercentCoding.decodeText($0.dropFirst(5)) }),
                item.utf8.count <= PlanLimits.item, !item.utf8.contains(0)
            else { return nil }
            job.item = item
        }
        guard let count = takeBlobCount(&words.rest) else { return nil }
        job.fields = words.rest
        for _ in 0..<count {
            guard let (blob, isInput) = try Blob.parse(&packet) else { return nil }
            if isInput { job.inputs.append(blob) } else { job.blobs.append(blob) }
        }
        return job
    }

    /// Cuts `blobs=N` off the end of the fields; 0 where there is none, nil where it is wrong.
    private static func takeBlobCount(_ fields: inout ArraySlice<UInt8>) -> Int? {
        let blank = fields.lastIndex(of: UInt8(ascii: " "))
        let last = fields[(blank.map { $0 + 1 } ?? fields.startIndex)...]
        guard last.starts(with: "blobs=".utf8) else { return 0 }
        guard let count = Decimal.parse(last.dropFirst(6)), count <= PoolMessage.mostBlobs else {
            return nil
        }
        fields = fields[fields.startIndex..<(blank ?? fields.startIndex)]
        return count
    }
}

extension PoolJob.Blob {
    fileprivate static func parse(
        _ packet: inout ArraySlice<UInt8>
    ) throws(PoolProtocolError) -> (PoolJob.Blob, isInput: Bool)? {
        var words = PoolMessage.Words(try PoolMessage.line(from: &packet))
        guard words.next()?.elementsEqual("blob".utf8) == true,
            let kind = words.next(), let name = words.text(), let digest = words.text(),
            let count = words.number(), words.rest.isEmpty
        else { return nil }
        let isInput = kind.elementsEqual("input".utf8)
        guard isInput || kind.elementsEqual("file".utf8) else { return nil }
        if isInput, !NamedResult.isFileName(name) || count > ResultPlace.largest { return nil }
        guard count < packet.count else { throw .unfinished }
        let end = packet.startIndex + count
        guard packet[end] == UInt8(ascii: "\n") else { return nil }
        let bytes = packet[packet.startIndex..<end]
        packet = packet[(end + 1)...]
        return (.init(name: name, sha256: digest, bytes: bytes), isInput)
    }
}
