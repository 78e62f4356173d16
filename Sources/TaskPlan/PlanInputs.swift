// SPDX-License-Identifier: Apache-2.0
public import TaskModel
public import TaskUnit

/// How the compiler looks at the world: closures, so that it reads no disk itself.
public struct PlanInputs {
    /// What a look for a unit's file found.
    public enum UnitLookup {
        case found(UnitText)
        case absent
        /// There, and not to be used: why, and what to do.
        case refused(what: String, allowed: String)
    }

    /// What a look for a file below a unit's directory found.
    public enum FileLookup {
        case found(bytes: [UInt8], mode: Int)
        case absent
        /// Larger than the limit asked for.
        case tooLarge
        /// There, and not to be read: why.
        case refused(String)
        /// Not looked for: who compiles reads no user's path.
        case unread
    }

    /// A file of the search path by its exact name, the first directory's that has it.
    public var unit: (_ name: String) -> UnitLookup
    /// A file by the directory that it is relative to and its path, up to a number of bytes.
    public var file: (_ directory: String, _ path: String, _ limit: Int) -> FileLookup
    /// Whether the machine knows a time zone; without a look: any.
    public var hasZone: (_ name: String) -> Bool = { _ in true }
    /// Where units are looked for, for messages: `/etc/task/units, …`.
    public var places: String

    public init(
        unit: @escaping (String) -> UnitLookup,
        file: @escaping (String, String, Int) -> FileLookup, places: String
    ) {
        self.unit = unit
        self.file = file
        self.places = places
    }

    /// Finds nothing: for a unit that stands alone.
    public static var none: PlanInputs {
        PlanInputs(unit: { _ in .absent }, file: { _, _, _ in .absent }, places: "no directory")
    }
}

/// What compiling gave.
public struct CompiledPlan {
    /// TASK_NAME of the root.
    public var name: String
    /// Nil where a diagnostic is an error.
    public var plan: Plan?
    /// All problems, warnings too, in the order in which they were found.
    public var diagnostics: [Diagnostic]
    /// Whether the root has [RunIf]: its drop installs it, and this plan is what it will run.
    public var isInstallation: Bool
    /// The root unit's definition; nil for a pipeline.
    public var unit: UnitDefinition?

    public var hasErrors: Bool { diagnostics.contains { $0.severity == .error } }
}

/// Limits of what a unit may carry.
public enum CarryLimits {
    /// Bytes of a relative command or check that travels by itself.
    public static let command = 64 << 10
    /// Bytes of `Files=` of a unit together, and of a script.
    public static let files = 256 << 10
    /// Bytes of an item list.
    public static let items = 32 << 20
}
