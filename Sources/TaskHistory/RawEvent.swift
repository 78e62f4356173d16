// SPDX-License-Identifier: Apache-2.0
import Linux
import TaskModel

/// An event line whose fields are looked at where they stand: an index of millions of lines has no
/// time for a String each.
struct RawEvent {
    let time: Int64
    let verb: ArraySlice<UInt8>
    let id: ArraySlice<UInt8>
    private let line: ArraySlice<UInt8>
    private let keys: [(key: ArraySlice<UInt8>, value: ArraySlice<UInt8>)]

    init?(_ line: ArraySlice<UInt8>) {
        var words = line.split(separator: UInt8(ascii: " "))[...]
        guard let time = words.popFirst().flatMap({ Decimal.parse($0) }),
            let verb = words.popFirst(), let id = words.popFirst()
        else { return nil }
        self.time = Int64(time)
        self.verb = verb
        self.id = id
        self.line = line
        keys = words.compactMap { word in
            guard let equals = word.firstIndex(of: UInt8(ascii: "=")) else { return nil }
            return (word[..<equals], word[(equals + 1)...])
        }
    }

    /// The first value of a key, still encoded.
    func raw(_ key: StaticString) -> ArraySlice<UInt8>? {
        key.withUTF8Buffer { wanted in
            keys.first { $0.key.elementsEqual(wanted) }?.value
        }
    }

    func text(_ key: StaticString) -> String? { raw(key).flatMap { PercentCoding.decodeText($0) } }

    func number(_ key: StaticString) -> Int64? {
        raw(key).flatMap { Decimal.parse($0) }.map { Int64($0) }
    }

    /// `signal=KILL` as a number.
    var signal: Int64? {
        text("signal").flatMap { SignalName.number(of: $0) }.map { Int64($0) }
    }

    func has(_ key: StaticString, _ value: StaticString) -> Bool {
        guard let found = raw(key) else { return false }
        return value.withUTF8Buffer { found.elementsEqual($0) }
    }

    func isVerb(_ word: StaticString) -> Bool {
        word.withUTF8Buffer { verb.elementsEqual($0) }
    }

    /// The fields as they stand in the line, without those that have a column of their own or are
    /// long.
    var detail: ArraySlice<UInt8> {
        var bytes: [UInt8] = []
        for (key, value) in keys where !Self.isLeftOut(key) {
            if bytes.count + value.count > 1000 { continue }
            if !bytes.isEmpty { bytes.append(UInt8(ascii: " ")) }
            bytes.append(contentsOf: key)
            bytes.append(UInt8(ascii: "="))
            bytes.append(contentsOf: value)
        }
        return bytes[...]
    }

    private static func isLeftOut(_ key: ArraySlice<UInt8>) -> Bool {
        let hidden: [StaticString] = ["a", "by", "plan", "inode", "mtime", "ctime", "log"]
        return hidden.contains { $0.withUTF8Buffer { key.elementsEqual($0) } }
    }

    /// `log=` of an end; there may be several.
    var places: String? {
        let logs = keys.filter { $0.key.elementsEqual("log".utf8) }
        if logs.isEmpty { return nil }
        return logs.map { String(decoding: $0.value, as: UTF8.self) }.joined(separator: " ")
    }

    /// The item's number in `RUN.K.I`.
    var item: Int64? {
        guard let dot = id.lastIndex(of: UInt8(ascii: ".")), dot > id.startIndex + TaskID.length
        else {
            return nil
        }
        return Decimal.parse(id[(dot + 1)...]).map { Int64($0) }
    }

    /// Of an item `RUN.K`.
    var array: ArraySlice<UInt8> {
        id[..<(id.lastIndex(of: UInt8(ascii: ".")) ?? id.endIndex)]
    }

    /// The run's part of the id and, for a task, its number. nil for `-` and foreign ids.
    var run: (id: ArraySlice<UInt8>, task: Int?)? {
        guard id.count >= TaskID.length else { return nil }
        let run = id.prefix(TaskID.length)
        guard id.count > TaskID.length else { return (run, nil) }
        let rest = id[run.endIndex...]
        guard rest.first == UInt8(ascii: ".") else { return nil }
        let digits = rest.dropFirst().prefix { $0 != UInt8(ascii: ".") }
        guard let task = Decimal.parse(digits) else { return nil }
        return (run, task)
    }
}
