// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskModel
import TaskSpool

/// Bad drops (rule 6): the reason is written, the reject journaled, and only then the file moved.
extension Daemon {
    /// - Parameter text: lines `file:line:column: what is wrong: what is allowed`.
    func reject(_ taken: TakenName, _ text: String) {
        reject(taken, original: taken.name, text)
    }

    private func reject(_ taken: TakenName, original: String, _ text: String) {
        writeReason(taken, text)
        let first = text.split(separator: "\n").first.map(String.init) ?? text
        let sequence = record(
            .reject, taken.id.description,
            [
                .init("name", original), .init("state", TaskState.rejected.word),
                .init("what", String(first.prefix(1000))),
            ])
        after(sequence, .moveRejected(taken, original: original))
        report.warning("\(taken.name) is rejected: \(first)")
    }

    private func writeReason(_ taken: TakenName, _ text: String) {
        let reason = rejectedName(taken) + ".reason"
        let temporary = "\(taken.id).reason"
        do {
            try spool.write(
                Array((text.hasSuffix("\n") ? text : text + "\n").utf8), to: temporary, .tmp,
                durable: false)
            try spool.move(temporary, .tmp, to: reason, .rejected)
        } catch {
            report.error(
                "unable to write rejected/\(reason): \(error), the journal has the reason: "
                    + "task audit \(taken.id)")
        }
    }

    /// NAME where it is free in rejected/, else NAME@ID.
    private func rejectedName(_ taken: TakenName) -> String {
        spool.exists(taken.name, .rejected) ? "\(taken.name)@\(taken.id)" : taken.name
    }

    /// The reject is durable.
    func moveRejected(_ taken: TakenName) {
        let name = rejectedName(taken)
        do {
            try spool.moveNew(taken.text, .tmp, to: name, .rejected)
        } catch Errno.noSuchFileOrDirectory {
            return
        } catch {
            report.error(
                "unable to move \(taken.text) to rejected/\(name): \(error), it stays in tmp/")
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
            report.error("unable to take incoming/\(taken.name): \(error), it stays there")
            return
        }
        reject(
            taken, original: original,
            "\(taken.name): its name has bytes that are not allowed: [A-Za-z0-9@._:-]{1,128}, "
                + "not beginning with -")
    }
}
