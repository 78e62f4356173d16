// SPDX-License-Identifier: Apache-2.0

/// The slots of a unit that are accounted for: each ran, or it was decided that it does not.
///
/// Spans of time, so that any number of slots costs a few words. What was missed and made up for by
/// one later run is in no span: where the clock is set back before it, it comes after all. Times are
/// microseconds since 1970.
public struct FiredSlots: Equatable, Sendable {
    /// From one slot through another, both included.
    public struct Span: Equatable, Sendable {
        public var from: Int64
        public var through: Int64
    }

    /// Ascending, apart from each other.
    public private(set) var spans: [Span] = []
    /// Only a clock that jumps makes a new one: of more than these the oldest become one.
    public static let most = 8

    public init() {}

    /// The last slot that is accounted for.
    public var latest: Int64? { spans.last?.through }

    /// Where the time up to `now` is accounted for: the end of the last span that has begun by then.
    /// Later than `now` where the clock was set back into it.
    public func end(by now: Int64) -> Int64? {
        spans.last { $0.from <= now }?.through
    }

    /// The end of the span that a slot is in; nil when it is in none.
    public func end(covering slot: Int64) -> Int64? {
        spans.first { $0.from <= slot && slot <= $0.through }?.through
    }

    /// Accounts for a slot.
    ///
    /// - Parameter continues: so are all between it and the one before.
    public mutating func add(_ slot: Int64, continues: Bool) {
        if end(covering: slot) != nil { return }
        let after = spans.firstIndex { $0.from > slot } ?? spans.count
        if continues, after > 0 {
            spans[after - 1].through = slot
        } else {
            spans.insert(Span(from: slot, through: slot), at: after)
        }
        while spans.count > Self.most {
            spans[1].from = spans[0].from
            spans.removeFirst()
        }
    }

    /// `FROM-THROUGH,FROM-THROUGH`, as a checkpoint has it.
    public var text: String {
        spans.map { "\($0.from)-\($0.through)" }.joined(separator: ",")
    }

    /// Reads `text`; nil for what is none.
    public init?(_ text: some StringProtocol) {
        for part in text.split(separator: ",") {
            let ends = part.split(separator: "-").compactMap { Int64($0) }
            guard ends.count == 2, ends[0] <= ends[1], ends[0] > spans.last?.through ?? -1,
                spans.count < Self.most
            else { return nil }
            spans.append(Span(from: ends[0], through: ends[1]))
        }
    }
}
