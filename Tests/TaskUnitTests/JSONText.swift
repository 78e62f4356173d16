// SPDX-License-Identifier: Apache-2.0

/// A JSON value whose objects keep the order in which they are written.
indirect enum JSONText: Sendable {
    case text(String)
    case number(Int)
    case flag(Bool)
    case list([JSONText])
    case object([(key: String, value: JSONText)])

    /// As a file has it: two blanks a level, short lists of plain values on one line.
    var pretty: String { lines("") + "\n" }

    private func lines(_ indent: String) -> String {
        let inner = indent + "  "
        switch self {
        case .text(let text): return Self.quoted(text)
        case .number(let number): return "\(number)"
        case .flag(let flag): return flag ? "true" : "false"
        case .list(let values):
            if values.isEmpty || values.allSatisfy(\.isPlain) {
                return "[" + values.map { $0.lines("") }.joined(separator: ", ") + "]"
            }
            let rows = values.map { inner + $0.lines(inner) }
            return "[\n" + rows.joined(separator: ",\n") + "\n\(indent)]"
        case .object(let members):
            if members.isEmpty { return "{}" }
            let isShort = members.count == 1 && members[0].value.isPlain
            let rows = members.map {
                (isShort ? "" : inner) + Self.quoted($0.key) + ": " + $0.value.lines(inner)
            }
            if isShort { return "{" + rows[0] + "}" }
            return "{\n" + rows.joined(separator: ",\n") + "\n\(indent)}"
        }
    }

    private var isPlain: Bool {
        switch self {
        case .list, .object: false
        default: true
        }
    }

    private static func quoted(_ text: String) -> String {
        var out = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out + "\""
    }
}

extension JSONText: ExpressibleByStringLiteral, ExpressibleByStringInterpolation {
    init(stringLiteral value: String) { self = .text(value) }
}
extension JSONText: ExpressibleByIntegerLiteral {
    init(integerLiteral value: Int) { self = .number(value) }
}
extension JSONText: ExpressibleByBooleanLiteral {
    init(booleanLiteral value: Bool) { self = .flag(value) }
}
extension JSONText: ExpressibleByArrayLiteral {
    init(arrayLiteral elements: JSONText...) { self = .list(elements) }
}
extension JSONText: ExpressibleByDictionaryLiteral {
    init(dictionaryLiteral elements: (String, JSONText)...) {
        self = .object(elements.map { (key: $0.0, value: $0.1) })
    }
}
