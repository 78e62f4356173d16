// SPDX-License-Identifier: Apache-2.0
import TaskModel

/// Reads pipelines: a list is a sequence, `parallel:` and `sequence:` name groups, a member is a
/// unit's name or a mapping of directives.
public struct PipelineParser {
    private var pipeline: Pipeline
    private var problems = DiagnosticList()
    private var yaml: [YAMLNode] = []
    private let text: UnitText
    /// YAML nodes whose place in the pipeline is made, and their contents not yet.
    private var pending: [(yaml: Int, node: Int)] = []

    /// Reads a pipeline's text.
    ///
    /// - Returns: the pipeline, and all that is wrong with the text.
    public static func parse(_ text: UnitText) -> (pipeline: Pipeline, problems: [Diagnostic]) {
        var parser = PipelineParser(text)
        parser.read()
        return (parser.pipeline, parser.problems.sorted)
    }

    private init(_ text: UnitText) {
        self.text = text
        pipeline = Pipeline(name: UnitName.of(text.name))
    }

    private mutating func read() {
        problems = TextCheck.problems(text.main)
        for dropIn in text.dropIns {
            problems.error(
                Place(file: dropIn.file, line: 1), "a drop-in for a pipeline",
                "drop-ins change units, not pipelines")
        }
        guard problems.all.isEmpty else { return }
        let reader = YAMLReader(text.main, problems: problems)
        problems = reader.problems
        guard problems.all.isEmpty else { return }
        guard !reader.nodes.isEmpty else {
            problems.error(
                Place(file: text.main.file, line: 1), "an empty pipeline", "a list of members")
            return
        }
        yaml = reader.nodes
        _ = reserve(0)
        while let next = pending.popLast() { fill(next.yaml, next.node) }
    }

    private mutating func reserve(_ yamlIndex: Int) -> Int {
        pipeline.nodes.append(
            Pipeline.Node(content: .sequence([]), place: yaml[yamlIndex].place))
        pending.append((yamlIndex, pipeline.nodes.count - 1))
        return pipeline.nodes.count - 1
    }

    private mutating func fill(_ yamlIndex: Int, _ node: Int) {
        let place = yaml[yamlIndex].place
        switch yaml[yamlIndex].content {
        case .scalar(let name): unit(name, node, place)
        case .nothing: unit("", node, place)
        case .sequence(let members):
            pipeline.nodes[node].content = .sequence(group(members, place))
        case .mapping(let pairs): mapping(pairs, node, place)
        }
    }

    private mutating func unit(_ name: String, _ node: Int, _ place: Place) {
        if !DirectiveType.isUnitName(name) {
            problems.error(
                place, "\(name.isEmpty ? "an empty member" : name) is no unit's name",
                DirectiveType.unitName.allowed + "; a program is `command: PROGRAM`")
        }
        pipeline.nodes[node].content = .unit(name)
    }

    private mutating func group(_ members: [Int], _ place: Place) -> [Int] {
        if members.isEmpty { problems.error(place, "an empty group", "at least one member") }
        return members.map { reserve($0) }
    }

    private mutating func mapping(_ pairs: [YAMLPair], _ node: Int, _ place: Place) {
        guard let named = pairs.first(where: { $0.key == "parallel" || $0.key == "sequence" })
        else {
            var reader = InlineReader(
                yaml: yaml, pipeline: pipeline.name, place: place, problems: problems)
            pipeline.nodes[node].content = .inline(reader.read(pairs))
            problems = reader.problems
            return
        }
        for pair in pairs where pair.key != named.key {
            problems.error(
                pair.place, "\(pair.key): beside \(named.key):",
                "\(named.key): alone in its mapping; directives stand at its members")
        }
        guard case .sequence(let members) = yaml[named.value].content else {
            problems.error(yaml[named.value].place, "no list after \(named.key):", "a list")
            return
        }
        let indices = group(members, yaml[named.value].place)
        pipeline.nodes[node].content =
            named.key == "parallel" ? .parallel(indices) : .sequence(indices)
    }
}
