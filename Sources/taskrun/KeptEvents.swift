// SPDX-License-Identifier: Apache-2.0
import DequeModule
import TaskModel

/// An attempt's name.
struct AttemptKey: Hashable {
    var ref: TaskRef
    var attempt: Int
}

/// The events of a spool that no taskd has acknowledged, in order. Ends and subtasks are kept for the
/// next one; what else the last one was told is not told again.
struct KeptEvents {
    enum About {
        /// This attempt ended, or is lost.
        case end(AttemptKey)
        /// This attempt's task dropped a subtask.
        case submit(AttemptKey)
        /// This attempt sleeps.
        case wait(AttemptKey)
        case other
    }

    struct Event {
        /// On the connection that is served; 0 while there is none.
        var sequence: Int
        var line: [UInt8]
        var about: About

        // An array has 32 bytes before its first.
        var cost: Int { line.count + 96 }
    }

    private(set) var events: Deque<Event> = []
    private var ends: Set<AttemptKey> = []
    /// Bytes of the lines of attempts' subtasks.
    private var submitted: [AttemptKey: Int] = [:]
    /// The number of the last one on this connection.
    private(set) var sequence = 0
    /// Bytes of memory, about.
    private(set) var cost = 0

    var isEmpty: Bool { events.isEmpty }

    func hasEnd(of key: AttemptKey) -> Bool { ends.contains(key) }
    func bytesSubmitted(by key: AttemptKey) -> Int { submitted[key] ?? 0 }

    /// - Returns: its number; nil while nobody is there to be told.
    mutating func append(_ line: [UInt8], _ about: About, isConnected: Bool) -> Int? {
        if isConnected { sequence += 1 }
        add(Event(sequence: isConnected ? sequence : 0, line: line, about: about))
        return isConnected ? sequence : nil
    }

    private mutating func add(_ event: Event) {
        switch event.about {
        case .end(let key): ends.insert(key)
        case .submit(let key): submitted[key, default: 0] += event.line.count
        case .wait, .other: break
        }
        cost += event.cost
        events.append(event)
    }

    /// Goes on where an earlier program was.
    mutating func resume(_ resumed: [Event], sequence: Int) {
        self.sequence = sequence
        for event in resumed { add(event) }
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
        remove { event in
            if case .other = event.about { event.sequence <= sent } else { false }
        }
        for index in events.indices { events[index].sequence = 0 }
    }

    /// - Returns: the attempts of whose subtasks some are acknowledged now.
    @discardableResult
    mutating func acknowledge(through number: Int) -> Set<AttemptKey> {
        var waited: Set<AttemptKey> = []
        while let first = events.first, first.sequence <= number {
            switch first.about {
            case .end(let key): ends.remove(key)
            case .submit(let key):
                waited.insert(key)
                let left = bytesSubmitted(by: key) - first.line.count
                submitted[key] = left > 0 ? left : nil
            case .wait, .other: break
            }
            cost -= first.cost
            events.removeFirst()
        }
        return waited
    }

    /// Whether it is still to be told that the attempt sleeps.
    func hasWait(of key: AttemptKey) -> Bool {
        events.contains { event in
            if case .wait(let own) = event.about { own == key } else { false }
        }
    }

    /// It does not sleep any more: that it did is not told again.
    mutating func forgetWait(of key: AttemptKey) {
        remove { event in
            if case .wait(let own) = event.about { own == key } else { false }
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
