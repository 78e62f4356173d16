// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskModel
import Testing

@testable import TaskJournal

/// A spool's `journal/` and `log/`, removed with their owner.
private final class CompressionFixture {
    let root: Int32
    private let path = "/tmp/taskcompress-test.\(Random.bits64())"
    private let descriptors: [Int32]

    init() throws {
        try File.makeDirectory(path)
        for name in ["journal", "log"] { try File.makeDirectory("\(path)/\(name)", at: File.here) }
        let paths = [path, path + "/journal", path + "/log"]
        descriptors = try paths.map { try File.openDirectory($0).release() }
        root = descriptors[0]
    }

    deinit {
        for (name, directory) in [("journal", descriptors[1]), ("log", descriptors[2])] {
            for file in (try? JournalDirectory.names(in: directory)) ?? [] {
                try? File.unlink(file, at: directory)
            }
            try? File.removeDirectory(name, at: root)
        }
        for number in descriptors { _ = Descriptor(owning: number) }
        try? File.removeDirectory(path, at: File.here)
    }

    var journal: Int32 { descriptors[1] }
    var log: Int32 { descriptors[2] }

    func names(_ directory: Int32) throws -> [String] {
        try JournalDirectory.names(in: directory).sorted()
    }

    func contents(_ name: String) throws -> [UInt8] {
        let file = try File.open(name, at: journal)
        return try File.readAll(file.number, limit: 256 << 20) ?? []
    }

    func replace(_ name: String, with bytes: [UInt8]) throws {
        let file = try File.open(name, at: journal, flags: [.writeOnly, .create, .truncate])
        try File.writeAll(bytes, to: file.number)
    }

    /// Segments of another writer than taskd, each of about a megabyte; their names.
    func write(segments: Int, records: Int = 4000, writer: String = "9.9") throws -> [SegmentName] {
        var limits = JournalLimits()
        limits.segmentBytes = 1 << 20
        let writer = try JournalWriter(
            at: journal, JournalFixture.identity(1, writer), limits: limits)
        var index = 0
        while writer.segment.number <= segments {
            index += 1
            var line = JournalFixture.line(index)
            line.set(
                "what", String(index &* 0x9E37_79B9, radix: 36) + String(repeating: "x", count: 90))
            try writer.append(line)
            if index % 500 == 0 { try writer.sync() }
        }
        try writer.close()
        return try JournalDirectory(reading: journal).segments.map(\.name).dropLast()
    }

    @discardableResult
    func compress(
        _ place: SegmentCompression.Place = .journal
    ) throws -> [SegmentCompression.Outcome] {
        guard let work = try SegmentCompression(place, in: root) else { return [] }
        var outcomes: [SegmentCompression.Outcome] = []
        for name in try work.segments() { outcomes.append(try work.compress(name)) }
        return outcomes
    }

    func numbers() throws -> (numbers: [Int], damages: [Damage]) {
        let reader = try JournalReader(at: journal)
        var numbers: [Int] = []
        while let event = try reader.nextEvent() { numbers.append(event.line.number("n") ?? -1) }
        return (numbers, reader.takeDamages())
    }
}

@Suite struct CompressionTests {
    @Test func aCompressedJournalReadsAsBefore() throws {
        let fixture = try CompressionFixture()
        let names = try fixture.write(segments: 2)
        let before = try fixture.numbers()
        let plain = try fixture.contents(names[0].stem + ".sealed")
        let outcomes = try fixture.compress()
        guard case .compressed(let from, let to) = outcomes[0] else {
            Issue.record("it is \(outcomes)")
            return
        }
        #expect(from == Int64(plain.count) && to < from / 3)
        #expect(try fixture.names(fixture.journal).filter { $0.hasSuffix(".zst") }.count >= 2)
        #expect(!(try fixture.names(fixture.journal)).contains(names[0].stem + ".sealed"))
        let after = try fixture.numbers()
        #expect(after.numbers == before.numbers && after.damages.isEmpty)
        #expect(try JournalVerifier(journal: fixture.journal).isClean)
        // Plain offsets, also in the middle of a frame and across two.
        let source = try #require(try SegmentCursor.open(names[0], at: fixture.journal))
        for at in [0, 1, 262_140, 262_144, 500_000, plain.count - 3] {
            var part = [UInt8](repeating: 0, count: 9)
            let count = try source.read(into: &part, at: Int64(at))
            #expect(part[..<count] == plain[at..<min(at + 9, plain.count)])
        }
        #expect(try source.size() == Int64(plain.count))
    }

