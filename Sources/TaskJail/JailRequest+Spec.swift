// SPDX-License-Identifier: Apache-2.0
public import TaskModel

extension JailRequest {
    /// What a task's spec asks for.
    ///
    /// - Parameters:
    ///   - programs: its checks and its command, as words.
    ///   - environment: complete but for the defaults of `JailRequest.environment`; HOME, USER and
    ///     LOGNAME are the jail's to say unless the unit sets them.
    ///   - owner: the spool's owner, who must be allowed to become `User=`.
    ///   - files: the carried files that the spec's `file` values name.
    /// - Throws: 216, 217 for an identity that is refused; 226 or 228 for a directive value that
    ///   this version cannot carry out.
    public init(
        spec: TaskSpec, programs: [JailProgram], environment: [String], owner: UInt32,
        files: [JailFile]
    ) throws(JailError) {
        let identity = try JailIdentity.resolve(
            user: spec.text(.user), group: spec.text(.group),
            supplementary: spec[.supplementaryGroups], owner: owner)
        self.init(
            unit: spec.name, programs: programs, environment: environment, identity: identity)
        workingDirectory = spec.text(.workingDirectory)
        directory = spec.text(.dir)
        self.files = files
        binds =
            spec[.bindPaths].map { Self.bind($0, isWritable: true) }
            + spec[.bindReadOnlyPaths].map { Self.bind($0, isWritable: false) }
        credentials = spec[.loadCredential].map(Self.credential)
        if !credentials.isEmpty { self.owner = JailOwner(uid: owner) }
        standardInput = Self.file(spec.text(.standardInput))
        standardOutput = Self.file(spec.text(.standardOutput))
        timer = Self.shown([.maxTime, .killSignal, .timeoutStopSec], spec)
        log = Self.shown([.logLimit], spec)
        limits = JailLimits(spec)
        nice = Int32(clamping: spec.number(.nice))
        strictness = spec.text(.jail) == "strict" ? .strict : .yes
        hasPrivateNetwork = spec.flag(.privateNetwork)
        hasOnlyProcesses = spec.text(.procSubset) == "pid"
        systemCalls = try JailSystemCalls(
            filter: spec[.systemCallFilter], architectures: spec.values(.systemCallArchitectures))
    }

    private static func shown(_ directives: [Directive], _ spec: TaskSpec) -> String {
        directives.map { "\($0.rawValue)=\(spec.text($0) ?? "")" }.joined(separator: " ")
    }

    // NAME:PATH
    private static func credential(_ text: String) -> JailCredential {
        let parts = text.split(separator: ":", maxSplits: 1).map(String.init)
        return JailCredential(name: parts.first ?? "", path: parts.last ?? "")
    }

    private static func file(_ text: String?) -> String? {
        guard let text, text.hasPrefix("file:") else { return nil }
        return String(text.dropFirst(5))
    }

    // [-]SOURCE[:TARGET]
    private static func bind(_ text: String, isWritable: Bool) -> JailBind {
        let isOptional = text.hasPrefix("-")
        let parts = text.dropFirst(isOptional ? 1 : 0).split(separator: ":", maxSplits: 1)
        let source = parts.first.map(String.init) ?? ""
        return JailBind(
            source: source, target: parts.count > 1 ? String(parts[1]) : source,
            isWritable: isWritable, isOptional: isOptional)
    }
}

extension JailLimits {
    /// The limits of a spec; infinity is nil.
    public init(_ spec: TaskSpec) {
        func bytes(_ directive: Directive) -> UInt64? {
            let size = spec.size(directive)
            return size.isInfinite ? nil : UInt64(size.bytes)
        }
        func count(_ directive: Directive) -> UInt64? {
            guard let text = spec.text(directive), text != "infinity" else { return nil }
            return UInt64(clamping: spec.number(directive))
        }
        memory = bytes(.limitMem)
        memoryHigh = bytes(.memoryHigh)
        disk = bytes(.limitDisk)
        tasks = count(.limitTasks)
        cpuPercent = count(.limitCPU)
        let time = spec.span(.maxCPUTime)
        cpuTime = time.isInfinite ? nil : UInt64(time.microseconds)
    }
}
