// SPDX-License-Identifier: Apache-2.0
public import TaskModel

/// How a user names a run or a task: a whole id, a unique suffix of one, a unit's name (its latest
/// run) or `last`. A suffix and an id may end in `.K` or `.K.I`.
public enum Selector: Equatable, Sendable {
    /// The latest run of all.
    case last
    case ref(TaskRef)
    /// A unit name, or the end of an id: what it is only the runs can tell. `suffix` is lower case,
    /// nil when the word can't be the end of an id. `stem` is the word before `.K` or `.K.I`, and
    /// may be a unit's name too.
    case word(name: String, stem: String, suffix: String?, task: Int?, item: Int?)

    /// Shortest suffix of an id: four characters tell some million runs of a session apart.
    public static let shortestSuffix = 4

    /// Reads what the user typed. Never fails: any other word is a unit's name, with its file
    /// suffix left out as in TASK_NAME.
    public init(_ text: String) {
        if text == "last" {
            self = .last
        } else if let ref = TaskRef(text) {
            self = .ref(ref)
        } else {
            let (stem, task, item) = Self.split(text)
            self = .word(
                name: UnitName.of(text), stem: String(stem), suffix: Self.suffix(stem),
                task: task, item: item)
        }
    }

    // `abcd.2.0` → abcd, 2, 0.
    private static func split(_ text: String) -> (Substring, Int?, Int?) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        let numbers = parts.dropFirst().map { Decimal.parse($0.utf8) }
        if parts.count > 3 || numbers.contains(where: { $0 == nil }) {
            return (text[...], nil, nil)
        }
        return (parts[0], numbers.first ?? nil, numbers.count > 1 ? numbers[1] : nil)
    }

    private static func suffix(_ stem: Substring) -> String? {
        let lower = stem.lowercased()
        let isPossible =
            (shortestSuffix..<TaskID.length).contains(lower.utf8.count)
            && TaskID(String(repeating: "0", count: TaskID.length - lower.utf8.count) + lower)
                != nil
        return isPossible ? lower : nil
    }
}

/// What a selector can be resolved against: runs, newest last or in any order.
public struct KnownRun: Equatable, Sendable {
    public var run: TaskID
    /// TASK_NAME of the run, nil where it is not known.
    public var name: String?

    public init(run: TaskID, name: String?) {
        self.run = run
        self.name = name
    }
}

/// What a selector meant.
public enum Selection: Equatable, Sendable {
    case one(TaskRef)
    case none
    /// Several ids end so: the first few of them.
    case ambiguous([TaskID])
}

extension Selector {
    /// Finds the run. A unit's name goes before a suffix that looks the same.
    public func resolve(among runs: some Sequence<KnownRun>) -> Selection {
        switch self {
        case .ref(let ref): return .one(ref)
        case .last:
            guard let latest = runs.map(\.run).max() else { return .none }
            return .one(TaskRef(run: latest))
        case .word(let name, let stem, let suffix, let task, let item):
            var named: TaskID?
            var stemmed: TaskID?
            var ending: [TaskID] = []
            for known in runs {
                if known.name == name { named = max(named ?? known.run, known.run) }
                if known.name == stem { stemmed = max(stemmed ?? known.run, known.run) }
                if let suffix, !ending.contains(known.run),
                    known.run.description.hasSuffix(suffix)
                {
                    ending.append(known.run)
                }
            }
            if let named { return .one(TaskRef(run: named)) }
            if let stemmed { return .one(TaskRef(run: stemmed, task: task, item: item)) }
            if ending.count > 1 { return .ambiguous(Array(ending.prefix(5))) }
            return ending.first.map { .one(TaskRef(run: $0, task: task, item: item)) } ?? .none
        }
    }
}
