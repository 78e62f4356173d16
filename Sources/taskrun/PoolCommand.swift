// SPDX-License-Identifier: Apache-2.0
import Glibc
import Linux
import SystemPackage
import TaskModel

/// `taskrun --pool`.
enum PoolCommand {
    static func run(_ options: Options, _ jails: JailHouse) throws(Errno) -> Int32 {
        umask(0o022)
        // Of a lease on what a task dropped.
        SignalSource.block(29)
        if let descriptor = options.resumed { return try resume(descriptor, options, jails) }
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
        return try serve(Pool(options, jails, socket), jails)
    }

    private static func serve(_ pool: Pool, _ jails: JailHouse) throws(Errno) -> Int32 {
        if geteuid() == 0 { try ForOwner.giveUpReserves() }
        // The directory that it was started in may go away.
        _ = chdir("/")
        try pool.serve()
        jails.close()
        return 0
    }

    /// Goes on where an earlier program was, that became this one.
    private static func resume(
        _ descriptor: Int32, _ options: Options, _ jails: JailHouse
    ) throws(Errno) -> Int32 {
        // What it left open is ours alone from now on.
        File.setAllInherited(from: 3, false)
        guard let table = try table(OpenFile(Descriptor(owning: descriptor))),
            let record = table.records.first(where: { $0.kind == "socket" }),
            let socket = PoolSocket(resuming: record)
        else {
            Message.quit(
                Status.tool, "unable to read the table of the program before, what ran is lost")
        }
        let pool = try Pool(options, jails, socket)
        pool.resume(table)
        return try serve(pool, jails)
    }

    private static func table(_ memory: OpenFile) throws(Errno) -> HandoverTable? {
        try SealedMemory.read(memory.number, limit: 1 << 30).flatMap {
            HandoverTable(parsing: $0[...])
        }
    }
}
