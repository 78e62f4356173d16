// SPDX-License-Identifier: Apache-2.0
import DequeModule
import TaskModel

/// An attempt's name.
struct AttemptKey: Hashable {
    var ref: TaskRef
    var attempt: Int
}

/// The events of a spool that no taskd has acknowledged, in order. Ends are kept for the next one;
/// what else the last one was told is not told again.
struct KeptEvents {
    struct Event {
        /// On the connection that is served; 0 while there is none.
        var sequence: Int
        var line: [UInt8]
        /// The end of this attempt; nil for other events.
        var end: AttemptKey?

        // An array has 32 bytes before its first.
        var cost: Int { line.count + 96 }
    }

    private(set) var events: Deque<Event> = []
    private var ends: Set<AttemptKey> = []
    /// The number of the last one on this connection.
    private(set) var sequence = 0
    /// Bytes of memory, about.
    private(set) var cost = 0

    var isEmpty: Bool { events.isEmpty }

    func hasEnd(of key: AttemptKey) -> Bool { ends.contains(key) }

    /// - Returns: its number; nil while nobody is there to be told.
    mutating func append(_ line: [UInt8], end: AttemptKey?, isConnected: Bool) -> Int? {
        if isConnected { sequence += 1 }
        let event = Event(sequence: isConnected ? sequence : 0, line: line, end: end)
        if let end { ends.insert(end) }
        cost += event.cost
        events.append(event)
        return isConnected ? sequence : nil
    }

    /// Goes on where an earlier program was.
    mutating func resume(_ resumed: [Event], sequence: Int) {
        self.sequence = sequence
        for event in resumed {
            if let end = event.end { ends.insert(end) }
            cost += event.cost
            events.append(event)
        }
    }

    /// A new connection: all are numbered from 1.
    mutating func restart() {
        sequence = 0
        for index in events.indices {
            sequence += 1
            events[index].sequence = sequence
        }
    }

    /// The connection is over: numbers mean nothing until the next one. Another start would be told
    /// twice; what never went out is kept.
    mutating func disconnect(sent: Int) {
        remove { $0.end == nil && $0.sequence <= sent }
        for index in events.indices { events[index].sequence = 0 }
    }

    mutating func acknowledge(through number: Int) {
        while let first = events.first, first.sequence <= number {
            if let key = first.end { ends.remove(key) }
            cost -= first.cost
            events.removeFirst()
        }
    }

    private mutating func remove(where isGone: (Event) -> Bool) {
        events.removeAll { event in
            guard isGone(event) else { return false }
            cost -= event.cost
            return true
        }
    }
}
