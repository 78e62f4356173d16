// SPDX-License-Identifier: Apache-2.0
import Glibc
import Linux
import TaskJail
import TaskModel

/// Makes jails: the launcher, and what of a recipe becomes a jail's request.
final class JailHouse {
    private let launcher: Launcher?
    private let problem: JailError?

    /// Forks the launcher: call it before the heap grows. Where that fails, unjailed tasks still run,
    /// and each jailed one says why it can't.
    init() {
        do throws(JailError) {
            launcher = try Launcher()
            problem = nil
        } catch {
            launcher = nil
            problem = error
        }
    }

    /// Ends the launchers and removes their cgroups.
    func close() { launcher?.close() }

    /// The plan of an attempt's jail.
    func plan(of job: Job) throws(SessionFailure) -> JailPlan {
        do throws(JailError) {
            var request = try job.recipe.jail()
            request.environment = TaskEnvironment.jailed(job)
            return try JailPlan(request, facts: try theLauncher().facts)
        } catch {
            throw SessionFailure(error)
        }
    }

    func start(
        _ plan: JailPlan, slot: Slot, streams: Streams
    ) throws(SessionFailure) -> JailSession {
        do throws(JailError) {
            return try theLauncher().start(
                plan, slot: slot.index, standardInput: streams.input,
                standardOutput: streams.output, standardError: streams.error)
        } catch {
            throw SessionFailure(error)
        }
    }

    private func theLauncher() throws(JailError) -> Launcher {
        if let launcher { return launcher }
        throw problem ?? JailError(.namespace, "unable to start the launcher")
    }
}

extension SessionFailure {
    init(_ error: JailError) {
        self.init(reason: .jail, exit: error.code, what: "\(error.message), task not started")
    }
}
