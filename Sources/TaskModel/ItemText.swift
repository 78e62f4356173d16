// SPDX-License-Identifier: Apache-2.0

/// Puts an item's text where `%i` stands in the values of an array task.
public enum ItemText {
    /// `%i` becomes the item, `%%` a percent sign; another percent sign stays.
    public static func expand(_ text: String, item: String) -> String {
        guard text.utf8.contains(UInt8(ascii: "%")) else { return text }
        var out: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%"), let letter = rest.first else {
                out.append(byte)
                continue
            }
            switch letter {
            case UInt8(ascii: "i"): out.append(contentsOf: item.utf8)
            case UInt8(ascii: "%"): out.append(letter)
            default:
                out.append(byte)
                continue
            }
            rest.removeFirst()
        }
        return String(decoding: out, as: UTF8.self)
    }

    /// Whether `%i` stands in a text.
    public static func hasItem(_ text: String) -> Bool {
        expand(text, item: "") != expand(text, item: "i")
    }

    /// Whether encoded fields of a task have a percent sign, and whether `%i` may be in others than its
    /// programs' words.
    public static func marks(in fields: ArraySlice<UInt8>) -> (any: Bool, item: Bool) {
        var found = (any: false, item: false)
        for field in fields.split(separator: UInt8(ascii: " ")) {
            let own = marks(inField: field)
            found.any = found.any || own.any
            found.item = found.item || own.item && !isProgram(field)
        }
        return found
    }

    private static func isProgram(_ field: ArraySlice<UInt8>) -> Bool {
        [Directive.command, .arg, .check].contains { directive in
            field.starts(with: "\(directive.rawValue)=".utf8)
        }
    }

    private static func marks(inField fields: ArraySlice<UInt8>) -> (any: Bool, item: Bool) {
        var found = (any: false, item: false)
        var state = 0  // bytes of `%25` that were seen
        for byte in fields {
            if state == 3, byte == UInt8(ascii: "i") { return (true, true) }
            switch (state, byte) {
            case (1, UInt8(ascii: "2")): state = 2
            case (2, UInt8(ascii: "5")):
                state = 3
                found.any = true
            default: state = byte == UInt8(ascii: "%") ? 1 : 0
            }
        }
        return found
    }
}

extension TaskSpec {
    /// The task of one item: its text in the values, but for the programs' words.
    ///
    /// - Throws: the first value that is none any more with this text in it.
    public func expanding(item: String) throws(TaskSpecError) -> TaskSpec {
        var spec = self
        for directive in Directive.allCases where has(directive) {
            let traits = directive.traits
            if Self.isKept(directive) || traits.type == .share { continue }
            let values = self[directive]
            guard values.contains(where: { $0.utf8.contains(UInt8(ascii: "%")) }) else { continue }
            var expanded: [String] = []
            for value in values {
                do throws(ValueProblem) {
                    let text = ItemText.expand(value, item: item)
                    expanded.append(try traits.type.canonical(text))
                } catch {
                    throw TaskSpecError(key: directive.rawValue, problem: error)
                }
            }
            spec[directive] = expanded
        }
        return spec
    }

    private static func isKept(_ directive: Directive) -> Bool {
        [.command, .arg, .check, .file].contains(directive)
    }
}