    @Test func aCursorGoesOnAtItsPlaceInTheCompressedForm() throws {
        let fixture = try CompressionFixture()
        let name = try fixture.write(segments: 1)[0]
        let cursor = try #require(try SegmentCursor(name, at: fixture.journal))
        var last: JournalRecord?
        for _ in 0..<3000 {
            if case .record(let record) = try cursor.next() { last = record }
        }
        let place = try #require(last)
        try fixture.compress()
        let again = try #require(
            try SegmentCursor(
                name, at: fixture.journal, offset: place.end, sequence: place.sequence))
        #expect(again.isCompressed)
        #expect(try again.reaches(place.end))
        #expect(try !again.reaches(2 << 20))
        guard case .record(let next) = try again.next() else {
            Issue.record("no record")
            return
        }
        #expect(next.sequence == place.sequence + 1)
    }

    @Test func theLastTwoOfTaskdAndSmallOnesStayPlain() throws {
        let fixture = try CompressionFixture()
        let names = try fixture.write(segments: 4, writer: "taskd")
        _ = try JournalWriter(at: fixture.journal, JournalFixture.identity(1, "8.8")).close()
        let outcomes = try fixture.compress()
        #expect(outcomes.filter { $0 != .left }.count == 3)
        #expect(outcomes.filter { $0 == .left }.count == 1)
        let files = try fixture.names(fixture.journal)
        #expect(files.contains(names[0].stem + ".zst") && files.contains(names[3].stem + ".sealed"))
        #expect(files.filter { $0.hasSuffix(".sealed") }.count == 3)
    }

    @Test func aDamagedFrameIsCorruptionAndLaterOnesAreRead() throws {
        let fixture = try CompressionFixture()
        let name = try fixture.write(segments: 1)[0]
        let before = try fixture.numbers().numbers
        try fixture.compress()
        var bytes = try fixture.contents(name.stem + ".zst")
        let source = try #require(try SegmentCursor.open(name, at: fixture.journal))
        #expect(source.isCompressed)
        let table = try #require(try table(fixture, name))
        #expect(table.frames.count == 4)
        bytes[Int(table.frames[1].offset) + 100] ^= 4
        try fixture.replace(name.stem + ".zst", with: bytes)
        let after = try fixture.numbers()
        #expect(after.damages.first?.kind == .corrupt && after.damages.count == 1)
        #expect(after.numbers.first == before.first && after.numbers.last == before.last)
        let lost = before.count - after.numbers.count
        #expect(lost > 1000 && lost < before.count / 2)
        #expect(!(try JournalVerifier(journal: fixture.journal).isClean))
    }

    @Test func damageInTheLastFrameIsNoTornTail() throws {
        let fixture = try CompressionFixture()
        let name = try fixture.write(segments: 1)[0]
        try fixture.compress()
        var bytes = try fixture.contents(name.stem + ".zst")
        let table = try #require(try table(fixture, name))
        bytes[Int(table.frames[3].offset) + 20] ^= 4
        try fixture.replace(name.stem + ".zst", with: bytes)
        let damages = try fixture.numbers().damages
        #expect(damages.contains { $0.kind == .corrupt } && !damages.contains { $0.kind == .torn })
    }

    @Test func withoutItsTableTheFramesAreStillFound() throws {
        let fixture = try CompressionFixture()
        let name = try fixture.write(segments: 1)[0]
        let before = try fixture.numbers().numbers
        try fixture.compress()
        let whole = try fixture.contents(name.stem + ".zst")
        let table = try #require(try table(fixture, name))
        // A flip in the tail (aTableThatDoesNotAddUpIsRefused tries each byte), then a file that was cut.
        for at in stride(from: Int(table.packedBytes), to: whole.count, by: 9) {
            var bytes = whole
            bytes[at] ^= 1
            try fixture.replace(name.stem + ".zst", with: bytes)
            let after = try fixture.numbers()
            #expect(after.damages.contains { $0.kind == .table }, "byte \(at)")
            #expect(after.numbers == before, "byte \(at)")
        }
        try fixture.replace(name.stem + ".zst", with: Array(whole[..<Int(table.packedBytes)]))
        #expect(try fixture.numbers().numbers == before)
        // A bad frame as well: the next one is searched for.
        var bytes = whole
        bytes[Int(table.frames[1].offset)] ^= 1
        bytes[whole.count - 20] ^= 1
        try fixture.replace(name.stem + ".zst", with: bytes)
        let after = try fixture.numbers()
        #expect(after.numbers.last == before.last && after.numbers.count < before.count)
        try fixture.replace(name.stem + ".zst", with: Array("no zstd at all, but long enough".utf8))
        #expect(try fixture.numbers().damages.contains { $0.kind == .header })
    }

    @Test func everyBitOfAFrameIsCovered() throws {
        let fixture = try CompressionFixture()
        let name = try fixture.write(segments: 1)[0]
        try fixture.compress()
        let whole = try fixture.contents(name.stem + ".zst")
        let table = try #require(try table(fixture, name))
        for index in stride(from: 0, to: Int(table.packedBytes), by: 7919) {
            var bytes = whole
            bytes[index] ^= 1 << UInt8(index % 8)
            try fixture.replace(name.stem + ".zst", with: bytes)
            #expect(!(try JournalVerifier(journal: fixture.journal).isClean), "byte \(index)")
        }
    }

    @Test func aFrameThatClaimsMoreThanItMayIsRefused() throws {
        let bomb = [UInt8](repeating: 0, count: 64 << 20)
        let compressor = try #require(FrameCompressor(most: bomb.count))
        let frame = Array(try #require(compressor.frame(bomb[...])))
        #expect(frame.count < 64 << 10)
        var table = FrameTable()
        let isTaken = table.add(packed: frame.count, plain: bomb.count, checksum: 0)
        #expect(!isTaken)
        // One whose table lies about it.
        let name = SegmentName(epoch: 1, writer: "9.9", number: 1)
        let isLie = table.add(
            packed: frame.count, plain: FrameTable.frameBytes,
            checksum: Checksum.crc32c(frame[...]))
        #expect(isLie)
        let fixture = try CompressionFixture()
        try fixture.replace(name.stem + ".zst", with: frame + table.encode(for: name))
        let source = try #require(try SegmentCursor.open(name, at: fixture.journal))
        #expect(source.isTableWhole)
        var part = [UInt8](repeating: 0, count: 10)
        #expect(try source.read(into: &part, at: 0) == 10)
        #expect(part == [UInt8](repeating: 0xff, count: 10))
        // And one without a table.
        try fixture.replace(name.stem + ".zst", with: frame)
        #expect(throws: JournalError.self) { try SegmentCursor.open(name, at: fixture.journal) }
    }

    @Test func aTableThatDoesNotAddUpIsRefused() throws {
        let name = SegmentName(epoch: 1, writer: "9.9", number: 1)
        var table = FrameTable()
        for plain in [FrameTable.frameBytes, FrameTable.frameBytes, 77] {
            let isAdded = table.add(packed: 100, plain: plain, checksum: 5)
            #expect(isAdded)
        }
        let isBehindShort = table.add(packed: 100, plain: 1, checksum: 5)
        #expect(!isBehindShort)
        let tail = table.encode(for: name)
        let size = 300 + Int64(tail.count)
        #expect(FrameTable(tail, count: 3, fileBytes: size, for: name) == table)
        #expect(FrameTable(tail, count: 3, fileBytes: size + 1, for: name) == nil)
        #expect(FrameTable(tail, count: 2, fileBytes: size, for: name) == nil)
        #expect(FrameTable(tail, count: 3, fileBytes: size, for: name.next) == nil)
        for at in tail.indices {
            var flipped = tail
            flipped[at] ^= 8
            #expect(FrameTable(flipped, count: 3, fileBytes: size, for: name) == nil, "byte \(at)")
        }
        #expect(FrameTable.count(tail[...]) == 3)
        #expect(FrameTable.count(tail.suffix(8)) == nil)
        #expect(FrameTable.count([255, 255, 255, 255, 0, 0xb1, 0xea, 0x92, 0x8f]) == nil)
    }

    @Test func whatAKilledOneLeftIsMadeAgain() throws {
        let fixture = try CompressionFixture()
        let name = try fixture.write(segments: 1)[0]
        let before = try fixture.numbers()
        // Both forms, the compressed one no good, and one that was being written.
        try fixture.replace(name.stem + ".zst", with: [1, 2, 3])
        try fixture.replace(name.stem + ".zst.new", with: [1, 2, 3])
        try fixture.replace("mine.zst.new", with: [1, 2, 3])
        #expect(try fixture.numbers().numbers == before.numbers, "the plain one is read")
        try fixture.compress()
        #expect(
            try fixture.names(fixture.journal).filter { $0.hasPrefix(name.stem) }
                == [name.stem + ".zst"])
        #expect(try fixture.names(fixture.journal).contains("mine.zst.new"), "it is no segment's")
        let after = try fixture.numbers()
        #expect(after.numbers == before.numbers && after.damages.isEmpty)
    }

    @Test func oneAtATime() throws {
        let fixture = try CompressionFixture()
        guard let first = try SegmentCompression(.journal, in: fixture.root) else {
            Issue.record("a new directory was not free")
            return
        }
        #expect(try fixture.compress().isEmpty)
        if try SegmentCompression(.journal, in: fixture.root) != nil {
            Issue.record("it was taken twice")
        }
        _ = try first.segments()
    }

    @Test func aLogSegmentThatIsWrittenIsLeftAlone() throws {
        let fixture = try CompressionFixture()
        let ref = TaskRef(run: TaskID(high: 7, low: 1), task: 0)
        var places: [LogPlace] = []
        do {
            let writer = LogWriter(at: fixture.log, epoch: 3, writer: "9.9")
            for index in 0..<40 {
                places.append(
                    try writer.append(
                        LogRecord(
                            ref: ref, attempt: 1, step: 0, stream: 1, microseconds: 42,
                            payload: [UInt8](repeating: UInt8(index + 32), count: 20_000)[...])))
            }
            try writer.flush()
            let outcomes = try fixture.compress(.log)
            #expect(outcomes == [.inUse])
            withExtendedLifetime(writer) {}
        }
        let modified = try #require(LogSegment.modified(places[0].segment, at: fixture.log))
        guard case .compressed = try fixture.compress(.log).first else {
            Issue.record("it was not compressed")
            return
        }
        #expect(LogSegment.modified(places[0].segment, at: fixture.log) == modified)
        for (index, place) in places.enumerated() {
            let record = try LogRecord.read(place, at: fixture.log)
            #expect(record?.payload.first == UInt8(index + 32))
        }
        let reader = try LogReader(
            places[20].segment, at: fixture.log, offset: places[20].offset,
            length: places[20].length)
        #expect(try reader?.next()?.payload.first == 52)
        #expect(try reader?.next() == nil)
        #expect(try LogReader(endOf: places[0].segment, at: fixture.log)?.next() == nil)
        #expect(try LogSegment.names(in: fixture.log) == [places[0].segment])
        var verifier = try JournalVerifier(journal: fixture.journal)
        try verifier.addLogs(fixture.log)
        #expect(verifier.isClean && verifier.logRecords == 40)
    }

    private func table(_ fixture: CompressionFixture, _ name: SegmentName) throws -> FrameTable? {
        let file = try File.open(name.stem + ".zst", at: fixture.journal)
        return try CompressedBytes(file.number, name)?.table
    }
}
