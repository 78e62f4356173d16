// SPDX-License-Identifier: Apache-2.0
import TaskModel
import TaskUnit

/// A task while the plan is made.
struct PlanNode {
    var spec: TaskSpec
    /// What made it: nil for joins and systemd's names.
    var unit: UnitDefinition?
    /// What relative paths are relative to.
    var directory: String?
    /// The units whose OnSuccess= or OnFailure= led here, itself last.
    var handlers: [String] = []
    /// Its items, where it has some.
    var items: NodeItems?
}

/// The items of a node: a number, and their list where they have texts.
struct NodeItems {
    var count: Int
    var list: [UInt8]?
}

/// An order between two nodes while the plan is made.
struct NodeEdge {
    var from: Int
    var to: Int
    var kind: PlanEdge.Kind
    /// Whether the target's success needs the source's: what fails the run when it fails.
    var isRequirement: Bool
    var place: Place
    /// How the place says it, `Requires=libpng.service`.
    var words: String
}

/// What a name in a unit leads to.
enum NameTarget {
    case node(Int)
    /// Reported already, or of no effect.
    case nothing
}
