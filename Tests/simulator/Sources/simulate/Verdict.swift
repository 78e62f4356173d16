// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskEngine
import TaskJournal
import TaskModel
import TaskSpool

@testable import taskd

/// The oracles that are asked when nothing happens any more.
struct Verdict {
    private let simulation: Simulation
    private var disk: Disk { simulation.machine.disk }
    private var truth: Truth { simulation.truth }

    /// taskd alone holds so many.
    static let mostDescriptors = 32

    init(_ simulation: Simulation) { self.simulation = simulation }

    private func names(_ directory: String) -> [String] {
        (try? disk.find("/s/\(directory)"))?.entries.keys.sorted() ?? []
    }

    /// What has not ended; nil when all is quiet.
    var unrest: String? {
        for directory in ["incoming", "ready", "active", "deferred", "hold"] {
            if let name = names(directory).first(where: { !$0.hasPrefix(".") }) {
                return "\(directory)/\(name) is still there"
            }
        }
        guard let daemon = simulation.daemon else { return "taskd has not come to its loop" }
        if !(simulation.pool?.isAtRest ?? true) { return "the pool still has attempts or events" }
        if !daemon.runs.isEmpty { return "taskd still knows a run" }
        if !daemon.afterSync.isEmpty || daemon.journal.needsSync {
            return "a record is not durable"
        }
        if daemon.reconcile != nil { return "taskd still waits for the pool's table" }
        let others = names("tmp").first { !$0.hasPrefix(".") && TaskID($0) == nil }
        return others.map { "tmp/\($0) is still there" } ?? leftover
    }

    /// Half of a plan that a full or failing disk left in tmp/ and did not let go: of no run, and the next
    /// start removes it. It may be there when all else is quiet.
    var leftover: String? {
        names("tmp").first { TaskID($0) != nil }.map { "tmp/\($0) is still there" }
    }

    /// All is quiet, taskd runs: it holds nothing that grows.
    func quiet() {
        guard let daemon = simulation.daemon else { return }
        let open = simulation.machine.process.descriptors
        if open > Self.mostDescriptors { truth.fail("P7", "taskd has \(open) descriptors open") }
        let left: [(String, Int)] = [
            ("pool.sent", daemon.pool.sent.count), ("pool.killed", daemon.pool.killed.count),
            ("pool.gated", daemon.pool.gated.count), ("announced", daemon.pool.announced.count),
            ("vanished", daemon.vanished.count), ("strangers", daemon.strangers.count),
            ("commands", daemon.commands.count), ("rejecting", daemon.rejecting.count),
            ("unwritten", daemon.unwritten.count), ("elsewhere", daemon.elsewhere.count),
            ("unsynced", daemon.checkpoint.unsynced.count),
            ("undone", daemon.checkpoint.undone.count), ("engine", daemon.engine.running),
        ]
        for (what, count) in left where count > 0 {
            truth.fail("P7", "all is quiet, and taskd remembers \(count) in \(what)")
        }
    }

    /// taskd has ended: the spool and its journal are read as task fsck does.
    func atRest() {
        simulation.machine.begin()
        defer { simulation.machine.bury() }
        do {
            try check()
        } catch {
            truth.fail("P7", "the spool cannot be read: \(error)")
        }
    }

