// SPDX-License-Identifier: Apache-2.0
public import TaskModel

/// What a subtask may have, given the task that dropped it: nothing that this task may not do itself.
///
/// Pure; linear in the values of the two. Files that a subtask's unit names are read by whoever
/// compiles it: he must read none that the parent can't.
public enum Inheritance {
    /// How a directive of a subtask is bounded by its parent's.
    public enum Rule: Equatable, Sendable {
        /// No right, or no more than the parent's: why.
        case free(String)
        /// The parent's value or none; none is the parent's.
        case equal
        /// Each value is one of the parent's.
        case subset
        /// A number, size, share or span up to the parent's; none is the parent's.
        case atMost
        /// A number from the parent's on; none is the parent's.
        case atLeast
        /// What is closed to the parent is closed to it (`no` < `yes` < `strict`, `all` < `pid`).
        case closed
        /// A place of the host that the parent may write.
        case writable
        /// A place of the host that the parent may read.
        case readable
        /// `file:PATH` is the parent's own; what else there is opens nothing.
        case stream
        /// Refuses at least what the parent's refuses, and gives nothing back that the parent lacks.
        case filter
        /// A bound of the parent's keeps its figure.
        case bound
    }

    /// The rule of each directive: a new one is decided here.
    public static func rule(_ directive: Directive) -> Rule {
        switch directive {
        case .user, .group, .queue: .equal
        case .supplementaryGroups, .loadCredential, .file, .systemCallArchitectures: .subset
        case .limitMem, .memoryHigh, .limitDisk, .limitCPU, .limitTasks, .maxTime, .maxCPUTime,
            .timeoutStopSec, .logLimit, .priority:
            .atMost
        case .nice: .atLeast
        case .jail, .privateNetwork, .procSubset: .closed
        case .workingDirectory, .bindPaths: .writable
        case .dir, .bindReadOnlyPaths: .readable
        case .standardInput, .standardOutput: .stream
        case .systemCallFilter: .filter
        case .semaphore: .bound
        case .command, .arg, .check, .env: .free("the parent runs what it likes")
        case .restart, .restartSec, .restartMaxDelaySec, .successExitStatus,
            .restartPreventExitStatus, .optional, .condition, .isThen, .rest, .remainAfterExit,
            .key:
            .free("it says what an end means, and what follows")
        case .killSignal: .free("SIGKILL follows after TimeoutStopSec=")
        case .maxParallel: .free("a bound of its own items")
        case .type, .shared, .description: .free("it opens nothing")
        case .requires, .wants, .after, .before, .onSuccess, .onFailure, .packages, .packagesFrom,
            .files, .requireEnd, .input, .cron, .timeZone, .misfire, .overlap, .runIfRequires,
            .every,
            .items, .count, .thenCommand, .thenArg:
            .free("compiled away: no task of a plan has it")
        }
    }

    /// The subtask's task, with what it inherits.
    ///
    /// - Throws: the first directive, in the table's order, that is more than the parent has.
    public static func apply(
        _ parent: TaskSpec, to child: TaskSpec
    ) throws(InheritanceError) -> TaskSpec {
        var result = child
        for directive in Directive.allCases where child.has(directive) || parent.has(directive) {
            let values = try Comparison(directive, parent, child).values()
            if values != child[directive] { result[directive] = values }
        }
        return result
    }
}

/// A directive of a subtask that is more than its parent has.
public struct InheritanceError: Error, Equatable, Sendable {
    public let directive: Directive
    /// The subtask's value.
    public let value: String
    /// What the parent has.
    public let allowed: String

    /// `KEY=VALUE: WHAT THE PARENT HAS`.
    public var sentence: String {
        "\(directive.rawValue)=\(value) is more than the task that dropped it may do: \(allowed)"
    }
}

/// One directive of two tasks.
private struct Comparison {
    let directive: Directive
    let parent: TaskSpec
    let child: TaskSpec

