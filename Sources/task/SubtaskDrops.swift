// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskModel
import TaskTool

/// `task submit` within a task: drops go into $TASK_SUBMIT, and what becomes of them appears there as
/// `NAME.end` or `NAME.reason` (task-jail(7)). The files go as they are: taskd compiles them, with the
/// rights of the task.
struct SubtaskDrops {
    /// $TASK_SUBMIT; nil outside of a task, and where none is taken.
    static var place: String? { Caller.environment("TASK_SUBMIT") }

    private static let longest = 10 * 1024
    let place: String

    /// - Parameter name: what standard input is called.
    /// - Returns: the drops' names, in the order of the operands. Ids are taskd's to give.
    func submit(_ operands: [String], name: String) throws(ToolError) -> [String] {
        let directory: Descriptor
        do {
            directory = try File.openDirectory(place)
        } catch {
            throw ToolError(unableTo: "open", place, error, "nothing was submitted")
        }
        var drops: [Drop] = []
        for operand in operands { drops.append(try drop(operand, name)) }
        for drop in drops { try write(drop, directory.number) }
        for drop in drops {
            do {
                try File.rename(
                    "." + drop.name, at: directory.number, to: drop.name, at: directory.number)
            } catch {
                throw ToolError(
                    unableTo: "rename", "the drop of \(drop.name)", error,
                    "those before it were submitted")
            }
        }
        return drops.map(\.name)
    }

    private func drop(_ operand: String, _ standardInput: String) throws(ToolError) -> Drop {
        let name =
            operand == "-"
            ? standardInput : operand.split(separator: "/").last.map(String.init) ?? operand
        if let problem = DropFileName.problem(name) {
            throw ToolError(
                "unable to submit \(operand): \(problem), nothing was submitted",
                status: ExitStatus.usage)
        }
        let bytes: [UInt8]?
        do {
            bytes = try read(operand)
        } catch {
            throw ToolError(unableTo: "read", operand, error, "nothing was submitted")
        }
        if let bytes { return Drop(name: name, bytes: bytes) }
        throw ToolError(
            "unable to submit \(operand): a subtask has at most \(Self.longest) bytes, nothing was "
                + "submitted",
            status: ExitStatus.usage)
    }

    private func read(_ operand: String) throws(Errno) -> [UInt8]? {
        if operand == "-" { return try File.readAll(0, limit: Self.longest) }
        let file = try File.open(operand)
        return try File.readAll(file.number, limit: Self.longest)
    }

    // Under a name that is no drop's, until all are there.
    private func write(_ drop: Drop, _ directory: Int32) throws(ToolError) {
        do {
            let file = try File.open(
                "." + drop.name, at: directory, flags: [.writeOnly, .create, .truncate, .noFollow])
            try File.writeAll(drop.bytes, to: file.number)
        } catch {
            throw ToolError(
                unableTo: "write", "the drop of \(drop.name)", error, "nothing was submitted")
        }
    }
}
