// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
public import SystemPackage

/// What a service of root does for others: with their rights, and with what they passed.
public enum ForOwner {
    /// Runs a body with the file access of another user (setfsuid(2)) where this process is root's;
    /// groups beside `gid` are root's own. Not for a body that waits.
    public static func accessing<Value>(
        _ uid: UInt32, _ gid: UInt32, _ body: () throws(Errno) -> Value
    ) throws(Errno) -> Value {
        guard uid != 0, Caller.uid == 0 else { return try body() }
        cl_access_as(uid, gid)
        defer { cl_access_as(0, 0) }
        return try body()
    }

    /// Root's reserve of a disk, and quotas, hold for this process from now on (CAP_SYS_RESOURCE,
    /// capabilities(7)).
    public static func giveUpReserves() throws(Errno) {
        _ = try checked { cl_drop_resource() }
    }

    /// Supplementary groups of a user in the host's data base (getgrouplist(3)); at most 64.
    public static func groups(of name: String, gid: UInt32) -> [UInt32] {
        var count: Int32 = 64
        var groups = [UInt32](repeating: 0, count: Int(count))
        let found = getgrouplist(name, gid, &groups, &count)
        return found < 0 ? [gid] : Array(groups.prefix(Int(count)))
    }
}

/// A descriptor that a stranger passed: closing it may take him as long as he likes, so that is done
/// aside unless it was found to be harmless.
public final class PassedDescriptor {
    public let number: Int32
    private let aside: AsideCloser
    private var isHarmless = false

    /// Takes over an open descriptor.
    public init(owning number: Int32, _ aside: AsideCloser) {
        self.number = number
        self.aside = aside
    }

    /// It is memory, or a file of a local disk: an ordinary close(2) will do.
    public func trust() { isHarmless = true }

    /// O_PATH, O_DIRECT and the like, and the access mode (fcntl(2), F_GETFL).
    public func flags() throws(Errno) -> Int32 { try checked { cl_fcntl_flags(number) } }

    /// The magic number of its file system (statfs(2)).
    public func fileSystem() -> Int64 { cl_filesystem_type(number) }

    /// The id of its mount, as /proc/self/mountinfo has it; nil where the kernel does not say.
    public func mount() -> Int64? {
        let id = cl_mount_id(number)
        return id < 0 ? nil : id
    }

    /// A description of its own for the same file: nobody else changes its flags or place. Never
    /// waits for a lease.
    public func reopenedForWriting() throws(Errno) -> Descriptor {
        Descriptor(owning: try checked { cl_reopen(number, OpenFlags.writeOnly.rawValue) })
    }

    deinit {
        if isHarmless { _ = Descriptor(owning: number) } else { aside.close([number]) }
    }
}
