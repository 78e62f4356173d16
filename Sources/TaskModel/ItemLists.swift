// SPDX-License-Identifier: Apache-2.0

/// The texts of a plan's items, from its lists in memory.
public struct ItemLists {
    private struct List {
        var bytes: [UInt8]
        var items: ItemRanges
        /// Where the lines begin.
        var starts: [UInt32]
    }

    private var lists: [Int: List] = [:]

    /// O(bytes of the lists).
    public init(_ plan: Plan) {
        for blob in plan.blobs where blob.kind == .items {
            guard let task = Int(blob.name), let items = plan.listedItems(of: task) else {
                continue
            }
            var starts: [UInt32] = items.isEmpty ? [] : [0]
            for (at, byte) in blob.bytes.enumerated() where byte == 0x0a {
                starts.append(UInt32(at + 1))
            }
            lists[task] = List(bytes: blob.bytes, items: items, starts: starts)
        }
    }

    /// TASK_ITEM: the item's line, or its number where its task has no list; nil for what is no item.
    public func text(of ref: TaskRef) -> String? {
        guard let task = ref.task, let item = ref.item else { return nil }
        guard let list = lists[task] else { return String(item) }
        guard let place = list.items.place(of: item), place + 1 < list.starts.count else {
            return nil
        }
        let line = list.bytes[Int(list.starts[place])..<Int(list.starts[place + 1]) - 1]
        return String(decoding: line, as: UTF8.self)
    }
}
