// SPDX-License-Identifier: Apache-2.0
import Glibc
import Linux
import SystemPackage

/// `taskrun --pool`.
enum PoolCommand {
    static func run(_ options: Options, _ jails: JailHouse) throws(Errno) -> Int32 {
        umask(0o022)
        let spool = options.spool ?? getenv("TASK_SPOOL").map { String(cString: $0) }
        if spool == nil, getenv("LISTEN_FDS") == nil {
            Message.quit(Status.usage, "--pool needs --spool=DIR, or a socket from systemd")
        }
        let socket: PoolSocket?
        do throws(Errno) {
            socket = try PoolSocket.open(spool: spool)
        } catch {
            Message.quit(
                Status.cannotCreate,
                "unable to listen in \(spool ?? "descriptor 3"): \(error), no task can run")
        }
        guard let socket else {
            Message.error(
                "unable to serve \(spool ?? "-"): another pool does, this one ends")
            return Status.tryLater
        }
        if geteuid() == 0 { try ForOwner.giveUpReserves() }
        // The directory that it was started in may go away.
        _ = chdir("/")
        try Pool(options, jails, socket).serve()
        jails.close()
        return 0
    }
}
