// SPDX-License-Identifier: Apache-2.0
import TaskModel

/// Turns the text after `KEY=` into the values of a directive.
struct SettingReader {
    let directive: Directive
    let key: String
    let specifiers: Specifiers

    /// Adds the values to a unit; what is wrong with them, if anything.
    func read(_ text: String, at place: Place, into unit: inout UnitDefinition) -> ValueProblem? {
        do throws(ValueProblem) {
            let values = try values(text)
            // A quoted empty word is one.
            if values.isEmpty || (values == [""] && text.isEmpty && directive.traits.isList) {
                unit.reset(directive, name: directive == .check ? key : nil)
            } else {
                for value in values { unit.add(directive, try canonical(value), place) }
            }
            return nil
        } catch {
            return error
        }
    }

    /// Adds one value that stands by itself, as an element of a YAML list.
    func read(word: String, at place: Place, into unit: inout UnitDefinition) -> ValueProblem? {
        do throws(ValueProblem) {
            unit.add(directive, try canonical(try expand(word)), place)
            return nil
        } catch {
            return error
        }
    }

    private func values(_ text: String) throws(ValueProblem) -> [String] {
        switch directive {
        case .env, .check:
            if text.isEmpty && directive == .check { return [] }
            return [key + "=" + (try expand(text))]
        case .arg, .thenArg: return try words(text)
        default:
            if directive.traits.arity == .words { return try words(text) }
            if text.isEmpty && directive.traits.defaultText != nil { return [] }
            // In a percentage the percent sign is the unit.
            return [directive.traits.type == .share ? text : try expand(text)]
        }
    }

    // Items have no item in them, and [Then] runs for none: what stands there is what it says.
    private func expand(_ text: String) throws(ValueProblem) -> String {
        var own = specifiers
        if [.items, .thenCommand, .thenArg].contains(directive) { own.isArray = false }
        own.isThen = specifiers.isArray && directive != .items
        return try own.expand(text)
    }

    private func words(_ text: String) throws(ValueProblem) -> [String] {
        var expanded: [String] = []
        for word in try split(text) { expanded.append(try expand(word)) }
        return expanded
    }

    private func split(_ text: String) throws(ValueProblem) -> [String] {
        do throws(ShellWords.Problem) {
            return try ShellWords.split(text)
        } catch {
            throw ValueProblem(what: error.what, allowed: error.allowed)
        }
    }

    private func canonical(_ value: String) throws(ValueProblem) -> String {
        if directive == .cron { return try CronExpression(value).text }
        guard directive == .command || directive == .thenCommand else {
            return try directive.traits.type.canonical(value)
        }
        let words = try split(value)
        guard !words.isEmpty else {
            throw ValueProblem(what: "no program", allowed: "a path, or a name on PATH")
        }
        // Between words a line end is a blank; a word of a plan can't hold one.
        for word in words { _ = try DirectiveType.text.canonical(word) }
        return value
    }
}
