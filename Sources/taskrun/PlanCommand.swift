// SPDX-License-Identifier: Apache-2.0
import Glibc
import Linux
import SystemPackage
import TaskModel
import TaskUnit

/// `taskrun -`: a plan on standard input, event lines on standard output.
enum PlanCommand {
    // A plan's blobs may have 64 MiB, a million tasks some hundred.
    private static let largest = 512 << 20

    static func run(_ options: Options, _ jails: JailHouse) throws(Errno) -> Int32 {
        guard let bytes = try File.readAll(0, limit: largest) else {
            Message.quit(Status.usage, "the plan is longer than \(largest) bytes")
        }
        let plan = parse(bytes)
        let loop = try EventLoop()
        let executor = try Executor(
            loop: loop, slots: options.slots ?? Machine.defaultSlots, jails: jails)
        let writer = EventWriter(to: 1)
        let sink = NoteSink { writer.append($0) }
        let run = PlanRun(
            plan, id: options.id ?? TaskID.new(), executor: executor, sink: sink, events: writer)
        let interrupts = try Interrupts(loop) { _ in run.cancel() }
        run.begin(name: name(of: plan), bytes: bytes)
        try run.complete()
        jails.close()
        if let failure = writer.failure {
            Message.quit(Status.inputOutput, "unable to write event lines: \(failure)")
        }
        return interrupts.status ?? (run.ended == .failure ? 1 : 0)
    }

    /// A plan does not say what it is called: its first unit text is the root's.
    private static func name(of plan: Plan) -> String {
        let first = plan.blobs.first { $0.kind == .unit }.map { UnitName.of($0.name) }
        return first ?? plan.name ?? "-"
    }

    private static func parse(_ bytes: [UInt8]) -> Plan {
        let plan: Plan
        do throws(PlanError) {
            plan = try Plan(parsing: bytes)
        } catch {
            Message.quit(
                Status.usage,
                "unable to read the plan: standard input, \(error.sentence), nothing was started")
        }
        if let missing = plan.notYet.first {
            Message.quit(Status.usage, "unable to run the plan: \(missing), nothing was started")
        }
        return plan
    }
}

/// SIGINT, SIGTERM and SIGHUP end what runs in good order; a second one ends taskrun, and the kernel
/// then the rest.
final class Interrupts {
    private let source: SignalSource
    private var token: WatchToken?
    /// 128 + the signal that came.
    private(set) var status: Int32?

    init(_ loop: EventLoop, handler: @escaping (Int32) -> Void) throws(Errno) {
        source = try SignalSource([SIGINT, SIGTERM, SIGHUP])
        token = try loop.add(source.descriptor.number, .readable) { [unowned self] _ in
            guard let signal = (try? source.next()) ?? nil else { return }
            if let status { exit(status) }
            status = 128 + signal
            handler(signal)
        }
    }
}

extension TaskID {
    /// A new id of now.
    static func new() -> TaskID {
        TaskID(
            milliseconds: UInt64(Clock.real() / 1000),
            upper: UInt16(truncatingIfNeeded: Random.bits64()), lower: Random.bits64())
    }
}
