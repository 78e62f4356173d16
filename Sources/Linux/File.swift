// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
public import SystemPackage

/// How a file is opened (open(2)); the empty set reads. Close-on-exec is always added, and
/// that a terminal does not become the caller's (O_NOCTTY).
public struct OpenFlags: OptionSet, Sendable {
    public let rawValue: Int32
    public init(rawValue: Int32) { self.rawValue = rawValue }
    public static let writeOnly = OpenFlags(rawValue: O_WRONLY)
    public static let readWrite = OpenFlags(rawValue: O_RDWR)
    public static let create = OpenFlags(rawValue: O_CREAT)
    public static let exclusive = OpenFlags(rawValue: O_EXCL)
    public static let truncate = OpenFlags(rawValue: O_TRUNC)
    public static let append = OpenFlags(rawValue: O_APPEND)
    public static let directory = OpenFlags(rawValue: O_DIRECTORY)
    public static let noFollow = OpenFlags(rawValue: O_NOFOLLOW)
    public static let nonBlocking = OpenFlags(rawValue: O_NONBLOCK)
    /// A place, not its content (O_PATH).
    public static let path = OpenFlags(rawValue: Int32(CL_O_PATH))
}

/// Calls on files. Relative names start at a directory descriptor; `File.here` is the working
/// directory. Each throws the errno of its one system call.
public enum File {
    /// AT_FDCWD.
    public static let here: Int32 = -100

    /// What stat(2) says of a file.
    public struct Status: Equatable, Sendable {
        /// Device and inode: the file's identity while it exists.
        public var device: UInt64
        public var inode: UInt64
        /// File type and permission bits, as st_mode.
        public var mode: UInt32
        public var links: UInt64
        public var uid: UInt32
        public var gid: UInt32
        /// Bytes.
        public var size: Int64
        /// Microseconds since 1970.
        public var modified: Int64
        public var changed: Int64

        public var isRegular: Bool { mode & S_IFMT == S_IFREG }
        public var isDirectory: Bool { mode & S_IFMT == S_IFDIR }
        public var isLink: Bool { mode & S_IFMT == S_IFLNK }
        /// What the file is, in words for a message.
        public var kind: String {
            switch mode & S_IFMT {
            case S_IFREG: "a regular file"
            case S_IFDIR: "a directory"
            case S_IFLNK: "a symbolic link"
            case S_IFIFO: "a FIFO"
            case S_IFSOCK: "a socket"
            case S_IFCHR, S_IFBLK: "a device"
            default: "of an unknown type"
            }
        }

        init(_ raw: stat) {
            device = UInt64(raw.st_dev)
            inode = UInt64(raw.st_ino)
            mode = raw.st_mode
            links = UInt64(raw.st_nlink)
            uid = raw.st_uid
            gid = raw.st_gid
            size = Int64(raw.st_size)
            modified = Int64(raw.st_mtim.tv_sec) * 1_000_000 + Int64(raw.st_mtim.tv_nsec) / 1000
            changed = Int64(raw.st_ctim.tv_sec) * 1_000_000 + Int64(raw.st_ctim.tv_nsec) / 1000
        }
    }

    /// openat(2), close-on-exec.
    public static func open(
        _ name: String, at directory: Int32 = here, flags: OpenFlags = [], mode: UInt32 = 0o600
    ) throws(Errno) -> Descriptor {
        Descriptor(owning: try checked { cl_openat(directory, name, flags.rawValue, mode) })
    }

    /// Opens beneath the directory without following any link (openat2(2), Linux 5.6).
    public static func openBeneath(
        _ name: String, at directory: Int32, flags: OpenFlags = [], mode: UInt32 = 0o600
    ) throws(Errno) -> Descriptor {
        Descriptor(owning: try checked { cl_open_beneath(directory, name, flags.rawValue, mode) })
    }

    /// Opens a directory for use as the start of relative names.
    public static func openDirectory(
        _ name: String, at directory: Int32 = here
    ) throws(Errno) -> Descriptor {
        try open(name, at: directory, flags: .directory)
    }

    public static func status(of descriptor: Int32) throws(Errno) -> Status {
        var raw = stat()
        _ = try checked { fstat(descriptor, &raw) }
        return Status(raw)
    }

    /// Status of a name; a symbolic link's own unless `following`.
    public static func status(
        _ name: String, at directory: Int32 = here, following: Bool = false
    ) throws(Errno) -> Status {
        var raw = stat()
        let flags = following ? 0 : AT_SYMLINK_NOFOLLOW
        _ = try checked { fstatat(directory, name, &raw, flags) }
        return Status(raw)
    }

