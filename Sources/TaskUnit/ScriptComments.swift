// SPDX-License-Identifier: Apache-2.0
import TaskModel

/// Finds the unit that a script carries in comments: `#TASK LimitMem=1G`.
enum ScriptComments {
    /// What a comment may begin with, in whatever language.
    private static let marks = ["#TASK", "//TASK", "--TASK", ";TASK", "%TASK"]
    private static let comments = ["#", "//", "--", ";", "%"]

    /// The script with everything but its unit blanked out, so that lines and columns stay.
    static func unit(in script: UnitFile, _ problems: inout DiagnosticList) -> UnitFile {
        var out: [UInt8] = []
        var isCode = false
        var number = 0
        guard script.bytes.count <= UnitLimits.bytes else {
            return script
        }
        for line in script.bytes.split(separator: 0x0a, omittingEmptySubsequences: false) {
            number += 1
            if let mark = mark(line) {
                if isCode {
                    let place = Place(file: script.file, line: number)
                    problems.warning(
                        place, "a #TASK line after the first line of code is not read",
                        "move it up")
                } else {
                    out.append(contentsOf: repeatElement(0x20, count: mark))
                    out.append(contentsOf: line.dropFirst(mark))
                }
            } else if !isComment(line) {
                isCode = true
            }
            out.append(0x0a)
        }
        return UnitFile(file: script.file, bytes: out)
    }

    private static func mark(_ line: ArraySlice<UInt8>) -> Int? {
        for mark in marks where line.starts(with: mark.utf8) {
            let count = mark.utf8.count
            if line.count == count || line[line.startIndex + count].isBlank { return count }
        }
        return nil
    }

    private static func isComment(_ line: ArraySlice<UInt8>) -> Bool {
        let text = line.trimmingBlanks()
        return text.isEmpty || comments.contains { text.starts(with: $0.utf8) }
    }
}
