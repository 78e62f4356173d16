// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskJournal
import TaskModel
import TaskSpool

/// The first start-up of a boot, also after a stop in order: what lies in rejected/ says why.
extension Daemon {
    /// A reason is not synced when its drop is rejected: where the failure took its bytes or its name,
    /// it is written again from the journal, which is read for that.
    func recoverReasons() {
        let names = unexplained()
        if names.isEmpty { return }
        let known = reasons(of: names)
        for name in names.sorted() {
            let text = known[name] ?? "why it was rejected is not known any more"
            let taken = TakenName(id: newID(), name: name)
            if writeReason(taken, name, text, durable: true) { continue }
            unwritten[taken.id] = text
            after(journal.lastSequence, .moveRejected(taken, as: name))
        }
    }

    /// Names in rejected/ without a reason beside them.
    private func unexplained() -> Set<String> {
        var names: Set<String> = []
        try? spool.names(in: .rejected) { bytes in
            let name = String(decoding: bytes, as: UTF8.self)
            if name.hasSuffix(".reason") { return }
            let status = try? File.status("\(name).reason", at: self.spool.number(.rejected))
            if status.map({ $0.size == 0 }) ?? true { names.insert(name) }
        }
        return names
    }

    /// What the journal says of them: the last word on a name counts.
    private func reasons(of names: Set<String>) -> [String: String] {
        var reasons: [String: String] = [:]
        do {
            let reader = try JournalReader(at: spool.number(.journal))
            while let event = try reader.nextEvent() {
                let line = event.line
                guard line.verb == .reject || line.verb == .note, let what = line["what"],
                    let path = line["as"] ?? line["name"]
                else { continue }
                let name = String(path.split(separator: "/").last ?? "")
                if names.contains(name) { reasons[name] = what }
            }
        } catch {
            report.warning("unable to \(error.sentence), some reasons in rejected/ are lost")
        }
        return reasons
    }
}
