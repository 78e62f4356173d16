// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskJournal
import TaskModel
import TaskSpool

/// Bad drops (rule 6): the reason is written, the reject journaled, and only then the file moved.
extension Daemon {
    /// - Parameter text: lines `file:line:column: what is wrong: what is allowed`.
    /// - Parameter identity: by which a drop that a power failure brings back is known.
    func reject(_ taken: TakenName, _ text: String, _ identity: DropIdentity? = nil) {
        reject(taken, original: taken.name, text, identity)
    }

    private func reject(
        _ taken: TakenName, original: String, _ text: String, _ identity: DropIdentity? = nil
    ) {
        let name = freeName(taken.name, taken.id)
        if !writeReason(taken, name, text) { unwritten[taken.id] = text }
        let first = text.split(separator: "\n").first.map(String.init) ?? text
        var fields: [EventLine.Field] = [
            .init("name", original), .init("state", TaskState.rejected.word),
            .init("what", String(first.prefix(1000))),
        ]
        if name != original { fields.append(.init("as", name)) }
        if let identity { fields.append(contentsOf: Self.fields(of: identity)) }
        let sequence = record(.reject, taken.id.description, fields)
        after(sequence, .moveRejected(taken, as: name))
        report.warning("\(taken.name) is rejected: \(first)")
    }

    /// False when it could not be written: the file stays in tmp/ until it can.
    ///
    /// - Parameter durable: its bytes and its name are on disk then. A bad drop's need not be: after a
    ///   power failure it is written again from the journal.
    @discardableResult
    func writeReason(
        _ taken: TakenName, _ name: String, _ text: String, durable: Bool = false
    ) -> Bool {
        let temporary = "\(taken.id).reason"
        do {
            try spool.write(
                Array((text.hasSuffix("\n") ? text : text + "\n").utf8), to: temporary, .tmp,
                durable: durable)
            try spool.move(temporary, .tmp, to: "\(name).reason", .rejected)
            if durable { try spool.sync(.rejected) }
            return true
        } catch {
            try? spool.remove(temporary, .tmp)
            report.error(
                "unable to write rejected/\(name).reason: \(error), it is tried again; the journal has "
                    + "the reason: task audit \(taken.id)")
            return false
        }
    }

    /// NAME where that is free in rejected/, else NAME@ID. Decided once: the file comes when its reject
    /// is durable, and by then there may be another of that name. A reason alone is none: a crash left
    /// it.
    private func freeName(_ name: String, _ id: TaskID) -> String {
        let isFree = !spool.exists(name, .rejected) && !rejecting.contains(name)
        let own = isFree ? name : "\(name)@\(id)"
        rejecting.insert(own)
        return own
    }

    /// The reject is durable. True unless the file is still in tmp/.
    func moveRejected(_ taken: TakenName, as name: String) -> Bool {
        if let text = unwritten[taken.id] {
            guard writeReason(taken, name, text) else { return false }
            unwritten[taken.id] = nil
        }
        do {
            try spool.moveNew(taken.text, .tmp, to: name, .rejected)
            rejecting.remove(name)
        } catch {
            if error == .noSuchFileOrDirectory { return true }
            let other = "\(taken.name)@\(taken.id)"
            if error == .fileExists, name != other { return moveRejected(taken, as: other) }
            report.error(
                "unable to move \(taken.text) to rejected/\(name): \(error), it stays in tmp/")
            return false
        }
        return true
    }

    /// A plan that must not run, in a state directory: to rejected/, with a reason.
    func setAside(_ place: PlanPlace, _ why: String) {
        setAside(place.file.run, place.file.description, place.directory, why)
    }

    /// Rare: its record is made durable at once.
    func setAside(_ id: TaskID, _ file: String, _ directory: SpoolDirectory, _ why: String) {
        let own = newID()
        let name = freeName(file, own)
        let text = "\(directory.rawValue)/\(file): \(why): it does not run and may be removed"
        writeReason(TakenName(id: own, name: name), name, text, durable: true)
        record(
            .note, id.description,
            [
                .init("what", "set aside: \(text)"), .init("as", "rejected/\(name)"),
            ])
        do {
            try writeJournal()
            try journal.sync()
            try spool.moveNew(file, directory, to: name, .rejected)
            rejecting.remove(name)
            report.warning("\(text): it is now rejected/\(name)")
        } catch let error as JournalError {
            report.error("unable to \(error.sentence), \(directory.rawValue)/\(file) is left there")
        } catch {
            report.error("unable to move \(directory.rawValue)/\(file) to rejected/: \(error)")
        }
    }

    /// A name that cannot be kept: its file goes to rejected/ under a safe one.
    func refuseUnsafe(_ bytes: [UInt8]) {
        let taken = TakenName(id: newID(), name: DropName.safe(bytes))
        let original = String(decoding: bytes, as: UTF8.self)
        do {
            try spool.take(raw: bytes, as: taken)
        } catch Errno.noSuchFileOrDirectory {
            return
        } catch {
            incoming.postpone(bytes, at: Clock.boot())
            guard incoming.unreadable.insert("take \(taken.name)").inserted else { return }
            report.error(
                "unable to take incoming/\(taken.name): \(error), it stays there and is tried each second"
            )
            return
        }
        let what =
            bytes.count > DropName.longest
            ? "its name has \(bytes.count) bytes: \(DropName.longest) are allowed"
            : "its name has bytes that are not allowed: [A-Za-z0-9@._:-]{1,\(DropName.longest)}, "
                + "not beginning with -"
        reject(taken, original: original, "\(taken.name): \(what)")
    }
}
