// SPDX-License-Identifier: Apache-2.0

/// One line of JSON Lines as programs hand each other: an object whose values are no objects or arrays
/// (RFC 8259).
public struct FlatJSON: Equatable, Sendable {
    /// What stands behind a key.
    public enum Value: Equatable, Sendable {
        case string(String)
        /// As it was written.
        case number(String)
        case bool(Bool)
        case null
    }

    /// A longer line is refused.
    public static let longest = 65_536

    private var values: [String: Value] = [:]

    /// Reads a line without its line feed. Keys stand once; nothing may follow the object.
    public init(parsing line: some Sequence<UInt8>) throws(ValueProblem) {
        var scanner = JSONScanner(Array(line))
        guard scanner.bytes.count <= Self.longest else {
            throw ValueProblem(
                what: "\(scanner.bytes.count) bytes", allowed: "at most \(Self.longest) a line")
        }
        guard String(validating: scanner.bytes, as: UTF8.self) != nil else {
            throw ValueProblem(what: "no valid UTF-8", allowed: "a JSON object")
        }
        try scanner.expect("{")
        if !scanner.take("}") {
            repeat {
                scanner.skipBlanks()
                let key = try scanner.string()
                try scanner.expect(":")
                let value = try scanner.value()
                guard values.updateValue(value, forKey: key) == nil else {
                    throw ValueProblem(
                        what: "the key \(key.debugDescription) twice", allowed: "once")
                }
            } while scanner.take(",")
            try scanner.expect("}")
        }
        try scanner.expectEnd()
    }

    public subscript(key: String) -> Value? { values[key] }

    /// The text behind a key; nil where it is none, or something else.
    public func string(_ key: String) -> String? {
        if case .string(let text)? = values[key] { return text }
        return nil
    }

    /// The whole number behind a key, whether it stands in quotes or not.
    public func integer(_ key: String) -> Int64? {
        switch values[key] {
        case .string(let text)?, .number(let text)?: Int64(text)
        default: nil
        }
    }
}

/// Reads from the front; every problem names the column.
private struct JSONScanner {
    let bytes: [UInt8]
    private var at = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    private var next: UInt8? { at < bytes.count ? bytes[at] : nil }

    private func problem(_ allowed: String) -> ValueProblem {
        let found = next.map { _ in
            let rest = String(decoding: bytes[at...].prefix(20), as: UTF8.self)
            return "\(rest.debugDescription) in column \(at + 1)"
        }
        return ValueProblem(what: found ?? "an end in column \(at + 1)", allowed: allowed)
    }

    mutating func skipBlanks() {
        while let byte = next, [0x20, 0x09, 0x0a, 0x0d].contains(byte) { at += 1 }
    }

    mutating func take(_ sign: Unicode.Scalar) -> Bool {
        skipBlanks()
        guard next == UInt8(ascii: sign) else { return false }
        at += 1
        return true
    }

    mutating func expect(_ sign: Unicode.Scalar) throws(ValueProblem) {
        guard take(sign) else { throw problem("a \(sign)") }
    }

    mutating func expectEnd() throws(ValueProblem) {
        skipBlanks()
        guard next == nil else { throw problem("nothing behind the object") }
    }

    mutating func value() throws(ValueProblem) -> FlatJSON.Value {
        skipBlanks()
        switch next {
        case UInt8(ascii: "\"")?: return .string(try string())
        case UInt8(ascii: "{")?, UInt8(ascii: "[")?:
            throw problem("a string, a number, true, false or null")
        default: return try word()
        }
    }

    private mutating func word() throws(ValueProblem) -> FlatJSON.Value {
        let start = at
        while let byte = next, Self.isWord(byte) { at += 1 }
        let text = String(decoding: bytes[start..<at], as: UTF8.self)
        switch text {
        case "true": return .bool(true)
        case "false": return .bool(false)
        case "null": return .null
        default:
            guard Self.isNumber(text) else {
                at = start
                throw problem("a string, a number, true, false or null")
            }
            return .number(text)
        }
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "+"), UInt8(ascii: "-"),
            UInt8(ascii: "."):
            true
        default: false
        }
    }

    /// `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`
    private static func isNumber(_ text: String) -> Bool {
        var rest = text.utf8[...]
        func digits() -> Int {
            let count = rest.prefix { (0x30...0x39).contains($0) }.count
            rest = rest.dropFirst(count)
            return count
        }
        if rest.first == UInt8(ascii: "-") { rest = rest.dropFirst() }
        let isZero = rest.first == UInt8(ascii: "0")
        let whole = digits()
        guard whole == 1 || (whole > 1 && !isZero) else { return false }
        if rest.first == UInt8(ascii: ".") {
            rest = rest.dropFirst()
            guard digits() > 0 else { return false }
        }
        if let sign = rest.first, sign == UInt8(ascii: "e") || sign == UInt8(ascii: "E") {
            rest = rest.dropFirst()
            if let sign = rest.first, sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") {
                rest = rest.dropFirst()
            }
            guard digits() > 0 else { return false }
        }
        return rest.isEmpty
    }

    mutating func string() throws(ValueProblem) -> String {
        guard next == UInt8(ascii: "\"") else { throw problem("a string") }
        at += 1
        var text: [UInt8] = []
        while let byte = next {
            switch byte {
            case UInt8(ascii: "\""):
                at += 1
                return String(decoding: text, as: UTF8.self)
            case UInt8(ascii: "\\"):
                at += 1
                text += String(try escaped()).utf8
            case 0..<0x20: throw problem("control characters as \\u00XX")
            default:
                text.append(byte)
                at += 1
            }
        }
        throw problem("a \" at the string's end")
    }

    /// What stands behind a backslash, but for `u`.
    private static let escapes: [UInt8: Unicode.Scalar] = [
        UInt8(ascii: "\""): "\"", UInt8(ascii: "\\"): "\\", UInt8(ascii: "/"): "/",
        UInt8(ascii: "b"): "\u{8}", UInt8(ascii: "f"): "\u{c}", UInt8(ascii: "n"): "\n",
        UInt8(ascii: "r"): "\r", UInt8(ascii: "t"): "\t",
    ]

    private mutating func escaped() throws(ValueProblem) -> Unicode.Scalar {
        guard let byte = next else { throw problem("a character behind \\") }
        if let found = Self.escapes[byte] {
            at += 1
            return found
        }
        guard byte == UInt8(ascii: "u") else { throw problem("one of \" \\ / b f n r t u") }
        at += 1
        let first = try hex()
        guard (0xd800..<0xdc00).contains(first) else {
            guard let scalar = Unicode.Scalar(first) else { throw problem("a pair of surrogates") }
            return scalar
        }
        guard next == UInt8(ascii: "\\"), bytes.dropFirst(at + 1).first == UInt8(ascii: "u") else {
            throw problem("a pair of surrogates")
        }
        at += 2
        let second = try hex()
        guard (0xdc00..<0xe000).contains(second),
            let scalar = Unicode.Scalar(0x10000 + (first - 0xd800) << 10 + second - 0xdc00)
        else { throw problem("a pair of surrogates") }
        return scalar
    }

    private mutating func hex() throws(ValueProblem) -> UInt32 {
        let digits = bytes[at...].prefix(4)
        guard digits.count == 4, digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
            let number = UInt32(String(decoding: digits, as: UTF8.self), radix: 16)
        else { throw problem("four hexadecimal digits") }
        at += 4
        return number
    }
}
