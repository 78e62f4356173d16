// SPDX-License-Identifier: Apache-2.0

/// A directed graph as two arrays, for orders of millions of edges. Nothing recurses.
public struct Graph {
    /// Nodes are 0 ..< count.
    public let count: Int
    /// Where the targets of each node begin in `targets`; one more at the end.
    private let starts: [UInt32]
    /// Targets, grouped by source, in the order in which the edges were given.
    private let targets: [UInt32]
    /// The edge's place in the input, beside `targets`.
    private let origins: [UInt32]

    /// Makes a graph; O(nodes + edges).
    ///
    /// - Parameter keepsOrigins: whether `cycles` shall name edges; costs four bytes an edge.
    public init(count: Int, from: [UInt32], to: [UInt32], keepsOrigins: Bool = true) {
        self.count = count
        var starts = [UInt32](repeating: 0, count: count + 1)
        for source in from { starts[Int(source) + 1] += 1 }
        for node in 0..<count { starts[node + 1] += starts[node] }
        var targets = [UInt32](repeating: 0, count: to.count)
        var origins = [UInt32](repeating: 0, count: keepsOrigins ? to.count : 0)
        for edge in from.indices {
            let source = Int(from[edge])
            let at = Int(starts[source])
            starts[source] += 1
            targets[at] = to[edge]
            if keepsOrigins { origins[at] = UInt32(edge) }
        }
        // Each start went to its node's end, which is where the next one starts.
        for node in stride(from: count, to: 0, by: -1) { starts[node] = starts[node - 1] }
        starts[0] = 0
        self.starts = starts
        self.targets = targets
        self.origins = origins
    }

    /// Nodes in the order of their levels, and where each level ends.
    public struct Levels {
        /// Level by level; within a level in the order in which they became free.
        public var order: [UInt32]
        /// Where in `order` each level ends.
        public var ends: [Int]
        /// Whether nodes are missing because they wait for each other.
        public var hasCycle: Bool
    }

    /// Puts each node on the first level that is after all it waits for (Kahn); O(nodes + edges).
    public func levels() -> Levels {
        var waiting = [UInt32](repeating: 0, count: count)
        for target in targets { waiting[Int(target)] += 1 }
        var order: [UInt32] = []
        order.reserveCapacity(count)
        for node in 0..<count where waiting[node] == 0 { order.append(UInt32(node)) }
        var ends: [Int] = []
        var at = 0
        while at < order.count {
            let end = order.count
            ends.append(end)
            while at < end {
                let node = Int(order[at])
                at += 1
                for edge in Int(starts[node])..<Int(starts[node + 1]) {
                    let target = Int(targets[edge])
                    waiting[target] -= 1
                    if waiting[target] == 0 { order.append(UInt32(target)) }
                }
            }
        }
        return Levels(order: order, ends: ends, hasCycle: order.count < count)
    }

    /// Some cycles, each as its edges (places in the input), no node in two of them.
    ///
    /// - Parameter limit: how many cycles at most.
    public func cycles(limit: Int) -> [[Int]] {
        guard origins.count == targets.count else { return [] }
        var state = [UInt8](repeating: 0, count: count)
        var found: [[Int]] = []
        for root in 0..<count where state[root] == 0 && found.count < limit {
            walk(from: root, &state, &found, limit)
        }
        return found
    }

    /// Depth-first with a stack of its own: an edge to a node on the path closes a cycle.
    private func walk(
        from root: Int, _ state: inout [UInt8], _ found: inout [[Int]], _ limit: Int
    ) {
        var path: [(node: Int, edge: Int)] = [(root, Int(starts[root]))]
        state[root] = 1
        while let last = path.last {
            guard last.edge < Int(starts[last.node + 1]) else {
                state[last.node] = 2
                path.removeLast()
                continue
            }
            path[path.count - 1].edge += 1
            let target = Int(targets[last.edge])
            if state[target] == 0 {
                state[target] = 1
                path.append((target, Int(starts[target])))
            } else if state[target] == 1, found.count < limit {
                let first = path.lastIndex { $0.node == target } ?? 0
                found.append(path[first...].map { Int(origins[$0.edge - 1]) })
                while path.count > first { state[path.removeLast().node] = 2 }
            }
        }
    }
}
