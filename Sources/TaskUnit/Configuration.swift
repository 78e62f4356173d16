// SPDX-License-Identifier: Apache-2.0
public import TaskModel

/// What task.conf(5) says: every setting has a value.
public struct Configuration: Equatable, Sendable {
    /// What was written, in canonical spelling, and where; others have their default.
    private var written: [Setting: (text: String, place: Place)] = [:]

    /// All defaults.
    public init() {}

    /// The value, in canonical spelling.
    public subscript(setting: Setting) -> String {
        written[setting]?.text ?? setting.traits.defaultText
    }

    /// Where the value was written; nil: it is the default.
    public func place(of setting: Setting) -> Place? { written[setting]?.place }

    public static func == (left: Configuration, right: Configuration) -> Bool {
        Setting.allCases.allSatisfy {
            left[$0] == right[$0] && left.place(of: $0) == right.place(of: $0)
        }
    }

    mutating func set(_ setting: Setting, _ text: String, _ place: Place) {
        written[setting] = (text, place)
    }

    mutating func reset(_ setting: Setting) { written[setting] = nil }
}

extension Configuration {
    /// Attempts at once; nil: the pool decides.
    public var slots: Int? { Int(self[.slots]) }

    /// The ledger's address; nil: none.
    public var ledger: String? {
        let url = self[.ledgerURL]
        return url == Setting.ledgerURL.traits.defaultText ? nil : url
    }

    /// A size, in bytes of a file system that has `total`.
    public func bytes(_ setting: Setting, of total: Int64) -> Int64 {
        DiskSize(self[setting])?.bytes(of: total) ?? .max
    }

    /// A number; `Int.max` is without limit.
    public func count(_ setting: Setting) -> Int { Int(self[setting]) ?? .max }
}

/// Reads the files of task.conf(5): the syntax of unit files, the table of settings. Specifiers are none:
/// `%` is what it is.
public struct ConfigurationParser {
    private var configuration = Configuration()
    private var problems = DiagnosticList()
    private var section: SettingSection?
    /// A section that is ignored: `X-…`, or one that is unknown and was reported.
    private var isSkipping = false
    private var lines: [Setting: Place] = [:]

    /// Reads files one after another: of one setting the last value counts, an empty one is the default
    /// again.
    ///
    /// - Returns: the settings, and all that is wrong with the files.
    public static func parse(
        _ files: [UnitFile]
    ) -> (configuration: Configuration, problems: [Diagnostic]) {
        var parser = ConfigurationParser()
        for file in files { parser.read(file) }
        return (parser.configuration, parser.problems.sorted)
    }

    private mutating func read(_ file: UnitFile) {
        section = nil
        isSkipping = false
        lines = [:]
        let check = TextCheck.problems(file)
        for problem in check.all { problems.add(problem) }
        guard check.all.isEmpty else { return }
        let reader = INIReader(file, problems: problems) { Setting(rawValue: $0) != nil }
        problems = reader.problems
        for line in reader.lines {
            switch line.content {
            case .section(let name): open(name, line.place)
            case .setting(let key, let value, let column):
                set(key, value, line.place, column)
            }
        }
    }

    private mutating func open(_ name: String, _ place: Place) {
        section = SettingSection(rawValue: name)
        isSkipping = section == nil
        if section == nil, !name.hasPrefix("X-") {
            let names = SettingSection.allCases.map(\.rawValue)
            problems.error(
                place, "unknown section [\(name)]",
                Spelling.nearest(name, names).map { "write [\($0)]" }
                    ?? "one of " + names.map { "[\($0)]" }.joined(separator: " "))
        }
    }

    private mutating func set(_ key: String, _ value: String, _ place: Place, _ column: Int) {
        if isSkipping || key.hasPrefix("X-") { return }
        guard let section else {
            return problems.error(
                place, "\(key)= before any section", "[Section] first, then its keys")
        }
        guard let setting = Setting(section: section, key: key) else {
            return problems.error(
                place, "unknown key \(key)= in [\(section.rawValue)]", Self.known(key, section))
        }
        if let before = lines.updateValue(place, forKey: setting) {
            problems.warning(
                place, "\(key)= in line \(before.line) counts no more",
                "one value; the last one counts")
        }
        if value.isEmpty { return configuration.reset(setting) }
        do throws(ValueProblem) {
            let text = try setting.traits.type.canonical(value)
            configuration.set(setting, text, place)
        } catch {
            var at = place
            at.column = column
            problems.error(at, "\(key)=: \(error.what)", error.allowed)
        }
    }

    /// What to write instead of a key that its section does not have.
    private static func known(_ key: String, _ section: SettingSection) -> String {
        let near =
            Setting(rawValue: key)?.rawValue
            ?? Spelling.nearest(key, Setting.allCases.map(\.rawValue))
        if let found = near.flatMap({ Setting(rawValue: $0) }) {
            let own = found.traits.section
            if own == section { return "write \(found.rawValue)=" }
            return found.rawValue == key
                ? "\(key)= stands in [\(own.rawValue)]"
                : "write \(found.rawValue)= in [\(own.rawValue)]"
        }
        let here = Setting.allCases.filter { $0.traits.section == section }
        return "one of " + here.map { "\($0.rawValue)=" }.joined(separator: " ")
    }
}
