// SPDX-License-Identifier: Apache-2.0
import CYaml
import TaskModel

/// One node of a YAML document; children are indices into the document's nodes.
struct YAMLNode {
    enum Content {
        case scalar(String)
        /// No value at all, or `~`, unquoted: other readers of YAML see no text there either.
        case nothing
        case sequence([Int])
        case mapping([YAMLPair])
    }
    var content: Content
    let place: Place
}

/// One `key: value` of a mapping.
struct YAMLPair {
    let key: String
    let place: Place
    let value: Int
}

/// Where libyaml's marks are. It counts characters, has more line ends than a line feed, and one
/// line more at the end.
private struct Places {
    private let source: UnitFile
    private var characters = 0
    private var at = 0
    private var line = 1
    private var lineStart = 0

    init(_ source: UnitFile) { self.source = source }

    /// Marks come in order, but for that of an error: all of them together cost one walk or two.
    mutating func of(_ mark: yaml_mark_t) -> Place {
        if mark.index < characters { self = Places(source) }
        while characters < mark.index, at < source.bytes.count {
            let byte = source.bytes[at]
            at += byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4
            characters += 1
            if byte == 0x0a { (line, lineStart) = (line + 1, at) }
        }
        return Place(file: source.file, line: line, column: at - lineStart + 1)
    }
}

/// Reads YAML by libyaml's events into a flat list of nodes.
///
/// No aliases, anchors, tags or second document; keys are scalars and stand once; depth and number
/// of nodes are limited. Nothing recurses, so nothing that a file says can exhaust the stack.
struct YAMLReader {
    private(set) var nodes: [YAMLNode] = []
    var problems: DiagnosticList
    private let file: String
    private var open: [Frame] = []
    private var documents = 0
    private var places: Places

    private struct Frame {
        let node: Int
        var key: (text: String, place: Place)?
        var keys: Set<String> = []
        var children: [Int] = []
        var pairs: [YAMLPair] = []
        let isMapping: Bool
    }

    /// Reads all of it; with problems the nodes are not to be used.
    init(_ source: UnitFile, problems: DiagnosticList) {
        file = source.file
        places = Places(source)
        self.problems = problems
        let parser = UnsafeMutablePointer<yaml_parser_t>.allocate(capacity: 1)
        defer { parser.deallocate() }
        guard yaml_parser_initialize(parser) == 1 else {
            self.problems.error(
                Place(file: file, line: 1), "no memory for the YAML parser", "try again")
            return
        }
        defer { yaml_parser_delete(parser) }
        source.bytes.withUnsafeBufferPointer { buffer in
            yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
            yaml_parser_set_input_string(parser, buffer.baseAddress, buffer.count)
            while step(parser) {}
        }
    }

    /// Takes one event; false at the end, and at what makes going on useless.
    private mutating func step(_ parser: UnsafeMutablePointer<yaml_parser_t>) -> Bool {
        var event = yaml_event_t()
        guard yaml_parser_parse(parser, &event) == 1 else {
            syntax(parser.pointee)
            return false
        }
        defer { yaml_event_delete(&event) }
        let place = places.of(event.start_mark)
        switch event.type {
        case YAML_STREAM_END_EVENT: return false
        case YAML_DOCUMENT_START_EVENT: return document(event, place)
        case YAML_ALIAS_EVENT:
            problems.error(place, "an alias", "write the value out; aliases are not read")
            return false
        case YAML_SCALAR_EVENT:
            return plain(event.data.scalar.anchor, event.data.scalar.tag, place)
                && scalar(event, place)
        case YAML_SEQUENCE_START_EVENT:
            return plain(event.data.sequence_start.anchor, event.data.sequence_start.tag, place)
                && begin(isMapping: false, place)
        case YAML_MAPPING_START_EVENT:
            return plain(event.data.mapping_start.anchor, event.data.mapping_start.tag, place)
                && begin(isMapping: true, place)
        case YAML_SEQUENCE_END_EVENT, YAML_MAPPING_END_EVENT: return end()
        default: return true
        }
    }

    private mutating func syntax(_ parser: yaml_parser_t) {
        let mark = parser.problem_mark
        let what = parser.problem.map { String(cString: $0) } ?? "not YAML"
        problems.error(
            places.of(mark), what,
            "YAML as task.pipeline(5) has it; indent with spaces")
    }

    private mutating func document(_ event: yaml_event_t, _ place: Place) -> Bool {
        documents += 1
        if documents == 1 { return true }
        problems.error(place, "a second document", "one document a file")
        return false
    }

    private mutating func plain(
        _ anchor: UnsafeMutablePointer<UInt8>?, _ tag: UnsafeMutablePointer<UInt8>?, _ place: Place
    ) -> Bool {
        if anchor != nil {
            problems.error(place, "an anchor", "write the value out; anchors are not read")
        }
        if tag != nil { problems.error(place, "a tag", "plain values; tags are not read") }
        return anchor == nil && tag == nil
    }

    private mutating func scalar(_ event: yaml_event_t, _ place: Place) -> Bool {
        let scalar = event.data.scalar
        let bytes = UnsafeBufferPointer(start: scalar.value, count: scalar.length)
        let text = String(decoding: bytes, as: UTF8.self)
        if let last = open.indices.last, open[last].isMapping, open[last].key == nil {
            guard open[last].keys.count < UnitLimits.settings else {
                problems.error(
                    place, "too many keys", "at most \(UnitLimits.settings) in a mapping")
                return false
            }
            if !open[last].keys.insert(text).inserted {
                problems.error(place, "the key \(text) stands twice", "each key once")
            }
            open[last].key = (text, place)
            return true
        }
        let isNothing =
            scalar.style == YAML_PLAIN_SCALAR_STYLE && (text.isEmpty || text == "~")
        return add(YAMLNode(content: isNothing ? .nothing : .scalar(text), place: place)) != nil
    }

    private mutating func begin(isMapping: Bool, _ place: Place) -> Bool {
        if let last = open.last, last.isMapping, last.key == nil {
            problems.error(place, "a key that is no text", "KEY: VALUE")
            return false
        }
        guard open.count < UnitLimits.depth else {
            problems.error(place, "nested too deep", "at most \(UnitLimits.depth) levels")
            return false
        }
        let content: YAMLNode.Content = isMapping ? .mapping([]) : .sequence([])
        guard let index = add(YAMLNode(content: content, place: place)) else { return false }
        open.append(Frame(node: index, isMapping: isMapping))
        return true
    }

    private mutating func add(_ node: YAMLNode) -> Int? {
        guard nodes.count < UnitLimits.nodes else {
            problems.error(node.place, "too many nodes", "at most \(UnitLimits.nodes)")
            return nil
        }
        nodes.append(node)
        let index = nodes.count - 1
        guard let last = open.indices.last else { return index }
        if let key = open[last].key {
            open[last].pairs.append(YAMLPair(key: key.text, place: key.place, value: index))
            open[last].key = nil
        } else {
            open[last].children.append(index)
        }
        return index
    }

    private mutating func end() -> Bool {
        guard let frame = open.popLast() else { return false }
        nodes[frame.node].content =
            frame.isMapping ? .mapping(frame.pairs) : .sequence(frame.children)
        return true
    }
}
