// SPDX-License-Identifier: Apache-2.0
public import SystemPackage

/// Watches of directories, with a queue that overflows.
public final class Inotify {
    public struct Event: Sendable {
        public var watch: Int32
        public var name: [UInt8]
        var kind: Mask
        public var isOverflow: Bool { watch == -1 }
        public var isGone: Bool { kind == .selfGone }
        public var isDeparture: Bool { kind == .movedFrom || kind == .deleted }
    }

    public struct Mask: OptionSet, Sendable {
        public let rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }
        public static let movedTo = Mask(rawValue: 1)
        public static let movedFrom = Mask(rawValue: 2)
        public static let closedAfterWriting = Mask(rawValue: 4)
        public static let created = Mask(rawValue: 8)
        public static let deleted = Mask(rawValue: 16)
        public static let modified = Mask(rawValue: 32)
        public static let selfGone = Mask(rawValue: 64)
        public static let attributes = Mask(rawValue: 128)
    }

    final class Queue {
        var events: [Event] = []
        var watches: [(directory: DiskNode, mask: Mask)] = []

        func add(_ event: Event, limit: Int) {
            if events.last?.isOverflow == true { return }
            events.append(
                events.count < limit ? event : Event(watch: -1, name: [], kind: []))
        }
    }

    private let queue = Queue()
    private let descriptor: Descriptor

    public init() throws(Errno) {
        let machine: Machine = Machine.current
        try machine.enter(.watch)
        descriptor = Descriptor(owning: try machine.give(Open(.queue(queue))))
        machine.process.inotifies.append(queue)
    }

    public var number: Int32 { descriptor.number }

    public func watch(directory: Int32, for mask: Mask) throws(Errno) -> Int32 {
        try Machine.current.enter(.watch)
        queue.watches.append((try File.directory(directory), mask))
        return Int32(queue.watches.count)
    }

    public func read() throws(Errno) -> [Event] {
        try Machine.current.enter(.events)
        let count = min(64, queue.events.count)
        let events = Array(queue.events[..<count])
        queue.events.removeFirst(count)
        return events
    }

    /// Something happened to a name.
    public static func notify(_ directory: DiskNode, _ name: String, _ kind: Mask) {
        let machine: Machine = Machine.current
        for queue in machine.process.inotifies {
            for (index, watch) in queue.watches.enumerated()
            where watch.directory === directory && watch.mask.contains(kind) {
                let event = Event(watch: Int32(index + 1), name: Array(name.utf8), kind: kind)
                queue.add(event, limit: machine.queueLimit)
            }
        }
    }

    /// Hints are lost, as when too many came.
    public static func overflow() {
        for queue in Machine.current.process.inotifies {
            queue.events = [Event(watch: -1, name: [], kind: [])]
        }
    }
}
