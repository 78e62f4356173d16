// SPDX-License-Identifier: Apache-2.0
import Glibc
import Linux
import TaskJail

/// What the tests ask of one run.
struct Options {
    var showsPlan = false
    var showsJSON = false
    var owner = geteuid()
    var user: String?
    var group: String?
    var rules = ""
    var work: String?
    var directory: String?
    var files: [JailFile] = []
    var binds: [JailBind] = []
    var credentials: [JailCredential] = []
    var input: String?
    var output: String?
    var limits = JailLimits()
    var checks: [JailProgram] = []
    var command: [String] = []
    var environment: [String] = []
    var isStrict = false
    var hasPrivateNetwork = false
    var hasOnlyProcesses = false
    var calls: [String] = []
    var architectures: [String] = []
    var nice: Int32 = 0
    /// Milliseconds after which everything in the jail is killed.
    var deadline: Int64 = 10_000
    /// Milliseconds after which SIGTERM goes to the program; 0 never.
    var terminate: Int64 = 0
    var repeats = 1
    var slots = 1
    var isQuiet = false
    var hasFaults = false

    static func parse(_ words: [String]) -> Options {
        var options = Options()
        var rest = words[...]
        while let word = rest.popFirst() {
            if word == "--" { break }
            if options.flag(word) { continue }
            guard let value = rest.popFirst() else { fail("\(word) needs a value") }
            options.set(word, value)
        }
        options.command = Array(rest)
        return options
    }

    private mutating func flag(_ word: String) -> Bool {
        switch word {
        case "--plan": showsPlan = true
        case "--json": showsJSON = true
        case "--strict": isStrict = true
        case "--net": hasPrivateNetwork = true
        case "--subset": hasOnlyProcesses = true
        case "--debug": calls.append("@debug")
        case "--quiet": isQuiet = true
        case "--faults": hasFaults = true
        default: return false
        }
        return true
    }

    private mutating func set(_ word: String, _ value: String) {
        switch word {
        case "--owner": owner = UInt32(value) ?? owner
        case "--user": user = value
        case "--group": group = value
        case "--rules": rules = value
        case "--work": work = value
        case "--dir": directory = value
        case "--file": files.append(Self.file(value))
        case "--bind": binds.append(Self.bind(value, isWritable: false))
        case "--bindrw": binds.append(Self.bind(value, isWritable: true))
        case "--credential":
            let parts = value.split(separator: ":", maxSplits: 1).map(String.init)
            credentials.append(JailCredential(name: parts[0], path: parts.last ?? ""))
        case "--filter": calls.append(value)
        case "--arch": architectures.append(value)
        case "--in": input = value
        case "--out": output = value
        case "--mem": limits.memory = UInt64(value)
        case "--disk": limits.disk = UInt64(value)
        case "--tasks": limits.tasks = UInt64(value)
        case "--cpu": limits.cpuPercent = UInt64(value)
        case "--cputime": limits.cpuTime = UInt64(value)
        case "--nice": nice = Int32(value) ?? 0
        case "--check":
            checks.append(JailProgram(check: value, arguments: ["/bin/sh", "-c", value]))
        case "--env": environment.append(value)
        case "--deadline": deadline = Int64(value) ?? deadline
        case "--term": terminate = Int64(value) ?? 0
        case "--repeat": repeats = Int(value) ?? 1
        case "--slots": slots = Int(value) ?? 1
        default: fail("unknown option \(word)")
        }
    }

    // SOURCE[:TARGET]
    private static func bind(_ value: String, isWritable: Bool) -> JailBind {
        let parts = value.split(separator: ":", maxSplits: 1).map(String.init)
        return JailBind(source: parts[0], target: parts.last ?? "", isWritable: isWritable)
    }

    // NAME=TEXT
    private static func file(_ value: String) -> JailFile {
        let name = value.prefix { $0 != "=" }
        let text = String(value.dropFirst(name.utf8.count + 1)) + "\n"
        return JailFile(
            path: String(name), mode: 0o755, bytes: Array(text.utf8), digest: text)
    }

    func request() throws(JailError) -> JailRequest {
        let identity = try JailIdentity.resolve(
            user: user, group: group, owner: owner, rules: RunAsRules(parsing: rules))
        var programs = checks
        if !command.isEmpty { programs.append(JailProgram(arguments: command)) }
        var request = JailRequest(
            unit: "probe.service", programs: programs, environment: environment,
            identity: identity)
        request.workingDirectory = work
        request.directory = directory
        request.files = files
        request.binds = binds
        request.credentials = credentials
        if !credentials.isEmpty { request.owner = JailOwner(uid: owner) }
        request.standardInput = input
        request.standardOutput = output
        request.limits = limits
        request.nice = nice
        request.strictness = isStrict ? .strict : .yes
        request.hasPrivateNetwork = hasPrivateNetwork
        request.hasOnlyProcesses = hasOnlyProcesses
        request.systemCalls = try JailSystemCalls(filter: calls, architectures: architectures)
        return request
    }
}

func fail(_ message: String) -> Never {
    write("jailprobe: err: \(message)\n", to: 2)
    exit(125)
}

func write(_ text: String, to descriptor: Int32) {
    let count = text.utf8.count
    _ = text.withCString { Glibc.write(descriptor, $0, count) }
}
