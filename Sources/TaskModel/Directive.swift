// SPDX-License-Identifier: Apache-2.0

/// Every directive that a unit may hold, and the few that only a plan holds.
///
/// The raw value is its key on a plan's task line. `traits` (Directive+Traits.swift) is the one
/// table: the parser, the linter, the help, the check of task.unit(5) and completion follow from it.
public enum Directive: String, CaseIterable, Sendable {
    // [Dependencies]
    case description = "Description"
    case requires = "Requires"
    case wants = "Wants"
    case after = "After"
    case before = "Before"
    case onSuccess = "OnSuccess"
    case onFailure = "OnFailure"
    case packages = "Packages"
    case packagesFrom = "PackagesFrom"
    // [Service]
    case user = "User"
    case group = "Group"
    case supplementaryGroups = "SupplementaryGroups"
    case workingDirectory = "WorkingDirectory"
    case dir = "Dir"
    case files = "Files"
    case restart = "Restart"
    case restartSec = "RestartSec"
    case restartMaxDelaySec = "RestartMaxDelaySec"
    case successExitStatus = "SuccessExitStatus"
    case restartPreventExitStatus = "RestartPreventExitStatus"
    case limitMem = "LimitMem"
    case memoryHigh = "MemoryHigh"
    case limitDisk = "LimitDisk"
    case limitCPU = "LimitCPU"
    case limitTasks = "LimitTasks"
    case maxTime = "MaxTime"
    case maxCPUTime = "MaxCPUTime"
    case timeoutStopSec = "TimeoutStopSec"
    case killSignal = "KillSignal"
    case nice = "Nice"
    case priority = "Priority"
    case queue = "Queue"
    case semaphore = "Semaphore"
    case remainAfterExit = "RemainAfterExit"
    case type = "Type"
    case logLimit = "LogLimit"
    case standardInput = "StandardInput"
    case standardOutput = "StandardOutput"
    case loadCredential = "LoadCredential"
    case key = "Key"
    case shared = "Shared"
    case requireEnd = "RequireEnd"
    // [Jail]
    case jail = "Jail"
    case privateNetwork = "PrivateNetwork"
    case bindPaths = "BindPaths"
    case bindReadOnlyPaths = "BindReadOnlyPaths"
    case systemCallFilter = "SystemCallFilter"
    case systemCallArchitectures = "SystemCallArchitectures"
    case procSubset = "ProcSubset"
    // [Checks] [Environment] [Args] [Command]
    case check = "check"
    case env = "env"
    case arg = "arg"
    case command = "command"
    // [RunIf]
    case cron = "cron"
    case timeZone = "TimeZone"
    case misfire = "Misfire"
    case overlap = "Overlap"
    case runIfRequires = "RunIf.Requires"
    case every = "Every"
    // [Array] [Then]
    case items = "Items"
    case count = "Count"
    case maxParallel = "MaxParallel"
    case thenCommand = "then.command"
    case thenArg = "then.args"
    // Only in a plan.
    case file = "file"
    case input = "input"
    case optional = "optional"
    case condition = "condition"
    case isThen = "then"
    case rest = "rest"
}

/// The sections of a unit file, in the order in which task.unit(5) describes them.
public enum UnitSection: String, CaseIterable, Sendable {
    case dependencies = "Dependencies"
    case service = "Service"
    case jail = "Jail"
    case checks = "Checks"
    case environment = "Environment"
    case args = "Args"
    case command = "Command"
    case runIf = "RunIf"
    case array = "Array"
    case then = "Then"
    case end = "End"
    /// What the compiler writes into plans; no unit can say it.
    case plan = ""
}

/// How many values a directive has.
public enum DirectiveArity: Sendable, Equatable {
    /// One; the last one written counts.
    case one
    /// Each line adds one value; an empty value takes back those before.
    case lines
    /// Each line adds values that blanks divide (quotes hold them together); an empty one resets.
    case words
}

/// One row of the table of directives.
public struct DirectiveTraits: Sendable {
    public let section: UnitSection
    /// The key in the unit file; empty where the section's keys are free names.
    public let name: String
    public let type: DirectiveType
    public let arity: DirectiveArity
    /// What counts where nothing is written, in canonical spelling; nil: nothing.
    public let defaultText: String?
    /// One line of help.
    public let help: String
    /// Whether it stands on a plan's task line; others are compiled away.
    public let isInPlan: Bool
    /// False while this version only reads it: such a unit is refused, so that nothing that was
    /// asked for is left out in silence.
    public let isCarriedOut: Bool

    /// Whether the values form a list.
    public var isList: Bool { arity != .one }
}

extension Directive {
    /// The place in `allCases`, which is the order of keys on a task line.
    ///
    /// The case's own tag: an enum without payload counts its cases so, in the order in which they
    /// are declared, as `allCases` does (a test compares them). A dictionary would hash the text.
    public var ordinal: Int { Int(unsafeBitCast(self, to: UInt8.self)) }

    /// The row of the table.
    public var traits: DirectiveTraits { Self.table[ordinal] }

    /// The directive with this key on a plan's task line.
    public init?(planKey: some StringProtocol) {
        guard let found = Self.planKeys[String(planKey)] else { return nil }
        self = found
    }

    /// The directive that a key of a section of a unit file means.
    public init?(section: UnitSection, key: String) {
        guard let keys = Self.unitKeys.first(where: { $0.section == section })?.keys,
            let found = keys[key] ?? keys[""]
        else { return nil }
        self = found
    }

    private static let table: [DirectiveTraits] = allCases.map(\.row)
    private static let planKeys: [String: Directive] = Dictionary(
        uniqueKeysWithValues: allCases.filter(\.row.isInPlan).map { ($0.rawValue, $0) })
    private static let unitKeys: [(section: UnitSection, keys: [String: Directive])] =
        UnitSection.allCases.filter { $0 != .plan }.map { section in
            let own = allCases.filter { $0.row.section == section }
            return (section, Dictionary(uniqueKeysWithValues: own.map { ($0.row.name, $0) }))
        }
}
