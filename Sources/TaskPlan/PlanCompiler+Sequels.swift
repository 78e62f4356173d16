// SPDX-License-Identifier: Apache-2.0
import TaskModel
import TaskUnit

extension PlanCompiler {
    /// Makes of each [Then] a task NAME.then behind NAME's success, and moves what followed NAME
    /// behind it: a task ends when its subtasks have, and a unit when its [Then] has. O(edges).
    mutating func addSequels() {
        var sequels: [Int: Int] = [:]
        var steps: [NodeEdge] = []
        for index in nodes.indices {
            guard let unit = nodes[index].unit?.sequel, let sequel = addSequel(unit, of: index)
            else { continue }
            sequels[index] = sequel
            steps.append(
                NodeEdge(
                    from: index, to: sequel, kind: .ok, isRequirement: true, place: unit.place,
                    words: "[Then]"))
        }
        guard !sequels.isEmpty else { return }
        for at in edges.indices { edges[at].from = sequels[edges[at].from] ?? edges[at].from }
        roots = roots.map { sequels[$0] ?? $0 }
        edges += steps
    }

    private mutating func addSequel(_ unit: UnitDefinition, of index: Int) -> Int? {
        var node = PlanNode(spec: unit.spec, unit: unit, directory: nodes[index].directory)
        node.spec.name = nodes[index].spec.name + TaskSpec.thenSuffix
        if nodeByName[node.spec.name] != nil {
            error(
                unit.place, "\(node.spec.name) is a task beside this [Then]",
                "another name for it")
            return nil
        }
        guard node.spec.name.utf8.count <= PlanLimits.name else {
            error(unit.place, "the name \(node.spec.name) is too long", "shorter names")
            return nil
        }
        let sequel = add(node)
        return sequel < 0 ? nil : sequel
    }
}
