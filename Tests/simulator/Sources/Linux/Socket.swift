// SPDX-License-Identifier: Apache-2.0
public import SystemPackage

/// One connection between taskd and its peer: packets, in order.
public final class Channel {
    public typealias Packet = (bytes: [UInt8], passed: Open?)
    /// From taskd to the peer, and back.
    public var toPeer: [Packet] = []
    public var toUs: [Packet] = []
    /// taskd's end is closed; the peer's is.
    public internal(set) var isClosedHere = false
    public var isClosedThere = false
    /// Packets that wait at most.
    public var room = 170

    public init() {}

    var readiness: Readiness {
        var readiness: Readiness = []
        if !toUs.isEmpty || isClosedThere { readiness.insert(.readable) }
        if toPeer.count < room || isClosedThere { readiness.insert(.writable) }
        return readiness
    }
}

/// Who listens at a socket's name.
public protocol Listener: AnyObject {
    func connected(_ channel: Channel)
}

public enum MessageSocket {
    public static let largestMessage = 64 * 1024
    /// Who listens in the spool.
    nonisolated(unsafe) public static weak var listener: (any Listener)?

    public static func connect(_ name: String, at directory: Int32) throws(Errno) -> Descriptor {
        let machine: Machine = Machine.current
        try machine.enter(.connect, name)
        _ = try machine.disk.find(name, from: try File.directory(directory))
        guard let listener else { throw .connectionRefused }
        let channel = Channel()
        let number = try machine.give(Open(.socket(channel)))
        listener.connected(channel)
        return Descriptor(owning: number)
    }

    public static func send(
        _ bytes: ArraySlice<UInt8>, to socket: Int32, passing: Int32 = -1
    ) throws(Errno) -> Bool {
        let machine: Machine = Machine.current
        try machine.enter(.send)
        guard case .socket(let channel) = try machine.open(socket).what else {
            throw .badFileDescriptor
        }
        if channel.isClosedThere { throw .brokenPipe }
        if channel.toPeer.count >= channel.room { return false }
        let passed = passing < 0 ? nil : try machine.open(passing)
        channel.toPeer.append((Array(bytes), passed))
        return true
    }

    public enum Received {
        case message(count: Int, descriptors: [Int32])
        case tooLong(descriptors: [Int32])
        case nothing
        case closed
    }

    public static func receive(
        from socket: Int32, into bytes: inout [UInt8]
    ) throws(Errno) -> Received {
        let machine: Machine = Machine.current
        try machine.enter(.receive)
        guard case .socket(let channel) = try machine.open(socket).what else {
            throw .badFileDescriptor
        }
        if channel.toUs.isEmpty { return channel.isClosedThere ? .closed : .nothing }
        let packet = channel.toUs.removeFirst()
        bytes.replaceSubrange(0..<packet.bytes.count, with: packet.bytes)
        return .message(count: packet.bytes.count, descriptors: [])
    }

    public static func datagram(_ bytes: [UInt8], to path: String) -> Bool { false }
}

public enum SealedMemory {
    public static func make(_ bytes: [UInt8], name: String) throws(Errno) -> Descriptor {
        try Machine.current.enter(.open, name)
        return Descriptor(owning: try Machine.current.give(Open(.bytes(bytes))))
    }

    public static func read(_ descriptor: Int32, limit: Int) throws(Errno) -> [UInt8]? {
        try File.readAll(descriptor, limit: limit)
    }
}
