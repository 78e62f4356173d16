// SPDX-License-Identifier: Apache-2.0
import TaskModel

/// One cell of a table line: its text and how it is painted.
struct Cell {
    var text: String
    var isBold = false
    var state: TaskState?

    init(text: String, isBold: Bool = false) {
        self.text = text
        self.isBold = isBold
    }

    // Painted after it was padded and cut: escapes have no width.
    func painted(_ text: String, _ style: Style) -> String {
        if isBold { return style.bold(text) }
        if let state { return style.paint(text, as: state) }
        return text
    }
}
