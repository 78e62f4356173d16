// SPDX-License-Identifier: Apache-2.0
import DequeModule
import Linux
import SystemPackage
import TaskModel

/// One connection of a taskd: packets in, packets out. Knows messages, not tasks.
final class PoolConnection {
    private struct Packet {
        var bytes: [UInt8]
        /// The number of the last event in it.
        var lastEvent: Int
    }

    private let socket: Int32
    private let aside: AsideCloser
    private var outgoing: Deque<Packet> = []
    private let buffer: PacketBuffer
    var token: WatchToken?
    private(set) var isBlocked = false
    /// The number of the last event that was handed to the kernel.
    var sentEvent = 0

    init(_ socket: consuming Descriptor, _ buffer: PacketBuffer, _ aside: AsideCloser) {
        self.socket = socket.release()
        self.aside = aside
        self.buffer = buffer
    }

    // What a stranger left unread may hold descriptors.
    deinit { MessageSocket.close(Descriptor(owning: socket), aside) }

    var number: Int32 { socket }

    /// The peer can send no more; what it has sent can be read to its end.
    func stopPeer() { MessageSocket.stopReceiving(socket) }

    /// Queues a message; messages of one turn share packets.
    func send(_ message: PoolMessage) {
        let bytes = message.bytes
        var event = 0
        if case .event(let sequence, _) = message { event = sequence }
        if let last = outgoing.indices.last,
            outgoing[last].bytes.count + bytes.count <= PoolMessage.largestPacket
        {
            outgoing[last].bytes.append(contentsOf: bytes)
            outgoing[last].lastEvent = max(outgoing[last].lastEvent, event)
        } else {
            outgoing.append(Packet(bytes: bytes, lastEvent: event))
        }
    }

    /// Sends what the socket takes; `isBlocked` tells whether something is left.
    ///
    /// - Throws: the errno when the peer is gone.
    func flush() throws(Errno) {
        while let packet = outgoing.first {
            guard try MessageSocket.send(packet.bytes[...], to: socket) else {
                isBlocked = true
                return
            }
            sentEvent = max(sentEvent, packet.lastEvent)
            outgoing.removeFirst()
        }
        isBlocked = false
    }

    enum Received {
        /// Their bytes, those of sealed memory included.
        case messages(Int)
        case nothing, closed
    }

    /// Receives one packet and hands over its messages in order, with the descriptor that came. Two
    /// have no meaning.
    func receive(
        _ handle: (PoolMessage, PassedDescriptor?) throws(PoolFault) -> Void
    ) throws(PoolFault) -> Received {
        let received: MessageSocket.Received
        do throws(Errno) {
            received = try MessageSocket.receive(from: socket, into: &buffer.bytes)
        } catch {
            throw PoolFault(sentence: error.description)
        }
        switch received {
        case .nothing: return .nothing
        case .closed: return .closed
        case .tooLong(let descriptors):
            aside.close(descriptors)
            throw PoolFault(sentence: "a message above \(PoolMessage.largestPacket) bytes")
        case .message(let count, let descriptors):
            guard descriptors.count < 2 else {
                aside.close(descriptors)
                throw PoolFault(sentence: "\(descriptors.count) descriptors in a message")
            }
            let file = descriptors.first.map { PassedDescriptor(owning: $0, aside) }
            return .messages(try Self.handOver(buffer.bytes[..<count], file, handle))
        }
    }

    private static func handOver(
        _ bytes: ArraySlice<UInt8>, _ file: PassedDescriptor?,
        _ handle: (PoolMessage, PassedDescriptor?) throws(PoolFault) -> Void
    ) throws(PoolFault) -> Int {
        var packet = bytes
        var total = bytes.count
        var isUnsealed = false
        while let message = try next(from: &packet) {
            guard case .sealed = message else {
                try handle(message, file)
                continue
            }
            // The same memory again and again would be read again and again.
            if isUnsealed { throw PoolFault(sentence: "two sealed messages in a packet") }
            isUnsealed = true
            var inner = try unseal(file)[...]
            total += inner.count
            while let message = try next(from: &inner) { try handle(message, nil) }
        }
        return total
    }

    private static func next(
        from packet: inout ArraySlice<UInt8>
    ) throws(PoolFault) -> PoolMessage? {
        do throws(PoolProtocolError) {
            return try PoolMessage.next(from: &packet)
        } catch {
            throw PoolFault(sentence: error.sentence)
        }
    }

    private static func unseal(_ file: PassedDescriptor?) throws(PoolFault) -> [UInt8] {
        guard let file,
            let bytes = try? SealedMemory.read(file.number, limit: PoolMessage.largestSealed)
        else {
            throw PoolFault(sentence: "a sealed message without sealed memory of at most 16 MiB")
        }
        file.trust()
        return bytes
    }
}

/// Where packets are received, one after another, of all connections.
final class PacketBuffer {
    var bytes = [UInt8](repeating: 0, count: PoolMessage.largestPacket)
}

/// Why a connection cannot go on.
struct PoolFault: Error {
    var sentence: String
}
