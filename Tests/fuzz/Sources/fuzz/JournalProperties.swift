// SPDX-License-Identifier: Apache-2.0
import Glibc
import Linux
import SystemPackage
import TaskJournal

/// A directory of a test: files are put into it, and all are gone afterwards.
struct TestDirectory {
    let number: Int32

    /// One for the whole process, below $TASK_FUZZ_DIR.
    static let one: TestDirectory = {
        let top = getenv("TASK_FUZZ_DIR").map { String(cString: $0) } ?? "/tmp"
        let path = "\(top)/fuzz.\(getpid())"
        try? File.makeDirectory(path)
        let number = Glibc.open(path, O_DIRECTORY | O_CLOEXEC)
        if number < 0 { fatalError("unable to open \(path)") }
        return TestDirectory(number: number)
    }()

    func put(_ name: String, _ bytes: [UInt8]) {
        do {
            let file = try File.open(name, at: number, flags: [.writeOnly, .create, .truncate])
            try File.writeAll(bytes, to: file.number)
        } catch {
            fatalError("unable to write \(name): \(error)")
        }
    }

    func clear() {
        guard let stream = try? DirectoryStream(".", at: number) else { return }
        var names: [String] = []
        while let name = try? stream.next() { names.append(String(decoding: name, as: UTF8.self)) }
        for name in names { try? File.unlink(name, at: number) }
    }
}

/// A journal of any bytes.
enum JournalProperties {
    /// The first byte says which segments are sealed, and whether checksums are made right; a byte 0xf5
    /// begins the next segment.
    static func segments(_ bytes: [UInt8]) {
        guard let ways = bytes.first else { return }
        let directory = TestDirectory.one
        defer { directory.clear() }
        let parts = bytes.dropFirst().split(
            separator: 0xf5, maxSplits: 3, omittingEmptySubsequences: false)
        for (index, part) in parts.enumerated() {
            let name = SegmentName(epoch: 1, writer: "taskd", number: index + 1)
            let isSealed = ways >> UInt8(index) & 1 == 1
            let file = ways & 0x40 != 0 ? Array(part) : SegmentText.withChecksums(part, name)
            directory.put(name.stem + (isSealed ? ".sealed" : ".open"), file)
        }
        recovers(directory)
    }

    /// In the boot of the segments recovery loses nothing that could be read, in another one only what a
    /// power failure may have left behind a hole. A second one finds nothing to do.
    static func recovers(_ directory: TestDirectory, boot: String? = nil) {
        do throws(JournalError) {
            let before = try lines(directory)
            _ = try JournalRecovery(at: directory.number, writer: "taskd", boot: boot)
            let after = try lines(directory)
            let isKept = boot != nil ? before == after : isCut(before, after)
            require(isKept, "what was read before recovery: \(before.count) \(after.count)")
            let second = try JournalRecovery(at: directory.number, writer: "taskd")
            require(second.damages.isEmpty, "a second recovery finds nothing: \(second.damages)")
            require(try lines(directory) == after, "the same after a second recovery")
            let verifier = try JournalVerifier(journal: directory.number)
            require(verifier.records <= after.count, "verified records")
        } catch {
            require(false, "a journal of any bytes is read: \(error.sentence)")
        }
    }

    private static func isCut(_ before: [String], _ after: [String]) -> Bool {
        let segments = Dictionary(grouping: before) { $0.prefix { $0 != " " } }
        return Dictionary(grouping: after) { $0.prefix { $0 != " " } }.allSatisfy { name, lines in
            segments[name]?.starts(with: lines) ?? false
        }
    }

    /// All records: segment, number and text.
    static func lines(_ directory: TestDirectory) throws(JournalError) -> [String] {
        let reader = try JournalReader(at: directory.number)
        var lines: [String] = []
        while let record = try reader.next() {
            let text = String(decoding: record.line, as: UTF8.self)
            lines.append("\(record.segment) \(record.sequence) \(text)")
        }
        return lines
    }
}

/// The text of a segment.
enum SegmentText {
    /// The same bytes with right checksums in the header and in each record that has a length.
    static func withChecksums(_ part: ArraySlice<UInt8>, _ name: SegmentName) -> [UInt8] {
        var bytes = Array(part)
        var at = header(&bytes)
        let seed = Checksum.crc32c(Array(name.stem.utf8)[...])
        while at < bytes.count {
            if let end = record(&bytes, at, seed) {
                at = end
            } else {
                at = (bytes[at...].firstIndex(of: 0x0a) ?? bytes.count) + 1
            }
        }
        return bytes
    }

    private static func header(_ bytes: inout [UInt8]) -> Int {
        guard let end = bytes.prefix(1024).firstIndex(of: 0x0a) else { return bytes.count }
        let mark = Array(" crc=".utf8)
        guard let at = (0..<end).last(where: { bytes[$0..<end].starts(with: mark) }) else {
            return end + 1
        }
        let right = mark + digits(Checksum.crc32c(bytes[..<at])) + [0x0a]
        bytes.replaceSubrange(at...end, with: right)
        return at + right.count
    }

    private static func record(_ bytes: inout [UInt8], _ start: Int, _ seed: UInt32) -> Int? {
        let words = bytes[start...].prefix(40).split(
            separator: 0x20, maxSplits: 3, omittingEmptySubsequences: false)
        guard words.count == 4, words[0].count == 8, (1...5).contains(words[1].count),
            (1...20).contains(words[2].count),
            let length = Int(String(decoding: words[1], as: UTF8.self)), length >= 0,
            UInt64(String(decoding: words[2], as: UTF8.self)) != nil
        else { return nil }
        let end = words[3].startIndex + length + 1
        guard end <= bytes.count else { return nil }
        bytes[end - 1] = 0x0a
        let right = digits(Checksum.crc32c(bytes[(start + 8)..<end], continuing: seed))
        bytes.replaceSubrange(start..<(start + 8), with: right)
        return end
    }

    static func digits(_ number: UInt32) -> [UInt8] {
        let text = String(number, radix: 16)
        return Array((String(repeating: "0", count: 8 - text.utf8.count) + text).utf8)
    }
}
