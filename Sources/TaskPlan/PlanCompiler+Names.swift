// SPDX-License-Identifier: Apache-2.0
import TaskModel
import TaskUnit

extension PlanCompiler {
    /// What comes of a look for a name's file.
    private enum Found {
        case text(UnitText)
        case none
        /// Reported.
        case refused
    }

    private static let systemdSuffixes = [
        ".service", ".socket", ".device", ".mount", ".automount", ".swap", ".target", ".path",
        ".timer", ".slice", ".scope",
    ]

    /// The node that a name of Requires= or Wants= means; adds it where it is new.
    mutating func resolve(_ setting: UnitDefinition.Setting) -> NameTarget {
        let name = setting.value
        if let known = known(name) { return known }
        let target = locate(setting)
        resolved[name] = target
        return target
    }

    /// What a name of After= or Before= means: only what runs anyway, or what systemd knows.
    mutating func order(_ setting: UnitDefinition.Setting) -> NameTarget {
        let name = setting.value
        if let known = known(name) { return known }
        switch look(setting) {
        case .text(let text):
            return nodeByName[UnitName.of(text.name)].map { .node($0) } ?? .nothing
        case .refused: return .nothing
        case .none: break
        }
        if setting.directive == .after, let systemd = Self.systemdName(name) {
            return .node(systemdNode(systemd))
        }
        warn(
            setting.place, "\(Self.words(setting)) orders nothing: no such unit runs here",
            "a unit of this plan" + (setting.directive == .after ? ", or systemd:NAME" : ""))
        return .nothing
    }

    private func known(_ name: String) -> NameTarget? {
        if let target = resolved[name] { return target }
        return nodeByName[UnitName.of(name)].map { .node($0) }
    }

    private mutating func locate(_ setting: UnitDefinition.Setting) -> NameTarget {
        let name = setting.value
        if !name.hasPrefix("systemd:") {
            switch look(setting) {
            case .text(let text): return add(text, setting)
            case .refused: return .nothing
            case .none: break
            }
        }
        if let systemd = Self.systemdName(name) { return .node(systemdNode(systemd)) }
        let allowed = "a unit file in \(inputs.places), or systemd:NAME"
        if setting.directive == .wants {
            warn(setting.place, "\(Self.words(setting)): no such unit", allowed)
        } else {
            error(setting.place, "\(Self.words(setting)): no such unit", allowed)
        }
        return .nothing
    }

    /// The text of a name; reports what is ambiguous or not to be used.
    private mutating func look(_ setting: UnitDefinition.Setting) -> Found {
        let name = setting.value
        if name.hasPrefix("systemd:") { return .none }
        var found: [UnitText] = []
        let names = UnitName.files(name)
        let templates = names.compactMap { UnitText.template(of: $0) }.filter(UnitText.isTemplate)
        for candidate in names + templates {
            if let first = found.first, first.name == name || UnitText.isTemplate(candidate) {
                break
            }
            switch inputs.unit(candidate) {
            case .found(var text):
                text.name = Self.instanceName(name, candidate)
                found.append(text)
            case .absent: break
            case .refused(let what, let allowed):
                error(setting.place, "\(Self.words(setting)): \(what)", allowed)
                return .refused
            }
        }
        guard found.count > 1 else { return found.first.map { .text($0) } ?? .none }
        let files = found.map(\.main.file).joined(separator: " and ")
        error(setting.place, "\(name) is ambiguous: \(files)", "a name with its suffix")
        return .refused
    }

    /// `resize@big.task` where `resize@big` was found as `resize@.task`.
    private static func instanceName(_ name: String, _ candidate: String) -> String {
        guard UnitText.isTemplate(candidate), UnitText.template(of: name) != nil else {
            return candidate
        }
        return UnitName.of(name) == name && candidate.hasSuffix(".task")
            ? name + ".task" : name
    }

    private mutating func add(_ text: UnitText, _ setting: UnitDefinition.Setting) -> NameTarget {
        let name = UnitName.of(text.name)
        if let known = nodeByName[name] { return .node(known) }
        if name.hasPrefix("systemd:") {
            error(setting.place, "\(name) is no unit's name", "a name that has no systemd: first")
            return .nothing
        }
        if text.kind == .pipeline { return addPipeline(text, setting) }
        texts.append(text)
        let (unit, problems) = UnitParser.parse(text)
        diagnostics += problems
        let index = add(PlanNode(spec: unit.spec, unit: unit, directory: text.directory))
        return index < 0 ? .nothing : .node(index)
    }

    /// The name that systemd shall be asked for; nil for what is none of its.
    private static func systemdName(_ name: String) -> String? {
        if name.hasPrefix("systemd:") { return String(name.dropFirst("systemd:".count)) }
        return systemdSuffixes.contains { name.hasSuffix($0) && name != $0 } ? name : nil
    }

    /// The built-in task that asks systemd for a unit.
    private mutating func systemdNode(_ name: String) -> Int {
        let full = "systemd:" + name
        if let known = nodeByName[full] { return known }
        var spec = TaskSpec(name: full)
        spec[.command] = ["taskdep"]
        spec[.arg] = ["await", name]
        spec[.jail] = ["no"]
        return add(PlanNode(spec: spec))
    }

    /// Adds the unit that OnSuccess= or OnFailure= names: a task of its own for each that names it.
    mutating func handle(_ setting: UnitDefinition.Setting, _ index: Int) {
        let chain = nodes[index].handlers
        guard !chain.contains(setting.value), chain.count < 8 else {
            error(
                setting.place, "\(Self.words(setting)) leads back to itself",
                "units whose own OnSuccess= and OnFailure= end")
            return
        }
        guard case .text(let text) = look(setting), text.kind != .pipeline else {
            error(
                setting.place, "\(Self.words(setting)): no such unit",
                "a unit file in \(inputs.places), no pipeline")
            return
        }
        let (unit, problems) = UnitParser.parse(text)
        if handlerTexts.insert(text.name).inserted, nodeByName[unit.name] == nil {
            texts.append(text)
            diagnostics += problems
        }
        var node = PlanNode(spec: unit.spec, unit: unit, directory: text.directory)
        node.spec.name = unit.name + ":" + nodes[index].spec.name
        node.handlers = chain + [setting.value]
        guard node.spec.name.utf8.count <= PlanLimits.name else {
            error(setting.place, "the name \(node.spec.name) is too long", "shorter names")
            return
        }
        let handler = nodeByName[node.spec.name] ?? add(node)
        guard handler >= 0 else { return }
        edges.append(
            NodeEdge(
                from: index, to: handler, kind: setting.directive == .onSuccess ? .ok : .fail,
                isRequirement: false, place: setting.place, words: Self.words(setting)))
    }
}
