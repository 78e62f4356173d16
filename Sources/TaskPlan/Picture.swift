// SPDX-License-Identifier: Apache-2.0
public import TaskModel

/// A plan as SVG: a column a level, time from left to right. O(n log n).
public struct Picture {
    private let plan: Plan
    private let title: String
    private let states: [Int: TaskState]
    /// Width of a box by the longest name of its level, in pixels.
    private var widths: [Int] = []
    private var boxes: [Box] = []
    private var height = 0

    private struct Box {
        var x = 0
        var y = 0
        var width = 0
    }

    private static let boxHeight = 28
    private static let rowGap = 14
    private static let columnGap = 70
    private static let margin = 16

    /// - Parameter states: of tasks of a run, by number.
    public init(name: String, plan: Plan, states: [Int: TaskState] = [:]) {
        title = name
        self.plan = plan
        self.states = states
        boxes = [Box](repeating: Box(), count: plan.tasks.count)
        var x = Self.margin
        for level in plan.levels {
            let longest = level.map { Self.width(of: plan.tasks[$0], states) }.max() ?? 0
            let width = longest * 8 + 20
            for (row, index) in level.enumerated() {
                let y = Self.margin + row * (Self.boxHeight + Self.rowGap)
                boxes[index] = Box(x: x, y: y, width: width)
                height = max(height, y + Self.boxHeight + Self.margin)
            }
            widths.append(width)
            x += width + Self.columnGap
        }
    }

    private static func width(of task: PlanTask, _ states: [Int: TaskState]) -> Int {
        task.spec.name.count + (states[task.number].map { 1 + $0.word.count } ?? 0)
    }

    private var width: Int {
        widths.reduce(2 * Self.margin, +) + max(widths.count - 1, 0) * Self.columnGap
    }

    /// The file's bytes.
    public var svg: [UInt8] {
        var text: [UInt8] = []
        text += "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"\(width)\"".utf8
        text += " height=\"\(height)\" font-family=\"monospace\" font-size=\"13\">\n".utf8
        text += "<title>\(Self.escaped(title))</title>\n".utf8
        text += "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n".utf8
        let indices = Dictionary(
            plan.tasks.enumerated().map { ($1.number, $0) }, uniquingKeysWith: { first, _ in first }
        )
        for edge in plan.edges {
            guard let from = indices[edge.from], let to = indices[edge.to] else { continue }
            text += line(boxes[from], boxes[to], edge.kind).utf8
        }
        for (box, task) in zip(boxes, plan.tasks) {
            text += Self.drawn(box, task.spec, states[task.number]).utf8
        }
        text += "</svg>\n".utf8
        return text
    }

    private static func drawn(_ box: Box, _ spec: TaskSpec, _ state: TaskState?) -> String {
        let dash = spec.flag(.optional) ? " stroke-dasharray=\"4 3\"" : ""
        return "<rect x=\"\(box.x)\" y=\"\(box.y)\" width=\"\(box.width)\" height=\"\(boxHeight)\""
            + " rx=\"4\" fill=\"\(Drawing.colour(state))\" stroke=\"black\"\(dash)/>\n"
            + "<text x=\"\(box.x + 10)\" y=\"\(box.y + 19)\">\(escaped(spec.name))"
            + (state.map { " <tspan font-style=\"italic\">\($0.word)</tspan>" } ?? "") + "</text>\n"
    }

    /// A curve from the right side of one box to an arrow at the left side of the other.
    private func line(_ from: Box, _ to: Box, _ kind: PlanEdge.Kind) -> String {
        let x1 = from.x + from.width
        let y1 = from.y + Self.boxHeight / 2
        let x2 = to.x
        let y2 = to.y + Self.boxHeight / 2
        let bend = Self.columnGap / 2
        let dash =
            switch kind {
            case .ok: ""
            case .end: " stroke-dasharray=\"6 4\""
            case .fail: " stroke-dasharray=\"2 3\""
            }
        return "<path d=\"M\(x1) \(y1)C\(x1 + bend) \(y1) \(x2 - bend) \(y2) \(x2) \(y2)\""
            + " fill=\"none\" stroke=\"black\"\(dash)/>\n"
            + "<path d=\"M\(x2) \(y2)l-8 -4v8z\"/>\n"
    }

    private static func escaped(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;")
            .replacing(">", with: "&gt;")
    }
}
