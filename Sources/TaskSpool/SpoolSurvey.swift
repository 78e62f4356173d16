// SPDX-License-Identifier: Apache-2.0
import Linux
public import SystemPackage
public import TaskModel

/// Everything that lies in a spool, also what has no business there: names and what they are. `Spool`
/// refuses a spool that is not as it must be; this reads any.
public struct SpoolSurvey: Sendable {
    /// A name and what it is.
    public struct Entry: Hashable, Sendable {
        /// nil: in the spool's own directory.
        public var directory: SpoolDirectory?
        public var name: [UInt8]
        public var isRegular: Bool
        /// In words: `a symbolic link`.
        public var kind: String
        public var mode: UInt32
        public var uid: UInt32
        public var size: Int64

        /// `active/ID`.
        public var place: String {
            let text = String(decoding: name, as: UTF8.self)
            return directory.map { "\($0.rawValue)/\(text)" } ?? text
        }
        /// The name as text; nil where it is none.
        public var text: String? {
            let text = String(decoding: name, as: UTF8.self)
            return Array(text.utf8) == name ? text : nil
        }
    }

    /// Directories of the spool that are not there.
    public private(set) var missing: [SpoolDirectory] = []
    /// Names in a directory's place that are none.
    public private(set) var replaced: [Entry] = []
    /// Directories, by what they are.
    public private(set) var directories: [SpoolDirectory: Entry] = [:]
    public private(set) var entries: [Entry] = []
    /// Names of plans in the state directories, and of drops that were taken.
    public private(set) var plans: [TaskID: [(place: PlanPlace, entry: Entry)]] = [:]
    public private(set) var taken: [TaskID: TakenName] = [:]
    public private(set) var full: Set<TaskID> = []
    /// Runs of this spool that lie in outgoing/.
    public private(set) var away: Set<TaskID> = []
    /// Whose spool it is.
    public let uid: UInt32

    /// - Parameter root: the spool's directory.
    public init(reading root: Int32) throws(Errno) {
        uid = try File.status(of: root).uid
        let stream = try DirectoryStream(".", at: root)
        while let name = try stream.next() { addRoot(name, root) }
        for directory in SpoolDirectory.allCases where directories[directory] == nil {
            if !replaced.contains(where: { $0.name == Array(directory.rawValue.utf8) }) {
                missing.append(directory)
            }
        }
        // tmp/ first and the states in the order in which runs move: rather twice than never.
        for directory in [.tmp] + SpoolDirectory.states + [
            .incoming, .rejected, .units, .journal, .log,
        ]
        where directories[directory] != nil {
            try addAll(of: directory, root)
        }
    }

    /// Ids that have a file here.
    public var ids: Set<TaskID> { Set(plans.keys).union(taken.keys).union(full) }

    private mutating func addRoot(_ name: [UInt8], _ root: Int32) {
        guard let entry = Self.entry(name, nil, root) else { return }
        if entry.text == "outgoing" { addOutgoing(root) }
        guard let directory = SpoolDirectory(rawValue: String(decoding: name, as: UTF8.self)) else {
            return entries.append(entry)
        }
        if entry.kind == "a directory" {
            directories[directory] = entry
        } else {
            replaced.append(entry)
        }
    }

    private mutating func addAll(of directory: SpoolDirectory, _ root: Int32) throws(Errno) {
        let opened = try File.openDirectory(directory.rawValue, at: root)
        let stream = try DirectoryStream(".", at: opened.number)
        while let name = try stream.next() {
            guard let entry = Self.entry(name, directory, opened.number) else { continue }
            entries.append(entry)
            if directory == .tmp {
                addTemporary(name)
            } else if SpoolDirectory.states.contains(directory), entry.isRegular,
                let file = RunFileName(bytes: name[...]), file.token == nil
            {
                plans[file.run, default: []].append((PlanPlace(directory, file), entry))
            }
        }
    }

    private mutating func addOutgoing(_ root: Int32) {
        guard let opened = try? File.openDirectory("outgoing", at: root),
            let stream = try? DirectoryStream(".", at: opened.number)
        else { return }
        while let bytes = (try? stream.next()) ?? nil {
            guard let name = OutgoingName(bytes: bytes), name.file.token == nil else { continue }
            away.insert(name.file.run)
        }
    }

    private mutating func addTemporary(_ name: [UInt8]) {
        if let drop = TakenName(name) {
            taken[drop.id] = drop
        } else if name.suffix(5) == Array(".full".utf8)[...],
            let id = TaskID(bytes: name.dropLast(5))
        {
            full.insert(id)
        }
    }

    private static func entry(
        _ name: [UInt8], _ directory: SpoolDirectory?, _ number: Int32
    ) -> Entry? {
        // A name that is no text cannot be asked for: it is no file of the spool's in any case.
        let status = try? File.status(String(decoding: name, as: UTF8.self), at: number)
        if status == nil, Array(String(decoding: name, as: UTF8.self).utf8) == name { return nil }
        return Entry(
            directory: directory, name: name, isRegular: status?.isRegular ?? false,
            kind: status?.kind ?? "a name that is no text", mode: (status?.mode ?? 0) & 0o7777,
            uid: status?.uid ?? 0, size: status?.size ?? 0)
    }
}
