// SPDX-License-Identifier: Apache-2.0
import TaskModel

/// Reads unit files and scripts into definitions.
///
/// Never stops at the first problem; a definition whose diagnostics hold an error is not to be run.
public struct UnitParser {
    private var unit: UnitDefinition
    private var problems = DiagnosticList()
    private var specifiers: Specifiers
    private var section: UnitSection?
    /// A section that is ignored: `X-…`, or one that is unknown and was reported.
    private var isSkipping = false
    private let isScript: Bool
    private var count = 0

    /// Reads a unit's text with its drop-ins.
    ///
    /// - Returns: the definition, and all that is wrong with the text.
    public static func parse(_ text: UnitText) -> (unit: UnitDefinition, problems: [Diagnostic]) {
        var parser = UnitParser(text)
        parser.read(text)
        return (parser.unit, parser.problems.sorted)
    }

    private init(_ text: UnitText) {
        let name = UnitName.of(text.name)
        unit = UnitDefinition(name: name, place: Place(file: text.main.file, line: 1))
        specifiers = Specifiers(name: name, instance: UnitText.instance(of: text.name))
        isScript = text.kind == .script
    }

    private mutating func read(_ text: UnitText) {
        var main = text.main
        if isScript {
            unit.script = main
            main = ScriptComments.unit(in: main, &problems)
        }
        var files: [[INILine]] = []
        for (index, file) in ([main] + text.dropIns).enumerated() {
            let check = TextCheck.problems(file)
            for problem in check.all { problems.add(problem) }
            guard check.all.isEmpty else { continue }
            let reader = INIReader(file, problems: problems)
            problems = reader.problems
            files.append(reader.lines)
            if index == 0 { specifiers.isArray = Self.hasArray(reader.lines) }
        }
        for lines in files { take(lines) }
        finish()
    }

    private static func hasArray(_ lines: [INILine]) -> Bool {
        lines.contains {
            if case .section("Array") = $0.content { true } else { false }
        }
    }

    private mutating func take(_ lines: [INILine]) {
        section = nil
        isSkipping = false
        for line in lines {
            if section == .end {
                problems.error(line.place, "text after [End]", "[End] is the last line")
                break
            }
            switch line.content {
            case .section(let name): open(name, line.place)
            case .setting(let key, let value, let column):
                var place = line.place
                place.column = column
                set(key, value, line.place, valueAt: place)
            }
        }
        if section == .end { unit.isEnded = true }
    }

    private mutating func open(_ name: String, _ place: Place) {
        isSkipping = false
        if let known = UnitSection(rawValue: name), known != .plan {
            section = known
        } else {
            section = nil
            isSkipping = true
            if !name.hasPrefix("X-") {
                problems.error(place, "unknown section [\(name)]", Spelling.section(name))
            }
        }
    }

    private mutating func set(_ key: String, _ value: String, _ place: Place, valueAt: Place) {
        if isSkipping || key.hasPrefix("X-") { return }
        count += 1
        guard count <= UnitLimits.settings else {
            if count == UnitLimits.settings + 1 {
                problems.error(place, "too many settings", "at most \(UnitLimits.settings)")
            }
            return
        }
        guard let directive = directive(key, place) else { return }
        if !value.isEmpty { sayTwice(directive, key, place) }
        let problem = SettingReader(directive: directive, key: key, specifiers: specifiers)
            .read(value, at: valueAt, into: &unit)
        if let problem { problems.error(valueAt, "\(key)=: \(problem.what)", problem.allowed) }
    }

    // What a line of the same file has set is gone without a word otherwise; drop-ins change what
    // stands in the unit.
    private mutating func sayTwice(_ directive: Directive, _ key: String, _ place: Place) {
        guard let before = unit.single(directive, key), before.place.file == place.file else {
            return
        }
        let line = before.place.line
        switch directive {
        case .command, .thenCommand:
            problems.error(
                place, "\(key)= stands in line \(line) too",
                "one command: a shell's -c, a script or a pipeline for several")
        case .check:
            problems.error(
                place, "a check \(key) stands in line \(line) too", "each check a name of its own")
        default:
            problems.warning(
                place, "\(key)= in line \(line) counts no more", "one value; the last one counts")
        }
    }

    private mutating func directive(_ key: String, _ place: Place) -> Directive? {
        if let section {
            if let found = Directive(section: section, key: key) { return found }
            problems.error(
                place, "unknown key \(key)= in [\(section.rawValue)]",
                Spelling.key(key, in: section))
            return nil
        }
        guard isScript else {
            problems.error(place, "\(key)= before any section", "[Section] first, then its keys")
            return nil
        }
        let sections: [UnitSection] = [.dependencies, .service, .jail, .array, .runIf]
        for section in sections {
            if let found = Directive(section: section, key: key) { return found }
        }
        problems.error(place, "unknown key \(key)=", Spelling.key(key, in: nil))
        return nil
    }

    private mutating func finish() {
        UnitRules.check(unit, isScript: isScript, &problems)
    }
}
