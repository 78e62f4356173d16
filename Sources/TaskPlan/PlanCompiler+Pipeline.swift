// SPDX-License-Identifier: Apache-2.0
import TaskModel
import TaskUnit

/// A pipeline whose members are to be made into nodes.
struct PendingPipeline {
    var pipeline: Pipeline
    var text: UnitText
    /// The groups before and after its members; none for the root.
    var around: (first: Int, last: Int)?
}

/// Where a part of a pipeline begins and ends.
private struct Span {
    var heads: [Int] = []
    var tails: [Int] = []
}

extension PlanCompiler {
    mutating func addRootPipeline(_ text: UnitText) {
        let (pipeline, problems) = PipelineParser.parse(text)
        diagnostics += problems
        texts.append(text)
        resolved[text.name] = .nothing
        resolved[rootName] = .nothing
        guard !problems.contains(where: { $0.severity == .error }) else { return }
        expand(PendingPipeline(pipeline: pipeline, text: text, around: nil))
    }

    /// A pipeline that a unit or another pipeline names: its members between two groups, of which
    /// the latter has its name.
    mutating func addPipeline(_ text: UnitText, _ setting: UnitDefinition.Setting) -> NameTarget {
        let (pipeline, problems) = PipelineParser.parse(text)
        diagnostics += problems
        texts.append(text)
        guard !problems.contains(where: { $0.severity == .error }) else { return .nothing }
        let first = add(PlanNode(spec: TaskSpec(name: pipeline.name + ":begin")))
        let last = add(PlanNode(spec: TaskSpec(name: pipeline.name)))
        guard first >= 0, last >= 0 else { return .nothing }
        pendingPipelines.append(
            PendingPipeline(pipeline: pipeline, text: text, around: (first, last)))
        return .node(last)
    }

    /// Makes a pipeline's members and the edges between them, from the innermost out: a member
    /// stands after its group in `nodes`.
    mutating func expand(_ pending: PendingPipeline) {
        let pipeline = pending.pipeline
        var spans = [Span](repeating: Span(), count: pipeline.nodes.count)
        // In the order of the file: of several of one name the first has it plain.
        let order = pipeline.nodes.indices.sorted {
            let (one, other) = (pipeline.nodes[$0].place, pipeline.nodes[$1].place)
            return (one.line, one.column) < (other.line, other.column)
        }
        for at in order { spans[at] = member(pipeline.nodes[at], pending) }
        for at in pipeline.nodes.indices.reversed() {
            switch pipeline.nodes[at].content {
            case .parallel(let members):
                for member in members {
                    spans[at].heads += spans[member].heads
                    spans[at].tails += spans[member].tails
                    spans[member] = Span()
                }
            case .sequence(let members):
                for (one, next) in zip(members, members.dropFirst()) {
                    connect(spans[one].tails, spans[next].heads, pipeline.nodes[next].place)
                }
                spans[at].heads = members.first.map { spans[$0].heads } ?? []
                spans[at].tails = members.last.map { spans[$0].tails } ?? []
            default: break
            }
        }
        if let (first, last) = pending.around {
            connect([first], spans[0].heads, pipeline.nodes[0].place)
            connect(spans[0].tails, [last], pipeline.nodes[0].place)
        }
    }

    private mutating func member(_ node: Pipeline.Node, _ pending: PendingPipeline) -> Span {
        let index: Int
        switch node.content {
        case .sequence, .parallel: return Span()
        case .inline(let unit): index = addInline(unit, pending)
        case .unit(let name): return addMember(name, node.place, pending)
        }
        guard index >= 0 else { return Span() }
        if pending.around == nil { roots.append(index) }
        return Span(heads: [index], tails: [index])
    }

    private mutating func addInline(_ unit: UnitDefinition, _ pending: PendingPipeline) -> Int {
        var node = PlanNode(spec: unit.spec, unit: unit, directory: pending.text.directory)
        node.spec.name = free(unit.name)
        if node.spec.name.hasPrefix("systemd:") {
            error(unit.place, "\(unit.name) is no task's name", "a name without systemd: first")
        }
        return add(node)
    }

    /// The name, with `:2` and so on where it is taken.
    private func free(_ name: String) -> String {
        guard nodeByName[name] != nil else { return name }
        var low = 2
        var high = 2
        while nodeByName["\(name):\(high)"] != nil {
            low = high
            high *= 2
        }
        while low < high {
            let middle = (low + high) / 2
            if nodeByName["\(name):\(middle)"] != nil { low = middle + 1 } else { high = middle }
        }
        return "\(name):\(low)"
    }

    /// A unit that a pipeline names; named again it is a task again.
    private mutating func addMember(
        _ name: String, _ place: Place, _ pending: PendingPipeline
    ) -> Span {
        if UnitName.of(name) == pending.pipeline.name {
            error(place, "\(name) contains itself", "another unit or pipeline")
            return Span()
        }
        let setting = UnitDefinition.member(name, place)
        let before = nodes.count
        guard case .node(var index) = resolve(setting) else { return Span() }
        if index < before, let unit = nodes[index].unit {
            var node = PlanNode(spec: unit.spec, unit: unit, directory: nodes[index].directory)
            node.spec.name = free(nodes[index].spec.name)
            index = add(node)
            guard index >= 0 else { return Span() }
        }
        if pending.around == nil { roots.append(index) }
        let begin = nodeByName[nodes[index].spec.name + ":begin"]
        return Span(heads: [begin ?? index], tails: [index])
    }

    /// Success edges from all to all, through a group where that takes fewer.
    private mutating func connect(_ tails: [Int], _ heads: [Int], _ place: Place) {
        guard tails.count * heads.count > tails.count + heads.count else {
            for tail in tails {
                for head in heads { step(tail, head, place) }
            }
            return
        }
        let join = add(PlanNode(spec: TaskSpec(name: free(rootName + ":join"))))
        guard join >= 0 else { return }
        for tail in tails { step(tail, join, place) }
        for head in heads { step(join, head, place) }
    }

    private mutating func step(_ from: Int, _ to: Int, _ place: Place) {
        edges.append(
            NodeEdge(
                from: from, to: to, kind: .ok, isRequirement: true, place: place,
                words: "the order of the pipeline"))
    }
}
