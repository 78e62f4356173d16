// SPDX-License-Identifier: Apache-2.0
import Glibc
import Linux
import SystemPackage
import TaskJournal

/// A log segment that a peer passed. It is hostile until it is known to be a regular file of his, on
/// a local disk, opened by him for writing: only such a one is written, and closed, without waiting for
/// somebody. What he does to it meanwhile harms his own log alone.
enum PassedSegment {
    /// A description of its own of that file: what he sets on his (O_DIRECT, O_APPEND, its place) does
    /// not count.
    static func open(
        _ passed: PassedDescriptor, for owner: TaskOwner
    ) throws(PoolFault) -> OpenFile {
        guard isLocal(passed) else {
            throw PoolFault(sentence: "the log segment is on no local disk")
        }
        var fault: String?
        do throws(Errno) {
            let flags = try passed.flags()
            let status = try File.status(of: passed.number)
            // On a local disk these are the files that close without waiting.
            if status.isRegular { passed.trust() }
            fault = wrong(flags, status, owner)
            if fault == nil {
                return try ForOwner.accessing(owner.uid, owner.gid) { () throws(Errno) in
                    OpenFile(try passed.reopenedForWriting())
                }
            }
        } catch {
            fault = "can't be used: \(error)"
        }
        throw PoolFault(sentence: "the log segment \(fault ?? "is none")")
    }

    private static func wrong(
        _ flags: Int32, _ status: File.Status, _ owner: TaskOwner
    ) -> String? {
        if !status.isRegular { return "is \(status.kind)" }
        if status.uid != owner.uid { return "belongs to uid \(status.uid)" }
        if status.links == 0 { return "is in no directory" }
        if status.size > LogSegment.full { return "is full" }
        let access = flags & (O_ACCMODE | OpenFlags.path.rawValue)
        if access != O_WRONLY && access != O_RDWR { return "is not open for writing" }
        // O_DIRECT has no name here; a write under O_SYNC waits for the disk.
        if flags & (0o40000 | O_SYNC | O_DSYNC) != 0 {
            return "is open for direct or synced writes"
        }
        return nil
    }

    // MARK: Where it is

    /// Disks, and what is made of memory, by the names of mounts.
    private static let types: Set<Substring> = [
        "ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "bcachefs", "zfs", "jfs", "reiserfs",
        "nilfs2", "tmpfs", "ramfs", "overlay",
    ]

    /// The same by magic number (statfs(2)), for a mount that only the peer has: without overlay, which
    /// anybody may put over a file system of his own.
    private static let magics: Set<Int64> = [
        0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010, 0xca45_1a4e, 0x2fc1_2fc1, 0x0102_1994,
    ]

    // By the mount's id first: that asks no file system anything.
    private static func isLocal(_ passed: PassedDescriptor) -> Bool {
        if let id = passed.mount(), let type = type(ofMount: id) { return types.contains(type) }
        return magics.contains(passed.fileSystem())
    }

    // "31 30 0:27 / /var rw,… shared:1 - ext4 /dev/vda1 rw" (proc(5))
    private static func type(ofMount id: Int64) -> Substring? {
        guard let file = try? File.open("/proc/self/mountinfo"),
            let bytes = try? File.readAll(file.number, limit: 16 << 20)
        else { return nil }
        let start = "\(id) "
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n")
        where line.hasPrefix(start) {
            let words = line.split(separator: " ")
            guard let dash = words.firstIndex(of: "-"), dash + 1 < words.count else { return nil }
            return words[dash + 1]
        }
        return nil
    }
}
