// SPDX-License-Identifier: Apache-2.0
import Glibc
import Linux
import TaskJail
import TaskModel

/// What all attempts of a task share: its spec, with the values that an attempt needs at hand.
final class Recipe {
    /// A program of the attempt: a check, or last the command.
    struct Step {
        /// The check's name; nil for the command.
        var check: String?
        var argv: [String]
    }

    let spec: TaskSpec
    /// The carried files that its `file=` values name.
    let files: [JailFile]
    let steps: [Step]
    /// Why it can't be executed at all: every attempt ends with it.
    let problem: SessionFailure?
    let isJailed: Bool
    /// Microseconds; nil for infinity.
    let longest: Int64?
    let stopGrace: Int64
    let killSignal: Int32
    /// Bytes of output kept of one attempt.
    let logLimit: Int
    private let goodExits: [Int32]
    private let goodSignals: [Int32]
    /// The jail, and until when it is believed (CLOCK_BOOTTIME).
    private var resolved: (request: JailRequest, until: Int64)?
    /// Programs found on PATH for unjailed steps, by step.
    var found: [String?]

    /// A job that is refused, with the sentence that says why.
    convenience init(refusing name: String, _ what: String) {
        self.init(
            TaskSpec(name: name), files: [],
            problem: SessionFailure(reason: .jail, exit: 202, what: what))
    }

    init(_ spec: TaskSpec, files: [JailFile], problem: SessionFailure? = nil) {
        self.spec = spec
        self.files = files
        let (steps, found) = Self.steps(of: spec)
        self.steps = steps
        self.problem = problem ?? found
        self.found = Array(repeating: nil, count: steps.count)
        isJailed = spec.text(.jail) != "no"
        longest = spec.span(.maxTime).finite
        stopGrace = spec.span(.timeoutStopSec).microseconds
        killSignal = spec.text(.killSignal).flatMap { SignalName.number(of: $0) } ?? 15
        logLimit = Int(clamping: spec.size(.logLimit).bytes)
        let good = spec.values(.successExitStatus)
        goodExits = [0] + good.compactMap { Int32($0) }
        goodSignals = good.compactMap { Int32($0) == nil ? SignalName.number(of: $0) : nil }
    }

    /// The jail to build, but for the environment. A name service is asked who the task is every
    /// few seconds, not for every attempt.
    func jail() throws(JailError) -> JailRequest {
        if let resolved, Clock.boot() < resolved.until { return resolved.request }
        let request = try JailRequest(
            spec: spec,
            programs: steps.map { JailProgram(check: $0.check, arguments: $0.argv) },
            environment: [], owner: geteuid(), files: files)
        resolved = (request, Clock.boot() + 5_000_000)
        return request
    }

    /// Whether the command's end counts as a success.
    func isSuccess(_ end: ProcessEnd) -> Bool {
        if let code = end.exitCode { return goodExits.contains(code) }
        return end.signal.map { goodSignals.contains($0) } ?? false
    }

    private static func steps(of spec: TaskSpec) -> ([Step], SessionFailure?) {
        var steps: [Step] = []
        var problem = unsupported(spec)
        for line in spec[.check] {
            let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2, let argv = try? ShellWords.split(String(parts[1])), !argv.isEmpty {
                steps.append(Step(check: String(parts[0]), argv: argv))
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

    private static func unsupported(_ spec: TaskSpec) -> SessionFailure? {
        let what: String
        if spec.text(.type) == "runner" {
            what = "Type=runner is not there yet: use Type=exec"
        } else if spec.text(.standardOutput) == "journal" {
            what = "StandardOutput=journal is not there yet: use log"
        } else if spec.text(.jail) == "no", spec.has(.user) || spec.has(.group) {
            what = "User= and Group= need a jail: leave out Jail=no, or User= and Group="
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
