// SPDX-License-Identifier: Apache-2.0
import TaskModel

/// What must hold between the settings of one unit.
enum UnitRules {
    static func check(_ unit: UnitDefinition, isScript: Bool, _ problems: inout DiagnosticList) {
        for setting in unit.settings { notYet(setting, &problems) }
        if isScript, let setting = unit.settings(.command).first {
            problems.error(
                setting.place, "command= in a script", "the script itself is the command")
        }
        if unit.isGroup,
            let setting = unit.settings(.arg).first ?? unit.settings(.items).first
                ?? unit.settings(.count).first
        {
            problems.error(setting.place, "no [Command] for this", "[Command] with command=")
        }
        if let require = unit.settings(.requireEnd).first, require.value == "yes", !unit.isEnded {
            problems.error(
                require.place, "the file does not end with [End]",
                "RequireEnd=yes asks for it: the file may be cut off")
        }
        credentials(unit, &problems)
        systemCalls(unit, &problems)
        noShell(unit, &problems)
        runIf(unit, &problems)
        array(unit, &problems)
        then(unit, &problems)
        remain(unit, &problems)
    }

    /// Refuses what this version reads and does not do.
    private static func notYet(
        _ setting: UnitDefinition.Setting, _ problems: inout DiagnosticList
    ) {
        let traits = setting.directive.traits
        guard !traits.isCarriedOut, setting.value != traits.defaultText else { return }
        problems.error(
            setting.place, "\(traits.name)=\(setting.value) is not carried out by this version",
            "leave it out; a unit is not run without what it asks for")
    }

    private static func credentials(_ unit: UnitDefinition, _ problems: inout DiagnosticList) {
        var names: Set<Substring> = []
        for setting in unit.settings(.loadCredential) {
            let name = setting.value.prefix { $0 != ":" }
            if !names.insert(name).inserted {
                problems.error(
                    setting.place, "two credentials are called \(name)", "a name each: ID:PATH")
            }
        }
        if let setting = unit.settings(.loadCredential).first,
            unit.settings(.jail).last?.value == "no"
        {
            problems.error(
                setting.place, "LoadCredential= with Jail=no", "a jail: leave out Jail=no")
        }
    }

    // Each word alone: `~@network-io connect` would allow what systemd refuses.
    private static func systemCalls(_ unit: UnitDefinition, _ problems: inout DiagnosticList) {
        for setting in unit.settings(.systemCallFilter)
        where !setting.value.hasPrefix("~") && setting.value != "@debug" {
            problems.error(
                setting.place, "\(setting.value) alone as what is allowed is not carried out",
                "@debug, or ~\(setting.value) to refuse it")
        }
    }

    /// Words that only a shell understands, and none reads them: they become arguments.
    private static let shellWords: Set<String> = ["|", "||", "&&", "&", ">", ">>", "<", "2>&1"]

    private static func noShell(_ unit: UnitDefinition, _ problems: inout DiagnosticList) {
        for setting in unit.settings {
            let words: [String]
            switch setting.directive {
            case .command, .thenCommand: words = (try? ShellWords.split(setting.value)) ?? []
            case .check:
                let line = setting.value.divided(at: "=")?.behind ?? ""
                words = (try? ShellWords.split(String(line))) ?? []
            case .arg, .thenArg: words = [setting.value]
            default: continue
            }
            guard let word = words.first(where: { shellWords.contains($0) }) else { continue }
            problems.warning(
                setting.place, "\(word) is an argument: no shell reads this line",
                "sh with -c and the line in quotes")
        }
    }

    private static func runIf(_ unit: UnitDefinition, _ problems: inout DiagnosticList) {
        let needs: [(Directive, Directive)] = [
            (.timeZone, .cron), (.misfire, .cron), (.every, .runIfRequires),
        ]
        for (key, base) in needs where unit.settings(base).isEmpty {
            guard let setting = unit.settings(key).first else { continue }
            problems.error(
                setting.place, "\(key.traits.name)= without \(base.traits.name)=",
                "both, or neither, in [RunIf]")
        }
        if let setting = unit.settings(.every).last, let every = TimeSpan(setting.value),
            every.microseconds < 1_000_000 || every.microseconds > 366 * 86_400_000_000
        {
            problems.error(setting.place, "Every=\(setting.value)", "1s to 366d")
        }
    }

    private static func then(_ unit: UnitDefinition, _ problems: inout DiagnosticList) {
        guard unit.settings(.thenCommand).last != nil else {
            if let setting = unit.settings(.thenArg).first {
                problems.error(
                    setting.place, "args= without command= in [Then]", "both, or neither")
            }
            return
        }
        if unit.isGroup, let setting = unit.settings(.thenCommand).last {
            problems.error(
                setting.place, "[Then] without [Command]",
                "[Command] with command=, which [Then] follows")
        }
        for setting in unit.settings
        where UnitDefinition.isSequels(setting.directive) && setting.directive != .env
            && unit.isItems(setting)
        {
            problems.error(
                setting.place,
                "\(setting.directive.traits.name)=\(setting.value) is an item's, and [Then] runs for none",
                "a value without %i, or another unit that Requires= this one")
        }
    }

    private static func remain(_ unit: UnitDefinition, _ problems: inout DiagnosticList) {
        guard let setting = unit.settings(.remainAfterExit).last, unit.spec.has(.remainAfterExit)
        else { return }
        let others: [Directive] = [.semaphore, .items, .count, .thenCommand]
        guard let other = others.lazy.compactMap({ unit.settings($0).last }).first else { return }
        let traits = other.directive.traits
        problems.error(
            setting.place,
            "RemainAfterExit= beside \(traits.name)= in [\(traits.section.rawValue)]",
            "one of them, or a unit of its own that Requires= this one")
    }

    private static func array(_ unit: UnitDefinition, _ problems: inout DiagnosticList) {
        if let count = unit.settings(.count).first, !unit.settings(.items).isEmpty {
            problems.error(count.place, "Count= beside Items=", "one of them")
        }
        if let limit = unit.settings(.maxParallel).first, unit.settings(.items).isEmpty,
            unit.settings(.count).isEmpty
        {
            problems.error(limit.place, "MaxParallel= without items", "Items= or Count= beside it")
        }
        for item in unit.settings(.items) where item.value.utf8.contains(0x0a) {
            problems.error(item.place, "an item with a line end", "items are lines of text")
        }
    }
}
