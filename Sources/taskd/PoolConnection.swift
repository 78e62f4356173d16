// SPDX-License-Identifier: Apache-2.0
import DequeModule
import Linux
import SystemPackage
import TaskModel

/// The socket to the pool: messages go out many in a packet and come in one by one.
///
/// Knows packets, not tasks. The owner watches `number` and calls `receive` and `flush`.
final class PoolConnection {
    private struct Packet {
        var bytes: [UInt8]
        var descriptor: DescriptorHolder?
    }

    /// Keeps a descriptor alive until its packet has gone out.
    final class DescriptorHolder {
        let descriptor: Descriptor
        init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }
    }

    private let socket: Descriptor
    private var outgoing = Deque<Packet>()
    private var scratch: [UInt8] = []
    private var buffer = [UInt8](repeating: 0, count: PoolMessage.largestPacket)

    /// Connects to `run.sock` in the spool; throws `.connectionRefused` or `.noSuchFileOrDirectory`
    /// where no pool listens.
    init(spool: Int32) throws(Errno) {
        socket = try MessageSocket.connect("run.sock", at: spool)
    }

    /// Connects to a service's socket; throws `.connectionRefused`, `.noSuchFileOrDirectory` or
    /// `.permissionDenied` where none serves this user, `.wouldBlock` where it is busy.
    init(service path: String) throws(Errno) {
        let name = path.split(separator: "/").last.map(String.init) ?? ""
        let directory = try File.open(
            String(path.dropLast(name.utf8.count)), flags: [.path, .directory])
        socket = try MessageSocket.connect(name, at: directory.number)
    }

    var number: Int32 { socket.number }
    /// Something could not be sent yet: watch for writability.
    var isBlocked = false

    /// Queues a message.
    func send(_ message: PoolMessage) {
        scratch.removeAll(keepingCapacity: true)
        message.append(to: &scratch)
        if scratch.count > PoolMessage.largestPacket { return sendSealed(scratch) }
        if let last = outgoing.indices.last, outgoing[last].descriptor == nil,
            outgoing[last].bytes.count + scratch.count <= PoolMessage.largestPacket
        {
            outgoing[last].bytes.append(contentsOf: scratch)
        } else {
            outgoing.append(Packet(bytes: scratch))
        }
    }

    /// Queues a message that carries a descriptor of its own packet.
    func send(_ message: PoolMessage, passing descriptor: consuming Descriptor) {
        let holder = DescriptorHolder(descriptor)
        outgoing.append(Packet(bytes: message.bytes, descriptor: holder))
    }

    private func sendSealed(_ bytes: [UInt8]) {
        guard let memory = try? SealedMemory.make(bytes, name: "job") else { return }
        send(.sealed(bytes: bytes.count), passing: memory)
    }

    /// Sends what the socket takes.
    ///
    /// - Throws: the errno when the pool is gone.
    func flush() throws(Errno) {
        while let packet = outgoing.first {
            let passing = packet.descriptor?.descriptor.number ?? -1
            guard
                try MessageSocket.send(packet.bytes[...], to: socket.number, passing: passing)
            else {
                isBlocked = true
                return
            }
            outgoing.removeFirst()
        }
        isBlocked = false
    }

    /// What one receive came to.
    enum Received {
        case messages
        case nothing
        /// Read to its end: nothing that the pool said is unread.
        case closed
    }

    /// Receives one packet and hands over its messages in order.
    func receive(_ handle: (PoolMessage) -> Void) throws(PoolFault) -> Received {
        let received: MessageSocket.Received
        do {
            received = try MessageSocket.receive(from: socket.number, into: &buffer)
        } catch {
            throw .io(error)
        }
        switch received {
        case .nothing: return .nothing
        case .closed: return .closed
        case .tooLong(let descriptors):
            for number in descriptors { _ = Descriptor(owning: number) }
            throw .grammar("a message above \(buffer.count) bytes")
        case .message(let count, let descriptors):
            let holder = descriptors.map { DescriptorHolder(Descriptor(owning: $0)) }.first
            var packet = buffer[..<count]
            do {
                while let message = try PoolMessage.next(from: &packet) {
                    if case .sealed = message {
                        try unseal(holder, handle)
                    } else {
                        handle(message)
                    }
                }
            } catch let fault as PoolFault {
                throw fault
            } catch {
                throw .grammar("\(error)")
            }
            return .messages
        }
    }

    private func unseal(_ holder: DescriptorHolder?, _ handle: (PoolMessage) -> Void) throws {
        guard let holder,
            let bytes = try SealedMemory.read(
                holder.descriptor.number, limit: PoolMessage.largestSealed)
        else { throw PoolFault.grammar("a sealed message without its memory") }
        var packet = bytes[...]
        while let message = try PoolMessage.next(from: &packet) { handle(message) }
    }
}

/// Why the connection to the pool cannot go on.
enum PoolFault: Error {
    case io(Errno)
    case grammar(String)

    var sentence: String {
        switch self {
        case .io(let error): error.description
        case .grammar(let text): text
        }
    }
}
