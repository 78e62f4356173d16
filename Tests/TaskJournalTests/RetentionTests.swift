// SPDX-License-Identifier: Apache-2.0
import Linux
import TaskModel
import Testing

@testable import TaskJournal

private func name(_ stem: String) throws -> SegmentName {
    let parts = stem.split(separator: "-")
    return SegmentName(
        epoch: try #require(Int(parts[0])), writer: String(parts[1]),
        number: try #require(Int(parts[2])))
}

/// `EPOCH-WRITER-NUMBER BYTES TIME`, a `!` behind it where it is needed.
private func segments(_ texts: [String]) throws -> [StoredSegment] {
    try texts.map { text in
        let words = text.split(separator: " ")
        return StoredSegment(
            try name(String(words[0])), bytes: try #require(Int64(words[1])),
            modified: try #require(Int64(words[2])), isNeeded: words.count > 3)
    }
}

private func short(_ names: [SegmentName]) -> [String] {
    names.map { "\($0.epoch)-\($0.writer)-\($0.number)" }
}

@Suite struct RetentionTests {
    private static let chain = [
        "1-taskd-1 10 100", "1-taskd-2 10 200", "2-taskd-1 10 300", "2-taskd-2 10 400 !",
    ]

    @Test(
        arguments: [
            (40, []), (39, ["1-taskd-1"]), (30, ["1-taskd-1"]), (29, ["1-taskd-1", "1-taskd-2"]),
            (0, ["1-taskd-1", "1-taskd-2", "2-taskd-1"]), (Int64.max, []),
        ] as [(Int64, [String])])
    func theOldestGoUntilTheRestFits(limit: Int64, gone: [String]) throws {
        let found = Retention.journal(
            try segments(Self.chain.shuffled()), limit: limit, writer: "taskd")
        #expect(short(found) == gone)
    }

    @Test func aChainIsNotTornApart() throws {
        let chain = [
            "1-taskd-1 10 100", "1-taskd-2 10 200 !", "2-taskd-1 10 300", "2-taskd-2 10 400 !",
        ]
        #expect(
            short(Retention.journal(try segments(chain), limit: 0, writer: "taskd"))
                == ["1-taskd-1"])
        // A clock that was set back does not change the order of a chain.
        let odd = ["1-taskd-1 10 900", "1-taskd-2 10 200", "2-taskd-1 10 300 !", "2-9.9-1 10 500"]
        #expect(
            short(Retention.journal(try segments(odd), limit: 25, writer: "taskd"))
                == ["2-9.9-1", "1-taskd-1"])
        #expect(
            short(Retention.journal(try segments(odd), limit: 5, writer: "taskd"))
                == ["2-9.9-1", "1-taskd-1", "1-taskd-2"])
    }

    @Test func chainsOfOthersGoAsAWholeTheirEndFirst() throws {
        let both = [
            "1-taskd-1 10 100", "1-8.8-1 5 10", "1-8.8-2 5 150", "1-taskd-2 10 200",
            "1-taskd-3 1 300 !", "1-9.9-1 10 1", "1-9.9-2 1 400 !",
        ]
        #expect(
            short(Retention.journal(try segments(both), limit: 31, writer: "taskd"))
                == ["1-taskd-1", "1-8.8-2", "1-8.8-1"])
    }

    @Test func logSegmentsThatAreNeededStayWhereTheyAre() throws {
        let log = ["1-taskd-1 10 1 !", "1-taskd-2 10 2", "1-9.9-1 10 3", "1-taskd-3 10 4 !"]
        #expect(short(Retention.log(try segments(log), limit: 30)) == ["1-taskd-2"])
        #expect(short(Retention.log(try segments(log), limit: 0)) == ["1-taskd-2", "1-9.9-1"])
        #expect(Retention.log(try segments(log), limit: 40).isEmpty)
    }

    // MARK: On disk

    /// A chain of one record a segment, epochs 1 to `count`.
    private func chain(
        _ fixture: JournalFixture, _ count: Int, from first: Int = 1, last: EventLine? = nil
    ) throws {
        for epoch in first..<(first + count) {
            let recovery = try JournalRecovery(at: fixture.directory, writer: "taskd")
            let writer = try JournalWriter(
                at: fixture.directory, JournalFixture.identity(epoch), after: recovery.end)
            let isLast = epoch == first + count - 1
            try writer.append(
                isLast ? last ?? JournalFixture.line(epoch) : JournalFixture.line(epoch))
            try writer.close()
        }
    }

    private func note(_ epoch: Int) -> EventLine {
        let gone = StoredSegment(
            SegmentName(epoch: epoch, writer: "taskd", number: 1), bytes: 7, modified: 0)
        return EventLine(2_000_000, .note, "-", RetiredNote.fields(RetiredNote.journal, gone))
    }

    private func remove(_ epochs: ClosedRange<Int>, _ fixture: JournalFixture) throws {
        for epoch in epochs {
            try File.unlink("0000000\(epoch)-taskd-000001.sealed", at: fixture.directory)
        }
    }

    @Test func whatWasRetiredIsNotMissed() throws {
        let fixture = try JournalFixture()
        try chain(fixture, 5, last: note(2))
        #expect(try fixture.numbers().damages.isEmpty)
        try remove(1...1, fixture)
        #expect(try fixture.numbers().damages.isEmpty)
        try remove(2...2, fixture)
        #expect(try fixture.numbers().damages.isEmpty)
        #expect(try JournalVerifier(journal: fixture.directory).isClean)
        #expect(try JournalRecovery(at: fixture.directory, writer: "taskd").damages.isEmpty)
        // One more is missed.
        try remove(3...3, fixture)
        let gap = Damage(.gap, SegmentName(epoch: 4, writer: "taskd", number: 1))
        #expect(try fixture.numbers().damages == [gap])
        #expect(try !JournalVerifier(journal: fixture.directory).isClean)
    }

    @Test func withoutANoteTheFirstSegmentIsMissed() throws {
        let fixture = try JournalFixture()
        try chain(fixture, 3)
        try remove(1...1, fixture)
        let gap = Damage(.gap, SegmentName(epoch: 2, writer: "taskd", number: 1))
        #expect(try fixture.numbers().damages == [gap])
    }

    @Test func aHoleBehindWhatWasRetiredIsMissed() throws {
        let fixture = try JournalFixture()
        try chain(fixture, 5, last: note(1))
        try remove(3...3, fixture)
        let gap = Damage(
            .gap, SegmentName(epoch: 4, writer: "taskd", number: 1), sequences: 3...3)
        #expect(try fixture.numbers().damages == [gap])
        try remove(1...1, fixture)
        #expect(try fixture.numbers().damages == [gap])
    }

    /// A later note takes over for earlier ones, which go with their segments.
    @Test func theLastNoteIsEnough() throws {
        let fixture = try JournalFixture()
        try chain(fixture, 3, last: note(1))
        try remove(1...1, fixture)
        try chain(fixture, 2, from: 4, last: note(3))
        try remove(2...3, fixture)
        #expect(try fixture.numbers().damages.isEmpty)
    }

    @Test func othersCannotRetire() throws {
        let fixture = try JournalFixture()
        try chain(fixture, 3)
        let other = try JournalWriter(at: fixture.directory, JournalFixture.identity(3, "9.9"))
        try other.append(note(1))
        try other.close()
        try remove(1...1, fixture)
        #expect(try fixture.numbers().damages.map(\.kind) == [.gap])
    }

    @Test func sizesAreThoseOfAllForms() throws {
        let fixture = try JournalFixture()
        for (file, size) in [
            ("00000001-taskd-000001.sealed", 10), ("00000001-taskd-000001.zst", 4),
            ("00000001-taskd-000002.zst", 3), ("00000001-taskd-000003.open", 5),
            ("00000001-taskd-000001.torn", 1), ("00000001-taskd-000009.zst.new", 100),
            ("index.sqlite", 1000),
        ] {
            try fixture.replace(file, with: [UInt8](repeating: 0, count: size))
        }
        let store = SegmentStore(.journal, at: fixture.directory)
        let found = try store.segments()
        #expect(found.map(\.bytes) == [15, 3, 5])
        #expect(found.map(\.isNeeded) == [false, false, true])
        #expect(try store.remove(found[0].name) == .removed)
        #expect(try store.remove(found[0].name) == .removed)
        #expect(try store.remove(found[1].name) == .removed)
        #expect(
            try fixture.names() == [
                "00000001-taskd-000003.open", "00000001-taskd-000009.zst.new", "index.sqlite",
            ])
    }

    @Test func whatIsWrittenOrCompressedStays() throws {
        let fixture = try JournalFixture()
        let segment = SegmentName(epoch: 1, writer: "9.9", number: 1)
        let store = SegmentStore(.log, at: fixture.directory)
        do {
            let file = try LogSegment.create(segment, at: fixture.directory)
            #expect(try store.remove(segment) == .inUse)
            withExtendedLifetime(file.number) {}
        }
        do {
            let lock = try File.openDirectory(".", at: fixture.directory)
            #expect(try File.tryLock(lock.number))
            #expect(try store.isBusy())
            #expect(try store.remove(segment) == .inUse)
        }
        #expect(try !store.isBusy() && !store.isWritten(segment))
        #expect(try store.remove(segment) == .removed)
        #expect(try fixture.names().isEmpty)
    }
}
