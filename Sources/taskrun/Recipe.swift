// SPDX-License-Identifier: Apache-2.0
import Glibc
import Linux
import TaskJail
import TaskModel

/// What all attempts of a task share, and those of tasks that differ in their name only: a spec, with
/// the values that an attempt needs at hand.
final class Recipe {
    /// A program of the attempt: a check, or last the command.
    struct Step {
        /// The check's name; nil for the command.
        var check: String?
        var argv: [String]
    }

    let spec: TaskSpec
    let owner: TaskOwner
    /// The fields of the job line that it was made from.
    var source: [UInt8] = []
    /// The carried files that its `file=` values name.
    let files: [JailFile]
    /// What its tasks find in `$TASK_INPUTS`.
    var inputs: [JailFile] = []
    let steps: [Step]
    /// In the words of its steps `%i` stands for the item, and `%%` for a percent sign.
    let hasMarks: Bool
    /// Why it can't be executed at all: every attempt ends with it.
    let problem: SessionFailure?
    let isJailed: Bool
    /// Somebody takes the subtasks that its tasks drop.
    var hasSubmit = false
    /// Microseconds; nil for infinity.
    let longest: Int64?
    let stopGrace: Int64
    let killSignal: Int32
    /// Higher is started before lower.
    let priority: Int
    /// Bytes of output kept of one attempt.
    let logLimit: Int
    /// More output fails it (`LogLimit=SIZE:fail`).
    let failsAtLogLimit: Bool
    /// RLIMIT_CPU of each process; nil for none.
    let cpuSeconds: Int64?
    /// `StandardInput=` and `StandardOutput=`.
    let input: String
    let output: String
    let direct: DirectSettings
    private let goodExits: [Int32]
    private let goodSignals: [Int32]
    /// The jail, and until when it is believed (CLOCK_BOOTTIME).
    private var resolved: (request: JailRequest, until: Int64)?
    private var compiled: (plan: JailPlan, until: Int64)?
    /// Programs of unjailed steps, found on PATH, by step; without what names the attempt.
    var programs: [Program?]

    /// A job that is refused, with the sentence that says why.
    convenience init(refusing name: String, _ what: String) {
        self.init(
            TaskSpec(name: name), files: [],
            problem: SessionFailure(reason: .jail, exit: 202, what: what))
    }

    /// - Parameter item: the text that stands where the values have `%i`, but for the programs: their
    ///   words each attempt has for itself.
    convenience init(
        _ spec: TaskSpec, item: String, files: [JailFile], owner: TaskOwner = .caller
    ) {
        do throws(TaskSpecError) {
            self.init(
                try spec.expanding(item: item), files: files, owner: owner, hasMarks: true)
        } catch {
            self.init(
                refusing: spec.name,
                "\(error.key)= is none with the item \(item) in it: \(error.problem.what): "
                    + error.problem.allowed)
        }
    }

    init(
        _ spec: TaskSpec, files: [JailFile], owner: TaskOwner = .caller,
        problem: SessionFailure? = nil, hasMarks: Bool = false
    ) {
        self.hasMarks = hasMarks
        self.spec = spec
        self.owner = owner
        self.files = files
        let (steps, found) = Self.steps(of: spec)
        self.steps = steps
        self.problem = problem ?? found ?? Self.refusal(spec, owner)
        programs = Array(repeating: nil, count: steps.count)
        isJailed = spec.text(.jail) != "no"
        longest = spec.span(.maxTime).finite
        stopGrace = spec.span(.timeoutStopSec).microseconds
        killSignal = spec.text(.killSignal).flatMap { SignalName.number(of: $0) } ?? 15
        priority = spec.number(.priority)
        logLimit = Int(clamping: spec.size(.logLimit).bytes)
        failsAtLogLimit = spec.text(.logLimit)?.hasSuffix(":fail") ?? false
        cpuSeconds = spec.span(.maxCPUTime).finite.map { max(1, ($0 + 999_999) / 1_000_000) }
        input = spec.text(.standardInput) ?? "null"
        output = spec.text(.standardOutput) ?? "log"
        direct = DirectSettings(spec)
        let good = spec.values(.successExitStatus)
        goodExits = [0] + good.compactMap { Int32($0) }
        goodSignals = good.compactMap { Int32($0) == nil ? SignalName.number(of: $0) : nil }
    }

