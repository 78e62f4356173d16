// SPDX-License-Identifier: Apache-2.0
import Linux
import TaskModel
import Testing

@testable import TaskJournal

@Suite struct JournalRecoveryTests {
    /// The bytes of a crashed journal without the zeros, and where its records begin.
    private func sample(_ fixture: JournalFixture) throws -> (name: String, [UInt8], [Int]) {
        let name = try fixture.crashed(records: 6)
        let bytes = try fixture.contents(name)
        let used = (bytes.lastIndex { $0 != 0 } ?? 0) + 1
        let ends = bytes[..<used].indices.filter { bytes[$0] == UInt8(ascii: "\n") }.map { $0 + 1 }
        return (name, Array(bytes[..<used]), ends)
    }

    @Test func aTailCutAtAnyByteKeepsTheLongestPrefix() throws {
        let fixture = try JournalFixture()
        let (name, bytes, ends) = try sample(fixture)
        for cut in ends[0]..<bytes.count {
            for zeros in [0, 100] {
                try clean(fixture)
                try fixture.replace(
                    name, with: Array(bytes[..<cut]) + [UInt8](repeating: 0, count: zeros))
                let whole = ends.filter { $0 <= cut }.count - 1
                let torn = cut - (ends.last { $0 <= cut } ?? 0)
                let recovery = try JournalRecovery(at: fixture.directory, writer: "taskd")
                #expect(recovery.end?.sequence == UInt64(whole))
                #expect(recovery.damages.map(\.bytes) == (torn > 0 ? [Int64(torn)] : []))
                let names = try fixture.names()
                #expect(names.contains { $0.hasSuffix(".torn") } == (torn > 0))
                #expect(try fixture.numbers().numbers == Array(1..<(whole + 1)))
                #expect(try JournalRecovery(at: fixture.directory, writer: "taskd").damages == [])
            }
        }
    }

    private func clean(_ fixture: JournalFixture) throws {
        for name in try fixture.names() { try File.unlink(name, at: fixture.directory) }
    }

    @Test func aFlippedBitLosesOneRecord() throws {
        let fixture = try JournalFixture()
        let (name, bytes, ends) = try sample(fixture)
        let stem = String(name.dropLast(5))
        try clean(fixture)
        for at in ends[0]..<ends[5] {
            var flipped = bytes
            flipped[at] ^= 1 << UInt8(at % 8)
            try fixture.replace(stem + ".sealed", with: flipped)
            let lost = ends.firstIndex { at < $0 } ?? 0
            let (numbers, damages) = try fixture.numbers()
            #expect(numbers == Array(1...6).filter { $0 != lost }, "byte \(at)")
            #expect(damages.map(\.kind) == [.corrupt], "byte \(at)")
            #expect(damages.first?.sequences == UInt64(lost)...UInt64(lost), "byte \(at)")
            #expect(try fixture.contents(stem + ".sealed") == flipped)
        }
    }

    @Test func aZeroedSectorIsCorruptionWhenSomethingFollows() throws {
        let fixture = try JournalFixture()
        let (name, bytes, ends) = try sample(fixture)
        var zeroed = bytes
        for at in (ends[1] + 7)..<(ends[3] - 3) { zeroed[at] = 0 }
        try fixture.replace(name, with: zeroed)
        let recovery = try JournalRecovery(at: fixture.directory, writer: "taskd", boot: "boot")
        #expect(recovery.damages.map(\.kind) == [.corrupt])
        #expect(recovery.damages.first?.sequences == 2...3)
        #expect(try fixture.numbers().numbers == [1, 4, 5, 6])
    }

    /// The same where the zeros begin with a record: recovery keeps what a reader saw.
    @Test func zerosInsteadOfARecordAreCorruptionWhenSomethingFollows() throws {
        let fixture = try JournalFixture()
        let (name, bytes, ends) = try sample(fixture)
        var zeroed = bytes
        for at in ends[1]..<ends[3] { zeroed[at] = 0 }
        try fixture.replace(name, with: zeroed)
        #expect(try fixture.numbers().numbers == [1, 4, 5, 6])
        let recovery = try JournalRecovery(at: fixture.directory, writer: "taskd", boot: "boot")
        #expect(recovery.damages.map(\.kind) == [.corrupt])
        #expect(recovery.damages.first?.sequences == 2...3)
        #expect(recovery.end?.sequence == 6)
        #expect(try fixture.numbers().numbers == [1, 4, 5, 6])
    }

