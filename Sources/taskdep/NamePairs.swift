// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskPlan
import TaskTool

/// tsort(1)'s input: names divided by blanks, tabs and line ends; each pair is an edge, a pair of
/// equal names one name alone. Made for millions of edges: one buffer in, one buffer out.
struct NamePairs {
    /// Bytes that are read at most: places are 32 bits.
    static let limit = Int(UInt32.max) - padding
    /// Readable bytes behind the input.
    private static let padding = 8

    private let text: [UInt8]
    private var names: NameTable
    private var from: [UInt32] = []
    private var to: [UInt32] = []
    /// Keeps the early reads of slots from being optimised away.
    private var touched: UInt32 = 0

    /// - Throws: exit 2 where it is too long, or the last name has no partner.
    static func readingStandardInput() throws(ToolError) -> NamePairs {
        let input: (bytes: [UInt8], count: Int)
        do throws(Errno) {
            guard let read = try read() else { throw .fileTooLarge }
            input = read
        } catch {
            throw ToolError(
                unableTo: "read", "standard input", error, "nothing was printed",
                status: error == .fileTooLarge ? ExitStatus.usage : nil)
        }
        return try NamePairs(input.bytes, count: input.count)
    }

    private static func read() throws(Errno) -> (bytes: [UInt8], count: Int)? {
        let size = min(Int(try File.status(of: 0).size), limit)
        var bytes = [UInt8](repeating: 0, count: max(size + 1, 1 << 20) + padding)
        var used = 0
        while true {
            let got = try File.read(0, into: &bytes, from: used)
            if got == 0 { break }
            used += got
            if used > limit { return nil }
            if used + padding >= bytes.count {
                bytes.append(contentsOf: repeatElement(0, count: bytes.count))
            }
        }
        return (bytes, used)
    }
}

extension NamePairs {
    /// - Parameter count: bytes of input in `bytes`; padding follows.
    private init(_ bytes: [UInt8], count: Int) throws(ToolError) {
        text = bytes
        names = NameTable(expecting: count / 8)
        // More than most inputs need: what is not used is never touched, growing is.
        from.reserveCapacity(count / 8)
        to.reserveCapacity(count / 8)
        guard bytes.withUnsafeBytes({ parse($0, count) }) else {
            throw ToolError(
                "unable to order standard input: it has an odd number of names, nothing was "
                    + "printed: names come in pairs, the first before the second",
                status: ExitStatus.usage)
        }
    }

    /// Names go through the table some at a time: their slots are far apart, and the processor can
    /// wait for several at once.
    ///
    /// - Returns: false where a name is left over.
    private mutating func parse(_ text: UnsafeRawBufferPointer, _ end: Int) -> Bool {
        withUnsafeTemporaryAllocation(of: NameTable.Candidate.self, capacity: Self.batch) { space in
            var at = 0
            while true {
                let count = collect(text, &at, end, space)
                for pair in 0..<count / 2 {
                    let source = names.number(of: space[2 * pair], in: text)
                    let target = names.number(of: space[2 * pair + 1], in: text)
                    if source != target {
                        from.append(source)
                        to.append(target)
                    }
                }
                if count < Self.batch { return count % 2 == 0 }
            }
        }
    }

    /// Names looked up at a time; even, so that pairs stay together.
    private static let batch = 64

    private mutating func collect(
        _ text: UnsafeRawBufferPointer, _ at: inout Int, _ end: Int,
        _ space: UnsafeMutableBufferPointer<NameTable.Candidate>
    ) -> Int {
        var count = 0
        var place = at
        while count < Self.batch {
            while place < end, Self.isBlank(text[place]) { place += 1 }
            if place == end { break }
            let start = place
            while place < end, !Self.isBlank(text[place]) { place += 1 }
            let name = names.candidate(at: start, length: place - start, in: text)
            space.initializeElement(at: count, to: name)
            count += 1
        }
        at = place
        touched &+= names.touch(space[..<count])
        return count
    }

    @inline(__always)
    private static func isBlank(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x0a || byte == 0x09
    }

    /// The names in an order in which the first of each pair stands before the second, one a line.
    ///
    /// - Throws: exit 1 with the names of a cycle.
    func ordered() throws(ToolError) -> [UInt8] {
        let graph = Graph(count: names.count, from: from, to: to, keepsOrigins: false)
        let levels = graph.levels()
        guard !levels.hasCycle else { throw cycle() }
        let size = names.bytes + names.count
        return [UInt8](unsafeUninitializedCapacity: size + Self.padding) { space, used in
            text.withUnsafeBytes { write(levels.order, $0, UnsafeMutableRawBufferPointer(space)) }
            used = size
        }
    }

    // Eight bytes are copied whatever the length: what is too much is written over by the next.
    private func write(
        _ order: [UInt32], _ text: UnsafeRawBufferPointer, _ space: UnsafeMutableRawBufferPointer
    ) {
        var at = 0
        for node in order {
            let start = Int(names.starts[Int(node)])
            let length = Int(names.lengths[Int(node)])
            if length <= 8 {
                let word = text.loadUnaligned(fromByteOffset: start, as: UInt64.self)
                space.storeBytes(of: word, toByteOffset: at, as: UInt64.self)
            } else {
                space[at..<at + length].copyBytes(from: text[start..<start + length])
            }
            space[at + length] = 0x0a
            at += length + 1
        }
    }

    /// The graph is made once more, now with the places of its edges.
    private func cycle() -> ToolError {
        let edges = Graph(count: names.count, from: from, to: to).cycles(limit: 1).first ?? []
        var members = edges.prefix(20).map { name(from[$0]) }
        if edges.count > members.count { members.append("...") }
        if let first = members.first { members.append(first) }
        return ToolError(
            "input has a cycle: \(members.joined(separator: " -> ")) (\(edges.count) members)",
            status: ExitStatus.no)
    }

    /// A name as a message shows it: its first 64 bytes.
    private func name(_ node: UInt32) -> String {
        let start = Int(names.starts[Int(node)])
        let length = min(Int(names.lengths[Int(node)]), 64)
        return String(decoding: text[start..<start + length], as: UTF8.self)
    }
}
