// SPDX-License-Identifier: Apache-2.0

/// A pipeline: what runs one after another, and what at once. See task.pipeline(5).
public struct Pipeline: Equatable, Sendable {
    /// One node; members are indices into `nodes`.
    public enum Content: Equatable, Sendable {
        /// A unit, by its name.
        case unit(String)
        /// A task that is written out in the pipeline.
        case inline(UnitDefinition)
        case sequence([Int])
        case parallel([Int])
    }

    public struct Node: Equatable, Sendable {
        public var content: Content
        public let place: Place
    }

    /// TASK_NAME.
    public let name: String
    /// The root is the first.
    public internal(set) var nodes: [Node] = []
}
