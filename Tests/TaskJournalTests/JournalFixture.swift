// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskModel

@testable import TaskJournal

/// A private directory with an empty `journal/`, removed with its owner.
final class JournalFixture {
    let path: String
    let directory: Int32
    private let descriptor: Descriptor

    init() throws {
        path = "/tmp/taskjournal-test.\(Random.bits64())"
        try File.makeDirectory(path)
        descriptor = try File.openDirectory(path)
        directory = descriptor.number
    }

    deinit {
        guard let names = try? JournalDirectory.names(in: directory) else { return }
        for name in names { try? File.unlink(name, at: directory) }
        try? File.removeDirectory(path, at: File.here)
    }

    func names() throws -> [String] { try JournalDirectory.names(in: directory).sorted() }

    func contents(_ name: String) throws -> [UInt8] {
        let file = try File.open(name, at: directory)
        return try File.readAll(file.number, limit: 256 << 20) ?? []
    }

    func replace(_ name: String, with bytes: [UInt8]) throws {
        let file = try File.open(name, at: directory, flags: [.writeOnly, .create, .truncate])
        try File.writeAll(bytes, to: file.number)
    }

    /// A journal that ended without being sealed, as a crash leaves it.
    func crashed(records: Int, epoch: Int = 1) throws -> String {
        let writer = try JournalWriter(at: directory, Self.identity(epoch))
        for index in 1...records { try writer.append(Self.line(index)) }
        try writer.sync()
        return writer.segment.stem + ".open"
    }

    static func identity(_ epoch: Int = 1, _ writer: String = "taskd") -> JournalIdentity {
        JournalIdentity(epoch: epoch, writer: writer, node: "test", boot: "boot")
    }

    static func line(_ index: Int, at time: Int64? = nil) -> EventLine {
        EventLine(time ?? Int64(1_000_000 + index), .note, "-", [.init("n", String(index))])
    }

    /// The `n=` of all records, in the order of reading.
    func numbers() throws -> (numbers: [Int], damages: [Damage]) {
        let reader = try JournalReader(at: directory)
        var numbers: [Int] = []
        while let event = try reader.nextEvent() { numbers.append(event.line.number("n") ?? -1) }
        return (numbers, reader.takeDamages())
    }
}
