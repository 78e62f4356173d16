// SPDX-License-Identifier: Apache-2.0
import Linux
import TaskModel
import Testing

@testable import TaskJournal

/// Goal: what a power failure leaves of records that were not synced is cut where it begins to lack
/// something; what was durable and went bad is not.
@Suite struct HoleTests {
    /// A journal of groups of three records. Group 0 is synced when group 1 is framed, and so on.
    private func groups(_ count: Int, _ fixture: JournalFixture) throws -> (
        name: String, bytes: [UInt8], ends: [Int]
    ) {
        let writer = try JournalWriter(at: fixture.directory, JournalFixture.identity())
        for index in 1...(3 * count) {
            try writer.append(JournalFixture.line(index))
            if index % 3 == 0 { try writer.sync() }
        }
        let name = writer.segment.stem + ".open"
        let bytes = try fixture.contents(name)
        let used = (bytes.lastIndex { $0 != 0 } ?? 0) + 1
        let ends = bytes[..<used].indices.filter { bytes[$0] == UInt8(ascii: "\n") }.map { $0 + 1 }
        return (name, Array(bytes[..<used]), ends)
    }

    /// Zeros instead of the record, and of the others of the range.
    private func holed(_ bytes: [UInt8], _ ends: [Int], _ records: ClosedRange<Int>) -> [UInt8] {
        var bytes = bytes
        for at in ends[records.lowerBound - 1]..<ends[records.upperBound] { bytes[at] = 0 }
        return bytes
    }

    @Test(arguments: [7, 8]) func aHoleInTheLastGroupCutsItOff(_ lost: Int) throws {
        let fixture = try JournalFixture()
        let (name, bytes, ends) = try groups(3, fixture)
        try fixture.replace(name, with: holed(bytes, ends, lost...lost))
        let recovery = try JournalRecovery(at: fixture.directory, writer: "taskd", boot: "next")
        #expect(recovery.damages.map(\.kind) == [.torn])
        #expect(recovery.damages.first?.bytes == Int64(bytes.count - ends[lost - 1]))
        #expect(recovery.end?.sequence == UInt64(lost - 1))
        #expect(try fixture.numbers() == (Array(1..<lost), []))
        let aside = try fixture.contents(name.dropLast(5) + ".torn")
        #expect(aside.suffix(20) == bytes.suffix(20))
        // Nothing is left to say, and the next epoch goes on.
        #expect(try JournalRecovery(at: fixture.directory, writer: "taskd").damages == [])
        #expect(try JournalVerifier(journal: fixture.directory).isClean)
    }

    /// Group 2 begins with the word that group 1 was durable.
    @Test(arguments: [1, 2, 4, 6]) func aHoleInWhatWasDurableIsCorruption(_ lost: Int) throws {
        let fixture = try JournalFixture()
        let (name, bytes, ends) = try groups(3, fixture)
        try fixture.replace(name, with: holed(bytes, ends, lost...lost))
        let recovery = try JournalRecovery(at: fixture.directory, writer: "taskd", boot: "next")
        #expect(recovery.damages.map(\.kind) == [.corrupt])
        #expect(recovery.damages.first?.sequences == UInt64(lost)...UInt64(lost))
        #expect(recovery.end?.sequence == 9)
        #expect(try fixture.numbers().numbers == Array(1...9).filter { $0 != lost })
    }

    @Test func corruptionAndAHoleAreToldApart() throws {
        let fixture = try JournalFixture()
        let (name, bytes, ends) = try groups(3, fixture)
        try fixture.replace(name, with: holed(holed(bytes, ends, 2...2), ends, 8...8))
        let recovery = try JournalRecovery(at: fixture.directory, writer: "taskd", boot: "next")
        #expect(recovery.damages.map(\.kind) == [.corrupt, .torn])
        #expect(recovery.end?.sequence == 7)
    }

    @Test func inTheSameBootNoPowerFailed() throws {
        let fixture = try JournalFixture()
        let (name, bytes, ends) = try groups(3, fixture)
        try fixture.replace(name, with: holed(bytes, ends, 8...8))
        let recovery = try JournalRecovery(at: fixture.directory, writer: "taskd", boot: "boot")
        #expect(recovery.damages.map(\.kind) == [.corrupt])
        #expect(recovery.end?.sequence == 9)
    }

    /// A successor is made only when all of the segment before it is durable.
    @Test func aSegmentThatIsFollowedWasDurable() throws {
        let fixture = try JournalFixture()
        var limits = JournalLimits()
        limits.segmentBytes = 400
        let writer = try JournalWriter(
            at: fixture.directory, JournalFixture.identity(), limits: limits)
        let name = writer.segment
        var index = 0
        while writer.segment == name {
            index += 1
            try writer.append(JournalFixture.line(index))
            try writer.flush()
        }
        try writer.sync()
        let sealed = try fixture.contents(name.stem + ".sealed")
        let ends = sealed.indices.filter { sealed[$0] == UInt8(ascii: "\n") }.map { $0 + 1 }
        try File.unlink(name.stem + ".sealed", at: fixture.directory)
        // The rename of the seal is not durable yet.
        try fixture.replace(name.stem + ".open", with: holed(sealed, ends, 2...2))
        let recovery = try JournalRecovery(at: fixture.directory, writer: "taskd", boot: "next")
        #expect(recovery.damages.map(\.kind) == [.corrupt])
        #expect(recovery.end?.sequence == UInt64(index))
    }

    @Test func theFirstRecordOfAGroupSaysSo() throws {
        let fixture = try JournalFixture()
        let (_, bytes, ends) = try groups(2, fixture)
        let marked = (1...6).filter { record in
            let line = bytes[ends[record - 1]..<ends[record]]
            return line.split(separator: UInt8(ascii: " "))[2].first == UInt8(ascii: "+")
        }
        #expect(marked == [1, 4])
    }
}
