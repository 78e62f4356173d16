// SPDX-License-Identifier: Apache-2.0

/// One program of an attempt: a check, or the command that comes last.
public struct JailProgram: Equatable, Sendable {
    /// The check's name; nil for the command.
    public var check: String?
    /// argv, not empty. A first word without `/` is searched on PATH inside the jail; a relative
    /// one starts at the unit's directory (/run/task/dir).
    public var arguments: [String]

    public init(check: String? = nil, arguments: [String]) {
        self.check = check
        self.arguments = arguments
    }
}

/// A file that travelled with the plan and appears, read-only, below /run/task/dir.
public struct JailFile: Equatable, Sendable {
    /// Relative to the unit's directory, without `..`.
    public var path: String
    /// Permission bits; write bits are dropped.
    public var mode: UInt32
    public var bytes: [UInt8]
    /// SHA-256 in hexadecimal, as the plan has it: equal digests share a prepared root.
    public var digest: String

    public init(path: String, mode: UInt32, bytes: [UInt8], digest: String) {
        self.path = path
        self.mode = mode
        self.bytes = bytes
        self.digest = digest
    }
}

/// A host path that the task sees.
public struct JailBind: Equatable, Sendable {
    public var source: String
    public var target: String
    public var isWritable: Bool
    /// BindPaths=-PATH: an absent source is skipped.
    public var isOptional: Bool

    public init(source: String, target: String, isWritable: Bool, isOptional: Bool = false) {
        self.source = source
        self.target = target
        self.isWritable = isWritable
        self.isOptional = isOptional
    }
}

/// A secret that the task finds as a file of $CREDENTIALS_DIRECTORY. Its bytes are read when an attempt
/// starts, from file to file: neither a plan nor taskrun's memory ever holds them.
public struct JailCredential: Equatable, Sendable {
    public var name: String
    /// A regular file of the host, not a link; read with the rights of `JailRequest.owner`.
    public var path: String

    public init(name: String, path: String) {
        self.name = name
        self.path = path
    }
}

/// Limits of an attempt; nil is infinity.
public struct JailLimits: Equatable, Sendable {
    /// LimitMem= and MemoryHigh=, bytes.
    public var memory: UInt64?
    public var memoryHigh: UInt64?
    /// LimitDisk=, bytes of /tmp, scratch and /dev/shm together.
    public var disk: UInt64? = 1 << 30
    /// LimitTasks=, processes and threads.
    public var tasks: UInt64? = 4096
    /// LimitCPU=, hundredths of one CPU.
    public var cpuPercent: UInt64?
    /// MaxCPUTime=, microseconds of a process; rounded up to seconds.
    public var cpuTime: UInt64?
    /// Files in these bytes: one for each 16 KiB.
    var inodes: UInt64? { disk.map { max(1024, $0 / 16384) } }
    /// RLIMIT_NOFILE, soft and hard.
    public var openFiles: (soft: UInt64, hard: UInt64) { (1024, 4096) }

    public init() {}
}

/// `Jail=` of a unit that is jailed.
public enum JailStrictness: String, Sendable {
    /// A limit that an ordinary user cannot have is replaced by the nearest and named `weak=`.
    case yes
    /// Such a limit is an error (219).
    case strict
}

/// All that a jail is made from; plain values, nothing of it opened yet.
public struct JailRequest: Sendable {
    /// For messages and the first line of the plan.
    public var unit: String
    /// The checks in file order, then the command.
    public var programs: [JailProgram]
    /// `NAME=VALUE`. Nothing is added but PATH, HOME, USER, LOGNAME, TMPDIR and TASK_SCRATCH where
    /// they are absent, CREDENTIALS_DIRECTORY, TASK_SUBMIT and TASK_RESULT with `hasSubmit`, and
    /// TASK_INPUTS where there are `inputs`.
    public var environment: [String]
    public var identity: JailIdentity
    /// Must exist and belong to the task's user; nil: the scratch.
    public var workingDirectory: String?
    /// The unit's directory on the host, seen read-only at /run/task/dir beneath the carried files.
    public var directory: String?
    public var files: [JailFile] = []
    /// What it finds in /run/task/inputs, read-only.
    public var inputs: [JailFile] = []
    public var binds: [JailBind] = []
    /// `LoadCredential=`, at most 32 and together 1 MiB.
    public var credentials: [JailCredential] = []
    /// Whose files the credentials are: the unit's owner, who may be another than the task's user.
    /// nil: the task's user.
    public var owner: JailOwner?
    /// Host files in place of the descriptors that `Launcher.start` is given: read from its
    /// beginning; written at its end, made where it is absent.
    public var standardInput: String?
    public var standardOutput: String?
    /// What taskrun itself watches over, for the printed plan only: `MaxTime=2s …`, `LogLimit=…`.
    public var timer: String?
    public var log: String?
    public var limits = JailLimits()
    public var nice: Int32 = 0
    public var strictness = JailStrictness.yes
    /// Somebody takes the subtasks that it drops, and its result: there is a directory for them.
    public var hasSubmit = false
    /// PrivateNetwork=yes.
    public var hasPrivateNetwork = false
    /// ProcSubset=pid.
    public var hasOnlyProcesses = false
    public var systemCalls = JailSystemCalls()

    /// The name of its result in the directory for drops: no drop has one like it.
    public static let result = ".result"

    public init(
        unit: String, programs: [JailProgram], environment: [String], identity: JailIdentity
    ) {
        self.unit = unit
        self.programs = programs
        self.environment = environment
        self.identity = identity
    }
}
