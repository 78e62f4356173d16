// SPDX-License-Identifier: Apache-2.0
public import TaskModel

/// Something in a spool that task-spool(7) does not have at rest.
public struct SpoolFinding: Hashable, Sendable {
    /// What mends it.
    public enum Cure: Hashable, Sendable {
        /// taskd does, at its next start: a row of task-spool(7).
        case start
        /// To rejected/, with a reason.
        case setAside
        /// Another name in the same directory.
        case rename(RunFileName)
        /// The plan is written again from its accept; what lies there goes to rejected/.
        case rewrite
        case permissions(UInt32)
        case makeDirectory
        /// A reason is written beside it.
        case writeReason
        /// Nobody but its owner can.
        case owner
    }

    /// `active/ID`.
    public var place: String
    /// nil: in the spool's own directory.
    public var directory: SpoolDirectory?
    public var name: [UInt8]
    /// What is wrong.
    public var meaning: String
    public var cure: Cure
    /// Nothing that a crash leaves: somebody, or the disk, did it.
    public var isDamage: Bool
    /// What taskd does about it, where it does something.
    public var next: String
    public var run: TaskID?

    init(
        _ entry: SpoolSurvey.Entry, _ meaning: String, _ cure: Cure, next: String,
        isDamage: Bool = true, run: TaskID? = nil
    ) {
        place = entry.place
        directory = entry.directory
        name = entry.name
        self.meaning = meaning
        self.cure = cure
        self.isDamage = isDamage
        self.next = next
        self.run = run
    }

    init(missing directory: SpoolDirectory) {
        place = "\(directory.rawValue)/"
        self.directory = nil
        name = Array(directory.rawValue.utf8)
        meaning = "it is missing"
        cure = .makeDirectory
        isDamage = true
        next = "taskd makes it at its next start"
    }

    /// A run that has no file.
    init(lost id: TaskID, _ meaning: String, next: String) {
        place = id.description
        directory = nil
        name = []
        self.meaning = meaning
        cure = .start
        isDamage = false
        self.next = next
        run = id
    }

    /// What becomes of it: what --repair does, else taskd.
    public var remedy: String {
        switch cure {
        case .start: next
        case .setAside: "--repair moves it to rejected/, with a reason; \(next)"
        case .rename(let file): "--repair renames it to \(file); \(next)"
        case .rewrite: "--repair writes it again from its accept record; \(next)"
        case .permissions(let mode): "--repair sets mode \(String(mode, radix: 8)); \(next)"
        case .makeDirectory: "--repair makes it; \(next)"
        case .writeReason: "--repair writes one; \(next)"
        case .owner: next
        }
    }
}
