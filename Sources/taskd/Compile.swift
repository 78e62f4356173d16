// SPDX-License-Identifier: Apache-2.0
import TaskModel
import TaskPlan
import TaskSpool
import TaskUnit

/// What a drop's bytes come to.
enum Compiled {
    case plan(Plan, encoded: [UInt8])
    /// A unit with [RunIf]: it is installed as units/NAME.
    case definition(String)
    /// Lines `file:line:column: what is wrong: what is allowed`.
    case bad(String)
}

/// Step 2: bytes and name of a drop become a plan.
///
/// Reads definitions from the search path, and files that travel from units/ only: a path that a
/// unit names is its user's, and may hang; `task submit` carries those.
struct DropCompiler {
    private let units: String
    private let search: UnitSearch

    init(_ spool: Spool) {
        units = "\(spool.path)/units"
        search = UnitSearch(own: nil, units: units, owner: spool.owner)
    }

    /// Definitions may have changed: what is compiled from now on sees them.
    func lookAgain() { search.lookAgain() }

    func compile(name: String, _ bytes: [UInt8]) -> Compiled {
        if Spool.isPlan(bytes) { return parsePlan(name, bytes) }
        let text: UnitText
        switch root(name, bytes) {
        case .found(let found): text = found
        case .absent: return .bad("\(name): it is empty: a unit, or NAME@INSTANCE of a template")
        case .refused(let what, let allowed): return .bad("\(name): \(what): \(allowed)")
        }
        let result = PlanCompiler.compile(text, inputs: inputs)
        guard let plan = result.plan, !result.hasErrors else {
            return .bad(result.diagnostics.map(\.text).joined(separator: "\n"))
        }
        if result.isInstallation { return .definition(name) }
        return accepted(plan, plan.encode())
    }

    private func parsePlan(_ name: String, _ bytes: [UInt8]) -> Compiled {
        do {
            return accepted(try Plan(parsing: bytes), bytes)
        } catch {
            return .bad("\(name): \(error.sentence)")
        }
    }

    private func accepted(_ plan: Plan, _ encoded: [UInt8]) -> Compiled {
        let missing = plan.notYet
        return missing.isEmpty
            ? .plan(plan, encoded: encoded) : .bad(missing.joined(separator: "\n"))
    }

    /// The unit's text. An empty `NAME@INST.task` is that instance of `NAME@.task`.
    private func root(_ name: String, _ bytes: [UInt8]) -> PlanInputs.UnitLookup {
        guard bytes.isEmpty else {
            let file = UnitFile(file: name, bytes: bytes)
            return search.text(name, file, directory(name, file))
        }
        guard let template = UnitText.template(of: name) else { return .absent }
        guard case .found(var text) = search.find(template) else {
            return .refused(
                what: "\(template) is nowhere", allowed: "a file in \(inputs.places)")
        }
        text.name = name
        return .found(text)
    }

    /// What `./x` of a plain drop is relative to: WorkingDirectory=, else units/.
    private func directory(_ name: String, _ file: UnitFile) -> String {
        guard Self.mentionsWorkingDirectory(file.bytes) else { return units }
        let unit = UnitParser.parse(UnitText(name: name, main: file)).unit
        return unit.spec.text(.workingDirectory) ?? units
    }

    /// Most drops need not be parsed twice.
    private static func mentionsWorkingDirectory(_ bytes: [UInt8]) -> Bool {
        let word = "WorkingDirectory".utf8
        var index = bytes.startIndex
        while let start = bytes[index...].firstIndex(of: UInt8(ascii: "W")) {
            if bytes[start...].starts(with: word) { return true }
            index = start + 1
        }
        return false
    }

    private var inputs: PlanInputs {
        var inputs = search.inputs
        let read = inputs.file
        let units = units
        inputs.file = { directory, path, limit in
            directory == units ? read(directory, path, limit) : .absent
        }
        return inputs
    }
}
