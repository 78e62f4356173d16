// SPDX-License-Identifier: Apache-2.0
import TaskModel

extension UnitDefinition {
    /// The task NAME.then that [Then] is: it runs as the unit does, once, after all of it. Nil where
    /// there is none.
    ///
    /// It is no item of an array: `%i` is what `UnitRules` refuses, and a variable made of it is left out.
    public var sequel: UnitDefinition? {
        guard let command = settings(.thenCommand).last else { return nil }
        var sequel = UnitDefinition(name: name + TaskSpec.thenSuffix, place: command.place)
        sequel.script = script
        for own in settings where Self.isSequels(own.directive) && !isItems(own) {
            let value = isArray(own.directive) ? ItemText.expand(own.value, item: "") : own.value
            sequel.add(own.directive, value, own.place)
        }
        sequel.add(.command, command.value, command.place)
        for argument in settings(.thenArg) { sequel.add(.arg, argument.value, argument.place) }
        sequel.add(.isThen, "yes", command.place)
        return sequel
    }

    /// Who it is, where it is, what it may use, how long and how often it is tried.
    static func isSequels(_ directive: Directive) -> Bool {
        switch directive {
        // Of the file, and of the whole unit.
        case .requireEnd, .key, .remainAfterExit: false
        default: [.service, .jail, .environment].contains(directive.traits.section)
        }
    }

    /// Whether a setting's value has the item of an array in it.
    func isItems(_ setting: Setting) -> Bool {
        isArray(setting.directive) && ItemText.hasItem(setting.value)
    }

    /// Whether `%i` and `%%` of its values are put in for each item.
    private func isArray(_ directive: Directive) -> Bool {
        guard directive.traits.type != .share else { return false }
        return !settings(.items).isEmpty || !settings(.count).isEmpty
    }
}