    /// Numbers that nobody writes, with right checksums, are damage.
    @Test func numbersBeforeTheFirstAreDamage() throws {
        let fixture = try JournalFixture()
        let name = SegmentName(epoch: 1, writer: "taskd", number: 1)
        func header(_ first: UInt64) -> [UInt8] {
            SegmentHeader(node: "n", boot: "b", created: 1, firstSequence: first, previous: nil)
                .bytes
        }
        var records: [UInt8] = []
        let line = JournalFixture.line(1).bytes[...]
        for sequence in [1, 0, 2] as [UInt64] {
            RecordFrame.append(
                line, sequence: sequence, isAfterSync: false, seed: RecordFrame.seed(name),
                to: &records)
        }
        records[3] ^= 1
        try fixture.replace(name.stem + ".sealed", with: header(0) + records)
        #expect(try fixture.numbers().damages.map(\.kind) == [.header])
        try fixture.replace(name.stem + ".sealed", with: header(1) + records)
        #expect(try fixture.numbers().damages.map(\.kind) == [.corrupt])
        #expect(SegmentName(stem: "9223372036854775807-taskd-000001") == nil)
        #expect(SegmentName(stem: "00000001-taskd-9223372036854775807") == nil)
        #expect(
            OwnerRecord(parsing: Array("host=a boot=b pid=1 start=1 epoch=\(Int.max)".utf8)) == nil)
        let last = "host=a boot=b pid=1 start=1 epoch=\(SegmentName.most)"
        try fixture.replace("owner", with: Array(last.utf8))
        guard case .owner(let owner) = try SpoolOwner.take(spool: fixture.directory) else {
            return #expect(Bool(false), "nobody holds it")
        }
        #expect(owner.record.epoch == 1, "none comes after it")
    }

    /// fsync(2) of a segment failed and the copy was not finished: another fsync must not be believed.
    @Test func aSegmentThatCouldNotBeSyncedIsWrittenAgain() throws {
        let fixture = try JournalFixture()
        let name = try fixture.crashed(records: 6)
        let stem = String(name.dropLast(5))
        // Held, so that its number is not given again.
        let first = try File.open(name, at: fixture.directory)
        try fixture.replace("\(stem).1.copy", with: [1, 2, 3])
        let recovery = try JournalRecovery(at: fixture.directory, writer: "taskd")
        #expect(recovery.end?.sequence == 6 && recovery.damages.isEmpty)
        #expect(try fixture.names() == ["\(stem).sealed"])
        let second = try File.status("\(stem).sealed", at: fixture.directory).inode
        #expect(try File.status(of: first.number).inode != second)
        #expect(try fixture.numbers().numbers == Array(1...6))
    }

    /// Unlike damage, that may be over in a moment: what it holds is not to be thought gone.
    @Test(arguments: [1, 2]) func aSegmentThatCannotBeReadIsNoDamage(_ number: Int) throws {
        let fixture = try JournalFixture()
        let identity = JournalFixture.identity()
        for epoch in 1...2 {
            var end: ChainEnd?
            if epoch > 1 { end = try JournalRecovery(at: fixture.directory, writer: "taskd").end }
            let writer = try JournalWriter(at: fixture.directory, identity, after: end)
            try writer.append(JournalFixture.line(epoch))
            try writer.close()
        }
        let name = try fixture.names()[number - 1]
        // read(2) of a directory fails (EISDIR).
        try File.unlink(name, at: fixture.directory)
        try File.makeDirectory(name, at: fixture.directory)
        defer { try? File.removeDirectory(name, at: fixture.directory) }
        #expect(throws: JournalError.self) { try fixture.numbers() }
        if number == 2 {
            #expect(throws: JournalError.self) {
                try JournalRecovery(at: fixture.directory, writer: "taskd")
            }
        }
    }

    @Test func zerosAreTheEnd() throws {
        let fixture = try JournalFixture()
        _ = try fixture.crashed(records: 6)
        let recovery = try JournalRecovery(at: fixture.directory, writer: "taskd")
        #expect(recovery.damages.isEmpty)
        #expect(recovery.end?.sequence == 6)
    }

    @Test func theNextEpochGoesOn() throws {
        let fixture = try JournalFixture()
        _ = try fixture.crashed(records: 4)
        let recovery = try JournalRecovery(at: fixture.directory, writer: "taskd")
        let writer = try JournalWriter(
            at: fixture.directory, JournalFixture.identity(2), after: recovery.end)
        #expect(try writer.append(JournalFixture.line(5)) == 5)
        try writer.sync()
        let (numbers, damages) = try fixture.numbers()
        #expect(numbers == Array(1...5))
        #expect(damages.isEmpty)
    }

    @Test func aPositionThatAPowerFailureTookAwaySkipsNothingNew() throws {
        let fixture = try JournalFixture()
        let first = try fixture.crashed(records: 6)
        let position = JournalPosition(
            segment: SegmentName(epoch: 1, writer: "taskd", number: 1), sequence: 6)
        // Of six records two reached the disk: the next epoch counts on from 3.
        let whole = try fixture.contents(first)
        let ends = whole.indices.filter { whole[$0] == UInt8(ascii: "\n") }
        try fixture.replace(first, with: Array(whole[...ends[2]]))
        let recovery = try JournalRecovery(at: fixture.directory, writer: "taskd")
        let writer = try JournalWriter(
            at: fixture.directory, JournalFixture.identity(2), after: recovery.end)
        #expect(try writer.append(JournalFixture.line(30)) == 3)
        try writer.sync()
        let reader = try JournalReader(at: fixture.directory, after: position)
        #expect(try reader.nextEvent()?.line.number("n") == 30)
        #expect(try reader.nextEvent() == nil)
    }

    @Test func aMissingSegmentIsAGap() throws {
        let fixture = try JournalFixture()
        for epoch in 1...3 {
            let recovery = try JournalRecovery(at: fixture.directory, writer: "taskd")
            let writer = try JournalWriter(
                at: fixture.directory, JournalFixture.identity(epoch), after: recovery.end)
            try writer.append(JournalFixture.line(epoch))
            try writer.close()
        }
        try File.unlink("00000002-taskd-000001.sealed", at: fixture.directory)
        let (numbers, damages) = try fixture.numbers()
        #expect(numbers == [1, 3])
        #expect(
            damages == [
                Damage(.gap, SegmentName(epoch: 3, writer: "taskd", number: 1), sequences: 2...2)
            ])
        try fixture.replace("00000003-taskd-000001.sealed", with: [])
        #expect(try fixture.numbers().damages.map(\.kind) == [.header])
    }

    @Test func anotherSegmentsRecordIsNotTaken() throws {
        let fixture = try JournalFixture()
        let (name, bytes, ends) = try sample(fixture)
        let stray = Array(bytes[ends[2]..<ends[3]])
        try clean(fixture)
        let second = try fixture.crashed(records: 2, epoch: 2)
        let other = try fixture.contents(second)
        let used = (other.lastIndex { $0 != 0 } ?? 0) + 1
        try fixture.replace(second, with: Array(other[..<used]) + stray)
        #expect(try fixture.numbers().numbers == [1, 2])
        #expect(name != second)
    }

    @Test func aLiveWriterIsLeftAlone() throws {
        let fixture = try JournalFixture()
        let other = try JournalWriter(at: fixture.directory, JournalFixture.identity(1, "9.9"))
        try other.append(JournalFixture.line(1))
        try other.flush()
        let recovery = try JournalRecovery(at: fixture.directory, writer: "taskd")
        #expect(recovery.end == nil && recovery.damages.isEmpty)
        #expect(try fixture.names() == [other.segment.stem + ".open"])
    }

    @Test(arguments: [0, 1, 40])
    func aSegmentWithoutAWholeHeaderIsSetAside(length: Int) throws {
        let fixture = try JournalFixture()
        let (name, bytes, _) = try sample(fixture)
        try fixture.replace(name, with: Array(bytes[..<length]))
        let recovery = try JournalRecovery(at: fixture.directory, writer: "taskd")
        #expect(recovery.damages.map(\.kind) == [.header] && recovery.end == nil)
        #expect(try fixture.names() == [name.dropLast(5) + ".torn"])
        let writer = try JournalWriter(at: fixture.directory, JournalFixture.identity(2))
        #expect(try writer.append(JournalFixture.line(1)) == 1)
        try writer.close()
        #expect(try fixture.numbers().numbers == [1])
    }

    @Test func aCrashBetweenTailAndCutIsRepeated() throws {
        let fixture = try JournalFixture()
        let (name, bytes, ends) = try sample(fixture)
        let stem = name.dropLast(5)
        // The tail was kept aside, the segment not yet cut and sealed.
        try fixture.replace(name, with: Array(bytes[..<(ends[3] + 9)]))
        try fixture.replace(stem + ".torn", with: Array(bytes[ends[3]..<(ends[3] + 4)]))
        for attempt in 1...3 {
            let recovery = try JournalRecovery(at: fixture.directory, writer: "taskd")
            #expect(recovery.damages.map(\.bytes) == (attempt == 1 ? [9] : []))
            #expect(recovery.end?.sequence == 3)
            #expect(try fixture.names() == [stem + ".sealed", stem + ".torn"])
            #expect(try fixture.contents(stem + ".torn").count == 9)
        }
    }
}