    /// The jail to build, but for what names the attempt. It is compiled once a second, not for
    /// every attempt: so soon a change of the host's own files is seen (`HostStamp`).
    func jail(_ facts: HostFacts) throws(JailError) -> JailPlan {
        let now = Clock.boot()
        if let compiled, now < compiled.until { return compiled.plan }
        let plan = try JailPlan(try jailRequest(now), facts: facts)
        compiled = (plan, now + 1_000_000)
        return plan
    }

    // A name service is asked who the task is every few seconds.
    private func jailRequest(_ now: Int64) throws(JailError) -> JailRequest {
        if let resolved, now < resolved.until { return resolved.request }
        var request = try JailRequest(
            spec: spec,
            programs: steps.map { JailProgram(check: $0.check, arguments: $0.argv) },
            environment: TaskEnvironment.sharedInJail(spec), owner: owner.uid, files: files)
        request.hasSubmit = hasSubmit
        request.inputs = inputs
        resolved = (request, now + 5_000_000)
        return request
    }

    /// Whether the command's end counts as a success.
    func isSuccess(_ end: ProcessEnd) -> Bool {
        if let code = end.exitCode { return goodExits.contains(code) }
        return end.signal.map { goodSignals.contains($0) } ?? false
    }

    /// The programs of an item: it is put in when the words are told apart, so that it is one of them,
    /// or within one.
    func steps(of item: String?) -> [Step] {
        guard hasMarks, let item else { return steps }
        return steps.map { step in
            Step(check: step.check, argv: step.argv.map { ItemText.expand($0, item: item) })
        }
    }

    private static func steps(of spec: TaskSpec) -> ([Step], SessionFailure?) {
        var steps: [Step] = []
        var problem = unsupported(spec)
        for line in spec[.check] {
            if let (name, command) = line.divided(at: "="),
                let argv = try? ShellWords.split(String(command)), !argv.isEmpty
            {
                steps.append(Step(check: String(name), argv: argv))
            } else {
                problem = SessionFailure(
                    reason: .check, exit: 127,
                    what: "check \(line) is no NAME=COMMAND: write it so in [Checks]")
            }
        }
        let argv = spec.argv
        if !argv.isEmpty { steps.append(Step(check: nil, argv: argv)) }
        return (steps, problem)
    }

    /// What only a jail can do, or hold.
    private static let needJail: [Directive] = [
        .user, .group, .supplementaryGroups, .loadCredential, .privateNetwork, .bindPaths,
        .bindReadOnlyPaths, .systemCallFilter,
    ]

    // Who serves others gives nobody what he could not take himself.
    private static func refusal(_ spec: TaskSpec, _ owner: TaskOwner) -> SessionFailure? {
        guard owner.uid != 0, spec.number(.nice) < 0 else { return nil }
        return SessionFailure(
            reason: .jail, exit: 201,
            what: "unable to run at Nice=\(spec.number(.nice)): below 0 is root's, task not started"
        )
    }

    private static func unsupported(_ spec: TaskSpec) -> SessionFailure? {
        let what: String
        if spec.text(.type) == "runner" {
            what = "Type=runner is not there yet: use Type=exec"
        } else if spec.text(.standardOutput) == "journal" {
            what = "StandardOutput=journal is not there yet: use log"
        } else if spec.text(.jail) == "no", let asked = needJail.first(where: { spec.has($0) }) {
            what = "\(asked.rawValue)= needs a jail: leave out Jail=no, or \(asked.rawValue)="
        } else {
            return nil
        }
        return SessionFailure(reason: .jail, exit: 202, what: what)
    }
}

extension TimeSpan {
    /// Microseconds; nil for infinity.
    var finite: Int64? { isInfinite ? nil : microseconds }
}
