// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskModel
import Testing

@testable import TaskJournal

/// Goal: `tasklog verify` notices every single bit that flips in a segment of journal or log.
@Suite struct BitFlipTests {
    private static let size = 64 << 10

    /// A sealed journal segment of about 64 KiB, without zeros, and its successor.
    private func segment(_ fixture: JournalFixture, bytes size: Int) throws -> SegmentName {
        let writer = try JournalWriter(at: fixture.directory, JournalFixture.identity())
        var index = 0
        while writer.pendingBytes < size - 300 {
            index += 1
            var line = JournalFixture.line(index)
            line.set("what", String(repeating: "x", count: index * 37 % 200))
            try writer.append(line)
        }
        let name = writer.segment
        try writer.close()
        return name
    }

    /// Calls the body with each single-bit flip of a range; the bytes are whole again between.
    private func flips(
        _ bytes: inout [UInt8], _ range: Range<Int>, _ body: ([UInt8], Int, Int) throws -> Void
    ) rethrows {
        for at in range {
            for bit in 0..<8 {
                bytes[at] ^= 1 << UInt8(bit)
                try body(bytes, at, bit)
                bytes[at] ^= 1 << UInt8(bit)
            }
        }
    }

    @Test func everyBitOfAJournalSegmentIsCovered() throws {
        let fixture = try JournalFixture()
        let name = try segment(fixture, bytes: Self.size)
        var bytes = try fixture.contents(name.stem + ".sealed")
        #expect(bytes.count > Self.size - 600 && bytes.count < Self.size + 600)
        let header = try #require(SegmentHeader.parse(bytes[...]))
        var missed: [String] = []
        flips(&bytes, 0..<header.length) { flipped, at, bit in
            if SegmentHeader.parse(flipped[...]) != nil { missed.append("\(at).\(bit)") }
        }
        let seed = RecordFrame.seed(name)
        var start = header.length
        var records = 0
        while start < bytes.count {
            guard case .record(let found) = RecordFrame.parse(bytes, at: start, seed: seed) else {
                Issue.record("no record at \(start)")
                break
            }
            flips(&bytes, start..<found.end) { flipped, at, bit in
                if case .record = RecordFrame.parse(flipped, at: start, seed: seed) {
                    missed.append("\(at).\(bit)")
                }
            }
            start = found.end
            records += 1
        }
        #expect(records > 200)
        #expect(missed.isEmpty, "flips that nobody would notice: \(missed.prefix(20))")
    }

    @Test func everyBitOfALogSegmentIsCovered() throws {
        let fixture = try JournalFixture()
        let (name, ends) = try log(fixture, bytes: Self.size)
        var bytes = try fixture.contents(name.stem + ".log")
        var missed: [String] = []
        for (start, end) in zip(ends, ends.dropFirst()) {
            let payload = start + (bytes[start..<end].firstIndex(of: 10) ?? 0) - start + 1
            flips(&bytes, start..<payload) { flipped, at, bit in
                if case .record = LogRecord.parse(flipped, at: start) {
                    missed.append("\(at).\(bit)")
                }
            }
            // What parse compares: quicker than to parse half a million times.
            let whole = Checksum.crc32c(bytes[payload..<end], continuing: 1)
            flips(&bytes, payload..<end) { flipped, at, bit in
                if Checksum.crc32c(flipped[payload..<end], continuing: 1) == whole {
                    missed.append("\(at).\(bit)")
                }
            }
        }
        #expect(missed.isEmpty, "flips that nobody would notice: \(missed.prefix(20))")
    }

    /// A log segment; where its records begin, and its end. Long pieces: their heads are what is slow.
    private func log(
        _ fixture: JournalFixture, bytes size: Int, piece: Int = 4000
    ) throws -> (SegmentName, [Int]) {
        let writer = LogWriter(at: fixture.directory, epoch: 3, writer: "9.9")
        let ref = TaskRef(run: TaskID(high: 7, low: 1), task: 0)
        var ends: [Int] = []
        var last: LogPlace?
        while (ends.last ?? 0) + piece < size {
            let payload = [UInt8](repeating: UInt8(ends.count & 127), count: piece)
            let place = try writer.append(
                LogRecord(
                    ref: ref, attempt: 1, step: 0, stream: 1, microseconds: 42,
                    payload: payload[...]))
            ends.append(Int(place.offset))
            last = place
        }
        try writer.flush()
        let end = try #require(last)
        return (end.segment, ends + [Int(end.offset + end.length)])
    }

    @Test func verifyNamesEachFlipOfASmallJournal() throws {
        let fixture = try JournalFixture()
        let name = try segment(fixture, bytes: 400)
        let file = name.stem + ".sealed"
        var bytes = try fixture.contents(file)
        #expect(try JournalVerifier(journal: fixture.directory).isClean)
        var missed: [String] = []
        try flips(&bytes, bytes.indices) { flipped, at, bit in
            // The tests above try every bit: here, on disk, every one of the ends, and one of each byte.
            if at > 140, at < flipped.count - 60, bit != at % 8 { return }
            try fixture.replace(file, with: flipped)
            if try JournalVerifier(journal: fixture.directory).isClean {
                missed.append("\(at).\(bit)")
            }
        }
        #expect(missed.isEmpty, "flips that verify did not name: \(missed.prefix(20))")
    }

    @Test func verifyNamesEachFlipOfASmallLog() throws {
        let fixture = try JournalFixture()
        let journal = try JournalFixture()
        let (name, _) = try log(fixture, bytes: 350, piece: 100)
        let file = name.stem + ".log"
        var bytes = try fixture.contents(file)
        var verifier = try JournalVerifier(journal: journal.directory)
        try verifier.addLogs(fixture.directory)
        #expect(verifier.isClean)
        var missed: [String] = []
        try flips(&bytes, bytes.indices) { flipped, at, bit in
            // The tests above try every bit: here, on disk, every one of the ends, and one of each byte.
            if at > 140, at < flipped.count - 60, bit != at % 8 { return }
            try fixture.replace(file, with: flipped)
            var verifier = try JournalVerifier(journal: journal.directory)
            try verifier.addLogs(fixture.directory, pieceTime: 0)
            if verifier.isClean { missed.append("\(at).\(bit)") }
        }
        #expect(missed.isEmpty, "flips that verify did not name: \(missed.prefix(20))")
    }

    /// Also where zeros of a fill stand behind the records, as a killed writer leaves them.
    @Test func verifyNamesAFlipAnywhereInALargeSegment() throws {
        let fixture = try JournalFixture()
        let name = try fixture.crashed(records: 300)
        var bytes = try fixture.contents(name)
        #expect(bytes.count == Self.size)
        var seed: UInt64 = 42
        for _ in 0..<200 {
            seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let at = Int(seed >> 33) % bytes.count
            try flips(&bytes, at..<(at + 1)) { flipped, at, bit in
                if bit != Int(seed >> 24 & 7) { return }
                try fixture.replace(name, with: flipped)
                let verifier = try JournalVerifier(journal: fixture.directory)
                #expect(!verifier.isClean, "byte \(at) bit \(bit)")
            }
        }
    }
}
