// SPDX-License-Identifier: Apache-2.0
public import TaskModel

/// One field of a row. What it is decides how each format writes it.
public enum Value: Equatable, Sendable {
    /// Not known: the key is missing in JSON, the field is empty in CSV, `-` elsewhere.
    case absent
    case text(String)
    /// A run, task or item: whole for programs, the last 8 characters of the run for people.
    case id(String)
    case number(Int64)
    case real(Double)
    case flag(Bool)
    /// Its word; coloured on a terminal.
    case state(TaskState)
    /// Microseconds since 1970: RFC 3339 UTC everywhere, whole seconds in tables.
    case time(Int64)
    /// Microseconds: a number for programs (its key ends in `_us`), `1.5s` for people.
    case span(Int64)
    /// Bytes: a number for programs, `1.5M` for people.
    case size(Int64)
    case list([String])

    public init(_ text: String?) { self = text.map { .text($0) } ?? .absent }
    public init(_ number: Int?) { self = number.map { .number(Int64($0)) } ?? .absent }
    public init(time: Int64?) { self = time.map { .time($0) } ?? .absent }
    public init(span: Int64?) { self = span.map { .span($0) } ?? .absent }
    public init(size: Int64?) { self = size.map { .size($0) } ?? .absent }
}

extension Value {
    /// What a table shows, without control characters.
    var forPeople: String {
        switch self {
        case .absent: "-"
        case .id(let id): Self.short(id)
        case .time(let time): Timestamp.seconds(time)
        case .span(let span): HumanText.span(span)
        case .size(let size): HumanText.size(size)
        case .list(let words):
            words.isEmpty ? "-" : HumanText.printable(words.joined(separator: " "))
        default: HumanText.printable(plainText)
        }
    }

    /// What programs read in csv and plain; empty where there is none.
    var plainText: String {
        switch self {
        case .absent: ""
        case .text(let text), .id(let text): text
        case .number(let number), .span(let number), .size(let number): String(number)
        case .real(let number): String(number)
        case .flag(let flag): flag ? "true" : "false"
        case .state(let state): state.word
        case .time(let time): Timestamp.text(time)
        case .list(let words): words.joined(separator: " ")
        }
    }

    /// Whether a table puts it to the right.
    var isNumeric: Bool {
        switch self {
        case .number, .real, .span, .size: true
        default: false
        }
    }

    /// Appends the JSON value; `absent` is null (objects leave it out before).
    func appendJSON(to bytes: inout [UInt8]) {
        switch self {
        case .absent: bytes.append(contentsOf: "null".utf8)
        case .number(let number), .span(let number), .size(let number):
            Decimal.append(number, to: &bytes)
        case .real(let number):
            bytes.append(contentsOf: (number.isFinite ? String(number) : "null").utf8)
        case .flag(let flag): bytes.append(contentsOf: (flag ? "true" : "false").utf8)
        case .list(let words): Self.appendArray(words, to: &bytes)
        default: JSONText.append(plainText, to: &bytes)
        }
    }

    private static func appendArray(_ words: [String], to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "["))
        for (index, word) in words.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            JSONText.append(word, to: &bytes)
        }
        bytes.append(UInt8(ascii: "]"))
    }

    /// `RUN.K` → the run's last 8 characters and `.K`.
    static func short(_ id: String) -> String {
        guard let ref = TaskRef(id) else { return HumanText.printable(id) }
        var text = ref.run.short
        for part in [ref.task, ref.item] {
            if let part { text += ".\(part)" }
        }
        return text
    }
}

/// JSON strings (RFC 8259).
public enum JSONText {
    private static let digits = Array("0123456789abcdef".utf8)

    /// Appends a quoted string.
    public static func append(_ text: String, to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                bytes.append(UInt8(ascii: "\\"))
                bytes.append(byte)
            case UInt8(ascii: "\n"): bytes.append(contentsOf: "\\n".utf8)
            case UInt8(ascii: "\t"): bytes.append(contentsOf: "\\t".utf8)
            case UInt8(ascii: "\r"): bytes.append(contentsOf: "\\r".utf8)
            case 0..<0x20, 0x7f:
                bytes.append(contentsOf: "\\u00".utf8)
                bytes.append(digits[Int(byte >> 4)])
                bytes.append(digits[Int(byte & 15)])
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }
}
