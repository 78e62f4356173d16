// SPDX-License-Identifier: Apache-2.0
import TaskJournal
import TaskModel

/// `note RUN.K a=N what=output step=N fd=1|2 data=…`: a piece of output on its way through a pipe.
/// Its bytes are any bytes: they are decoded as they stand, never as text.
struct OutputNote {
    let record: LogRecord

    /// Whether the line is such a note, whole or not.
    static func isOne(_ line: ArraySlice<UInt8>) -> Bool {
        let words = line.split(separator: UInt8(ascii: " "), maxSplits: 8)
        return words.count > 3 && words[1].elementsEqual("note".utf8)
            && words[3...].contains { $0.elementsEqual("what=output".utf8) }
    }

    /// nil when a field is missing or wrong.
    init?(_ line: ArraySlice<UInt8>) {
        guard line.count <= EventLine.longest else { return nil }
        let words = line.split(separator: UInt8(ascii: " "))
        guard words.count > 3, let time = Decimal.parse(words[0]),
            let ref = TaskRef(bytes: words[2])
        else { return nil }
        var values: [String: ArraySlice<UInt8>] = [:]
        for word in words[3...] {
            guard let equals = word.firstIndex(of: UInt8(ascii: "=")) else { return nil }
            values[String(decoding: word[..<equals], as: UTF8.self)] = word[(equals + 1)...]
        }
        guard let data = values["data"].flatMap({ PercentCoding.decode($0) }),
            let stream = values["fd"].flatMap({ Decimal.parse($0) }), (1...2).contains(stream)
        else { return nil }
        record = LogRecord(
            ref: ref, attempt: values["a"].flatMap { Decimal.parse($0) } ?? 1,
            step: values["step"].flatMap { Decimal.parse($0) } ?? 0, stream: stream,
            microseconds: Int64(time), payload: data[...])
    }
}
