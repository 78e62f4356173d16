// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import SystemPackage

/// Another user that a child of root becomes, and what is looked up with his rights alone.
public struct SpawnOwner: Sendable {
    /// The caller himself, with all that he has.
    public var isCaller = false
    public var uid: UInt32
    public var gid: UInt32
    /// Supplementary groups.
    public var groups: [UInt32]
    /// nil: the directory of the options.
    public var directory: String?
    /// Programs that are tried in order, in place of the program's own path.
    public var paths: [String] = []
    /// Regular files in place of standard input and output: read; made, and appended to.
    public var input: String?
    public var output: String?

    public init(uid: UInt32, gid: UInt32, groups: [UInt32], directory: String? = nil) {
        self.uid = uid
        self.gid = gid
        self.groups = groups
        self.directory = directory
    }
}

extension Child {
    /// Starts a program as another user: no capability, an empty bounding set, no_new_privs; or as the
    /// caller himself. Does not
    /// wait for its exec, because a path of his may hang; what went wrong is in `report` at its end.
    ///
    /// - Parameter report: the writing end of a pipe (`ownerFailure`).
    public static func start(
        _ program: borrowing Program, _ options: SpawnOptions, as owner: SpawnOwner, report: Int32
    ) throws(SpawnError) -> Child {
        var request = options.request(program)
        let paths = CStringArray(owner.paths)
        let texts = [owner.directory, owner.input, owner.output].map { $0.flatMap { strdup($0) } }
        defer { for text in texts { free(text) } }
        var pidfd: Int32 = -1
        let pid = owner.groups.withUnsafeBufferPointer { groups in
            paths.pointers.withMemoryRebound(to: UnsafePointer<CChar>?.self, capacity: 1) {
                var identity = cl_spawn_owner()
                identity.is_caller = owner.isCaller ? 1 : 0
                identity.uid = owner.uid
                identity.gid = owner.gid
                identity.groups = groups.baseAddress
                identity.group_count = groups.count
                identity.directory = UnsafePointer(texts[0])
                identity.input = UnsafePointer(texts[1])
                identity.output = UnsafePointer(texts[2])
                identity.paths = UnsafePointer($0)
                return cl_spawn_owner(&request, &identity, report, &pidfd)
            }
        }
        if pid < 0 { throw SpawnError(step: .clone, errno: Errno.current) }
        return Child(pid: pid, pidfd: Descriptor(owning: pidfd))
    }

    /// Why such a child never executed its program; nil when it did. Ask at its end.
    ///
    /// - Parameter report: the reading end of the pipe, non-blocking.
    public static func ownerFailure(_ report: Int32) -> SpawnError? {
        var failure = cl_spawn_failure()
        let size = MemoryLayout<cl_spawn_failure>.size
        let got = withUnsafeMutableBytes(of: &failure) { read(report, $0.baseAddress, $0.count) }
        guard got == size else { return nil }
        return SpawnError(step: step(failure.step), errno: Errno(rawValue: failure.error))
    }
}
