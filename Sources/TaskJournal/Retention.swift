// SPDX-License-Identifier: Apache-2.0
public import TaskModel

/// A segment as it lies on disk, in one form or two.
public struct StoredSegment: Equatable, Sendable {
    public var name: SegmentName
    /// Bytes of all its files together.
    public var bytes: Int64
    /// When it was written last, in microseconds since 1970.
    public var modified: Int64
    /// Something still needs it, or somebody writes it.
    public var isNeeded: Bool

    public init(_ name: SegmentName, bytes: Int64, modified: Int64, isNeeded: Bool = false) {
        self.name = name
        self.bytes = bytes
        self.modified = modified
        self.isNeeded = isNeeded
    }
}

/// Which segments go when there are more than the limit allows: the oldest.
public enum Retention {
    /// Segments of the journal to be removed, in this order.
    ///
    /// A chain loses its beginning alone, and only up to the first segment that is needed: what is left
    /// must have no hole that nobody can tell from damage. Chains of others than `writer` have nobody who
    /// says where they begin: they go as a whole, the newest segment first, so that a death in between
    /// leaves a chain that ends early.
    ///
    /// - Parameters:
    ///   - segments: all that there are.
    ///   - limit: bytes that may stay.
    ///   - writer: whose chain may begin later, since its own records say so.
    public static func journal(
        _ segments: [StoredSegment], limit: Int64, writer: String
    ) -> [SegmentName] {
        var groups: [Group] = []
        let chains = Dictionary(grouping: segments.sorted { $0.name < $1.name }, by: \.name.writer)
        for (owner, chain) in chains {
            guard owner == writer else {
                if chain.contains(where: \.isNeeded) { continue }
                groups.append(Group(chain.reversed()))
                continue
            }
            // Within a chain the order is that of the names, whatever the clock was.
            var age = Int64.min
            for segment in chain.prefix(while: { !$0.isNeeded }) {
                age = max(age, segment.modified)
                var group = Group([segment])
                group.age = age
                groups.append(group)
            }
        }
        return choose(groups, total: segments.reduce(0) { $0 + $1.bytes }, limit)
    }

    /// Segments of the log to be removed, the oldest first; those that are needed stay where they are.
    public static func log(_ segments: [StoredSegment], limit: Int64) -> [SegmentName] {
        choose(
            segments.filter { !$0.isNeeded }.map { Group([$0]) },
            total: segments.reduce(0) { $0 + $1.bytes }, limit)
    }

    /// What goes together.
    private struct Group {
        var segments: [StoredSegment]
        var age: Int64

        init(_ segments: [StoredSegment]) {
            self.segments = segments
            age = segments.map(\.modified).max() ?? 0
        }

        func isOlder(than other: Group) -> Bool {
            guard age == other.age else { return age < other.age }
            return segments.first.flatMap { one in other.segments.first.map { one.name < $0.name } }
                ?? false
        }
    }

    private static func choose(
        _ groups: [Group], total: Int64, _ limit: Int64
    ) -> [SegmentName] {
        var left = total
        var chosen: [SegmentName] = []
        for group in groups.sorted(by: { $0.isOlder(than: $1) }) {
            if left <= limit { break }
            left -= group.segments.reduce(0) { $0 + $1.bytes }
            chosen += group.segments.map(\.name)
        }
        return chosen
    }
}

/// `note - what=journal.retired segment=SEGMENT bytes=N`: this segment was removed on purpose, and with it
/// or before it all that its writer wrote earlier. It is durable before the segment goes, so that what is
/// missing without it was not removed by taskd.
public enum RetiredNote {
    public static let journal = "journal.retired"
    public static let log = "log.retired"

    public static func fields(_ what: String, _ segment: StoredSegment) -> [EventLine.Field] {
        [
            .init("what", what), .init("segment", segment.name.stem),
            .init("bytes", String(segment.bytes)),
        ]
    }

    private static let head = Array(" note - what=journal.retired segment=".utf8)

    /// The segment of the journal that a record says was retired; nil for other records.
    static func segment(_ line: ArraySlice<UInt8>) -> SegmentName? {
        guard let blank = line.firstIndex(of: UInt8(ascii: " ")), line[blank...].starts(with: head)
        else { return nil }
        let stem = line[(blank + head.count)...].prefix { $0 != UInt8(ascii: " ") }
        return SegmentName(stem: String(decoding: stem, as: UTF8.self))
    }
}
