// SPDX-License-Identifier: Apache-2.0

/// The items of an array task by number: ranges that rise and do not touch.
public struct ItemRanges: Equatable, Sendable {
    private var ranges: [Range<Int>] = []
    /// How many items there are in the ranges before each.
    private var places: [Int] = []
    /// How many items there are.
    public private(set) var count = 0

    public init() {}

    public init(_ ranges: some Sequence<Range<Int>>) {
        for range in ranges { append(range) }
    }

    /// Adds the items of a range behind all that are there.
    public mutating func append(_ range: Range<Int>) {
        if range.isEmpty { return }
        count += range.count
        if let last = ranges.last, last.upperBound == range.lowerBound {
            ranges[ranges.count - 1] = last.lowerBound..<range.upperBound
            return
        }
        places.append(count - range.count)
        ranges.append(range)
    }

    public var isEmpty: Bool { count == 0 }
    public var all: [Range<Int>] { ranges }
    /// The lowest number, and one more than the highest; 0 where there is none.
    public var first: Int { ranges.first?.lowerBound ?? 0 }
    public var end: Int { ranges.last?.upperBound ?? 0 }

    public func contains(_ item: Int) -> Bool { place(of: item) != nil }

    /// How many items there are before it; nil where it is none of them. O(log ranges).
    public func place(of item: Int) -> Int? {
        var low = 0
        var high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].upperBound <= item { low = middle + 1 } else { high = middle }
        }
        guard low < ranges.count, ranges[low].contains(item) else { return nil }
        return places[low] + item - ranges[low].lowerBound
    }
}

extension Plan {
    /// A run of one task that is no array: its attempt is in its file's name.
    public var isSingle: Bool { tasks.count == 1 && items.isEmpty }

    /// The items of a task that are to run; nil where it is no array.
    public func items(of task: Int) -> ItemRanges? {
        let own = items(ofTask: task)
        return own.isEmpty ? nil : ItemRanges(own.lazy.filter { !$0.isRest }.map(\.range))
    }

    /// The items of a task that its list has a line for, in their order; nil where it is no array.
    public func listedItems(of task: Int) -> ItemRanges? {
        let own = items(ofTask: task)
        return own.isEmpty ? nil : ItemRanges(own.lazy.map(\.range))
    }

    /// Whether a task has items that do not run this time.
    public func hasRest(_ task: Int) -> Bool { items(ofTask: task).contains(where: \.isRest) }

    /// By rising task, so a binary search finds a task's lines.
    private func items(ofTask task: Int) -> ArraySlice<PlanItems> {
        var low = 0
        var high = items.count
        while low < high {
            let middle = (low + high) / 2
            if items[middle].task < task { low = middle + 1 } else { high = middle }
        }
        return items[low...].prefix { $0.task == task }
    }

    /// The lines of an encoded plan before its first blob: tasks, edges and items, not the megabytes of an
    /// item list.
    public static func head(ofEncoded bytes: [UInt8]) -> ArraySlice<UInt8> {
        var start = bytes.startIndex
        while start < bytes.endIndex, !bytes[start...].starts(with: "blob ".utf8) {
            start = (bytes[start...].firstIndex(of: 0x0a) ?? bytes.endIndex - 1) + 1
        }
        return bytes[..<start]
    }

    /// The same plan with empty lists: what is kept in memory of a plan that lies in a file.
    public var withoutItemLists: Plan {
        var plan = self
        for (at, blob) in blobs.enumerated() where blob.kind == .items && !blob.bytes.isEmpty {
            plan.blobs[at] = PlanBlob(kind: .items, name: blob.name, bytes: [])
        }
        return plan
    }

    /// Whether some of its items have texts.
    public var hasItemLists: Bool { blobs.contains { $0.kind == .items } }
}

extension PlanItems {
    /// The numbers of its items.
    public var range: Range<Int> { first..<(first + count) }
}
