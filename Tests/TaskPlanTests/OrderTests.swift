// SPDX-License-Identifier: Apache-2.0
import TaskPlan
import Testing

@Suite struct OrderTests {
    @Test func levelsAreTheLongestWayDown() {
        let graph = Graph(count: 5, from: [0, 1, 0, 3], to: [1, 2, 2, 2])
        let levels = graph.levels()
        #expect(levels.order == [0, 3, 4, 1, 2])
        #expect(levels.ends == [3, 4, 5])
        #expect(!levels.hasCycle && graph.cycles(limit: 3).isEmpty)
    }

    @Test func cyclesAreFoundByTheirEdges() {
        let graph = Graph(count: 6, from: [0, 1, 2, 3, 4, 5], to: [1, 2, 0, 4, 3, 3])
        #expect(graph.levels().hasCycle)
        #expect(graph.cycles(limit: 10) == [[0, 1, 2], [3, 4]])
        #expect(graph.cycles(limit: 1).count == 1)
        #expect(Graph(count: 1, from: [0], to: [0]).cycles(limit: 2) == [[0]])
    }

    @Test func aMillionNodesInARow() {
        let count = 1_000_000
        let from = (0..<UInt32(count - 1)).map { $0 }
        let levels = Graph(count: count, from: from, to: from.map { $0 + 1 }).levels()
        #expect(levels.ends.count == count && levels.order.last == UInt32(count - 1))
    }
}
