// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskFleet
import TaskModel
import TaskTool

/// taskscale(8): asks a datacenter for machines and gives them back.
@main
struct Taskscale {
    static func main() {
        let report = Reporter(daemon: "taskscale")
        switch Options.parse(Caller.arguments.dropFirst()) {
        case .help: print(Options.help, terminator: "")
        case .version: print("taskscale (taskspool) \(Version.text)")
        case .wrong(let sentence):
            report.error(sentence)
            Caller.exit(ExitStatus.usage)
        case .run(let options):
            var service = Service(options, report)
            do {
                Caller.exit(try service.run())
            } catch {
                report.error("unable to wait for the next look: \(error)")
                Caller.exit(ExitStatus.ioError)
            }
        }
    }
}

/// Looks, decides, acts; again and again.
struct Service {
    private let options: Options
    private let report: Reporter
    private var scaler: Scaler
    /// What was said last: the same is not said each ten seconds.
    private var lastOmissions: [ScaleDecision.Omission.Rule] = []
    private var lastFailure = ""

    init(_ options: Options, _ report: Reporter) {
        self.options = options
        self.report = report
        scaler = Scaler(options.limits, start: options.isOnce || options.isDry ? nil : Clock.real())
    }

    /// Until SIGTERM or SIGINT; a call that is under way is waited for.
    mutating func run() throws(Errno) -> Int32 {
        if options.isOnce || options.isDry { return look() ? ExitStatus.ok : ExitStatus.tryLater }
        let signals = try SignalSource([2, 15])
        let loop = try EventLoop()
        _ = try loop.add(signals.descriptor.number, .readable) { _ in }
        Caller.notifyManager("READY=1")
        while try signals.next() == nil {
            let next = Clock.boot() + options.every
            _ = look()
            while Clock.boot() < next, try loop.turn(until: next) == 0 {}
        }
        Caller.notifyManager("STOPPING=1")
        return ExitStatus.ok
    }

    /// One look; false where something could not be read or done.
    private mutating func look() -> Bool {
        do throws(CallFailure) {
            // The ledger first: what registers meanwhile is then a machine without a word, which harms nothing.
            let (backlog, nodes) = try Answers.ledger(try ask(options.ledger, ["read"]))
            let machines = try Answers.machines(
                try ask(options.provider, ["list", "--group", options.group]),
                group: options.group)
            let fleet = Fleet(machines: machines, nodes: nodes, backlog: backlog)
            let decision = scaler.decide(fleet, at: Clock.real())
            tell(decision)
            if options.isDry { return true }
            for step in decision.steps { try act(step) }
            if !lastFailure.isEmpty {
                report.notice("what was said last is over: the fleet is looked after again")
            }
            lastFailure = ""
            return true
        } catch {
            if error.sentence != lastFailure {
                report.error("\(error.sentence), nothing more is changed until the next look")
            }
            lastFailure = error.sentence
            return false
        }
    }

    private mutating func tell(_ decision: ScaleDecision) {
        if options.isDry {
            print(decision.wanted)
            for reason in decision.reasons { print("would \(reason)") }
            for omission in decision.omissions { print("not now: \(omission.sentence)") }
            if decision.steps.isEmpty { print("nothing to do") }
        } else if !decision.steps.isEmpty {
            report.notice(decision.wanted)
            for reason in decision.reasons { report.notice(reason) }
        }
        guard !options.isDry else { return }
        for omission in decision.omissions where !lastOmissions.contains(omission.rule) {
            report.warning(omission.sentence)
        }
        lastOmissions = decision.omissions.map(\.rule)
    }

    private mutating func act(_ step: ScaleStep) throws(CallFailure) {
        switch step {
        case .create(let number):
            let now = Clock.real()
            let words = [
                "create", String(number), "--group", options.group, "--generation", String(now),
            ]
            let ids: [String]
            do throws(CallFailure) {
                ids = try Answers.created(try ask(options.provider, words))
            } catch {
                scaler.createFailed(at: Clock.real())
                throw error
            }
            scaler.created(ids, at: Clock.real())
            if ids.count != number {
                report.warning(
                    "\(options.provider) was asked for \(number) machines and made \(ids.count): "
                        + "the next look decides anew")
            }
        case .drain(let node): _ = try ask(options.ledger, ["drain", node, "on"])
        case .resume(let node): _ = try ask(options.ledger, ["drain", node, "off"])
        case .destroy(let ids):
            _ = try ask(options.provider, ["destroy", "--group", options.group] + ids)
        }
    }

    private func ask(_ program: String, _ words: [String]) throws(CallFailure) -> [UInt8] {
        try ProgramCall(program, words, time: options.callTime).answer()
    }
}
