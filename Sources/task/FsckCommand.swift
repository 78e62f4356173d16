// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Linux
import SystemPackage
import TaskJournal
import TaskModel
import TaskOptions
import TaskSpool
import TaskTool

struct FsckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fsck", abstract: "Checks the files of a spool against task-spool(7).",
        discussion: """
            Names what is unfinished, with what taskd does about it at its next start, and what \
            cannot be. Reads only, also beside a running taskd, unless --repair is given. Exits 0 \
            when nothing is damaged, 1 when something is, 75 when --repair finds the spool in use.
            """)

    @OptionGroup var spool: SpoolOptions

    @Flag(help: "Mend what is damaged; no taskd may hold the spool.")
    var repair = false

    @Flag(name: [.customShort("q"), .long], help: "Print only what is damaged.")
    var quiet = false

    func run() throws {
        let choice = spool.choice
        let root = try choice.open()
        let owner = repair ? try SpoolLock.take(root.number, choice.path) : nil
        let looker = SpoolLooker(root: root.number, path: choice.path)
        var findings = owner == nil ? try looker.settled() : try looker.look()
        var left = findings.filter(\.isDamage)
        if owner != nil {
            left = try SpoolRepair(root: root.number, looker: looker).mend(findings)
            findings = try looker.look()
        }
        withExtendedLifetime(owner) {}
        try report(findings, left)
        if !left.isEmpty { throw ExitCode(ExitStatus.no) }
    }

    private func report(_ findings: [SpoolFinding], _ left: [SpoolFinding]) throws {
        let output = Output(paged: false)
        for finding in findings where finding.isDamage || !quiet {
            let word = finding.isDamage ? "damaged" : "unfinished"
            try output.write(
                "\(HumanText.printable(finding.place)): \(word): "
                    + HumanText.printable("\(finding.meaning): \(finding.remedy)") + "\n")
        }
        if !quiet {
            let rest = findings.count { !$0.isDamage }
            try output.write(
                (left.isEmpty ? "no damage" : "\(left.count) damaged") + ", \(rest) unfinished\n")
        }
        try output.finish()
    }
}

/// The spool's lock, for as long as it is mended.
enum SpoolLock {
    static func take(_ root: Int32, _ path: String) throws -> SpoolOwner {
        switch try SpoolOwner.take(spool: root, forLife: false) {
        case .owner(let owner): return owner
        case .held(let record):
            let who = record.map { "pid \($0.pid)" } ?? "another process"
            throw ToolError(
                "unable to repair \(path): \(who) holds it, nothing was changed; stop taskd first",
                status: ExitStatus.tryLater)
        }
    }
}

/// Looks at a spool and at its journal.
struct SpoolLooker {
    let root: Int32
    let path: String
    /// What moves meanwhile is gone when it is looked at again, so often.
    private static let looks = 3
    private static let pause: Int64 = 250_000

    /// What still stands when it was looked at several times.
    func settled() throws -> [SpoolFinding] {
        var findings = try look()
        for _ in 1..<Self.looks where !findings.isEmpty {
            _ = try EventLoop().turn(until: Clock.boot() + Self.pause)
            let again = Set(try look())
            findings = findings.filter(again.contains)
        }
        return findings
    }

    func look() throws -> [SpoolFinding] {
        let survey: SpoolSurvey
        do {
            survey = try SpoolSurvey(reading: root)
        } catch {
            throw ToolError(unableTo: "read", path, error, "nothing is known of it")
        }
        guard survey.directories[.journal] != nil else {
            return SpoolCheck(survey, root: root, pasts: [:]) { _ in nil }.findings
        }
        let journal = try File.openDirectory("journal", at: root)
        var fold = JournalFold(interesting: survey.ids.union(incoming(survey)), inodes: [])
        // Of what was claimed the ledger knows.
        try read(journal.number) { line, boot in
            if line["gen"] == nil { fold.add(line, isThisBoot: boot) }
        }
        let texts = PlanTexts { body in try read(journal.number) { line, _ in body(line) } }
        return SpoolCheck(survey, root: root, pasts: fold.runs) { texts.text($0) }.findings
    }

    /// The plan that a run's accept stands for.
    func planText(of id: TaskID) throws -> String? {
        let journal = try File.openDirectory("journal", at: root)
        var fold = JournalFold(interesting: [id], inodes: [])
        try read(journal.number) { line, boot in fold.add(line, isThisBoot: boot) }
        let texts = PlanTexts { body in try read(journal.number) { line, _ in body(line) } }
        return fold.runs[id]?.accept.flatMap { accept in
            accept.plan ?? accept.digest.flatMap { texts.text($0) }
        }
    }

    private func incoming(_ survey: SpoolSurvey) -> [TaskID] {
        survey.entries.compactMap { entry in
            guard entry.directory == .incoming, case .unit(_, let id) = DropName(entry.name) else {
                return nil
            }
            return id
        }
    }

    private func read(_ journal: Int32, _ body: (EventLine, Bool) -> Void) throws {
        let boot = OwnerRecord(ownWith: 0).boot
        let reader = try JournalReader(at: journal)
        while let event = try reader.nextEvent() {
            if event.at.segment.writer == "taskd" { body(event.line, event.boot == boot) }
        }
    }
}

/// Texts of plans that accept records carry; the journal is read for them once, when one is asked for.
private final class PlanTexts {
    private let read: ((EventLine) -> Void) throws -> Void
    private var texts: [String: String]?

    init(_ read: @escaping (_ body: (EventLine) -> Void) throws -> Void) { self.read = read }

    func text(_ digest: String) -> String? {
        if texts == nil {
            var found: [String: String] = [:]
            try? read { line in
                if line.verb == .accept, let digest = line["digest"], let plan = line["plan"] {
                    found[digest] = plan
                }
            }
            texts = found
        }
        return texts?[digest]
    }
}
