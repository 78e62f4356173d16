// SPDX-License-Identifier: Apache-2.0
import TaskModel

extension RunPast {
    /// What start-up asks of an accept record, or of what a checkpoint says in its place. A start behind a
    /// hundred thousand runs holds one of each: the line itself would be several times as large.
    public struct Accept: Equatable, Sendable {
        /// The drop's name.
        public var name: String
        /// Nil: it follows from the drop's name.
        public var unit: String?
        /// Of the plan; nil where the accept lies before the checkpoint: then it is on disk.
        public var digest: String?
        /// The plan's text, where this record carries it.
        public var plan: String?
        /// How many tasks the plan has; 0: the record does not say.
        public var tasks = 0

        public init(name: String, unit: String? = nil, digest: String? = nil) {
            (self.name, self.unit, self.digest) = (name, unit, digest)
        }

        /// - Parameter digest: that of the record, shared with others of the same plan.
        init(_ line: EventLine, digest: String?) {
            self.init(name: line["name"] ?? "", unit: line["unit"], digest: digest)
            plan = line["plan"]
            tasks = line.number("tasks") ?? 0
        }
    }
}
