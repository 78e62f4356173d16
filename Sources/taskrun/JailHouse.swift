// SPDX-License-Identifier: Apache-2.0
import Glibc
import Linux
import TaskJail
import TaskModel

/// Makes jails: the launcher, and what of a recipe becomes a jail's request.
final class JailHouse {
    private var launcher: Launcher?
    private var problem: JailError?
    private let scratch: String?
    let mounts = ServedMounts()

    /// Forks the launcher: call it before the heap grows. Where that fails, unjailed tasks still run,
    /// and each jailed one says why it can't.
    init(scratch: String? = nil) {
        self.scratch = scratch
        startLauncher()
    }

    private func startLauncher() {
        do throws(JailError) {
            let launcher = try Launcher()
            for path in launcher.leftovers {
                Message.warning(
                    "unable to empty \(path) of a taskrun that was killed: processes hang")
            }
            Self.use(scratch, launcher)
            self.launcher = launcher
            problem = nil
        } catch {
            problem = error
        }
    }

    /// Where the private files of jails go that are large beside their memory.
    static let defaultScratch = "/var/lib/task/scratch"

    private static func use(_ path: String?, _ launcher: Launcher) {
        guard launcher.facts.isRoot else { return }
        let place = path ?? defaultScratch
        guard let reason = launcher.useScratch(place), path != nil || Caller.isExecutable(place)
        else {
            return
        }
        Message.warning("unable to use \(place) for scratch: \(reason), memory is used instead")
    }

    /// Ends the launchers and removes their cgroups.
    func close() { launcher?.close() }

    /// The plan of a job's jail, without what names the attempt.
    func plan(of job: Job) throws(SessionFailure) -> JailPlan {
        do throws(JailError) {
            let plan = try job.recipe.jail(try theLauncher().facts)
            guard job.hasOwnSteps else { return plan }
            return try plan.running(
                job.steps.map { JailProgram(check: $0.check, arguments: $0.argv) })
        } catch {
            throw SessionFailure(error)
        }
    }

    func start(
        _ plan: JailPlan, _ job: Job, slot: Slot, streams: Streams
    ) throws(SessionFailure) -> JailSession {
        do throws(JailError) {
            return try theLauncher().start(
                plan, adding: TaskEnvironment.identifying(job), slot: slot.index,
                standardInput: streams.input,
                standardOutput: streams.output, standardError: streams.error)
        } catch {
            throw SessionFailure(error)
        }
    }

    /// What ends all that a task without a jail has started. The launcher's cgroups hold it, where it
    /// may make some.
    func remains(of job: Job, slot: Slot) throws(SessionFailure) -> Remains {
        do throws(JailError) {
            return try Remains(job, group: try launcher?.group(slot: slot.index), orphans: orphans)
        } catch {
            throw SessionFailure(error)
        }
    }

    func retire(slot index: Int) { launcher?.retire(slot: index) }

    // MARK: Another program goes on

    func handOver(busy: Set<Int>) -> (launcher: LauncherHandover, slots: [SlotHandover])? {
        launcher?.handOver(busy: busy)
    }

    func resume(_ state: LauncherHandover, _ slots: [SlotHandover]) {
        launcher?.resume(state, slots)
    }

    func resume(_ jail: JailHandover, _ plan: JailPlan, slot: Slot) -> JailSession? {
        launcher?.resumeSession(slot: slot.index, jail, plan)
    }

    func resumedRemains(of job: Job, slot: Slot) -> Remains {
        Remains(
            resuming: job, group: launcher?.resumeGroup(slot: slot.index), orphans: orphans)
    }

    private lazy var orphans = Orphans { [unowned self] in launcher?.owns(session: $0) ?? false }

    // What had no room at the start may have it by now: its forks cost more, but tasks run.
    private func theLauncher() throws(JailError) -> Launcher {
        if launcher == nil, problem?.isTransient ?? false { startLauncher() }
        if let launcher { return launcher }
        throw problem ?? JailError(.namespace, "unable to start the launcher")
    }
}

extension SessionFailure {
    init(_ error: JailError) {
        self.init(
            reason: .jail, exit: error.code, what: "\(error.message), task not started",
            isTransient: error.isTransient)
    }
}
