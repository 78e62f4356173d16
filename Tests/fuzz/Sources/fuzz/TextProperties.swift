// SPDX-License-Identifier: Apache-2.0
import TaskModel

/// Lines and words: what was read, printed and read again is the same.
enum TextProperties {
    static func event(_ bytes: [UInt8]) {
        guard let event = try? EventLine(parsing: bytes[...]) else { return }
        let printed = event.bytes
        // A byte that was no UTF-8 is longer when it is printed.
        if printed.count > EventLine.longest { return }
        guard let again = try? EventLine(parsing: printed[...]) else {
            return require(false, "an event line that was printed is none")
        }
        require(again == event, "event line: parse, print, parse")
        require(again.bytes == printed, "event line: print, parse, print")
        if let ref = event.ref { require(TaskRef(ref.description) == ref, "TaskRef") }
        var set = event
        set.set("reason", "x")
        require(set["reason"] == "x", "set")
    }

    static func job(_ bytes: [UInt8]) {
        var packet = bytes[...]
        while let message = try? PoolMessage.next(from: &packet) {
            if case .run(let job) = message, !fields(job) { continue }
            let printed = message.bytes
            var rest = printed[...]
            require((try? PoolMessage.next(from: &rest)) == message, "message: parse, print, parse")
            require(rest.isEmpty, "message: bytes left")
        }
    }

    /// Whether the fields are those of a task; what they are is printed as it was read.
    private static func fields(_ job: PoolJob) -> Bool {
        guard let spec = try? TaskSpec(name: job.name, parsing: job.fields) else { return false }
        var printed: [UInt8] = []
        spec.append(to: &printed)
        require((try? TaskSpec(name: job.name, parsing: printed[...])) == spec, "job's fields")
        return true
    }

    static func handover(_ bytes: [UInt8]) {
        guard let table = HandoverTable(parsing: bytes[...]) else { return }
        let printed = table.encoded
        require(HandoverTable(parsing: printed[...]) == table, "table: parse, print, parse")
        for record in table.records {
            for key in ["a", "id", "fd"] {
                let number: Int32? = record.number(key)
                require(number == nil || record.text(key) != nil, "number without text")
            }
        }
    }

    static func words(_ bytes: [UInt8]) {
        let line = String(decoding: bytes, as: UTF8.self)
        do throws(ShellWords.Problem) {
            let words = try ShellWords.split(line)
            let joined = ShellWords.join(words)
            let again = (try? ShellWords.split(joined)) ?? []
            require(
                again.map { Array($0.utf8) } == words.map { Array($0.utf8) }, "split, join, split")
        } catch {
            require((0..<line.utf8.count).contains(error.offset), "a problem's place")
        }
    }

    static func percent(_ bytes: [UInt8]) {
        var coded: [UInt8] = []
        PercentCoding.append(bytes, to: &coded)
        require(PercentCoding.decode(coded[...]) == bytes, "encode, decode")
        require(
            coded.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "=") }, "coded bytes")
        require(coded.count <= 3 * bytes.count, "coded length")
        guard let raw = PercentCoding.decode(bytes[...]) else { return }
        require(raw.count <= bytes.count, "decoded length")
        coded = []
        PercentCoding.append(AnySequence(raw), to: &coded)
        require(PercentCoding.decode(coded[...]) == raw, "decode, encode, decode")
    }
}
