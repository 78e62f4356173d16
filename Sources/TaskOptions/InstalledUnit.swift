// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskModel
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
    private let isArmed: Bool

    /// - Parameters:
    ///   - word: a unit's name, with or without its suffix.
    ///   - spool: the spool's path.
    /// - Returns: nil where no file in units/ is called so.
    public init?(_ word: String?, spool: String) {
        guard let word, !word.contains("/") else { return nil }
        let name = Selector.unitName(word)
        for candidate in [word] + [".task", ".yaml", ".yml"].map({ name + $0 }) {
            guard let file = try? File.open("\(spool)/units/\(candidate)", flags: .noFollow),
                let bytes = try? File.readAll(file.number, limit: UnitLimits.bytes)
            else { continue }
            let conditions = Self.conditions(UnitFile(file: candidate, bytes: bytes))
            self.name = HumanText.printable(name)
            self.file = candidate
            isArmed = !conditions.isEmpty
            fires =
                isArmed
                ? HumanText.printable(conditions.joined(separator: ", "))
                : "nothing of its own: submit it, or require it in another unit"
            return
        }
        return nil
    }

    /// For people, lines with their ends.
    public var text: String {
        let later =
            isArmed
            ? "    firing comes with a later release: task run \(file) runs it now\n" : ""
        return "\(name): installed in units/, has not run\n    fires: \(fires)\n" + later
    }

    // `cron=* * * * *`, `Requires=./check`: what the unit says, without comments and quotes.
    private static func conditions(_ file: UnitFile) -> [String] {
        let text = UnitText(name: file.file, main: file)
        guard text.kind != .pipeline else { return [] }
        return UnitParser.parse(text).unit.settings.compactMap { setting in
            let traits = setting.directive.traits
            return traits.section == .runIf ? "\(traits.name)=\(setting.value)" : nil
        }
    }
}
