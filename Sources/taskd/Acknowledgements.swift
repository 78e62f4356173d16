// SPDX-License-Identifier: Apache-2.0
import DequeModule

/// Through which of a connection's events all are durable: what the pool may forget (rule 10).
///
/// An ack says "all through this number", and events of a table, or of a run that the disk does not give,
/// are handled later than those that come after them: these hold the number back.
struct Acknowledgements {
    /// Events that came and whose record is not durable, though later ones may be; ascending.
    private var open = Deque<Int>()
    private var latest = 0
    private var told = 0

    /// The event is handled later; numbers ascend.
    mutating func hold(_ event: Int) { open.append(event) }

    /// The event's record is durable, and those of all before it that are not held.
    ///
    /// - Returns: the number to acknowledge; nil where that says nothing new. O(held events before it).
    mutating func settle(_ event: Int) -> Int? {
        if let place = open.firstIndex(of: event) { open.remove(at: place) }
        latest = max(latest, event)
        let through = min(latest, (open.first ?? .max) - 1)
        guard through > told else { return nil }
        told = through
        return through
    }
}