    init(_ directive: Directive, _ parent: TaskSpec, _ child: TaskSpec) {
        self.directive = directive
        self.parent = parent
        self.child = child
    }

    private var theirs: [String] { parent.values(directive) }
    private var own: [String] { child[directive] }

    /// What the subtask has in the end.
    func values() throws(InheritanceError) -> [String] {
        switch Inheritance.rule(directive) {
        case .free: return own
        case .equal:
            if !own.isEmpty, own != parent[directive] { throw refusal(own.last, theirs) }
            return parent[directive]
        case .subset:
            try each { theirs.contains($0) }
            return own
        case .atMost: return try bounded { $0 <= $1 }
        case .atLeast: return try bounded { $0 >= $1 }
        case .closed: return try closed()
        case .writable:
            try each { writable.contains(Self.source($0)) }
            return own
        case .readable:
            try each { readable.contains(Self.source($0)) }
            return own.isEmpty && directive == .dir ? parent[directive] : own
        case .stream:
            try each { !$0.hasPrefix("file:") || theirs.contains($0) }
            return own
        case .filter:
            try each { $0.hasPrefix("~") || theirs.contains($0) }
            return own + parent[directive].filter { $0.hasPrefix("~") && !own.contains($0) }
        case .bound:
            try each { value in
                let (name, most) = Self.semaphore(value)
                return !theirs.map(Self.semaphore).contains { $0.0 == name && $0.1 < most }
            }
            return own
        }
    }

    private func each(_ isAllowed: (String) -> Bool) throws(InheritanceError) {
        for value in own where !isAllowed(value) { throw refusal(value, theirs) }
    }

    private func refusal(_ value: String?, _ values: [String]) -> InheritanceError {
        let key = directive.rawValue
        let has =
            values.isEmpty ? "it has no \(key)=" : "it has \(key)=\(values.joined(separator: " "))"
        return InheritanceError(directive: directive, value: value ?? "", allowed: has)
    }

    // MARK: Numbers

    private func bounded(
        _ isAllowed: (Int64, Int64) -> Bool
    ) throws(InheritanceError) -> [String] {
        guard child.has(directive) else { return parent[directive] }
        if isAllowed(figure(child), figure(parent)) { return own }
        throw refusal(own.last, theirs)
    }

    private func figure(_ spec: TaskSpec) -> Int64 {
        switch directive.traits.type {
        case .size, .outputSize: spec.size(directive).bytes
        case .span: spec.span(directive).microseconds
        // No share is all of them.
        default: spec.text(directive) == nil ? .max : Int64(spec.number(directive))
        }
    }

    // MARK: Walls

    private static let walls = ["no", "all", "yes", "pid", "strict"]

    private func closed() throws(InheritanceError) -> [String] {
        func rank(_ spec: TaskSpec) -> Int {
            spec.text(directive).flatMap { Self.walls.firstIndex(of: $0) } ?? 0
        }
        // What is not said is the default; a parent's stronger wall stands.
        if rank(child) >= rank(parent) { return own }
        if child.has(directive) { throw refusal(own.last, theirs) }
        return parent[directive]
    }

    // MARK: Places of the host

    /// `[-]SOURCE[:TARGET]`, or a path: where it lies on the host. Only the parent's very places: in one
    /// that it can write it could have made a link that leads elsewhere.
    private static func source(_ value: String) -> String {
        let path = value.hasPrefix("-") ? value.dropFirst() : value[...]
        return String(path.prefix { $0 != ":" })
    }

    private var writable: [String] {
        parent[.workingDirectory] + parent[.bindPaths].map(Self.source)
    }

    private var readable: [String] {
        writable + parent[.dir] + parent[.bindReadOnlyPaths].map(Self.source)
    }

    // NAME[:N], N without one: 1 (task.unit(5)).
    private static func semaphore(_ value: String) -> (String, Int) {
        let parts = value.split(separator: ":", maxSplits: 1)
        return (String(parts.first ?? ""), parts.count > 1 ? Int(parts[1]) ?? 1 : 1)
    }
}
