// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskModel
import TaskSpool

/// A pool of this spool's own, where no service runs its tasks.
extension Daemon {
    /// Starts a pool of its own, detached: it outlives this process, and the next one finds it.
    func startPool() {
        let arguments =
            ["taskrun", "--pool", "--spool=\(spool.path)"]
            + (slots.map { ["--slots=\($0)"] } ?? [])
        let program = Program(
            path: options.taskrun, arguments: arguments,
            // It is not the service's main process: what it would tell the manager is not taskd's.
            environment: Caller.environment().filter { !$0.hasPrefix("NOTIFY_SOCKET=") })
        do {
            let null = try File.open("/dev/null", flags: .readWrite)
            var settings = SpawnOptions()
            settings.standardInput = null.number
            settings.standardOutput = null.number
            settings.newSession = true
            let holder = Pool.ChildHolder(try Child.start(program, settings))
            holder.token = try loop.add(holder.child.pidfd.number, .readable) { [self] _ in
                poolEnded(holder)
            }
            pool.child = holder
            pool.startedAt = Clock.boot()
        } catch let error as SpawnError {
            startFailed(error.errno)
        } catch {
            startFailed((error as? Errno) ?? .ioError)
        }
    }

    private func startFailed(_ error: Errno) {
        pool.failures += 1
        if pool.failures == 1 {
            report.error(
                "unable to start \(options.taskrun): \(error), nothing runs until it can be started"
            )
        }
    }

    private func poolEnded(_ holder: Pool.ChildHolder) {
        guard let end = (try? holder.child.ended()) ?? nil else { return }
        if let token = holder.token { loop.remove(token) }
        if pool.child === holder { pool.child = nil }
        let seconds = (Clock.boot() - pool.startedAt) / 1_000_000
        if end.exitCode == 0 {
            pool.failures = 0
            return
        }
        // One that served is started again at once, whatever ended it; so a crash at each start costs a fork
        // each two seconds at most. What its tasks have to do with it shows by their third loss.
        pool.failures = seconds >= 2 ? 0 : pool.failures + 1
        if end.exitCode == 75 {  // another had the lock, and answers in a moment
            if pool.failures == 3 {
                report.error(
                    "a pool holds \(spool.path)/run.lock and does not answer: nothing runs until it "
                        + "does or has ended")
            }
        } else {
            let how =
                end.signal.map { "signal \(SignalName.name(of: $0))" }
                ?? "status \(end.exitCode ?? 0)"
            report.error("the pool ended by \(how): its attempts are lost and start again")
        }
        if pool.connection == nil, pool.failures > 1 {
            pool.nextAttempt = Clock.boot() + 500_000 << Int64(min(pool.failures, 6))
        }
    }
}
