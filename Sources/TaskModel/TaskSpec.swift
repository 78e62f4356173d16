// SPDX-License-Identifier: Apache-2.0

/// One task, all resolved: what a plan's task line and a job line carry.
///
/// Values are in the canonical spelling of their directive. What equals its default is not kept,
/// so equal meanings are equal values and equal bytes.
public struct TaskSpec: Equatable, Sendable {
    /// TASK_NAME.
    public var name: String

    private struct Entry: Equatable, Sendable {
        var directive: Directive
        var values: [String]
    }

    /// In the table's order.
    private var entries: [Entry] = []

    public init(name: String) { self.name = name }

    /// The values that were set, in order; none where the default counts.
    public subscript(_ directive: Directive) -> [String] {
        get { entries.first { $0.directive == directive }?.values ?? [] }
        set {
            let ordinal = directive.ordinal
            let at = entries.firstIndex { $0.directive.ordinal >= ordinal } ?? entries.count
            let isThere = at < entries.count && entries[at].directive == directive
            if newValue.isEmpty || Self.isDefault(newValue, directive) {
                if isThere { entries.remove(at: at) }
            } else if isThere {
                entries[at].values = newValue
            } else {
                entries.insert(Entry(directive: directive, values: newValue), at: at)
            }
        }
    }

    private static func isDefault(_ values: [String], _ directive: Directive) -> Bool {
        guard let text = directive.traits.defaultText else { return false }
        return values.joined(separator: " ") == text
    }

    /// Takes out what is compiled away: what a plan's task line does not carry.
    public mutating func dropCompiledAway() {
        entries.removeAll { !$0.directive.traits.isInPlan }
    }

    /// Whether something other than the default was set.
    public func has(_ directive: Directive) -> Bool {
        entries.contains { $0.directive == directive }
    }

    /// The value that counts: the last one set, or the table's default.
    public func text(_ directive: Directive) -> String? {
        self[directive].last ?? directive.traits.defaultText
    }

    /// The values that count: those set, or the default's words.
    public func values(_ directive: Directive) -> [String] {
        let set = self[directive]
        guard set.isEmpty, let text = directive.traits.defaultText else { return set }
        return text.split(separator: " ").map(String.init)
    }

    /// A span's microseconds; infinity where neither value nor default is a span.
    public func span(_ directive: Directive) -> TimeSpan {
        text(directive).flatMap { TimeSpan($0) } ?? .infinity
    }

    /// A size's bytes; infinity where neither value nor default is a size.
    public func size(_ directive: Directive) -> ByteLimit {
        text(directive).flatMap { ByteLimit($0.prefix { $0 != ":" }) } ?? .infinity
    }

    /// A number; `Int.max` for infinity and `Restart=on-failure`, 0 for `Restart=never`; a share is
    /// its per cent.
    public func number(_ directive: Directive) -> Int {
        guard let text = text(directive) else { return 0 }
        if text == "infinity" || text == "on-failure" { return .max }
        return Int(text.hasSuffix("%") ? String(text.dropLast()) : text) ?? 0
    }

    /// A boolean; false where neither value nor default is one.
    public func flag(_ directive: Directive) -> Bool { text(directive) == "yes" }

    /// What stands behind NAME in the name of its [Then].
    public static let thenSuffix = ".then"

    /// NAME, where it is the [Then] of that task.
    public var thenOf: String? {
        guard flag(.isThen), name.hasSuffix(Self.thenSuffix) else { return nil }
        return String(name.dropLast(Self.thenSuffix.count))
    }

    /// The program and its arguments; none for a group.
    public var argv: [String] { text(.command).map { [$0] + self[.arg] } ?? [] }
}

/// Why a key of a task line is refused.
public struct TaskSpecError: Error, Equatable, Sendable {
    public let key: String
    public let problem: ValueProblem
}

extension TaskSpec {
    /// Appends ` key=value …`, percent-encoded: what differs from the default, in table order.
    public func append(to bytes: inout [UInt8]) {
        for entry in entries where entry.directive.traits.isInPlan {
            for value in entry.values {
                bytes.append(UInt8(ascii: " "))
                bytes.append(contentsOf: entry.directive.rawValue.utf8)
                bytes.append(UInt8(ascii: "="))
                PercentCoding.append(value.utf8, to: &bytes)
            }
        }
    }

    /// Whether a plan's line holds it (`PlanLimits.line`). Its bytes are counted only where they may be
    /// too many.
    public var fitsLine: Bool {
        let most = entries.reduce(name.utf8.count + 32) { sum, entry in
            let key = entry.directive.rawValue.utf8.count + 2
            return entry.values.reduce(sum) { $0 + key + 3 * $1.utf8.count }
        }
        if most <= PlanLimits.line { return true }
        var bytes: [UInt8] = []
        append(to: &bytes)
        return bytes.count + name.utf8.count + 32 <= PlanLimits.line
    }

    /// Reads ` key=value …` as a plan's task line and a job line have it.
    ///
    /// - Throws: the first key that is unknown, or not in canonical spelling.
    public init(name: String, parsing fields: ArraySlice<UInt8>) throws(TaskSpecError) {
        self.init(name: name)
        for field in fields.split(separator: UInt8(ascii: " ")) {
            guard let equals = field.firstIndex(of: UInt8(ascii: "=")),
                let value = PercentCoding.decodeText(field[(equals + 1)...])
            else {
                throw TaskSpecError(
                    key: String(decoding: field.prefix(40), as: UTF8.self),
                    problem: ValueProblem(
                        what: "a field without = or with a bad %", allowed: "key=value"))
            }
            try add(String(decoding: field[..<equals], as: UTF8.self), value)
        }
        dropDefaults()
    }

    /// Reads fields that were parsed elsewhere, as those of an event line.
    public init(
        name: String, parsing fields: some Sequence<EventLine.Field>
    ) throws(TaskSpecError) {
        self.init(name: name)
        for field in fields { try add(field.key, field.value) }
        dropDefaults()
    }

    private mutating func dropDefaults() {
        entries.removeAll { Self.isDefault($0.values, $0.directive) }
    }

    private mutating func add(_ key: String, _ value: String) throws(TaskSpecError) {
        guard let directive = Directive(planKey: key) else {
            throw TaskSpecError(
                key: key,
                problem: ValueProblem(what: "unknown key", allowed: "the keys of task.plan(5)"))
        }
        let canonical: String
        do throws(ValueProblem) {
            canonical = try directive.traits.type.canonical(value)
        } catch {
            throw TaskSpecError(key: key, problem: error)
        }
        append(canonical, to: directive)
    }

    /// Appends where the key is of the order; `dropDefaults` follows when all are there.
    private mutating func append(_ value: String, to directive: Directive) {
        let at = entries.lastIndex { $0.directive.ordinal <= directive.ordinal }
        guard let at, entries[at].directive == directive else {
            entries.insert(
                Entry(directive: directive, values: [value]), at: at.map { $0 + 1 } ?? 0)
            return
        }
        if directive.traits.isList {
            entries[at].values.append(value)
        } else {
            entries[at].values = [value]
        }
    }
}
