// SPDX-License-Identifier: Apache-2.0
import Glibc
import Linux
import SystemPackage
import TaskModel

/// Connections: whose they are, and what they say.
extension Pool {
    // Those that wait get their turn after what is at hand.
    private static let acceptsATurn = 64
    // Who has the range of uids of a user namespace (subuid(5)) could come as each of them.
    private static let mostClients = 1024

    // More than an honest taskd may have on its way; what is beyond was never begun.
    private static let mostAtTakeOver = 16 << 20

    func acceptClients() {
        for _ in 0..<Self.acceptsATurn {
            guard let descriptor = nextClient() else { return }
            guard let owner = owner(of: descriptor.number) else {
                MessageSocket.close(descriptor, strangers)
                continue
            }
            guard owner.connections < PoolOwner.mostConnections, !owner.aside.isBehind,
                clients.count < Self.mostClients
            else {
                MessageSocket.close(descriptor, owner.aside)
                owners[owner.task.uid] = owner.isGone ? nil : owner
                continue
            }
            welcome(PoolClient(PoolConnection(descriptor, packets, owner.aside), owner))
        }
    }

    // Without a descriptor for whoever waits, the loop would turn for nothing: he waits a moment longer.
    private func nextClient() -> Descriptor? {
        do {
            return try MessageSocket.accept(socket.number)
        } catch {
            listenAgain = Clock.boot() + Self.pause
            watchListener()
            if !saidDeaf {
                Message.error(
                    "unable to accept a client: \(error), it waits until that can be done")
            }
            saidDeaf = true
            return nil
        }
    }

    private static let pause: Int64 = 100_000

    /// Listens, or does so again in a moment.
    func watchListener() {
        guard let listener else { return }
        if listenAgain != .max, listenAgain <= Clock.boot() { listenAgain = .max }
        try? loop.modify(listener, listenAgain == .max ? .readable : [])
    }

    func welcome(_ client: PoolClient) {
        client.connection.token = try? loop.add(client.connection.number, .readable) {
            [unowned self] _ in read(client)
        }
        guard client.connection.token != nil else { return }
        clients[ObjectIdentifier(client)] = client
        let owner = client.owner
        owner.connections += 1
        owner.refill()
        owners[owner.task.uid] = owner
        executor.set(owner.task.uid, isPresent: true)
    }

    /// Who a peer is: the kernel says so, not he. nil: he is not served.
    private func owner(of connection: Int32) -> PoolOwner? {
        guard let peer = try? MessageSocket.peer(connection) else { return nil }
        let servesAll = geteuid() == 0 && !socket.isOwn
        guard servesAll || peer.uid == 0 || peer.uid == geteuid() else { return nil }
        // A uid that is not mapped here (user_namespaces(7)) could be anybody's.
        if peer.uid == 65534, peer.uid != geteuid() { return nil }
        let task = servesAll ? TaskOwner(uid: peer.uid, gid: peer.gid) : .caller
        return owners[task.uid] ?? PoolOwner(task, loop)
    }

    private func read(_ client: PoolClient) {
        do throws(PoolFault) {
            while client.owner.mayRead, clients[ObjectIdentifier(client)] != nil {
                let received = try client.connection.receive { (message, file) throws(PoolFault) in
                    try handle(message, file, from: client)
                }
                switch received {
                case .messages(let bytes): client.owner.hasRead(bytes)
                case .nothing: return
                case .closed: return close(client)
                }
                if client.owner.aside.isBehind {
                    throw PoolFault(sentence: "closing what it passed takes too long")
                }
            }
        } catch {
            complain(of: client, error)
            close(client)
        }
    }

    // Once a connection: no owner fills the log of the service.
    private func complain(of client: PoolClient, _ fault: PoolFault) {
        let whose = socket.isOwn ? "a client" : "a client of uid \(client.owner.task.uid)"
        Message.error("unable to go on with \(whose): \(fault.sentence), connection closed")
    }

    private func handle(
        _ message: PoolMessage, _ file: PassedDescriptor?, from client: PoolClient
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
        let spool = try spool(name, of: client.owner)
        takeOver(spool, except: client)
        client.spool = spool
        spool.connect(client.connection)
    }

    /// One client a spool: the old one is read to its end and closed before the new one's table.
    private func takeOver(_ spool: PoolSpool, except client: PoolClient) {
        for old in Array(clients.values) where old.spool === spool && old !== client {
            readToEnd(old, spool)
            if clients[ObjectIdentifier(old)] != nil { close(old) }
        }
    }

    func readToEnd(_ old: PoolClient, _ spool: PoolSpool) {
        old.connection.stopPeer()
        var left = Self.mostAtTakeOver
        do throws(PoolFault) {
            while left > 0,
                case .messages(let bytes) = try old.connection.receive({
                    (message, file) throws(PoolFault) in try spool.handle(message, file)
                })
            { left -= bytes }
        } catch {
            complain(of: old, error)
        }
    }

    private func spool(_ name: String, of owner: PoolOwner) throws(PoolFault) -> PoolSpool {
        let key = SpoolKey(uid: owner.task.uid, name: socket.isOwn ? "" : name)
        if let spool = spools[key] { return spool }
        guard name.utf8.count <= 4096, owner.spools < PoolOwner.mostSpools else {
            throw PoolFault(sentence: "more than \(PoolOwner.mostSpools) spools, or a long name")
        }
        let spool = PoolSpool(executor: executor, owner: owner)
        spool.isRetiring = isRetiring
        owner.spools += 1
        spools[key] = spool
        return spool
    }

    func close(_ client: PoolClient) {
        guard clients.removeValue(forKey: ObjectIdentifier(client)) != nil else { return }
        if let token = client.connection.token { loop.remove(token) }
        client.connection.token = nil
        client.spool?.disconnect(client.connection)
        client.owner.connections -= 1
        forget(client.owner)
    }
}
