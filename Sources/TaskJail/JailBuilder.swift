// SPDX-License-Identifier: Apache-2.0
import CLinux
import TaskModel

/// Turns a request into steps and their printed lines. The order is JAIL's build order: each
/// extension builds the part of one process.
struct JailBuilder {
    let request: JailRequest
    let facts: HostFacts
    var lines: [JailPlan.Line] = []
    var ops = JailOps()
    var weak: [String] = []
    var warnings: [String] = []
    var environment: [String] = []
    var title = ""
    var baseKey = ""
    var cloneFlags: UInt64 = 0
    var cloneCall = ""
    var cloneLine = 0
    /// Host paths that the launcher opens: index of the tree, and where it appears.
    var trees: [Tree] = []

    struct Tree {
        var name: String
        var source: String
        var target: String
        var isWritable: Bool
        var isOptional = false
        var isWorkingDirectory = false
    }

    static let scratch = "/scratch"
    static let unitDirectory = "/run/task/dir"
    static let credentials = "/run/task/credentials"
    static let submit = "/run/task/submit"
    static let inputs = "/run/task/inputs"

    var isOrdinary: Bool { request.identity.outside != nil }
    var hasJailFiles: Bool { !request.files.isEmpty }
    var workingDirectory: String { request.workingDirectory ?? Self.scratch }

    init(_ request: JailRequest, _ facts: HostFacts) {
        self.request = request
        self.facts = facts
    }

    mutating func build() throws(JailError) {
        try refuse()
        try chooseTrees()
        try checkFiles()
        try decideWeak()
        environment = completeEnvironment()
        describe()
        addOnce()
        addParent()
        addLauncher()
        addBase()
        addClone()
        addInit()
        addTask()
        addCalls()
        addWarnings()
        makeKey()
    }

    /// Each line names the calls of its steps.
    private mutating func addCalls() {
        for index in 0..<ops.count {
            if let op = ops.at(index) { lines[op.line].calls += op.calls }
        }
        lines[cloneLine].calls += [cloneCall, "pwrite64 back"]
    }

    // MARK: - What cannot be

    private func refuse() throws(JailError) {
        if isOrdinary, let reason = facts.userNamespaceRefusal {
            throw JailError(.namespace, "unable to make a user namespace: \(reason)")
        }
        for program in request.programs where program.arguments.first?.isEmpty ?? true {
            throw JailError(.execute, "unable to execute a program without a name")
        }
        guard let nul = firstWithNul() else { return }
        throw JailError(.execute, "unable to pass \(nul): it contains a NUL byte")
    }

    private func firstWithNul() -> String? {
        let words = request.programs.flatMap(\.arguments)
        if words.contains(where: { $0.utf8.contains(0) }) { return "an argument" }
        if request.environment.contains(where: { $0.utf8.contains(0) }) { return "the environment" }
        return nil
    }

    private mutating func chooseTrees() throws(JailError) {
        if let directory = request.directory {
            let target = hasJailFiles ? "/run/task/host" : Self.unitDirectory
            trees.append(
                Tree(name: "unit", source: directory, target: target, isWritable: false))
        }
        if let directory = request.workingDirectory {
            trees.append(
                Tree(
                    name: "work", source: directory, target: directory, isWritable: true,
                    isWorkingDirectory: true))
        }
        for bind in request.binds {
            trees.append(
                Tree(
                    name: "bind", source: bind.source, target: bind.target,
                    isWritable: bind.isWritable, isOptional: bind.isOptional))
        }
        if trees.count > Int(CL_JAIL_TREES) {
            throw JailError(
                .namespace, "unable to bind \(trees.count) paths: \(CL_JAIL_TREES) at most")
        }
        for index in trees.indices {
            try check(trees[index])
            // `//etc/x` would be an absolute path once its first byte is gone.
            let parts = Self.place(trees[index].target)
            trees[index].target = "/" + parts.joined(separator: "/")
        }
        for file in request.files {
            let parts = Self.components(file.path)
            if parts.isEmpty || parts.contains("..") || file.path.utf8.contains(0) {
                throw JailError(
                    .namespace,
                    "unable to carry \(file.path): not a path below the unit's directory")
            }
        }
    }

    private func check(_ tree: Tree) throws(JailError) {
        let code: JailCode = tree.isWorkingDirectory ? .workingDirectory : .namespace
        for path in [tree.source, tree.target] where !path.hasPrefix("/") {
            throw JailError(code, "unable to use \(path): not an absolute path")
        }
        if (tree.source + tree.target).utf8.contains(0) {
            throw JailError(code, "unable to use \(tree.source): a NUL byte in a path")
        }
        if Self.components(tree.target).contains("..") {
            throw JailError(code, "unable to use \(tree.target): `..` in a path of the jail")
        }
        let parts = Self.place(tree.target)
        let first = parts.first ?? ""
        let taken = [
            "", "proc", "sys", "dev", "scratch", "usr", "bin", "sbin", "lib", "lib32", "lib64",
            "libx32", "etc",
        ]
        let isShown = (first == "usr" || first == "etc") && parts.count > 1 && !tree.isWritable
        // Nor what lies above: init would look for the jail's own files in another's directory.
        let own: [Substring] = ["run", "task"]
        let isOurs = tree.name != "unit" && (parts.starts(with: own) || own.starts(with: parts))
        if isOurs || parts == ["tmp"] || taken.contains(String(first)) && !isShown {
            throw JailError(code, "unable to use \(tree.target): the jail's own place")
        }
    }

