// SPDX-License-Identifier: Apache-2.0
import Glibc
import Linux
import SystemPackage
import TaskModel
import TaskPlan
import TaskSpool
import TaskUnit

/// From an operand to a plan: a unit's file, or the name of one on the search path.
enum UnitFinder {
    struct Unit {
        /// TASK_NAME.
        var name: String
        var plan: Plan
        /// The index of the unit's own task.
        var root: Int
    }

    /// Compiles, or ends taskrun with status 2 after all that is wrong was printed.
    static func compile(_ operand: String, _ options: Options) -> Unit {
        let place = search(operand, options)
        let compiled = PlanCompiler.compile(text(operand, options), inputs: place.inputs)
        for problem in compiled.diagnostics {
            try? File.writeAll(Array((SafeText.printable(problem.text) + "\n").utf8), to: 2)
        }
        guard let plan = compiled.plan else {
            Message.quit(Status.usage, "unable to run \(operand): see above, nothing was started")
        }
        if let missing = plan.notYet.first {
            Message.quit(Status.usage, "unable to run \(operand): \(missing), nothing was started")
        }
        let root = plan.tasks.firstIndex { $0.spec.name == compiled.name }
        return Unit(name: compiled.name, plan: plan, root: root ?? plan.tasks.count - 1)
    }

    private static func search(_ operand: String, _ options: Options) -> UnitSearch {
        let spool = options.spool ?? Caller.environment("TASK_SPOOL")
        return UnitSearch(
            own: directory(of: operand), units: spool.map { "\($0)/units" }, owner: Caller.uid,
            author: (try? File.status(operand, following: true))?.uid)
    }

    /// The absolute path of the directory that a file is in.
    private static func directory(of path: String) -> String? {
        let parent = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
        return try? Caller.realPath(parent)
    }

    private static func text(_ operand: String, _ options: Options) -> UnitText {
        let name = operand.split(separator: "/").last.map(String.init) ?? operand
        let search = Self.search(operand, options)
        if let file = read(operand) {
            return chosen(search.text(name, file, directory(of: operand)), operand)
        }
        if let template = UnitText.template(of: name) {
            let path = String(operand.dropLast(name.utf8.count)) + template
            if let file = read(path) {
                return chosen(search.text(name, file, directory(of: operand)), operand)
            }
        }
        if !operand.contains("/") {
            for candidate in UnitName.files(name) {
                switch search.find(candidate) {
                case .absent: continue
                case let found: return chosen(found, operand)
                }
            }
        }
        Message.quit(
            Status.usage,
            "unable to find \(operand): no such file, and no unit of that name in "
                + "\(search.directories.joined(separator: ", ")), nothing was started")
    }

    private static func chosen(_ found: PlanInputs.UnitLookup, _ operand: String) -> UnitText {
        switch found {
        case .found(let text): return text
        case .absent: Message.quit(Status.usage, "unable to find \(operand)")
        case .refused(let what, let allowed):
            Message.quit(
                Status.usage, "unable to use \(operand): \(what), \(allowed), nothing was started")
        }
    }

    /// The file that the operand names; nil where there is none.
    private static func read(_ path: String) -> UnitFile? {
        let problem: String
        do throws(Errno) {
            let file = try File.open(path, flags: .nonBlocking)
            let status = try File.status(of: file.number)
            if !status.isRegular {
                problem = "it is \(status.kind)"
            } else if let bytes = try File.readAll(file.number, limit: UnitLimits.bytes) {
                return UnitFile(file: path, bytes: bytes)
            } else {
                problem = "it has \(status.size) bytes and at most \(UnitLimits.bytes) are allowed"
            }
        } catch .noSuchFileOrDirectory {
            return nil
        } catch {
            problem = error.description
        }
        Message.quit(Status.usage, "unable to read \(path): \(problem), nothing was started")
    }
}
