// SPDX-License-Identifier: Apache-2.0
import TaskJournal
import TaskModel

/// Values and the fields of a task line: a canonical spelling is its own canonical spelling.
enum ValueProperties {
    static func spec(_ bytes: [UInt8]) {
        guard let spec = try? TaskSpec(name: "x", parsing: bytes[...]) else { return }
        var printed: [UInt8] = []
        spec.append(to: &printed)
        guard let again = try? TaskSpec(name: "x", parsing: printed[...]) else {
            return require(false, "fields that were printed are none")
        }
        var twice: [UInt8] = []
        again.append(to: &twice)
        require(again == spec && twice == printed, "fields: parse, print, parse")
        for directive in Directive.allCases {
            _ = (spec.span(directive), spec.size(directive), spec.number(directive))
            _ = (spec.flag(directive), spec.values(directive))
        }
        _ = (spec.argv, Plan(tasks: [PlanTask(number: 0, spec: spec)]).notYet)
        for file in spec[.file] { belowItsDirectory(Array(file.utf8.dropLast(65))) }
    }

    static func values(_ bytes: [UInt8]) {
        let text = String(decoding: bytes, as: UTF8.self)
        canonical(text)
        if let span = TimeSpan(text) { require(TimeSpan(span.description) == span, "TimeSpan") }
        if let size = ByteLimit(text) { require(ByteLimit(size.description) == size, "ByteLimit") }
        if let id = TaskID(text) { require(TaskID(id.description) == id, "TaskID") }
        if let ref = TaskRef(text) { require(TaskRef(ref.description) == ref, "TaskRef") }
        if let name = SegmentName(stem: text) { require(name.stem == text, "SegmentName") }
        if let place = LogPlace(text) { require(LogPlace(place.text) == place, "LogPlace") }
        if let name = RunFileName(bytes: bytes[...]) {
            require(Array(name.description.utf8) == bytes.map(lowered), "RunFileName")
        }
        if let number = Decimal.parse(bytes) {
            require("\(number)".utf8.elementsEqual(bytes), "Decimal")
        }
        let safe = SafeText.printable(text)
        require(safe.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7f }, "SafeText")
    }

    private static func lowered(_ byte: UInt8) -> UInt8 { byte.isCapital ? byte | 0x20 : byte }

    /// Every type's canonical spelling, byte by byte.
    private static func canonical(_ text: String) {
        for directive in Directive.allCases {
            let type = directive.traits.type
            guard let once = try? type.canonical(text) else { continue }
            let twice = try? type.canonical(once)
            require(twice.map { Array($0.utf8) } == Array(once.utf8), "\(directive) is canonical")
            if type == .relativePath { belowItsDirectory(Array(once.utf8)) }
            if type == .path { require(once.utf8.first == UInt8(ascii: "/"), "an absolute path") }
            if type == .bind { bound(Array(once.utf8)) }
        }
    }

    private static func belowItsDirectory(_ path: [UInt8]) {
        let parts = path.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        require(path.first != UInt8(ascii: "/"), "a relative path")
        require(!parts.contains { $0.elementsEqual("..".utf8) }, "no way up")
    }

    private static func bound(_ text: [UInt8]) {
        let text = text.first == UInt8(ascii: "-") ? text.dropFirst() : text[...]
        let parts = text.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        require((1...2).contains(parts.count), "SOURCE or SOURCE:TARGET")
        require(parts.allSatisfy { $0.first == UInt8(ascii: "/") }, "absolute paths")
    }
}

extension UInt8 {
    fileprivate var isCapital: Bool { self >= 0x41 && self <= 0x5a }
}