    private func checkFiles() throws(JailError) {
        let streams: [(path: String?, code: JailCode)] = [
            (request.standardInput, .standardInput), (request.standardOutput, .standardOutput),
        ]
        for case (let path?, let code) in streams where !Self.isHostPath(path) {
            throw JailError(code, "unable to use \(path): not an absolute path")
        }
        if request.credentials.count > Int(CL_JAIL_SECRETS) {
            throw JailError(
                .credentials,
                "unable to copy \(request.credentials.count) credentials: \(CL_JAIL_SECRETS) at most"
            )
        }
        var names: Set<String> = []
        for credential in request.credentials {
            let name = credential.name
            if name.isEmpty || name.hasPrefix(".")
                || name.utf8.contains(where: { $0 == 47 || $0 == 0 })
                || !Self.isHostPath(credential.path)
            {
                throw JailError(
                    .credentials,
                    "unable to copy \(credential.path): write LoadCredential=NAME:/PATH")
            }
            if !names.insert(name).inserted {
                throw JailError(
                    .credentials, "unable to copy \(credential.path): another one is called \(name)"
                )
            }
        }
    }

    private static func isHostPath(_ path: String) -> Bool {
        path.hasPrefix("/") && !path.utf8.contains(0)
    }

    static func components(_ path: String) -> [Substring] {
        path.split(separator: "/").filter { $0 != "." }
    }

    /// A path of the jail by its only name: /var/tmp is a link to /tmp, and what lies below what is
    /// decided by comparing names.
    static func place(_ path: String) -> [Substring] {
        let parts = components(path)
        return parts.starts(with: ["var", "tmp"]) ? Array(parts.dropFirst()) : parts
    }

    // MARK: - Limits

    private mutating func decideWeak() throws(JailError) {
        let limits = request.limits
        let wanted: [(directive: String, controller: String, isSet: Bool)] = [
            ("LimitMem", "memory", limits.memory != nil),
            ("MemoryHigh", "memory", limits.memoryHigh != nil),
            ("LimitCPU", "cpu", limits.cpuPercent != nil),
        ]
        for limit in wanted where limit.isSet && facts.controllers[limit.controller] == nil {
            if isOrdinary, request.strictness == .yes {
                weak.append(limit.directive)
                continue
            }
            throw JailError(
                .cgroup,
                "unable to hold \(limit.directive): no \(limit.controller) cgroup is ours to write"
                    + (isOrdinary
                        ? " (Jail=strict); run under `systemd-run --user -p Delegate=yes`"
                        : "; run as a service with Delegate=yes"))
        }
        // In its own user namespace RLIMIT_NPROC counts the attempt alone (Linux 5.14): exact.
        guard limits.tasks != nil, facts.controllers["pids"] == nil, !isOrdinary else { return }
        weak.append("LimitTasks")
    }

    // MARK: - Environment

    private func completeEnvironment() -> [String] {
        var given = request.environment
        // First, where getenv(3) finds it before any other.
        if !request.credentials.isEmpty {
            given.insert("CREDENTIALS_DIRECTORY=" + Self.credentials, at: 0)
        }
        if request.hasSubmit {
            given.insert(
                contentsOf: [
                    "TASK_SUBMIT=" + Self.submit,
                    "TASK_RESULT=\(Self.submit)/\(JailRequest.result)",
                ], at: 0)
        }
        if !request.inputs.isEmpty { given.insert("TASK_INPUTS=" + Self.inputs, at: 0) }
        let names = Set(given.compactMap { $0.divided(at: "=").map { String($0.before) } })
        let defaults = [
            ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
            ("HOME", workingDirectory), ("USER", request.identity.user),
            ("LOGNAME", request.identity.user), ("TMPDIR", "/tmp"), ("TASK_SCRATCH", Self.scratch),
        ]
        return given
            + defaults.filter { !names.contains($0.0) }.map { "\($0.0)=\($0.1)" }
    }

    // MARK: - Lines and steps

    mutating func line(
        _ place: JailPlan.Place, _ what: String, _ detail: String, comment: String? = nil
    ) {
        lines.append(JailPlan.Line(place: place, what: what, detail: detail, comment: comment))
    }

    /// Adds a step that belongs to the line printed last.
    mutating func add(
        _ part: WritableKeyPath<JailOps, [JailOp]>, _ kind: cl_jail_op, _ code: JailCode,
        _ fill: (inout JailOp) -> Void = { _ in }
    ) {
        var op = JailOp(kind, code)
        op.line = lines.count - 1
        fill(&op)
        ops[keyPath: part].append(op)
    }

    private mutating func describe() {
        let who = request.identity
        let outside = who.outside.map { "\($0.uid)" } ?? "root"
        title =
            "\(request.unit)  user=\(who.user)(\(who.uid))  as=\(outside)  kernel=\(facts.kernel)"
            + " landlock=\(facts.landlock) cgroup=\(facts.cgroups)"
    }

    // Same key, same prepared root: who sees it, its mount points, what lies in it.
    private mutating func makeKey() {
        let who = request.identity
        var key = "\(who.uid):\(who.gid):\(who.user):\(who.group):\(HostStamp.now())"
        if !request.credentials.isEmpty { key += "\ncredentials" }
        if request.hasSubmit { key += "\nsubmit" }
        if !request.inputs.isEmpty { key += "\ninputs" }
        for tree in trees { key += "\n" + tree.target }
        for file in request.files { key += "\n\(file.path):\(file.mode):\(file.digest)" }
        baseKey = key.utf8.count < 1900 ? key : SHA256.hex(Array(key.utf8))
    }
}
