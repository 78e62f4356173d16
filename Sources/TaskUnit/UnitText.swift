// SPDX-License-Identifier: Apache-2.0
import TaskModel

/// A file's bytes with the name that diagnostics show.
public struct UnitFile: Equatable, Sendable {
    /// As diagnostics show it: a path, or a name.
    public var file: String
    public var bytes: [UInt8]

    public init(file: String, bytes: [UInt8]) {
        self.file = file
        self.bytes = bytes
    }
}

/// The text of one unit, as it was found: the file, and the drop-ins that change it.
public struct UnitText: Equatable, Sendable {
    /// What the bytes are.
    public enum Kind: Sendable { case ini, script, pipeline }

    public var main: UnitFile
    /// `NAME.d/*.conf`, in the order of their names.
    public var dropIns: [UnitFile]
    /// What `./x` is relative to where Dir= is not set: the directory that the file is in. Nil:
    /// nothing relative can be found.
    public var directory: String?
    /// The name that it was found under, with its suffix: `site.task`, `libpng.service`.
    public var name: String

    public init(
        name: String, main: UnitFile, dropIns: [UnitFile] = [], directory: String? = nil
    ) {
        self.name = name
        self.main = main
        self.dropIns = dropIns
        self.directory = directory
    }

    /// A pipeline by its suffix, a script by its first two bytes, else INI.
    public var kind: Kind {
        if name.hasSuffix(".yaml") || name.hasSuffix(".yml") { return .pipeline }
        return main.bytes.starts(with: "#!".utf8) ? .script : .ini
    }

    /// The instance in `resize@big.task`: `big`; nil for what is no instance.
    public static func instance(of name: String) -> String? {
        let task = UnitName.of(name)
        guard let at = task.firstIndex(of: "@"), at > task.startIndex else { return nil }
        let rest = String(task[task.index(after: at)...])
        guard rest.isEmpty || !task.hasSuffix(".service") else {
            return String(rest.dropLast(".service".count))
        }
        return rest.isEmpty ? nil : rest
    }

    /// The template's name: `resize@.task` for `resize@big.task`; nil for what is no instance.
    public static func template(of name: String) -> String? {
        guard instance(of: name) != nil, let at = name.firstIndex(of: "@") else { return nil }
        let suffix = name.lastIndex(of: ".").map { String(name[$0...]) } ?? ""
        return String(name[...at]) + suffix
    }

    /// Whether a file's name is a template's: nothing stands between its `@` and its suffix.
    public static func isTemplate(_ name: String) -> Bool {
        name.firstIndex(of: "@").map { name[$0...].hasPrefix("@.") } ?? false
    }
}

/// Limits of a unit's text.
public enum UnitLimits {
    /// Bytes of a unit or a pipeline.
    public static let bytes = 1 << 20
    /// Bytes of one line.
    public static let line = 64 << 10
    /// Settings of a unit, drop-ins included.
    public static let settings = 20_000
    /// Nesting of a pipeline.
    public static let depth = 32
    /// Nodes of a pipeline.
    public static let nodes = 100_000
}

/// Checks what every kind of text must be: not too large, no NUL, UTF-8, no endless line.
enum TextCheck {
    static func problems(_ file: UnitFile) -> DiagnosticList {
        var list = DiagnosticList()
        let bytes = file.bytes
        guard bytes.count <= UnitLimits.bytes else {
            list.error(
                Place(file: file.file, line: 1), "a file of \(bytes.count) bytes",
                "at most \(UnitLimits.bytes) are allowed")
            return list
        }
        var start = 0
        var number = 1
        while start < bytes.count {
            let end = bytes[start...].firstIndex(of: 0x0a) ?? bytes.count
            check(bytes[start..<end], Place(file: file.file, line: number), &list)
            start = end + 1
            number += 1
        }
        return list
    }

    private static func check(
        _ line: ArraySlice<UInt8>, _ place: Place, _ list: inout DiagnosticList
    ) {
        if line.count > UnitLimits.line {
            list.error(
                place, "a line of \(line.count) bytes", "at most \(UnitLimits.line) are allowed")
        }
        if let at = line.firstIndex(of: 0) {
            list.error(
                Place(file: place.file, line: place.line, column: at - line.startIndex + 1),
                "a NUL byte", "text in UTF-8")
        }
        if let at = invalid(line) {
            list.error(
                Place(file: place.file, line: place.line, column: at - line.startIndex + 1),
                "a byte that is not UTF-8", "text in UTF-8")
        }
    }

    /// The first byte that does not belong to valid UTF-8.
    private static func invalid(_ bytes: ArraySlice<UInt8>) -> Int? {
        guard bytes.contains(where: { $0 >= 0x80 }) else { return nil }
        var parser = UTF8.ForwardParser()
        var iterator = bytes.makeIterator()
        var at = bytes.startIndex
        while true {
            switch parser.parseScalar(from: &iterator) {
            case .valid(let scalar): at += scalar.count
            case .emptyInput: return nil
            case .error: return at
            }
        }
    }
}
