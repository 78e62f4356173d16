// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskJournal
import TaskModel

@testable import TaskHistory

/// A spool with only a journal, removed with its owner.
final class HistoryFixture {
    let spool: String
    let journal: Int32
    private let descriptor: Descriptor
    private(set) var writer: JournalWriter
    private var epoch = 1
    private(set) var time: Int64 = 1_700_000_000_000_000

    init() throws {
        spool = "/tmp/taskhistory-test.\(Random.bits64())"
        try File.makeDirectory(spool)
        try File.makeDirectory(spool + "/journal")
        descriptor = try File.openDirectory(spool + "/journal")
        journal = descriptor.number
        writer = try JournalWriter(
            at: journal,
            JournalIdentity(epoch: 1, writer: "taskd", node: "node1", boot: "boot"))
    }

    deinit {
        if let names = try? DirectoryStream(".", at: journal) {
            while let name = try? names.next() {
                try? File.unlink(String(decoding: name, as: UTF8.self), at: journal)
            }
        }
        try? File.removeDirectory(spool + "/journal", at: File.here)
        try? File.removeDirectory(spool, at: File.here)
    }

    /// Appends `VERB ID fields…`, a second after the line before.
    func event(_ text: String) throws {
        time += 1_000_000
        try writer.append(raw: Array("\(time) \(text)".utf8)[...])
    }

    /// Seals the segment; what follows is of another epoch.
    func nextSegment() throws {
        try writer.close()
        epoch += 1
        let end = try JournalRecovery(at: journal, writer: "taskd").end
        writer = try JournalWriter(
            at: journal,
            JournalIdentity(epoch: epoch, writer: "taskd", node: "node\(epoch)", boot: "boot"),
            after: end)
    }

    func history() throws -> History {
        try writer.flush()
        return try History(spool: spool)
    }

    static func run(_ number: UInt64) -> TaskID {
        TaskID(milliseconds: 1000, upper: 0, lower: number)
    }

    /// A plan of a library and a site that needs it, percent-encoded.
    static var plan: String {
        PercentCoding.encode(
            "taskplan 1\ntask 0 libpng.service command=true\ntask 1 site command=pandoc\n"
                + "edge 0 1 ok\ndigest 00\n")
    }

    /// A run of two tasks: the first succeeds, the second fails twice, the last time for good.
    func siteRun(_ run: TaskID) throws {
        try event("accept \(run) name=site unit=site.task tasks=2 by=1000 plan=\(Self.plan)")
        try event("start \(run).0 a=1 name=libpng.service as=test")
        try event(
            "end \(run).0 a=1 state=success exit=0 cpu=1200 mem=4096 final=yes name=libpng.service")
        try event("start \(run).1 a=1 name=site as=test")
        try event(
            "end \(run).1 a=1 state=failure reason=exit exit=7 name=site log=00000001-taskd-000001:9+5"
        )
        try event("retry \(run).1 a=2 due=\(time + 5_000_000)")
        try event("start \(run).1 a=2 name=site as=test")
        try event(
            "end \(run).1 a=2 state=failure reason=exit exit=8 final=yes name=site what=bad%20luck")
        try event("end \(run) state=failure reason=exit final=yes")
    }
}
