// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import TaskModel
import TaskPlan
import TaskTool

/// `taskdep order`: what runs before what.
struct OrderCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "order",
        abstract: "Prints what runs before what, level by level.",
        discussion: """
            Of a unit: its tasks, one level a line; what stands on one line may run at the same \
            time. Of standard input, which is tsort(1)'s: pairs of names, the first before the \
            second, a pair of equal names for one alone; one name a line.
            """)

    @Argument(
        help: ArgumentHelp("A unit, or - for pairs of names.", valueName: "file"),
        completion: .file())
    var file = "-"

    func run() throws {
        let output = Output(paged: false)
        if file == "-" {
            try output.write(try NamePairs.readingStandardInput().ordered())
        } else {
            try output.write(try compile(file).plan.levelLines)
        }
        try output.finish()
    }
}

extension Plan {
    /// One level a line, names divided by blanks.
    fileprivate var levelLines: [UInt8] {
        var bytes: [UInt8] = []
        for level in levels {
            for (place, index) in level.enumerated() {
                if place > 0 { bytes.append(UInt8(ascii: " ")) }
                bytes.append(contentsOf: tasks[index].spec.name.utf8)
            }
            bytes.append(UInt8(ascii: "\n"))
        }
        return bytes
    }
}
