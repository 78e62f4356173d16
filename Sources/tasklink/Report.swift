// SPDX-License-Identifier: Apache-2.0
import Linux
import TaskTool

/// tasklink's own words: lines on standard error, with sd-daemon(3) prefixes under systemd.
struct Report {
    private let prefixed = Caller.environment("JOURNAL_STREAM") != nil

    private func write(_ level: String, _ priority: Int, _ text: String) {
        let mark = prefixed ? "<\(priority)>" : ""
        let line = "\(mark)tasklink: \(level): \(HumanText.printable(text))\n"
        // Nobody is left to be told when standard error is gone.
        try? File.writeAll(Array(line.utf8), to: 2)
    }

    func error(_ text: String) { write("error", 3, text) }
    func warning(_ text: String) { write("warning", 4, text) }
    func notice(_ text: String) { write("notice", 5, text) }
}
