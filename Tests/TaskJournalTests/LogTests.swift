// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskModel
import Testing

@testable import TaskJournal

@Suite struct LogTests {
    private let first = TaskRef(run: TaskID(high: 7, low: 1), task: 0)
    private let second = TaskRef(run: TaskID(high: 7, low: 2), task: 3)

    private func record(_ ref: TaskRef, _ text: String, stream: Int = 1, step: Int = 0) -> LogRecord
    {
        LogRecord(
            ref: ref, attempt: 1, step: step, stream: stream, microseconds: 42,
            payload: Array(text.utf8)[...])
    }

    private func texts(_ reader: LogReader?, of ref: TaskRef) throws -> [String] {
        var texts: [String] = []
        while let record = try reader?.next(of: ref, attempt: 1) {
            texts.append(String(decoding: record.payload, as: UTF8.self))
        }
        return texts
    }

    @Test func outputOfOneTaskIsFoundAmongOthers() throws {
        let fixture = try JournalFixture()
        let writer = LogWriter(at: fixture.directory, epoch: 3, writer: "9.9")
        let start = try writer.append(record(first, "one\n"))
        _ = try writer.append(record(second, "other 0 1 2 3 00000000\n"))
        let end = try writer.append(record(first, "two\n", stream: 2))
        try writer.flush()
        let length = end.offset + end.length - start.offset
        let reader = try LogReader(
            start.segment, at: fixture.directory, offset: start.offset, length: length)
        #expect(try texts(reader, of: first) == ["one\n", "two\n"])
        let whole = try LogReader(start.segment, at: fixture.directory)
        #expect(try texts(whole, of: second) == ["other 0 1 2 3 00000000\n"])
        #expect(try LogSegment.names(in: fixture.directory) == [start.segment])
    }

    @Test func aBadRecordIsSkipped() throws {
        let fixture = try JournalFixture()
        let writer = LogWriter(at: fixture.directory, epoch: 3, writer: "9.9")
        let bad = try writer.append(record(first, "one\n"))
        _ = try writer.append(record(first, "two\n"))
        try writer.flush()
        let name = bad.segment.stem + ".log"
        let bytes = try fixture.contents(name)
        for at in Int(bad.offset)..<Int(bad.offset + bad.length) {
            var flipped = bytes
            flipped[at] ^= 4
            try fixture.replace(name, with: flipped)
            let reader = try LogReader(bad.segment, at: fixture.directory)
            #expect(try texts(reader, of: first) == ["two\n"], "byte \(at)")
            #expect(reader?.badBytes == bad.length, "byte \(at)")
        }
    }

    @Test func aPlaceReadsAsItIsWritten() {
        let place = LogPlace(
            segment: SegmentName(epoch: 1, writer: "taskd", number: 2), offset: 30, length: 7)
        #expect(place.text == "00000001-taskd-000002:30+7")
        #expect(LogPlace(place.text) == place)
        for bad in ["", "a:1+2", "00000001-taskd-000002:30", "00000001-taskd-000002:-1+2"] {
            #expect(LogPlace(bad) == nil)
        }
    }

    @Test func aFollowerSeesWhatIsAppended() throws {
        let fixture = try JournalFixture()
        let writer = LogWriter(at: fixture.directory, epoch: 1, writer: "9.9")
        let place = try writer.append(record(first, "one"))
        try writer.flush()
        let reader = try LogReader(place.segment, at: fixture.directory)
        #expect(try texts(reader, of: first) == ["one"])
        _ = try writer.append(record(first, String(repeating: "x", count: 400_000)))
        try writer.flush()
        #expect(try texts(reader, of: first).map(\.utf8.count) == [400_000])
    }
}

@Suite struct SpoolOwnerTests {
    @Test func oneProcessHoldsASpool() throws {
        let fixture = try JournalFixture()
        guard case .owner(let owner) = try SpoolOwner.take(spool: fixture.directory) else {
            Issue.record("a new spool was not free")
            return
        }
        #expect(owner.record.epoch == 1 && owner.previous == nil && owner.isNewBoot)
        #expect(owner.record.isAlive)
        guard case .held(let holder) = try SpoolOwner.take(spool: fixture.directory) else {
            Issue.record("it was taken twice")
            return
        }
        #expect(holder == owner.record)
        #expect(try SpoolOwner.read(spool: fixture.directory) == owner.record)
    }

    @Test func anEpochIsNeverUsedTwice() throws {
        let fixture = try JournalFixture()
        for epoch in 1...3 {
            guard
                case .owner(let owner) = try SpoolOwner.take(
                    spool: fixture.directory, forLife: epoch == 2)
            else {
                Issue.record("not free")
                return
            }
            #expect(owner.record.epoch == epoch)
            #expect(owner.record.isAlive == (epoch == 2))
        }
        try File.makeDirectory("journal", at: fixture.directory)
        let journal = try File.openDirectory("journal", at: fixture.directory)
        let writer = try JournalWriter(at: journal.number, JournalFixture.identity(9))
        try writer.close()
        try fixture.replace("owner", with: Array("torn".utf8))
        guard case .owner(let owner) = try SpoolOwner.take(spool: fixture.directory) else {
            Issue.record("not free")
            return
        }
        #expect(owner.record.epoch == 10 && owner.previous == nil)
        for name in try JournalDirectory.names(in: journal.number) {
            try File.unlink(name, at: journal.number)
        }
        try File.removeDirectory("journal", at: fixture.directory)
    }
}

@Suite(.enabled(if: SmallDisk.isAvailable, "needs root to mount a small tmpfs"))
struct FullDiskTests {
    @Test func theReserveTakesTheRecordsOfWhatRuns() throws {
        let disk = try SmallDisk()
        let reserve = try SpaceReserve(at: disk.directory)
        #expect(reserve.bytes > 0 && !reserve.isShort)
        let writer = try JournalWriter(
            at: disk.directory, JournalFixture.identity(), reserve: reserve)
        try writer.append(JournalFixture.line(0))
        try writer.sync()
        try disk.fill()
        let written = try recordsUntilFull(writer)
        #expect(reserve.isShort && written > 100 && written < 20_000)
        #expect(writer.syncedThrough == UInt64(written + 1) && writer.needsSync)
        try disk.free()
        try writer.sync()
        #expect(!writer.needsSync)
        #expect(reserve.refill())
        let reader = try JournalReader(at: disk.directory)
        var count = 0
        while let event = try reader.nextEvent() { count += event.line.verb == .note ? 1 : 0 }
        #expect(count == written + 2)
        #expect(reader.takeDamages().isEmpty)
    }

    @Test func aLogSegmentThatFoundNoSpaceIsMadeAgain() throws {
        let disk = try SmallDisk()
        let name = SegmentName(epoch: 1, writer: "taskd", number: 1)
        try disk.fill()
        #expect(throws: JournalError.self) { _ = try LogSegment.create(name, at: disk.directory) }
        try disk.free()
        let segment = try LogSegment.create(name, at: disk.directory)
        #expect(try File.status(of: segment.number).size > 0)
    }

    private func recordsUntilFull(_ writer: JournalWriter) throws -> Int {
        for index in 1...20_000 {
            try writer.append(JournalFixture.line(index))
            do {
                try writer.sync()
            } catch {
                guard case .full = error else { throw error }
                return index - 1
            }
        }
        return 20_000
    }
}
