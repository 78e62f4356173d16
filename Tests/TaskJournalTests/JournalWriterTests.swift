// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskModel
import Testing

@testable import TaskJournal

@Suite struct JournalWriterTests {
    @Test func recordsComeBackInOrder() throws {
        let fixture = try JournalFixture()
        let writer = try JournalWriter(at: fixture.directory, JournalFixture.identity())
        for index in 1...100 {
            #expect(try writer.append(JournalFixture.line(index)) == UInt64(index))
        }
        #expect(writer.needsSync && writer.syncedThrough == 0)
        try writer.sync()
        #expect(writer.syncedThrough == 100 && !writer.needsSync && writer.pendingBytes == 0)
        let (numbers, damages) = try fixture.numbers()
        #expect(numbers == Array(1...100))
        #expect(damages.isEmpty)
        try writer.close()
        #expect(try fixture.names() == ["00000001-taskd-000001.sealed"])
        #expect(try fixture.numbers().numbers == Array(1...100))
    }

    @Test func aSmallJournalStaysSmall() throws {
        let fixture = try JournalFixture()
        let writer = try JournalWriter(at: fixture.directory, JournalFixture.identity())
        try writer.append(JournalFixture.line(1))
        try writer.sync()
        let size = try File.status(writer.segment.stem + ".open", at: fixture.directory).size
        #expect(size == SegmentFile.firstFill)
    }

    @Test func fullSegmentsAreSealedAndChained() throws {
        let fixture = try JournalFixture()
        var limits = JournalLimits()
        limits.segmentBytes = 4096
        let writer = try JournalWriter(
            at: fixture.directory, JournalFixture.identity(), limits: limits)
        for index in 1...500 {
            try writer.append(JournalFixture.line(index))
            if index % 3 == 0 { try writer.flush() }
            if index % 7 == 0 { try writer.sync() }
        }
        try writer.sync()
        let entries = try JournalDirectory(reading: fixture.directory).segments
        #expect(entries.count > 3)
        #expect(entries.dropLast().allSatisfy(\.isSealed) && entries.last?.isSealed == false)
        let (numbers, damages) = try fixture.numbers()
        #expect(numbers == Array(1...500))
        #expect(damages.isEmpty)
    }

    @Test func aGroupWaitsOnlyUnderLoad() throws {
        let fixture = try JournalFixture()
        let writer = try JournalWriter(at: fixture.directory, JournalFixture.identity())
        #expect(writer.syncDeadline(now: 10, idle: true) == nil)
        try writer.append(JournalFixture.line(1))
        #expect(writer.syncDeadline(now: 10, idle: true) == 10)
        #expect(writer.syncDeadline(now: 10, idle: false) == 5010)
        #expect(writer.syncDeadline(now: 400, idle: false) == 5010)
        let long = JournalFixture.line(2).bytes + Array(repeating: UInt8(ascii: "x"), count: 9000)
        for _ in 0..<30 { try writer.append(raw: long[...]) }
        #expect(writer.syncDeadline(now: 400, idle: false) == 400)
    }

    @Test func aLineThatIsTooLongIsRefused() throws {
        let fixture = try JournalFixture()
        let writer = try JournalWriter(at: fixture.directory, JournalFixture.identity())
        let long = [UInt8](repeating: UInt8(ascii: "x"), count: EventLine.longest + 1)
        #expect(throws: JournalError.tooLong(EventLine.longest + 1)) {
            try writer.append(raw: long[...])
        }
        #expect(writer.lastSequence == 0)
    }

    @Test(arguments: [1, 2])
    func aFailedSyncMovesItsRecordsToANewSegment(failures: Int) throws {
        let fixture = try JournalFixture()
        let writer = try JournalWriter(at: fixture.directory, JournalFixture.identity())
        for index in 1...5 { try writer.append(JournalFixture.line(index)) }
        try writer.sync()
        for index in 6...9 { try writer.append(JournalFixture.line(index)) }
        try writer.flush()
        try writer.append(JournalFixture.line(10))
        var left = failures
        writer.syncData = { descriptor throws(Errno) in
            if left > 0 {
                left -= 1
                throw .ioError
            }
            try File.syncData(descriptor)
        }
        try writer.sync()
        #expect(writer.syncedThrough == 10)
        #expect(writer.segment.number == 1 + failures)
        let (numbers, damages) = try fixture.numbers()
        #expect(numbers == Array(1...10))
        #expect(damages.isEmpty)
    }

    @Test func aSegmentWithoutRecordsIsSyncedWhereSomethingNamesIt() throws {
        let fixture = try JournalFixture()
        let writer = try JournalWriter(at: fixture.directory, JournalFixture.identity())
        var synced: [Int] = []
        var fails = true
        writer.syncData = { descriptor throws(Errno) in
            synced.append(writer.segment.number)
            defer { fails = false }
            if fails { throw .ioError }
            try File.syncData(descriptor)
        }
        try writer.sync()
        #expect(synced == [])  // no record waits for it
        try writer.syncSegment()
        #expect(synced == [1, 2])
        try writer.syncSegment()
        #expect(synced == [1, 2])
        try writer.append(JournalFixture.line(1))
        try writer.syncSegment()
        #expect(synced == [1, 2, 2] && writer.syncedThrough == 1)
    }

    @Test func threeFailedSyncsEndIt() throws {
        let fixture = try JournalFixture()
        let writer = try JournalWriter(at: fixture.directory, JournalFixture.identity())
        try writer.append(JournalFixture.line(1))
        try writer.sync()
        try writer.append(JournalFixture.line(2))
        var left = 3
        writer.syncData = { _ throws(Errno) in
            if left > 0 {
                left -= 1
                throw .ioError
            }
        }
        #expect(throws: JournalError.notDurable(errno: .ioError)) { try writer.sync() }
        // The kernel says it once and then that all is well: neither writer nor reader believes that.
        #expect(throws: JournalError.notDurable(errno: .ioError)) { try writer.sync() }
        #expect(writer.syncedThrough == 1)
        let (numbers, damages) = try fixture.numbers()
        #expect(numbers == [1])
        #expect(damages.isEmpty)
    }

    @Test func writersAreMergedByTime() throws {
        let fixture = try JournalFixture()
        let first = try JournalWriter(at: fixture.directory, JournalFixture.identity())
        let second = try JournalWriter(
            at: fixture.directory, JournalFixture.identity(1, "77.5"))
        for index in 1...20 {
            let writer = index % 3 == 0 ? second : first
            try writer.append(JournalFixture.line(index))
        }
        try first.sync()
        try second.close()
        let (numbers, damages) = try fixture.numbers()
        #expect(numbers == Array(1...20))
        #expect(damages.isEmpty)
    }

    @Test func aReaderFollowsALiveSegment() throws {
        let fixture = try JournalFixture()
        let writer = try JournalWriter(at: fixture.directory, JournalFixture.identity())
        let reader = try JournalReader(at: fixture.directory)
        for index in 1...10 {
            try writer.append(JournalFixture.line(index))
            try writer.flush()
            try reader.refresh()
            #expect(try reader.nextEvent()?.line.number("n") == index)
            #expect(try reader.nextEvent() == nil)
        }
        let later = try JournalReader(
            at: fixture.directory,
            after: JournalPosition(segment: writer.segment, sequence: 7))
        #expect(try later.nextEvent()?.line.number("n") == 8)
    }
}