    private func check() throws {
        let root = try File.openDirectory("/s")
        let journal = try File.openDirectory("journal", at: root.number)
        for (name, file) in simulation.pruned { try disk.putBack(file, name, in: "/s/journal") }
        let survey = try SpoolSurvey(reading: root.number)
        var fold = JournalFold(interesting: survey.ids, inodes: [])
        var ends: [String: [String]] = [:]
        var accepts: [String: [EventLine]] = [:]
        var ids: [String: EventLine] = [:]
        var ended: Set<String> = []
        // Where fdatasync failed, the segment was given up, and its records written again.
        let isRewritten = simulation.machine.met["syncData EIO"] != nil
        var family = FamilyVerdict(truth, isRewritten: isRewritten)
        var arrays = ArrayVerdict(truth)
        let reader = try JournalReader(at: journal.number)
        while let event = try reader.nextEvent() {
            let line = event.line
            if !truth.isTainted { family.add(line) }
            if !truth.isTainted, !isRewritten { arrays.add(line) }
            fold.add(line, isThisBoot: event.boot == "boot-\(simulation.machine.boot)")
            switch line.verb {
            case .accept, .reject, .arm:
                accepts[line["name"] ?? "", default: []].append(line)
                ids[line.id] = line
            case .end where line["final"] == "yes":
                ended.insert(line.id)
                checkState(line)
                let end = "\(line.id)+\(line["g"] ?? "0")"
                if line["recovered"] != "yes" { ends[end, default: []].append(line["state"] ?? "") }
            default: break
            }
        }
        let damages = reader.takeDamages()
        if !truth.isTainted {
            family.close()
            family.checkCancelled()
            for (id, states) in ends where (isRewritten ? Set(states).count : states.count) > 1 {
                truth.fail("P2", "\(id) has \(states.count) ends")
            }
            for (name, drop) in truth.drops { check(name, drop, accepts, ended) }
            for id in truth.durableRuns where ids[id] == nil {
                truth.fail(
                    "P1", "the accept of \(id) was on disk, and the journal does not have it")
            }
        }
        for (id, past) in fold.runs where past.isLive && past.accept != nil && !truth.isTainted {
            truth.fail("P8", "\(id) was accepted and has no end")
        }
        let check = SpoolCheck(survey, root: root.number, pasts: fold.runs) { _ in nil }
        for finding in check.findings where !truth.isTainted {
            truth.fail("fsck", "\(finding.place): \(finding.meaning)")
        }
        _ = damages
    }

    /// Nobody changes an accepted plan.
    private func checkState(_ line: EventLine) {
        if truth.isTainted { return }
        if line["reason"] == "changed" {
            truth.fail("P1", "\(line.id) failed: its accepted plan was damaged")
        }
    }

    private func check(
        _ name: String, _ drop: Truth.Drop, _ accepts: [String: [EventLine]], _ ended: Set<String>
    ) {
        if drop.mayBeLost || !drop.isWhole { return }
        // Between taking a bad name and its reject a crash leaves the safe one.
        let lines =
            (accepts[name] ?? []) + (name == drop.safeName ? [] : accepts[drop.safeName] ?? [])
        guard let first = lines.first else {
            if drop.isRemoved { return }
            return truth.fail("P1", "\(name) is lost: the journal does not know it")
        }
        if Set(lines.map(\.id)).count > 1, !drop.mayComeBack {
            let all = Set(lines.map(\.id)).sorted().joined(separator: " and ")
            truth.fail("P2", "\(name) ran under two ids, \(all)")
        }
        if let id = drop.id, id.description != first.id {
            truth.fail("P1", "\(name) was submitted as \(id) and accepted as \(first.id)")
        }
        if first.verb == .accept {
            if drop.recipe.isBad, first["name"] == name {
                truth.fail("P3", "\(name) is bad and was accepted")
            }
            if !ended.contains(first.id) { truth.fail("P8", "\(name), \(first.id), has no end") }
        } else if first.verb == .reject {
            if !drop.recipe.isBad {
                truth.fail("P1", "\(name) is good and was rejected: \(first["what"] ?? "")")
            }
            // Accepted under its safe name after all, by a crash before its second reject.
            if drop.isFileLost || lines.contains(where: { $0.verb == .accept }) { return }
            let kept = first["as"] ?? first["name"] ?? name
            let there = names("rejected")
            if !there.contains(where: { $0.hasPrefix(kept) && !$0.hasSuffix(".reason") }) {
                truth.fail("P3", "\(name) was rejected, and is not in rejected/")
            }
            if !there.contains(where: { $0.hasPrefix(kept) && $0.hasSuffix(".reason") }) {
                truth.fail("P3", "\(name) was rejected without a reason")
            }
        }
    }
}
