// SPDX-License-Identifier: Apache-2.0
import Glibc
import Linux
import SystemPackage
import TaskModel

/// `taskrun --pool`: executes the jobs that taskd sends.
///
/// Ends when for `--idle=` there was no client, no task and no event that waits for an
/// acknowledgement. Its death kills the tasks (PR_SET_PDEATHSIG).
final class Pool {
    let loop: EventLoop
    let executor: Executor
    let socket: PoolSocket
    let packets = PacketBuffer()
    /// A spool is its owner's: nobody names another's.
    struct SpoolKey: Hashable {
        var uid: UInt32
        var name: String
    }
    var clients: [ObjectIdentifier: PoolClient] = [:]
    var spools: [SpoolKey: PoolSpool] = [:]
    var owners: [UInt32: PoolOwner] = [:]
    /// Closes connections of those who are nobody's owner.
    let strangers: AsideCloser
    let upgrade: Upgrade
    /// Another program follows that cannot go on with what runs: no further jobs.
    private(set) var isRetiring = false
    var listener: WatchToken?
    /// When clients are accepted again, in CLOCK_BOOTTIME; `.max`: they are.
    var listenAgain = Int64.max
    /// Said once.
    var saidDeaf = false
    private var idleSince: Int64? = Clock.boot()
    /// Microseconds without anything to do after which the pool ends; Int64.max: never.
    private let patience: Int64

    init(_ options: Options, _ jails: JailHouse, _ socket: PoolSocket) throws(Errno) {
        loop = try EventLoop()
        strangers = AsideCloser(loop)
        executor = try Executor(
            loop: loop, slots: options.slots ?? Machine.defaultSlots, jails: jails)
        self.socket = socket
        upgrade = try Upgrade(loop)
        patience = options.idle.microseconds
    }

    func serve() throws(Errno) {
        listener = try loop.add(socket.number, .readable) { [unowned self] _ in acceptClients() }
        upgrade.drain = { [unowned self] in
            isRetiring = true
            for spool in spools.values { spool.retire() }
        }
        Caller.notifyManager("READY=1")
        Memory.forgetStart()
        while !isDone {
            if !upgrade.isSettling { executor.fill() }
            flush()
            if upgrade.isSettling { tryUpgrade() }
            executor.balanceReading()
            for owner in Array(owners.values) {
                owner.refill()
                if owner.isGone { forget(owner) }
            }
            try loop.turn(until: nextDeadline)
            executor.tick()
            if listenAgain <= Clock.boot() { watchListener() }
            upgrade.tick()
        }
    }

    // MARK: When to end

    private var isDone: Bool {
        guard spools.values.allSatisfy({ $0.isAtRest }) else {
            idleSince = nil
            return false
        }
        if isRetiring { return true }
        if socket.isOwn, spools.values.contains(where: { $0.isDraining }) { return true }
        if !clients.isEmpty {
            idleSince = nil
            return false
        }
        let now = Clock.boot()
        let since = idleSince ?? now
        idleSince = since
        return now - since >= patience
    }

    private var nextDeadline: Int64? {
        let idle = patience == .max ? nil : idleSince.map { $0 + patience }
        let listen = listenAgain == .max ? nil : listenAgain
        return [executor.nextDeadline, upgrade.nextDeadline, idle, listen].compactMap { $0 }.min()
    }

    // MARK: Once a turn

    private func flush() {
        for spool in spools.values { spool.flushLog() }
        for client in Array(clients.values) {
            do throws(Errno) {
                try client.connection.flush()
            } catch {
                close(client)
                continue
            }
            watchWritable(client)
        }
        forgetWhoIsDone()
    }

    /// Who drained his spool has nothing more to say; a spool without client and duty is forgotten.
    private func forgetWhoIsDone() {
        for client in Array(clients.values) {
            guard let spool = client.spool, spool.isDraining, spool.isAtRest else { continue }
            close(client)
        }
        for (key, spool) in spools where spool.isAtRest && !spool.isConnected && !socket.isOwn {
            forget(key, spool)
        }
    }

    private func forget(_ key: SpoolKey, _ spool: PoolSpool) {
        spools[key] = nil
        let owner = spool.owner
        owner.spools -= 1
        forget(owner)
    }

    /// An owner without connection and spool is not remembered.
    func forget(_ owner: PoolOwner) {
        executor.set(owner.task.uid, isPresent: owner.connections > 0)
        if owner.isGone { owners[owner.task.uid] = nil }
    }

    private func watchWritable(_ client: PoolClient) {
        let wanted = client.connection.isBlocked
        guard wanted != client.isWritableWatched, let token = client.connection.token else {
            return
        }
        client.isWritableWatched = wanted
        try? loop.modify(token, wanted ? [.readable, .writable] : .readable)
    }
}