    /// Reads at most `limit` bytes from the start of a file; nil when it is longer.
    public static func readAll(_ descriptor: Int32, limit: Int) throws(Errno) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: min(limit + 1, 16 * 1024))
        var used = 0
        while true {
            if used == bytes.count {
                if used > limit { return nil }
                bytes.append(contentsOf: repeatElement(0, count: min(used, limit + 1 - used)))
            }
            let got = try read(descriptor, into: &bytes, from: used)
            if got == 0 { break }
            used += got
        }
        if used > limit { return nil }
        bytes.removeLast(bytes.count - used)
        return bytes
    }

    /// Reads a file whose size is known; nil when it has another one by now.
    public static func readExactly(_ descriptor: Int32, count: Int) throws(Errno) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count + 1)
        var used = 0
        while used < bytes.count {
            let got = try read(descriptor, into: &bytes, from: used)
            used += got
            if got == 0 || used == count { break }
        }
        guard used == count else { return nil }
        bytes.removeLast()
        return bytes
    }

    /// One read(2) into the free end of a buffer. Zero at end of file.
    public static func read(
        _ descriptor: Int32, into bytes: inout [UInt8], from offset: Int = 0
    ) throws(Errno) -> Int {
        try checkedCount {
            bytes.withUnsafeMutableBytes { space in
                guard let base = space.baseAddress else { return 0 }
                return Glibc.read(descriptor, base + offset, space.count - offset)
            }
        }
    }

    /// pread(2).
    public static func read(
        _ descriptor: Int32, into bytes: inout [UInt8], at position: Int64
    ) throws(Errno) -> Int {
        try checkedCount {
            bytes.withUnsafeMutableBytes {
                pread(descriptor, $0.baseAddress, $0.count, Int(position))
            }
        }
    }

    /// One write(2) of the bytes from `offset` on; returns how many were taken.
    public static func write(
        _ bytes: [UInt8], from offset: Int = 0, to descriptor: Int32
    ) throws(Errno) -> Int {
        try checkedCount {
            bytes.withUnsafeBytes { space in
                guard let base = space.baseAddress else { return 0 }
                return Glibc.write(descriptor, base + offset, space.count - offset)
            }
        }
    }

    /// Writes all bytes to a blocking descriptor.
    public static func writeAll(_ bytes: [UInt8], to descriptor: Int32) throws(Errno) {
        var done = 0
        while done < bytes.count { done += try write(bytes, from: done, to: descriptor) }
    }

    /// Writes all bytes from `offset` on at a position of the file.
    public static func writeAll(
        _ bytes: [UInt8], from offset: Int = 0, to descriptor: Int32, at position: Int64
    ) throws(Errno) {
        var done = offset
        while done < bytes.count {
            done += try checkedCount {
                bytes.withUnsafeBytes { space in
                    guard let base = space.baseAddress else { return 0 }
                    return pwrite(
                        descriptor, base + done, space.count - done,
                        Int(position) + done - offset)
                }
            }
        }
    }

    public static func sync(_ descriptor: Int32) throws(Errno) {
        _ = try checked { fsync(descriptor) }
    }

    /// `sync` of many files side by side: far fewer commits and flushes than one after another.
    ///
    /// - Returns: nil, or which of them failed, and why: the rest may be on disk or not.
    public static func syncAll(_ descriptors: [Int32]) -> (index: Int, error: Errno)? {
        var failed: Int32 = 0
        if cl_fsync_all(descriptors, Int32(descriptors.count), &failed) == 0 { return nil }
        let error = Errno.current
        return (Int(failed), error)
    }

    /// Data and size reach the disk; not times.
    public static func syncData(_ descriptor: Int32) throws(Errno) {
        _ = try checked { fdatasync(descriptor) }
    }

    public static func truncate(_ descriptor: Int32, to size: Int64) throws(Errno) {
        _ = try checked { ftruncate(descriptor, Int(size)) }
    }

    /// Reserves blocks (fallocate(2)); the file grows to offset + length with zeros.
    public static func allocate(
        _ descriptor: Int32, offset: Int64, length: Int64
    ) throws(Errno) {
        _ = try checked { cl_fallocate(descriptor, offset, length) }
    }

    /// Sets the modification time, microseconds since 1970.
    public static func setModified(_ descriptor: Int32, to microseconds: Int64) throws(Errno) {
        let time = timespec(
            tv_sec: Int(microseconds / 1_000_000), tv_nsec: Int(microseconds % 1_000_000) * 1000)
        var times = [timespec(tv_sec: 0, tv_nsec: (1 << 30) - 2), time]  // UTIME_OMIT
        _ = try checked { futimens(descriptor, &times) }
    }

    /// Whether a child gets the descriptor (FD_CLOEXEC): for those that came from outside.
    public static func setInherited(_ descriptor: Int32, _ isOn: Bool) throws(Errno) {
        _ = try checked { cl_set_cloexec(descriptor, isOn ? 0 : 1) }
    }

    /// Every descriptor from this number on (close_range(2), Linux 5.11).
    public static func setAllInherited(from first: UInt32, _ isOn: Bool) {
        if !isOn { _ = cl_cloexec_range(first) }
    }

    /// O_NONBLOCK, for descriptors that came from outside.
    public static func setNonBlocking(_ descriptor: Int32) throws(Errno) {
        _ = try checked { cl_set_nonblocking(descriptor) }
    }

    /// Free space of the descriptor's file system.
    public static func freeSpace(
        _ descriptor: Int32
    ) throws(Errno) -> (bytes: Int64, inodes: Int64, total: Int64) {
        var bytes: Int64 = 0
        var inodes: Int64 = 0
        var total: Int64 = 0
        _ = try checked { cl_filesystem_free(descriptor, &bytes, &inodes, &total) }
        return (bytes, inodes, total)
    }
}
