// SPDX-License-Identifier: Apache-2.0
import Linux
import TaskModel

/// An event line that grows field by field in a byte buffer, without String on the way.
struct LineBuilder {
    private(set) var bytes: [UInt8] = []

    /// A line of now.
    init(_ verb: StaticString, _ ref: TaskRef, attempt: Int) {
        bytes.reserveCapacity(192)
        Decimal.append(Int(Clock.real()), to: &bytes)
        word(verb)
        bytes.append(UInt8(ascii: " "))
        ref.append(to: &bytes)
        field("a", attempt)
    }

    /// A line of now about a task, not about one attempt of it.
    init(_ verb: StaticString, _ ref: TaskRef) {
        Decimal.append(Int(Clock.real()), to: &bytes)
        word(verb)
        bytes.append(UInt8(ascii: " "))
        ref.append(to: &bytes)
    }

    /// A line of now about the run, or about nothing.
    init(_ verb: StaticString, run: TaskID?) {
        Decimal.append(Int(Clock.real()), to: &bytes)
        word(verb)
        bytes.append(UInt8(ascii: " "))
        if let run { run.append(to: &bytes) } else { bytes.append(UInt8(ascii: "-")) }
    }

    mutating func field(_ key: StaticString, _ value: some BinaryInteger) {
        self.key(key)
        Decimal.append(Int(value), to: &bytes)
    }

    /// A text; what would make the line longer than allowed is cut off.
    mutating func field(_ key: StaticString, _ value: String) {
        self.key(key)
        text(value.utf8)
    }

    mutating func field(_ key: StaticString, raw value: some Collection<UInt8>) {
        self.key(key)
        text(value)
    }

    /// ` key=value` that needs no encoding.
    mutating func word(_ text: StaticString) {
        bytes.append(UInt8(ascii: " "))
        text.withUTF8Buffer { bytes.append(contentsOf: $0) }
    }

    private mutating func key(_ key: StaticString) {
        word(key)
        bytes.append(UInt8(ascii: "="))
    }

    // Room for the fields that follow a sentence.
    private static let room = 1024

    private mutating func text(_ raw: some Collection<UInt8>) {
        let longest = EventLine.longest - Self.room
        if bytes.count + 3 * raw.count <= longest {
            return PercentCoding.append(raw, to: &bytes)
        }
        for byte in raw {
            if bytes.count > longest { return }
            PercentCoding.append(CollectionOfOne(byte), to: &bytes)
        }
    }
}
