// SPDX-License-Identifier: Apache-2.0
public import TaskModel

/// A unit as it was read: its settings in the order in which they count, each with its place.
public struct UnitDefinition: Equatable, Sendable {
    /// One value of one directive.
    public struct Setting: Equatable, Sendable {
        public let directive: Directive
        /// In canonical spelling.
        public let value: String
        public let place: Place
    }

    /// TASK_NAME.
    public var name: String
    /// Where the unit begins.
    public var place: Place
    ///
    /// O(n): a copy.
    public var settings: [Setting] { written.compactMap(\.self) }
    /// As they were written; nil what was taken back or replaced. So a reset costs what it takes back.
    private var written: [Setting?] = []
    private var places: [Directive: [Int]] = [:]
    /// Whether the file ends with `[End]`.
    public var isEnded = false
    /// The file that a script unit is; the command then is `./NAME`.
    public var script: UnitFile?

    public init(name: String, place: Place) {
        self.name = name
        self.place = place
    }

    /// How a pipeline's member names a unit: as if it required it.
    public static func member(_ name: String, _ place: Place) -> Setting {
        Setting(directive: .requires, value: name, place: place)
    }

    /// The settings of one directive. O(their number): a unit may have ten thousand of another.
    public func settings(_ directive: Directive) -> [Setting] {
        (places[directive] ?? []).compactMap { written[$0] }
    }

    /// What fills a place that only one setting can have: a single directive, of a check or a
    /// variable the one called `name`.
    func single(_ directive: Directive, _ name: String) -> Setting? {
        Slot(directive, name).flatMap { slots[$0] }.flatMap { written[$0] }
    }

    /// Whether it only groups what it depends on.
    public var isGroup: Bool { settings(.command).isEmpty && script == nil }

    /// Whether it says by itself when to run: its drop is an installation.
    public var isInstallation: Bool {
        !settings(.cron).isEmpty || !settings(.runIfRequires).isEmpty
    }

    /// Adds one value: appends to a list, replaces what is single, and a check or variable of the
    /// same name in its place.
    mutating func add(_ directive: Directive, _ value: String, _ place: Place) {
        let setting = Setting(directive: directive, value: value, place: place)
        let slot = Slot(directive, value)
        if let slot, let old = slots[slot] {
            written[old] = setting
        } else {
            if let slot { slots[slot] = written.count }
            places[directive, default: []].append(written.count)
            written.append(setting)
        }
    }

    /// Takes back all values of a directive; of checks, those of one name.
    mutating func reset(_ directive: Directive, name: String? = nil) {
        if let name {
            if let place = Slot(directive, name).flatMap({ slots.removeValue(forKey: $0) }) {
                written[place] = nil
            }
            return
        }
        for place in places.removeValue(forKey: directive) ?? [] {
            if let value = written[place]?.value, let slot = Slot(directive, value) {
                slots[slot] = nil
            }
            written[place] = nil
        }
    }

    public static func == (left: UnitDefinition, right: UnitDefinition) -> Bool {
        left.name == right.name && left.place == right.place && left.isEnded == right.isEnded
            && left.script == right.script && left.settings == right.settings
    }

    /// What only one setting can fill: a single directive, a check's or a variable's name.
    private struct Slot: Hashable {
        let directive: Directive
        let name: Substring

        init?(_ directive: Directive, _ value: String) {
            let isNamed = directive == .check || directive == .env
            guard isNamed || !directive.traits.isList else { return nil }
            self.directive = directive
            name = isNamed ? value.divided(at: "=")?.before ?? value[...] : ""
        }
    }

    private var slots: [Slot: Int] = [:]

    /// The task that the settings make, as far as they go: files are not looked up.
    ///
    /// `[Command]`'s further words stand before `[Args]`.
    public var spec: TaskSpec {
        var spec = TaskSpec(name: name)
        var words: [String] = []
        var arguments: [String] = []
        for directive in places.keys {
            let values = settings(directive).map(\.value)
            switch directive {
            case _ where values.isEmpty: break
            case .command: words = values.flatMap { Self.words($0) }
            case .arg: arguments = values
            default: spec[directive] = values
            }
        }
        spec[.command] = Array(words.prefix(1))
        spec[.arg] = words.dropFirst() + arguments
        return spec
    }

    private static func words(_ line: String) -> [String] {
        (try? ShellWords.split(line)) ?? []
    }
}
