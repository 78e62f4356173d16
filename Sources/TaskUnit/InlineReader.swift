// SPDX-License-Identifier: Apache-2.0
import TaskModel

/// Reads a task that is written out in a pipeline: the directives' own names as keys.
struct InlineReader {
    let yaml: [YAMLNode]
    let pipeline: String
    let place: Place
    var problems: DiagnosticList

    /// The task, named `name:` or after the pipeline and the program.
    mutating func read(_ pairs: [YAMLPair]) -> UnitDefinition {
        let name = name(pairs)
        var unit = UnitDefinition(name: name, place: place)
        let isArray = pairs.contains { $0.key == "Items" || $0.key == "Count" }
        let specifiers = Specifiers(name: name, instance: nil, isArray: isArray)
        for pair in pairs where pair.key != "name" && !pair.key.hasPrefix("X-") {
            switch pair.key {
            case "Environment": mapping(pair, .env, specifiers, &unit)
            case "Checks": mapping(pair, .check, specifiers, &unit)
            case "Then": sequel(pair, specifiers, &unit)
            default: directive(pair, specifiers, &unit)
            }
        }
        UnitRules.check(unit, isScript: false, &problems)
        return unit
    }

    private mutating func name(_ pairs: [YAMLPair]) -> String {
        if let pair = pairs.first(where: { $0.key == "name" }) {
            if case .scalar(let text) = yaml[pair.value].content, DirectiveType.isUnitName(text) {
                return UnitName.of(text)
            }
            problems.error(yaml[pair.value].place, "bad name", DirectiveType.unitName.allowed)
        }
        guard let pair = pairs.first(where: { $0.key == "command" }),
            case .scalar(let line) = yaml[pair.value].content,
            let words = try? ShellWords.split(line),
            let base = words.first?.split(separator: "/").last
        else { return pipeline + ".group" }
        let plain = base.utf8.filter { $0.isNameByte }.prefix(60)
        return pipeline.prefix(60) + "." + String(decoding: plain, as: UTF8.self)
    }

    private static let sections: [UnitSection] = [
        .dependencies, .service, .jail, .args, .command, .array,
    ]

    private mutating func directive(
        _ pair: YAMLPair, _ specifiers: Specifiers, _ unit: inout UnitDefinition
    ) {
        let found = Self.sections.lazy.compactMap { Directive(section: $0, key: pair.key) }.first
        guard let found else {
            problems.error(
                pair.place, "unknown key \(pair.key):", Spelling.key(pair.key, in: nil))
            return
        }
        value(of: pair, found, specifiers, &unit)
    }

    /// `Then:` is the section [Then] of the task: a mapping of its keys.
    private mutating func sequel(
        _ pair: YAMLPair, _ specifiers: Specifiers, _ unit: inout UnitDefinition
    ) {
        guard case .mapping(let entries) = yaml[pair.value].content else {
            problems.error(place(pair), "Then: is no mapping", "command: and args: lines below it")
            return
        }
        for entry in entries where !entry.key.hasPrefix("X-") {
            if let found = Directive(section: .then, key: entry.key) {
                value(of: entry, found, specifiers, &unit)
            } else {
                problems.error(
                    entry.place, "unknown key \(entry.key): in Then:",
                    Spelling.key(entry.key, in: .then))
            }
        }
    }

    private mutating func value(
        of pair: YAMLPair, _ found: Directive, _ specifiers: Specifiers,
        _ unit: inout UnitDefinition
    ) {
        let reader = SettingReader(directive: found, key: pair.key, specifiers: specifiers)
        switch yaml[pair.value].content {
        case .scalar(let text): report(pair, reader.read(text, at: place(pair), into: &unit))
        case .sequence(let members) where found.traits.isList:
            for member in members {
                guard case .scalar(let word) = yaml[member].content else {
                    problems.error(yaml[member].place, "no text in \(pair.key):", "a list of texts")
                    continue
                }
                let problem = reader.read(word: word, at: yaml[member].place, into: &unit)
                report(pair, problem, yaml[member].place)
            }
        case .nothing: problems.error(place(pair), "\(pair.key): has no value", Self.noText)
        default:
            problems.error(
                place(pair), "\(pair.key): is not a text",
                found.traits.isList ? "a text or a list of texts" : found.traits.type.allowed)
        }
    }

    private mutating func mapping(
        _ pair: YAMLPair, _ directive: Directive, _ specifiers: Specifiers,
        _ unit: inout UnitDefinition
    ) {
        guard case .mapping(let entries) = yaml[pair.value].content else {
            problems.error(place(pair), "\(pair.key): is no mapping", "NAME: VALUE lines below it")
            return
        }
        for entry in entries {
            guard case .scalar(let text) = yaml[entry.value].content else {
                if case .nothing = yaml[entry.value].content {
                    problems.error(entry.place, "\(entry.key): has no value", Self.noText)
                } else {
                    problems.error(entry.place, "\(entry.key): is not a text", "NAME: VALUE")
                }
                continue
            }
            guard isName(entry.key, directive) else {
                problems.error(
                    entry.place, "\(entry.key): is no name", directive.traits.type.allowed)
                continue
            }
            let reader = SettingReader(directive: directive, key: entry.key, specifiers: specifiers)
            report(entry, reader.read(text, at: entry.place, into: &unit))
        }
    }

    // As a value of its own; with a `=` in it, another name would be set.
    private func isName(_ key: String, _ directive: Directive) -> Bool {
        !key.utf8.contains(UInt8(ascii: "="))
            && (try? directive.traits.type.canonical(key + "=x")) != nil
    }

    private static let noText = "\"\" is an empty text, \"~\" a tilde"

    private func place(_ pair: YAMLPair) -> Place { yaml[pair.value].place }

    private mutating func report(_ pair: YAMLPair, _ problem: ValueProblem?, _ at: Place? = nil) {
        guard let problem else { return }
        problems.error(at ?? place(pair), "\(pair.key): \(problem.what)", problem.allowed)
    }
}
