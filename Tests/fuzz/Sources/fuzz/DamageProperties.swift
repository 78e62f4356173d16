// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskJournal
import TaskModel

/// A journal as it is written, and then damaged: what the damage did not touch is read.
enum DamageProperties {
    /// Pairs of a way and its argument. The first eight say how long records are.
    static func test(_ bytes: [UInt8]) {
        guard bytes.count > 8 else { return }
        let directory = TestDirectory.one
        defer { directory.clear() }
        let (name, file, ends) = journal(bytes.prefix(8), directory)
        var state = Damaged(bytes: file, isWhole: [Bool](repeating: true, count: file.count))
        var at = 8
        while at + 3 < bytes.count {
            state.apply(bytes[at], Int(bytes[at + 1]) << 8 | Int(bytes[at + 2]), bytes[at + 3])
            at += 4
        }
        let isSealed = bytes[0] & 1 == 1
        directory.clear()
        directory.put(name.stem + (isSealed ? ".sealed" : ".open"), state.bytes)
        // What is whole, with the byte before it, where the header is.
        var expected: [String] = []
        if state.isWhole[0..<ends[0]].allSatisfy({ $0 }) {
            for (index, (start, end)) in zip(ends, ends.dropFirst()).enumerated()
            where state.isWhole[(start - 1)..<end].allSatisfy({ $0 }) {
                expected.append("\(name) \(index + 1)")
            }
        }
        do throws(JournalError) {
            let read = try JournalProperties.lines(directory).map {
                $0.split(separator: " ").prefix(2).joined(separator: " ")
            }
            let found = Set(read)
            require(found.count == read.count, "each record once")
            for record in expected {
                require(found.contains(record), "\(record) is whole and read")
            }
            let verifier = try JournalVerifier(journal: directory.number)
            require(
                !verifier.isClean || read.count == ends.count - 1 || state.isCut,
                "damage that verify does not see")
        } catch {
            require(false, "a damaged journal is read: \(error.sentence)")
        }
        JournalProperties.recovers(directory, boot: "b")
        directory.clear()
        directory.put(name.stem + ".open", state.bytes)
        JournalProperties.recovers(directory, boot: nil)
    }

    /// A segment of ten records; where the header and each record end.
    private static func journal(
        _ lengths: ArraySlice<UInt8>, _ directory: TestDirectory
    ) -> (SegmentName, [UInt8], [Int]) {
        let name = SegmentName(epoch: 1, writer: "taskd", number: 1)
        let header = SegmentHeader(
            node: "n", boot: "b", created: 1, firstSequence: 1, previous: nil)
        var bytes = header.bytes
        var ends = [bytes.count]
        let seed = Checksum.crc32c(Array(name.stem.utf8)[...])
        for (index, length) in (lengths + lengths.prefix(2)).enumerated() {
            let text = String(repeating: "x", count: Int(length))
            let line = EventLine(Int64(index + 1), .note, "-", [.init("what", text)]).bytes
            let mark = index % 4 == 0 ? "+" : ""
            let body = Array(" \(line.count) \(mark)\(index + 1) ".utf8) + line + [0x0a]
            bytes += SegmentText.digits(Checksum.crc32c(body[...], continuing: seed)) + body
            ends.append(bytes.count)
        }
        return (name, bytes, ends)
    }

    private struct Damaged {
        var bytes: [UInt8]
        /// By the place where the byte was written.
        var isWhole: [Bool]
        var isCut = false

        mutating func apply(_ way: UInt8, _ place: Int, _ argument: UInt8) {
            let at = place % isWhole.count
            let end = min(at + Int(argument), isWhole.count)
            switch way % 4 {
            case 0:
                set(at, bytes[at] ^ 1 << (argument & 7))
            case 1:
                for index in at..<end { set(index, 0) }
                // Zeros mean the end.
                if end == isWhole.count { isCut = true }
            case 2:
                for index in at..<end { set(index, UInt8(truncatingIfNeeded: index &* 31)) }
            default:
                for index in at..<isWhole.count { set(index, 0) }
                isCut = true
            }
        }

        private mutating func set(_ index: Int, _ byte: UInt8) {
            if bytes[index] != byte { isWhole[index] = false }
            bytes[index] = byte
        }
    }
}
