// SPDX-License-Identifier: Apache-2.0
import TaskModel

/// Collects a value over its lines: finds where a comment begins, and takes outer quotes off.
///
/// A quote opens at the start, after a blank or after `=`, so that an apostrophe is none. One that
/// never closes is an ordinary byte, except at the start of the value.
struct ValueScanner {
    private var text: [UInt8] = []
    private var quote: UInt8?
    private var previous = UInt8(ascii: "=")
    private var isEscaped = false
    private(set) var hasComment = false

    /// Takes one physical line; true when the next one continues it.
    mutating func take(_ raw: ArraySlice<UInt8>) -> Bool {
        var line = raw
        while let last = line.last, last == 0x0d { line.removeLast() }
        let continues = line.last == UInt8(ascii: "\\")
        if continues { line.removeLast() }
        for byte in line {
            if quote == nil, !isEscaped, Self.startsComment(byte, after: previous) {
                hasComment = true
                return false
            }
            step(byte)
        }
        if continues { step(0x20) }
        return continues
    }

    private static func startsComment(_ byte: UInt8, after previous: UInt8) -> Bool {
        previous.isBlank && (byte == UInt8(ascii: "#") || byte == UInt8(ascii: ";"))
    }

    private mutating func step(_ byte: UInt8) {
        text.append(byte)
        if isEscaped {
            isEscaped = false
        } else if byte == UInt8(ascii: "\\"), quote != UInt8(ascii: "'") {
            isEscaped = true
        } else if byte == quote {
            quote = nil
        } else if quote == nil, byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'"),
            previous.isBlank || previous == UInt8(ascii: "=")
        {
            quote = byte
        }
        previous = byte
    }

    private var trimmed: ArraySlice<UInt8> { text.trimmingBlanks() }

    /// Whether the value begins with a quote that nothing closes.
    var hasOpenQuote: Bool {
        guard quote != nil, let first = trimmed.first else { return false }
        return (first == UInt8(ascii: "\"") || first == UInt8(ascii: "'"))
            && Self.close(trimmed) == nil
    }

    /// The value: quotes around the whole of it are taken off, others stay.
    var value: String {
        var body = trimmed
        if quote != nil { body = Self.withoutComment(body) }
        guard let first = body.first, Self.close(body) == body.endIndex - 1 else {
            return String(decoding: body, as: UTF8.self)
        }
        let inner = body.dropFirst().dropLast()
        if first == UInt8(ascii: "'") { return String(decoding: inner, as: UTF8.self) }
        return String(decoding: Self.unescaped(inner), as: UTF8.self)
    }

    /// Where the quote that opens a text closes; nil where none opens or closes.
    private static func close(_ text: ArraySlice<UInt8>) -> Int? {
        guard let first = text.first, first == UInt8(ascii: "\"") || first == UInt8(ascii: "'")
        else { return nil }
        var at = text.startIndex + 1
        while at < text.endIndex {
            if text[at] == first { return at }
            at += text[at] == UInt8(ascii: "\\") && first == UInt8(ascii: "\"") ? 2 : 1
        }
        return nil
    }

    /// A value with a stray quote ends where a comment would begin without it.
    private static func withoutComment(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        for at in text.indices.dropFirst() where startsComment(text[at], after: text[at - 1]) {
            return text[..<at].trimmingBlanks()
        }
        return text
    }

    /// In `"…"` a backslash quotes `"` and itself.
    private static func unescaped(_ text: ArraySlice<UInt8>) -> [UInt8] {
        var out: [UInt8] = []
        var at = text.startIndex
        while at < text.endIndex {
            if text[at] == UInt8(ascii: "\\"), at + 1 < text.endIndex,
                text[at + 1] == UInt8(ascii: "\"") || text[at + 1] == UInt8(ascii: "\\")
            {
                at += 1
            }
            out.append(text[at])
            at += 1
        }
        return out
    }
}
