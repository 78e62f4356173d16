// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Linux
import SystemPackage
import TaskJournal
import TaskOptions
import TaskTool

struct VerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Checks every checksum of journal and logs.",
        discussion: "Exits 0 when all is well, 1 when something is damaged, naming it.")

    @OptionGroup var spool: SpoolOptions

    @Flag(name: [.customShort("q"), .long], help: "Print only what is damaged.")
    var quiet = false

    func run() throws {
        let root = try spool.choice.open()
        var verifier: JournalVerifier
        do {
            let journal = try Self.directory("journal", at: root.number)
            let log = try Self.directory("log", at: root.number)
            verifier = try JournalVerifier(journal: journal.number)
            try verifier.addLogs(log.number)
        } catch {
            throw ToolError(
                "unable to \(error.sentence), nothing is known of the rest",
                status: ExitStatus.ioError)
        }
        for damage in verifier.damages { reporter.error("journal/\(damage.sentence)") }
        for (segment, bytes) in verifier.badLogs {
            reporter.error("log/\(segment).log: \(bytes) bytes belong to no valid piece of output")
        }
        for segment in verifier.badTables {
            reporter.error("log/\(segment).zst: its seek table is corrupt")
        }
        if !quiet { try Self.summary(verifier) }
        if !verifier.isClean { throw ExitCode(ExitStatus.no) }
    }

    private static func directory(
        _ name: String, at root: Int32
    ) throws(JournalError) -> Descriptor {
        do {
            return try File.openDirectory(name, at: root)
        } catch {
            throw .io(verb: "open", name: name + "/", errno: error)
        }
    }

    private static func summary(_ verifier: JournalVerifier) throws {
        let text =
            "\(verifier.records) records in \(verifier.segments) segments, \(verifier.logRecords) "
            + "pieces of output in \(verifier.logSegments): "
            + (verifier.isClean ? "no damage\n" : "damaged\n")
        try File.writeAll(Array(text.utf8), to: 1)
    }
}
