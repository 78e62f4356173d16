// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskJournal
import TaskModel

/// A log segment of any bytes: all of them are records, or counted.
enum LogProperties {
    /// The first byte says whether the segment's first line and the checksums are made right.
    static func test(_ bytes: [UInt8]) {
        guard let ways = bytes.first else { return }
        let directory = TestDirectory.one
        defer { directory.clear() }
        let name = SegmentName(epoch: 1, writer: "taskd", number: 1)
        var file = Array(bytes.dropFirst())
        if ways & 1 == 0 { file = Array("taskoutput 1 segment=\(name)\n".utf8) + file }
        if ways & 2 == 0 { file = withChecksums(file) }
        directory.put(name.stem + ".log", file)
        do throws(JournalError) {
            guard let reader = try LogReader(name, at: directory.number) else { return }
            var used = Int64(0)
            let begin = reader.offset
            while let record = try reader.next() {
                var printed: [UInt8] = []
                record.append(to: &printed)
                used += Int64(printed.count)
                require(reader.offset <= file.count, "a place in the file")
                let end = Int(reader.offset)
                require(end - printed.count >= begin, "a record's place")
                let payload = file[(end - record.payload.count)..<end]
                require(payload.elementsEqual(record.payload), "a record's bytes")
            }
            require(
                begin + used + reader.badBytes + reader.restBytes == file.count,
                "all bytes: \(begin) \(used) \(reader.badBytes) \(reader.restBytes) of \(file.count)"
            )
        } catch {
            guard case .format = error else { return require(false, "read: \(error.sentence)") }
        }
        var verifier = try? JournalVerifier(journal: directory.number)
        require((try? verifier?.addLogs(directory.number, pieceTime: 0)) != nil, "verified")
    }

    private static func withChecksums(_ file: [UInt8]) -> [UInt8] {
        var bytes = file
        var at = 0
        while let end = bytes[at...].firstIndex(of: 0x0a) {
            let words = bytes[at..<end].split(separator: 0x20, omittingEmptySubsequences: false)
            guard words.count == 6, words[5].count == 8, let length = Decimal.parse(words[4]),
                end + 1 + length <= bytes.count
            else {
                at = end + 1
                continue
            }
            let head = Checksum.crc32c(bytes[at..<words[5].startIndex])
            let whole = Checksum.crc32c(bytes[(end + 1)..<(end + 1 + length)], continuing: head)
            bytes.replaceSubrange((end - 8)..<end, with: SegmentText.digits(whole))
            at = end + 1 + length
        }
        return bytes
    }
}
