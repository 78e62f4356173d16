// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskJournal
import TaskModel
import TaskSpool
import TaskTool

/// Takes event lines one by one: output goes into log segments, everything else into the journal,
/// an attempt's end with the place of its output.
final class Appender {
    /// What is wrong with a line; the line is left out.
    struct Garbage: Error {
        var sentence: String
    }

    // Its directories stay open for the writers.
    private let spool: Spool
    private let journal: JournalWriter
    private let log: LogWriter
    /// Where the output of each running attempt lies, by `RUN.K:N`.
    private var places: [Attempt: [LogPlace]] = [:]
    private let copies: Bool
    private var scratch: [UInt8] = []

    private struct Attempt: Hashable {
        var ref: TaskRef
        var number: Int
    }

    /// - Parameter copies: write output to standard output and error as well.
    init(_ spool: Spool, copies: Bool) throws(JournalError) {
        self.copies = copies
        self.spool = spool
        let writer = SpoolOwner.ownWriterName
        let directory = spool.number(.journal)
        (journal, log) = try SpoolOwner.withEpoch(spool: spool.rootNumber) {
            epoch throws(JournalError) in
            let journal = try JournalWriter(
                at: directory, JournalIdentity(epoch: epoch, writer: writer))
            let log = LogWriter(at: spool.number(.log), epoch: epoch, writer: writer)
            return (journal, log)
        }
    }

    /// Takes one line without its line end; an empty one says nothing.
    func take(_ line: ArraySlice<UInt8>) throws {
        if line.isEmpty { return }
        if OutputNote.isOne(line) { return try takeOutput(line) }
        let event: EventLine
        do {
            event = try EventLine(parsing: line)
        } catch {
            throw Garbage(sentence: error.sentence)
        }
        switch event.verb {
        case .end, .lost: try takeEnd(event, line)
        default: try journal.append(raw: line)
        }
    }

    private func takeOutput(_ line: ArraySlice<UInt8>) throws {
        guard let note = OutputNote(line) else {
            throw Garbage(sentence: "bad output: a=, step=, fd=1 or 2 and data= are wanted")
        }
        add(try log.append(note.record), to: note.record)
        if copies { copy(note.record) }
    }

    private func add(_ place: LogPlace, to record: LogRecord) {
        let attempt = Attempt(ref: record.ref, number: record.attempt)
        var all = places[attempt, default: []]
        if let last = all.last, last.segment == place.segment {
            all[all.count - 1].length = place.offset + place.length - last.offset
        } else {
            all.append(place)
        }
        places[attempt] = all
    }

    // The task's own words go where it wrote them, a check's to standard error.
    private func copy(_ record: LogRecord) {
        let target: Int32 = record.step == 0 && record.stream == 1 ? 1 : 2
        try? File.writeAll(Array(record.payload), to: target)
    }

    private func takeEnd(_ event: EventLine, _ line: ArraySlice<UInt8>) throws {
        guard let ref = event.ref, ref.task != nil,
            let found = places.removeValue(
                forKey: Attempt(ref: ref, number: event.number("a") ?? 1))
        else { return _ = try journal.append(raw: line) }
        try log.flush()
        scratch.removeAll(keepingCapacity: true)
        scratch.append(contentsOf: line)
        for place in found { scratch.append(contentsOf: " log=\(place.text)".utf8) }
        try journal.append(raw: scratch[...])
    }

    /// Everything taken so far is durable (output: handed to the kernel).
    func sync() throws(JournalError) {
        try log.flush()
        try journal.sync()
    }

    /// Bytes that wait for the next sync.
    var isLarge: Bool { journal.syncDeadline(now: 0, idle: false) == 0 }

    /// Ends the segments.
    func close() throws(JournalError) {
        try log.flush()
        try journal.close()
    }
}
