// SPDX-License-Identifier: Apache-2.0
import SystemPackage
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
    /// A definition could not be read for now.
    case later(Errno)
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
        compile(name, bytes, inputs)
    }

    /// What a task dropped: no file travels with it, also none of units/. It would be read with the
    /// rights of the owner, of whom its parent may be jailed.
    func compile(subtask name: String, _ bytes: [UInt8]) -> Compiled {
        var inputs = inputs
        inputs.file = { _, _, _ in .unread }
        return compile(name, bytes, inputs)
    }

    private func compile(_ name: String, _ bytes: [UInt8], _ inputs: PlanInputs) -> Compiled {
        _ = search.takeTrouble()
        let compiled = compileNow(name, bytes, inputs)
        return search.takeTrouble().map { .later($0) } ?? compiled
    }

    private func compileNow(_ name: String, _ bytes: [UInt8], _ inputs: PlanInputs) -> Compiled {
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
        if result.isInstallation {
            return result.unit.flatMap(Self.zoneProblem).map { Compiled.bad($0) }
                ?? .definition(name)
        }
        return accepted(plan, plan.encode())
    }

    // MARK: What is installed

    /// A unit of units/ as it stands, to be armed.
    enum Installed {
        case unit(UnitDefinition)
        /// Nothing in it says when it runs.
        case dependency
        case absent
        /// Lines that say what is wrong.
        case bad(String)
    }

    func installed(_ file: String) -> Installed {
        switch search.installed(file, in: units) {
        case .absent: return .absent
        case .refused(let what, let allowed): return .bad("\(what): \(allowed)")
        case .found(let text):
            guard text.kind != .pipeline, !UnitText.isTemplate(file) else { return .dependency }
            let (unit, problems) = UnitParser.parse(text)
            let errors = problems.filter { $0.severity == .error }.map(\.text)
            // Of a wrong cron= nothing is left in the unit.
            let isMeant = unit.isInstallation || !errors.isEmpty && Self.mentionsRunIf(text)
            guard isMeant else { return .dependency }
            if !errors.isEmpty { return .bad(errors.joined(separator: "\n")) }
            return Self.zoneProblem(unit).map { Installed.bad($0) } ?? .unit(unit)
        }
    }

    /// The plan of a unit of units/ as it stands; nil where it is no longer there.
    func compile(installed file: String) -> Compiled? {
        _ = search.takeTrouble()
        let compiled = compileNow(installed: file)
        return search.takeTrouble().map { .later($0) } ?? compiled
    }

    private func compileNow(installed file: String) -> Compiled? {
        switch search.installed(file, in: units) {
        case .absent: return nil
        case .refused(let what, let allowed): return .bad("\(what): \(allowed)")
        case .found(let text):
            let result = PlanCompiler.compile(firing: text, inputs: inputs)
            guard let plan = result.plan, !result.hasErrors else {
                return .bad(result.diagnostics.map(\.text).joined(separator: "\n"))
            }
            return accepted(plan, plan.encode())
        }
    }

    private static func mentionsRunIf(_ text: UnitText) -> Bool {
        ([text.main] + text.dropIns).contains { file in
            file.bytes.split(separator: UInt8(ascii: "\n")).contains {
                $0.trimmingBlanks().starts(with: "[RunIf]".utf8)
            }
        }
    }

    private static func zoneProblem(_ unit: UnitDefinition) -> String? {
        guard let setting = unit.settings(.timeZone).last,
            ZoneSearch.rules(of: setting.value) == nil
        else { return nil }
        return Diagnostic(
            .error, setting.place, "TimeZone=\(setting.value): no such zone on this machine",
            "a file below /usr/share/zoneinfo, as Europe/Berlin"
        ).text
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
            directory == units ? read(directory, path, limit) : .unread
        }
        return inputs
    }
}
