// SPDX-License-Identifier: Apache-2.0

/// Something broken on purpose, which an oracle must catch: `--defect=NAME`. The patches of defects/ ask
/// for theirs in a copy of the real code; those of `ofModel` are a call that has no effect.
public enum Defect {
    /// - journal-sync: fdatasync of the journal
    /// - journal-name: fsync of journal/, after a segment is made
    /// - file-sync: fsync of other files: reduced plans, large plans, the checkpoint
    /// - directory-sync: fsync of the spool's directories
    /// - end-first: the pool tells the ends that it has kept before the subtasks
    /// - sleepers-untold: the pool does not tell a new taskd who sleeps
    public static let ofModel = [
        "journal-sync", "journal-name", "file-sync", "directory-sync", "end-first",
        "sleepers-untold",
    ]

    /// Set before the first history; one thread.
    nonisolated(unsafe) public static var current = ""

    public static func has(_ name: String) -> Bool { name == current }

    /// Whether syncing it has no effect.
    static func skips(_ node: DiskNode, _ machine: Machine) -> Bool {
        if current.isEmpty { return false }
        let journal = machine.disk.root.entries["s"]?.entries["journal"]
        let isSegment = journal?.entries.values.contains { $0 === node } ?? false
        return switch current {
        case "journal-sync": isSegment
        case "journal-name": node === journal
        case "file-sync": node.kind == .file && !isSegment
        case "directory-sync": node.kind == .directory && node !== journal
        default: false
        }
    }
}
