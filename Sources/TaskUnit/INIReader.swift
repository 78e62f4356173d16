// SPDX-License-Identifier: Apache-2.0
import TaskModel

/// One line of an INI file that says something.
struct INILine {
    enum Content {
        case section(String)
        /// The value without comment and outer quotes.
        case setting(key: String, value: String, valueColumn: Int)
    }
    let content: Content
    let place: Place
}

/// Reads the syntax of unit files: sections, keys, comments, quotes, continuation lines.
///
/// What a key means is not its business. After systemd.syntax(7), with two additions: a comment may
/// follow a value, and a line without `=` right after such a line continues that comment.
struct INIReader {
    private let bytes: [UInt8]
    private let file: String
    private var at = 0
    private var line = 0
    private var endedInComment = false
    private let isKey: (String) -> Bool
    private(set) var lines: [INILine] = []
    var problems: DiagnosticList

    /// Reads all of it; `problems` has what is wrong.
    ///
    /// - Parameter isKey: whether a word is a key, which is then not taken for prose.
    init(
        _ source: UnitFile, problems: DiagnosticList,
        isKey: @escaping (String) -> Bool = INIReader.isDirective
    ) {
        bytes = source.bytes
        file = source.file
        self.isKey = isKey
        self.problems = problems
        if bytes.starts(with: [0xef, 0xbb, 0xbf]) { at = 3 }
        while let raw = nextLine() { read(raw) }
    }

    private mutating func nextLine() -> ArraySlice<UInt8>? {
        guard at < bytes.count else { return nil }
        let end = bytes[at...].firstIndex(of: 0x0a) ?? bytes.count
        let raw = bytes[at..<end]
        at = end + 1
        line += 1
        return raw
    }

    private func place(_ raw: ArraySlice<UInt8>, _ index: Int) -> Place {
        Place(file: file, line: line, column: index - lineStart(raw) + 1)
    }

    private func lineStart(_ raw: ArraySlice<UInt8>) -> Int { raw.startIndex }

    private mutating func read(_ raw: ArraySlice<UInt8>) {
        let text = raw.trimmingBlanks()
        let wasComment = endedInComment
        endedInComment = false
        guard let first = text.first else { return }
        if Self.isComment(first) { return }
        let here = place(raw, text.startIndex)
        if first == UInt8(ascii: "[") {
            section(text, here)
        } else if let equals = text.firstIndex(of: UInt8(ascii: "=")) {
            setting(raw, text, equals, here)
        } else if wasComment && !beginsWithKey(text) {
            endedInComment = true
            problems.warning(
                here, "a line without = is read as part of the comment before it",
                "begin a comment's line with #")
        } else {
            problems.error(
                here, "no = in \(Self.shown(text))", "KEY=VALUE, [Section], or a comment after #")
        }
    }

    private static func isComment(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "#") || byte == UInt8(ascii: ";")
    }

    /// `LimitMem 8G` after a comment is a slip, not prose: a limit must not be lost by it.
    private func beginsWithKey(_ text: ArraySlice<UInt8>) -> Bool {
        isKey(String(decoding: text.prefix { !$0.isBlank }, as: UTF8.self))
    }

    static func isDirective(_ word: String) -> Bool {
        Directive.allCases.contains { $0.traits.name == word && !word.isEmpty }
    }

    static func shown(_ text: ArraySlice<UInt8>) -> String {
        let whole = String(decoding: text, as: UTF8.self)
        return whole.count > 60 ? String(whole.prefix(57)) + "..." : whole
    }

    private mutating func section(_ text: ArraySlice<UInt8>, _ here: Place) {
        guard let close = text.firstIndex(of: UInt8(ascii: "]")) else {
            problems.error(here, "a section's ] is missing", "[Section] alone on a line")
            return
        }
        let rest = text[(close + 1)...].drop { $0.isBlank }
        if let first = rest.first {
            endedInComment = Self.isComment(first)
            if !endedInComment {
                problems.error(here, "text after ]", "[Section] alone on a line")
            }
        }
        let name = String(decoding: text[(text.startIndex + 1)..<close], as: UTF8.self)
        lines.append(INILine(content: .section(name), place: here))
    }

    private mutating func setting(
        _ raw: ArraySlice<UInt8>, _ text: ArraySlice<UInt8>, _ equals: Int, _ here: Place
    ) {
        let key = text[..<equals].trimmingBlanks()
        let start = text[(equals + 1)...].firstIndex { !$0.isBlank } ?? equals + 1
        let column = place(raw, start).column
        var scanner = ValueScanner()
        var part = raw[(equals + 1)...]
        while scanner.take(part) {
            guard let next = continuation() else { break }
            part = next
        }
        endedInComment = scanner.hasComment
        guard !key.isEmpty else {
            problems.error(here, "no key before =", "KEY=VALUE")
            return
        }
        guard !scanner.hasOpenQuote else {
            problems.error(
                Place(file: file, line: here.line, column: column), "a quote is not closed",
                "close it, or write \\ before it to mean the character")
            return
        }
        let keyText = String(decoding: key, as: UTF8.self)
        let content = INILine.Content.setting(
            key: keyText, value: scanner.value, valueColumn: column)
        lines.append(INILine(content: content, place: here))
    }

    /// The next line of a continued value; comments between are left out.
    private mutating func continuation() -> ArraySlice<UInt8>? {
        while let raw = nextLine() {
            if let first = raw.trimmingBlanks().first, Self.isComment(first) { continue }
            return raw
        }
        return nil
    }
}
