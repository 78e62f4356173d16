// SPDX-License-Identifier: Apache-2.0
import Glibc
import Linux
import SystemPackage
import TaskJail
import TaskModel

/// `taskrun UNIT [ARG...]`: the unit after what it requires; its output is taskrun's, and so is its
/// exit status.
enum UnitCommand {
    static func run(
        _ operand: String, _ arguments: [String], _ options: Options, _ jails: JailHouse
    ) throws(Errno) -> Int32 {
        var unit = UnitFinder.compile(operand, options)
        unit.plan.tasks[unit.root].spec[.arg] += arguments
        let writer = try events(options)
        let loop = try EventLoop()
        let executor = try Executor(
            loop: loop, slots: options.slots ?? Machine.defaultSlots, jails: jails)
        let also = writer.map { writer in NoteSink { writer.writer.append($0) } }
        let run = PlanRun(
            unit.plan, id: options.id ?? TaskID.new(), executor: executor,
            sink: RawSink(also: also), events: writer?.writer)
        let interrupts = try Interrupts(loop) { _ in run.cancel() }
        run.begin(name: unit.name, bytes: unit.plan.encode())
        try run.complete()
        jails.close()
        report(run, unit)
        return interrupts.status ?? status(run, unit)
    }

    /// `taskrun --plan UNIT`.
    static func show(_ operand: String, _ options: Options, _ jails: JailHouse) throws(Errno)
        -> Int32
    {
        let unit = UnitFinder.compile(operand, options)
        let task = unit.plan.tasks[unit.root]
        let recipe = Recipe(task.spec, files: JailFile.files(of: task, in: unit.plan))
        let owner = Nobody()
        let job = Job(
            ref: TaskRef(run: TaskID.new(), task: task.number), attempt: 1,
            name: task.spec.name, recipe: recipe, owner: owner)
        do throws(SessionFailure) {
            if let problem = recipe.problem { throw problem }
            guard !recipe.steps.isEmpty else {
                throw SessionFailure(
                    reason: .jail, exit: 1, what: "\(unit.name) has no command: nothing is jailed")
            }
            guard recipe.isJailed else {
                throw SessionFailure(
                    reason: .jail, exit: 1, what: "\(unit.name) says Jail=no: there is no jail")
            }
            let plan = try jails.plan(of: job)
            let text = options.isJSON ? plan.json() + "\n" : plan.text()
            jails.close()
            do throws(Errno) {
                try File.writeAll(Array(text.utf8), to: 1)
            } catch {
                throw SessionFailure(
                    reason: .jail, exit: Status.inputOutput, what: "unable to write: \(error)")
            }
            return 0
        } catch {
            jails.close()
            Message.quit(error.exit, error.what)
        }
    }

    private struct Events {
        let file: OpenFile
        let writer: EventWriter
    }

    private static func events(_ options: Options) throws(Errno) -> Events? {
        guard let path = options.events else { return nil }
        do throws(Errno) {
            let file = try OpenFile.open(
                path, flags: [.writeOnly, .create, .append], mode: 0o644)
            return Events(file: file, writer: EventWriter(to: file.number))
        } catch {
            Message.quit(
                Status.cannotCreate, "unable to open \(path): \(error), nothing was started")
        }
    }

    private static func status(_ run: PlanRun, _ unit: UnitFinder.Unit) -> Int32 {
        let own = run.results[unit.root]?.exitStatus ?? 0
        if own != 0 || run.ended != .failure { return own }
        let sequel = unit.plan.tasks.firstIndex { $0.spec.thenOf == unit.name }
        let status = sequel.flatMap { run.results[$0]?.exitStatus } ?? 0
        return status == 0 ? 1 : status
    }

    /// A sentence for each task that failed by more than its own exit status.
    private static func report(_ run: PlanRun, _ unit: UnitFinder.Unit) {
        for (task, result) in zip(unit.plan.tasks, run.results) {
            guard let result, result.state == .failure, let reason = result.reason else { continue }
            switch reason {
            case .exit:
                Message.error("\(task.spec.name): exit status \(result.exit ?? 0)")
            case .signal:
                let name = result.signal.map { SignalName.name(of: $0) } ?? "?"
                Message.error("\(task.spec.name): ended by signal \(name)")
            default:
                Message.error("\(task.spec.name): \(result.what ?? reason.rawValue)")
            }
        }
    }

    private final class Nobody: AttemptOwner {
        let sink: any OutputSink = RawSink(also: nil)
        func report(_ line: [UInt8]) {}
        func ended(_ job: Job, _ line: [UInt8], _ result: AttemptResult) {}
    }
}
