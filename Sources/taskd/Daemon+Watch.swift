// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskSpool

/// Events of the directories, or a look each second in their place; and the spool itself, which may be
/// moved away under taskd.
extension Daemon {
    /// Follows the watches where there are some, and says where there are none.
    func followWatcher() throws(Errno) {
        if let watcher = watch.watcher {
            _ = try loop.add(watcher.number, .readable) { [self] _ in readWatcher() }
        } else if let failure = watch.failure {
            let limit = failure == .noSpace || failure == .tooManyOpenFiles
            report.error(
                "unable to watch \(spool.path): \(failure)"
                    + (limit ? " (sysctl fs.inotify)" : "")
                    + ", it is looked through each second")
        }
    }

    /// Without events: what they would have told, and whether there are some by now.
    func lookWithoutEvents() {
        guard watch.nextLook <= Clock.boot(), !isStopping else { return }
        watch.tryAgain(spool)
        checkSpool(isMoved: isElsewhere)
        incoming.isScanWanted = true
        firing.isScanWanted = true
        rescanStates()
        guard watch.watcher != nil else { return }
        do {
            try followWatcher()
            report.notice("\(spool.path) is watched again")
        } catch {
            watch.lose(error)
        }
    }

    /// What no watch tells.
    var isElsewhere: Bool {
        guard let here = try? File.status(of: spool.rootNumber) else { return false }
        do {
            return try File.status(spool.path, following: true).inode != here.inode
        } catch {
            return error == .noSuchFileOrDirectory
        }
    }

    /// The spool, or a directory of it, may be another than it was: then taskd stops.
    func checkSpool(isMoved: Bool) {
        followOutgoing()
        let problem: SpoolError
        if isMoved {
            problem = SpoolError("use spool \(spool.path)", Errno.noSuchFileOrDirectory)
        } else {
            do {
                return try spool.verify()
            } catch {
                problem = error
            }
        }
        // A fault of the disk says nothing about the place.
        guard problem.errno == nil || problem.errno == .noSuchFileOrDirectory else { return }
        if problem.errno == nil {
            report.error("\(problem.sentence), taskd stops; what runs goes on")
            exitStatus = 77
        } else {
            report.error(
                "\(problem.sentence): moved or deleted under taskd, which stops; the spool is never "
                    + "built anew")
            exitStatus = 69
        }
        isStopping = true
    }
}
