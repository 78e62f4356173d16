// SPDX-License-Identifier: Apache-2.0

/// How a run ended, as taskd and tasklink tell each other in outgoing/: `state=STATE places=0010 reason=R what=TEXT`.
public struct LedgerVerdict: Equatable, Sendable {
    public var state: TaskState
    /// By place: a plan's tasks in their order, the items of an array counted one by one.
    public var places: [Place]
    public var reason: FailureReason?
    public var what: String?

    public enum Place: UInt8, Sendable {
        case success = 48  // 0
        case failure = 49  // 1
        /// It did not end by itself.
        case none = 45  // -
    }

    public init(
        state: TaskState, places: [Place], reason: FailureReason? = nil, what: String? = nil
    ) {
        self.state = state
        self.places = places
        self.reason = reason
        self.what = what
    }

    public var bytes: [UInt8] {
        let marks = String(decoding: places.map(\.rawValue), as: UTF8.self)
        var text = "state=\(state.word) places=\(marks)"
        if let reason { text += " reason=\(reason.rawValue)" }
        if let what { text += " what=\(PercentCoding.encode(what))" }
        return Array("\(text)\n".utf8)
    }

    /// nil for what is none, or not whole.
    public init?(_ bytes: [UInt8]) {
        guard bytes.last == 0x0a else { return nil }
        var values: [String: ArraySlice<UInt8>] = [:]
        for word in bytes.dropLast().split(separator: UInt8(ascii: " ")) {
            guard let sign = word.firstIndex(of: UInt8(ascii: "=")) else { return nil }
            values[String(decoding: word[..<sign], as: UTF8.self)] = word[(sign + 1)...]
        }
        func word(_ key: String) -> String? {
            values[key].flatMap { PercentCoding.decodeText($0) }
        }
        guard let state = word("state").flatMap({ TaskState(word: $0) }),
            let places = values["places"]
        else { return nil }
        let known = places.compactMap { Place(rawValue: $0) }
        guard known.count == places.count else { return nil }
        self.init(
            state: state, places: known, reason: word("reason").flatMap { .init(rawValue: $0) },
            what: word("what"))
    }
}

extension Plan {
    /// How many places it has for the ledger; nil where the journal does not tell the end of each: in a reduced plan, and
    /// where an array is one task of several, whose items may never begin.
    public var places: Int? {
        guard items.isEmpty || tasks.count == 1,
            tasks.indices.allSatisfy({ tasks[$0].number == $0 }),
            items.allSatisfy({ $0.first == 0 && !$0.isRest }),
            Set(items.map(\.task)).count == items.count
        else { return nil }
        return tasks.count + items.reduce(0) { $0 + $1.count - 1 }
    }

    /// The first file below a Dir= that a command or check needs and that does not travel with the plan; nil where
    /// there is none, or Dir= is the same on every machine.
    public var unshippedFile: String? {
        for task in tasks where task.spec.has(.dir) && !task.spec.flag(.shared) {
            let carried = Set(task.spec[.file].map { String($0.prefix { $0 != ":" }) })
            let checks = task.spec[.check].compactMap { check in
                check.split(separator: "=", maxSplits: 1).last?.split(separator: " ").first
            }
            for word in task.spec[.command].prefix(1).map({ $0[...] }) + checks
            where word.contains("/") && !word.hasPrefix("/") {
                let path = String(word.hasPrefix("./") ? word.dropFirst(2) : word)
                if !carried.contains(path) { return path }
            }
        }
        return nil
    }
}
