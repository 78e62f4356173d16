// SPDX-License-Identifier: Apache-2.0
import Linux
import TaskModel
import TaskPlan
import TaskSpool
import TaskTool
import TaskUnit

/// A unit in a spool's units/ that has not run: what will fire it.
public struct InstalledUnit {
    /// TASK_NAME.
    public let name: String
    /// Its file's name.
    public let file: String
    /// Its [RunIf], or what to do where it has none.
    public let fires: String
    /// When, or why never; nil where nothing in it says that it runs by itself.
    private let next: String?

    /// - Parameters:
    ///   - word: a unit's name, with or without its suffix.
    ///   - spool: the spool's path.
    /// - Returns: nil where no file in units/ is called so.
    public init?(_ word: String?, spool: String) {
        guard let word, !word.contains("/"),
            let owner = try? File.status(spool, following: true).uid
        else { return nil }
        let name = UnitName.of(word)
        let units = "\(spool)/units"
        let search = UnitSearch(own: nil, units: units, owner: owner)
        for candidate in [word] + UnitName.suffixes.map({ name + $0 }) {
            let found = search.installed(candidate, in: units)
            if case .absent = found { continue }
            self.name = HumanText.printable(name)
            self.file = candidate
            (fires, next) = Self.describe(found)
            return
        }
        return nil
    }

    /// For people, lines with their ends.
    public var text: String {
        let later = next.map { "    next: \($0)\n" } ?? ""
        return "\(name): installed in units/, has not run\n    fires: \(fires)\n" + later
    }

    private static func describe(_ found: PlanInputs.UnitLookup) -> (fires: String, next: String?) {
        switch found {
        case .absent: return (byHand, nil)
        case .refused(let what, let allowed): return ("never: \(what): \(allowed)", nil)
        case .found(let text):
            if UnitText.isTemplate(text.name) {
                return ("nothing: its instances do, an empty file NAME@INSTANCE each", nil)
            }
            guard text.kind != .pipeline else { return (byHand, nil) }
            let (unit, problems) = UnitParser.parse(text)
            let conditions = conditions(unit)
            guard !conditions.isEmpty else { return (byHand, nil) }
            let said = HumanText.printable(conditions.joined(separator: ", "))
            if let error = problems.first(where: { $0.severity == .error }) {
                return (said, "never: \(HumanText.printable(error.text))")
            }
            return (said, next(unit))
        }
    }

    private static let byHand = "nothing of its own: submit it, or require it in another unit"

    // `cron=* * * * *`, `Requires=./check`: what the unit says, without comments and quotes.
    private static func conditions(_ unit: UnitDefinition) -> [String] {
        unit.settings.compactMap { setting in
            let traits = setting.directive.traits
            return traits.section == .runIf ? "\(traits.name)=\(setting.value)" : nil
        }
    }

    /// When taskd will fire it, by its own clock.
    private static func next(_ unit: UnitDefinition) -> String {
        let zone = unit.settings(.timeZone).last?.value
        guard let rules = ZoneSearch.rules(of: zone) else {
            return "never: no time zone \(zone ?? "/etc/localtime") on this machine"
        }
        let terms = FiringTerms(unit, zone: rules)
        if let due = terms.next(after: Clock.real()) {
            let second = due / 1_000_000
            return Timestamp.text(second: second, offset: rules.offset(at: second))
        }
        if terms.isAtBoot { return "when taskd starts after a boot of the machine" }
        return terms.every == nil
            ? "never: no such day comes" : "at each Every=, where its check says so"
    }
}
