// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskJournal
import TaskModel
import TaskSpool
import TaskTool

/// From a spool's path to a daemon that serves it: the lock, the journal, recovery, the loop.
enum Start {
    /// Runs a daemon until it ends.
    ///
    /// - Parameter seen: is shown the daemon before it recovers.
    /// - Returns: its exit status.
    static func run(
        _ options: Options, _ report: Report, seen: (Daemon) -> Void = { _ in }
    ) -> Int32 {
        SignalSource.ignorePipe()
        SignalSource.block(29)  // SIGIO: a lease that somebody wants back
        do {
            let spool = try Spool(path: try absolute(options.spool), creating: true)
            return try run(options, spool, report, seen)
        } catch let error as SpoolError {
            report.error("\(error.sentence), taskd does not start")
            return status(of: error)
        } catch let error as JournalError {
            report.error("unable to \(error.sentence), taskd does not start")
            switch error {
            case .io(_, _, let errno) where isScarcity(errno): return ExitStatus.tryLater
            case .full: return ExitStatus.tryLater
            default: return ExitStatus.ioError
            }
        } catch {
            report.error("unable to start on \(options.spool): \(error), nothing was changed")
            return ExitStatus.ioError
        }
    }

    // A taskd that was killed while its pool was being started: the child has its lock until it has come
    // to the end of its execve(2), and that of another program is not awaited.
    private static func take(_ spool: Spool) throws -> SpoolOwner.Taken {
        let end = Clock.boot() + 2_000_000
        while true {
            let taken = try SpoolOwner.take(spool: spool.rootNumber)
            guard case .held(let record) = taken, let record, !record.isAlive, Clock.boot() < end
            else { return taken }
            _ = try EventLoop().turn(until: Clock.boot() + 5000)
        }
    }

    private static func status(of error: SpoolError) -> Int32 {
        guard let errno = error.errno else { return ExitStatus.noPermission }
        if isScarcity(errno) { return ExitStatus.tryLater }
        return errno == .permissionDenied ? ExitStatus.noPermission : ExitStatus.ioError
    }

    private static func isScarcity(_ errno: Errno) -> Bool {
        errno.isShortage || errno == .noSpace || errno == .diskQuotaExceeded
    }

    private static func absolute(_ path: String) throws(Errno) -> String {
        path.hasPrefix("/") ? path : "\(try Caller.workingDirectory())/\(path)"
    }

    private static func run(
        _ options: Options, _ spool: Spool, _ report: Report, _ seen: (Daemon) -> Void
    ) throws -> Int32 {
        guard spool.owner == Caller.uid else {
            report.error(
                "spool \(spool.path) belongs to uid \(spool.owner), not to uid \(Caller.uid): taskd runs "
                    + "as its owner")
            return ExitStatus.noPermission
        }
        let owner: SpoolOwner
        switch try take(spool) {
        case .owner(let taken): owner = taken
        case .held(let record):
            let who = record.map { "pid \($0.pid) on \($0.host)" } ?? "another process"
            report.error("spool \(spool.path) is held by \(who): one taskd a spool")
            return 73
        }
        let recovery = try JournalRecovery(at: spool.number(.journal), writer: "taskd")
        let reserve = try? SpaceReserve(at: spool.number(.journal))
        let journal = try JournalWriter(
            at: spool.number(.journal),
            JournalIdentity(epoch: owner.record.epoch, writer: "taskd"), after: recovery.end,
            reserve: reserve)
        let daemon = try SpoolError.naming("watch \(spool.path)") { () throws(Errno) in
            try Daemon(
                options: options, spool: spool, owner: owner, journal: journal, reserve: reserve,
                report: report)
        }
        seen(daemon)
        for damage in recovery.damages { daemon.append(damage.note(at: Clock.real())) }
        Memory.forgetStart()  // what only linking needed: recovery may be larger than the daemon
        try daemon.recover()
        do {
            return try daemon.run()
        } catch {
            report.error("unable to wait for events: \(error), taskd stops; what runs goes on")
            return ExitStatus.ioError
        }
    }
}
