// SPDX-License-Identifier: Apache-2.0
public import Linux
public import SystemPackage
public import TaskModel

/// Where the item lists of a plan are in its file: a million texts need not be in memory.
///
/// The file is read once from its start to its end, a piece at a time, and then a block of lines for
/// each some hundred items that start in their order. Its bytes were verified when it was accepted.
public struct ItemFile: Sendable {
    private struct List: Sendable {
        var items: ItemRanges
        /// The end of its last line.
        var end: Int
        /// Blocks of lines: the number of the first, and where it begins.
        var blocks: [(line: Int, offset: Int)] = []
    }

    private var lists: [Int: List] = [:]
    private static let blockBytes = 32 << 10
    private static let blockLines = 512

    /// One block of lines, read.
    public struct Block: Sendable {
        fileprivate var run: TaskID?
        fileprivate var task = -1
        fileprivate var lines = 0..<0
        fileprivate var bytes: [UInt8] = []
        fileprivate var starts: [Int] = []
        public init() {}
    }

    /// Finds the lists of a plan.
    ///
    /// - Returns: nil where the file is not that plan.
    public init?(of plan: Plan, in file: borrowing Descriptor) throws(Errno) {
        var reader = PieceReader(number: file.number)
        while let line = try reader.line() {
            guard line.starts(with: "blob ".utf8) else { continue }
            let words = line.split(separator: UInt8(ascii: " "))
            guard words.count == 5, let count = Decimal.parse(words[4]) else { return nil }
            let end = reader.position + count
            if words[1].elementsEqual("items".utf8), let task = Decimal.parse(words[2]),
                let items = plan.listedItems(of: task)
            {
                var list = List(items: items, end: end)
                try Self.divide(&list, &reader)
                lists[task] = list
            }
            reader.position = end + 1
        }
        let wanted = plan.blobs.filter { $0.kind == .items }
        if wanted.contains(where: { Int($0.name).map { lists[$0] == nil } ?? true }) { return nil }
    }

    private static func divide(_ list: inout List, _ reader: inout PieceReader) throws(Errno) {
        var number = 0
        while reader.position < list.end {
            let last = list.blocks.last ?? (Int.min, Int.min)
            if list.blocks.isEmpty || number - last.line >= blockLines
                || reader.position - last.offset >= blockBytes
            {
                list.blocks.append((number, reader.position))
            }
            guard try reader.skipLine() else { return }
            number += 1
        }
    }

    /// TASK_ITEM of an item that the block has; nil where it has it not.
    public func text(of ref: TaskRef, in block: Block) -> String? {
        guard let task = ref.task, let item = ref.item, block.run == ref.run, block.task == task,
            let line = lists[task]?.items.place(of: item), block.lines.contains(line)
        else { return nil }
        let at = line - block.lines.lowerBound
        let bytes = block.bytes[block.starts[at]..<(block.starts[at + 1] - 1)]
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The block that has an item's text; nil where the file does not have it. One pread(2).
    public func block(
        with ref: TaskRef, in file: borrowing Descriptor
    ) throws(Errno) -> Block? {
        guard let task = ref.task, let item = ref.item, let list = lists[task],
            let line = list.items.place(of: item)
        else { return nil }
        return try read(line, list, ref, file)
    }

    private func read(
        _ line: Int, _ list: List, _ ref: TaskRef, _ file: borrowing Descriptor
    ) throws(Errno) -> Block? {
        var low = 0
        var high = list.blocks.count
        while low < high {
            let middle = (low + high) / 2
            if list.blocks[middle].line <= line { low = middle + 1 } else { high = middle }
        }
        guard low > 0 else { return nil }
        let first = list.blocks[low - 1]
        let end = low < list.blocks.count ? list.blocks[low].offset : list.end
        var block = Block()
        block.bytes = [UInt8](repeating: 0, count: end - first.offset)
        guard
            try File.read(file.number, into: &block.bytes, at: Int64(first.offset))
                == block.bytes.count
        else { return nil }
        block.starts = [0]
        for (at, byte) in block.bytes.enumerated() where byte == 0x0a {
            block.starts.append(at + 1)
        }
        block.lines = first.line..<(first.line + block.starts.count - 1)
        (block.run, block.task) = (ref.run, ref.task ?? -1)
        return block.lines.contains(line) ? block : nil
    }
}

/// Lines of a file, in memory of a piece and the longest line.
private struct PieceReader {
    let number: Int32
    /// Where the next line begins.
    var position = 0
    private var piece: [UInt8] = []
    private var start = 0
    private static let size = 64 << 10

    init(number: Int32) { self.number = number }

    /// The next line without its end; nil at the end of the file.
    mutating func line() throws(Errno) -> [UInt8]? {
        var line: [UInt8] = []
        while true {
            guard let rest = try rest() else { return nil }
            if let end = rest.firstIndex(of: 0x0a) {
                line += rest[..<end]
                position += end - rest.startIndex + 1
                return line
            }
            line += rest
            position += rest.count
        }
    }

    /// Whether there was one.
    mutating func skipLine() throws(Errno) -> Bool {
        while let rest = try rest() {
            if let end = rest.firstIndex(of: 0x0a) {
                position += end - rest.startIndex + 1
                return true
            }
            position += rest.count
        }
        return false
    }

    private mutating func rest() throws(Errno) -> ArraySlice<UInt8>? {
        if position < start || position >= start + piece.count {
            if piece.count != Self.size { piece = [UInt8](repeating: 0, count: Self.size) }
            let count = try File.read(number, into: &piece, at: Int64(position))
            start = position
            if count < piece.count { piece.removeLast(piece.count - count) }
            if count == 0 { return nil }
        }
        return piece[(position - start)...]
    }
}
