// SPDX-License-Identifier: Apache-2.0
import TaskModel
import TaskUnit

extension PlanCompiler {
    /// Numbers the tasks level by level and writes the plan; nil where there is a cycle.
    mutating func finish() -> Plan? {
        mergeEdges()
        let graph = Graph(
            count: nodes.count, from: edges.map { UInt32($0.from) },
            to: edges.map { UInt32($0.to) })
        let levels = graph.levels()
        if levels.hasCycle {
            for cycle in graph.cycles(limit: 10) { report(cycle) }
            return nil
        }
        markOptional()
        if refuseLongLines() { return nil }
        return plan(numbered(levels))
    }

    /// A plan with such a line could not be read again. True where there is one.
    private mutating func refuseLongLines() -> Bool {
        let long = nodes.filter { !$0.spec.fitsLine }
        for node in long {
            error(
                node.unit?.place ?? Place(file: rootName, line: 1),
                "what the task \(node.spec.name) is given is too long",
                "at most \(PlanLimits.line) bytes, as a plan writes them")
        }
        return !long.isEmpty
    }

    /// One edge a pair of tasks: success implies the end; both ends of one are a contradiction.
    private mutating func mergeEdges() {
        var kept: [NodeEdge] = []
        var byPair: [UInt64: Int] = [:]
        for edge in edges {
            let pair = UInt64(edge.from) << 32 | UInt64(edge.to)
            guard let at = byPair[pair] else {
                byPair[pair] = kept.count
                kept.append(edge)
                continue
            }
            if kept[at].kind == .end || kept[at].kind == edge.kind {
                if edge.kind != .end { kept[at] = edge }
            } else if edge.kind != .end {
                error(
                    edge.place, "\(edge.words) contradicts \(kept[at].words) (\(kept[at].place))",
                    "one of success and failure")
            }
        }
        edges = kept
    }

    /// At most 20 members are named, each with the line that makes it wait.
    private mutating func report(_ cycle: [Int]) {
        var text = ""
        for at in cycle.prefix(20) {
            let edge = edges[at]
            text += "\(nodes[edge.from].spec.name) before \(nodes[edge.to].spec.name)"
            text += " (\(edge.words) at \(edge.place)), "
        }
        if cycle.count > 20 { text += "and \(cycle.count - 20) more, " }
        error(
            edges[cycle[0]].place, "a cycle of \(cycle.count): " + text.dropLast(2),
            "units that do not wait for each other")
    }

    /// What no root requires may fail without failing the run.
    private mutating func markOptional() {
        var sources: [[Int]] = Array(repeating: [], count: nodes.count)
        for edge in edges where edge.isRequirement { sources[edge.to].append(edge.from) }
        var isNeeded = [Bool](repeating: false, count: nodes.count)
        var open = roots
        while let node = open.popLast() {
            if isNeeded[node] { continue }
            isNeeded[node] = true
            open += sources[node]
        }
        let required = Set(edges.filter { $0.kind == .ok }.map(\.from))
        for node in nodes.indices where !isNeeded[node] {
            nodes[node].spec[.optional] = ["yes"]
            if nodes[node].spec.name.hasPrefix("systemd:"), !required.contains(node) {
                tolerate(node)
            }
        }
    }

    /// Where nobody requires systemd's unit, `taskdep await` only warns.
    private mutating func tolerate(_ node: Int) {
        let name = nodes[node].spec.name.dropFirst("systemd:".count)
        nodes[node].spec[.arg] = ["await", "--optional", String(name)]
    }

    /// The number of each node: by level, then in the order in which they were found.
    private func numbered(_ levels: Graph.Levels) -> [Int] {
        var numbers = [Int](repeating: 0, count: nodes.count)
        var next = 0
        var start = 0
        for end in levels.ends {
            for node in levels.order[start..<end].sorted() {
                numbers[Int(node)] = next
                next += 1
            }
            start = end
        }
        return numbers
    }

    private mutating func plan(_ numbers: [Int]) -> Plan {
        var plan = Plan()
        var order = [Int](repeating: 0, count: nodes.count)
        for (node, number) in numbers.enumerated() { order[number] = node }
        for (number, node) in order.enumerated() {
            var spec = nodes[node].spec
            spec.dropCompiledAway()
            plan.tasks.append(PlanTask(number: number, spec: spec))
            guard let items = nodes[node].items else { continue }
            plan.items.append(PlanItems(task: number, count: items.count, first: 0))
            if let list = items.list {
                blobs.append(PlanBlob(kind: .items, name: "\(number)", bytes: list))
            }
        }
        plan.edges = edges.map {
            PlanEdge(from: numbers[$0.from], to: numbers[$0.to], kind: $0.kind)
        }
        plan.edges.sort { ($0.from, $0.to) < ($1.from, $1.to) }
        plan.blobs = unitBlobs() + blobs
        return plan
    }

    private func unitBlobs() -> [PlanBlob] {
        var blobs: [PlanBlob] = []
        for text in texts {
            if text.kind != .script {
                blobs.append(PlanBlob(kind: .unit, name: text.name, bytes: text.main.bytes))
            }
            for dropIn in text.dropIns {
                let file = dropIn.file.split(separator: "/").last.map(String.init) ?? dropIn.file
                blobs.append(
                    PlanBlob(kind: .dropin, name: "\(text.name).d/\(file)", bytes: dropIn.bytes))
            }
        }
        return blobs
    }
}
