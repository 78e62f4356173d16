// SPDX-License-Identifier: Apache-2.0
import Linux
public import SystemPackage
import TaskModel

/// A file of incoming/ that was looked at, before it is taken.
public enum DropLook: Equatable, Sendable {
    /// Nobody writes it: its bytes, the identity that its accept record carries, and its owner.
    case complete(bytes: [UInt8], identity: DropIdentity, uid: UInt32)
    /// Somebody has it open for writing: look again when it is closed.
    case beingWritten
    /// No lease is to be had here (NFS, another member's file): look again when two seconds have
    /// passed without a change.
    case unchanged(since: Int64)
    /// It is gone: another move won.
    case gone
    /// It cannot be read now: descriptors or memory are short, or the disk failed. Nothing is known of it.
    case unreadable(Errno)
    /// It can never be a drop; why.
    case refused(String)
}

/// What tells a drop that came back after a power failure from a new one of the same name: inode,
/// modification and change time, read before it is taken (the rename changes the ctime).
public struct DropIdentity: Hashable, Sendable {
    public var inode: UInt64
    /// Microseconds since 1970.
    public var modified: Int64
    public var changed: Int64

    public init(inode: UInt64, modified: Int64, changed: Int64) {
        self.inode = inode
        self.modified = modified
        self.changed = changed
    }

    init(_ status: File.Status) {
        self.init(
            inode: status.inode, modified: status.modified, changed: status.changed)
    }
}

extension Spool {
    /// The identity of a file in incoming/; nil when it is gone.
    public func identity(of name: String) throws(Errno) -> DropIdentity? {
        do {
            return DropIdentity(try File.status(name, at: number(.incoming)))
        } catch Errno.noSuchFileOrDirectory {
            return nil
        }
    }

    /// The longest unit or pipeline, in bytes. A plan may be longer: `longestPlan`.
    public static let longestUnit = 1 << 20
    /// The longest plan that can be dropped, in bytes.
    public static let longestPlan = 256 << 20

    /// Looks at a file of incoming/ without taking it: never blocks, follows no link, reads only a
    /// regular file that nobody has open for writing (fcntl(2), F_SETLEASE).
    public func look(at name: String) -> DropLook {
        do {
            let file = try File.openBeneath(
                name, at: number(.incoming), flags: [.noFollow, .nonBlocking])
            let status = try File.status(of: file.number)
            guard status.isRegular else { return .refused("it is \(status.kind), not a file") }
            if status.size > Self.longestPlan {
                return .refused(
                    "it has \(status.size) bytes: at most \(Self.longestUnit) are allowed")
            }
            guard try File.tryReadLease(file.number) else { return .beingWritten }
            return try contents(file.number, status)
        } catch Errno.noSuchFileOrDirectory {
            return .gone
        } catch Errno.permissionDenied {
            return .refused("its owner does not let the spool's owner read it: chmod a+r it first")
        } catch Errno.tooManySymbolicLinkLevels {
            return .refused("it is a symbolic link, not a file")
        } catch Errno.noSuchAddressOrDevice {
            return .refused("it is a socket or a device, not a file")
        } catch {
            if error == .notPermitted || error == .invalidArgument,
                let status = try? File.status(name, at: number(.incoming))
            {
                return .unchanged(since: status.changed)
            }
            return .unreadable(error)
        }
    }

    /// As `look`, for a file where no lease is to be had and that has not changed for two seconds.
    public func lookWithoutLease(at name: String) -> DropLook {
        do {
            let file = try File.openBeneath(
                name, at: number(.incoming), flags: [.noFollow, .nonBlocking])
            let status = try File.status(of: file.number)
            guard status.isRegular else { return .refused("it is \(status.kind), not a file") }
            return try contents(file.number, status)
        } catch Errno.noSuchFileOrDirectory {
            return .gone
        } catch {
            return .unreadable(error)
        }
    }

    // Closing the descriptor gives the lease back: the bytes are read by then.
    private func contents(_ file: Int32, _ status: File.Status) throws(Errno) -> DropLook {
        if status.size > Self.longestUnit {
            var head = [UInt8](repeating: 0, count: 9)
            let count = try File.read(file, into: &head, at: 0)
            if count < 9 || !Self.isPlan(head) {
                return .refused("it has \(status.size) bytes: at most 1048576 are allowed")
            }
        }
        guard let bytes = try File.readExactly(file, count: Int(status.size)) else {
            return .beingWritten
        }
        return .complete(bytes: bytes, identity: DropIdentity(status), uid: status.uid)
    }

    /// Whether bytes begin as a compiled plan does.
    public static func isPlan(_ bytes: [UInt8]) -> Bool {
        bytes.starts(with: "taskplan ".utf8)
    }

    /// Step 1 of acceptance: the drop gets a private name that keeps its own.
    ///
    /// - Returns: false when another file had taken its place meanwhile, or it is gone: then the
    ///   name is put back, or nothing was done.
    public func take(_ name: String, as taken: TakenName, _ identity: DropIdentity) throws(Errno)
        -> Bool
    {
        do {
            try move(name, .incoming, to: taken.text, .tmp)
        } catch Errno.noSuchFileOrDirectory {
            return false
        }
        if try File.status(taken.text, at: number(.tmp)).inode == identity.inode { return true }
        // A second `mv` of the same name replaced what was read: back, without replacing a third.
        do {
            try moveNew(taken.text, .tmp, to: name, .incoming)
        } catch Errno.fileExists {
            try remove(taken.text, .tmp)  // replaced, as rename does
        }
        return false
    }

    /// Takes a name that is no text: its bytes are used as they are.
    public func take(raw name: [UInt8], as taken: TakenName) throws(Errno) {
        try File.rename(
            bytes: name, at: number(.incoming), to: taken.text, at: number(.tmp))
    }
}
