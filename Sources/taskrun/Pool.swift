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
    private let loop: EventLoop
    private let executor: Executor
    private let socket: PoolSocket
    /// Connections that have not said hello, and those that serve a spool.
    private var clients: [ObjectIdentifier: Client] = [:]
    private var spools: [String: PoolSpool] = [:]
    private var idleSince: Int64? = Clock.boot()

    private final class Client {
        let connection: PoolConnection
        var spool: PoolSpool?
        var isWritableWatched = false
        init(_ connection: PoolConnection) { self.connection = connection }
    }

    /// Microseconds without anything to do after which the pool ends; Int64.max: never.
    private let patience: Int64
    // Enough for a busy taskd; others get their turn.
    private static let packetsATurn = 32

    init(_ options: Options, _ jails: JailHouse, _ socket: PoolSocket) throws(Errno) {
        loop = try EventLoop()
        executor = try Executor(
            loop: loop, slots: options.slots ?? Machine.defaultSlots, jails: jails)
        self.socket = socket
        patience = options.idle.microseconds
    }

    func serve() throws(Errno) {
        _ = try loop.add(socket.number, .readable) { [unowned self] _ in acceptClients() }
        Caller.notifyManager("READY=1")
        Memory.forgetStart()
        while !isDone {
            executor.fill()
            flush()
            executor.balanceReading()
            try loop.turn(until: nextDeadline)
            executor.tick()
        }
    }

    // MARK: When to end

    private var isDone: Bool {
        guard spools.values.allSatisfy({ $0.isAtRest }) else {
            idleSince = nil
            return false
        }
        if spools.values.contains(where: { $0.isDraining }) { return true }
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
        switch (executor.nextDeadline, idle) {
        case (let one?, let other?): return min(one, other)
        case (let one, let other): return one ?? other
        }
    }

    // MARK: Clients

    private func acceptClients() {
        while let descriptor = (try? MessageSocket.accept(socket.number)) ?? nil {
            guard let peer = try? MessageSocket.peer(descriptor.number),
                peer.uid == 0 || peer.uid == geteuid()
            else { continue }
            let client = Client(PoolConnection(descriptor))
            client.connection.token = try? loop.add(client.connection.number, .readable) {
                [unowned self] _ in read(client)
            }
            if client.connection.token != nil { clients[ObjectIdentifier(client)] = client }
        }
    }

    private func read(_ client: Client) {
        do throws(PoolFault) {
            for _ in 0..<Self.packetsATurn {
                let received = try client.connection.receive { (message, file) throws(PoolFault) in
                    try handle(message, file, from: client)
                }
                switch received {
                case .messages: continue
                case .nothing: return
                case .closed: return close(client)
                }
            }
        } catch {
            Message.error("unable to go on with a client: \(error.sentence), connection closed")
            close(client)
        }
    }

    private func handle(
        _ message: PoolMessage, _ file: OpenFile?, from client: Client
    ) throws(PoolFault) {
        if let spool = client.spool { return try spool.handle(message, file) }
        guard case .hello(let version, let name?) = message else {
            throw PoolFault(sentence: "the first message is no hello")
        }
        guard version == PoolMessage.version else {
            client.connection.send(.hello(version: PoolMessage.version, spool: nil))
            try? client.connection.flush()
            throw PoolFault(sentence: "version \(version), this is \(PoolMessage.version)")
        }
        let spool = spool(name)
        takeOver(spool, except: client)
        client.spool = spool
        spool.connect(client.connection)
    }

    /// One client a spool: the old one is read to its end and closed before the new one's table.
    private func takeOver(_ spool: PoolSpool, except client: Client) {
        for old in Array(clients.values) where old.spool === spool && old !== client {
            readToEnd(old, spool)
            if clients[ObjectIdentifier(old)] != nil { close(old) }
        }
    }

    private func readToEnd(_ old: Client, _ spool: PoolSpool) {
        do throws(PoolFault) {
            while case .messages = try old.connection.receive({
                (message, file) throws(PoolFault) in try spool.handle(message, file)
            }) {}
        } catch {
            Message.error(
                "unable to read a client to its end: \(error.sentence), connection closed")
        }
    }

    private func spool(_ name: String) -> PoolSpool {
        let key = socket.isOwn ? "" : name
        if let spool = spools[key] { return spool }
        let spool = PoolSpool(executor: executor)
        spools[key] = spool
        return spool
    }

    private func close(_ client: Client) {
        clients[ObjectIdentifier(client)] = nil
        if let token = client.connection.token { loop.remove(token) }
        client.connection.token = nil
        client.spool?.disconnect(client.connection)
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
    }

    private func watchWritable(_ client: Client) {
        let wanted = client.connection.isBlocked
        guard wanted != client.isWritableWatched, let token = client.connection.token else {
            return
        }
        client.isWritableWatched = wanted
        try? loop.modify(token, wanted ? [.readable, .writable] : .readable)
    }
}
