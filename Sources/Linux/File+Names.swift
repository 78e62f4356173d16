// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
public import SystemPackage

/// What changes directories: renames, unlinks, new directories.
extension File {
    /// renameat(2): replaces what had the new name.
    public static func rename(
        _ name: String, at directory: Int32, to newName: String, at newDirectory: Int32
    ) throws(Errno) {
        _ = try checked { renameat(directory, name, newDirectory, newName) }
    }

    /// renameat(2) of a name that need not be UTF-8.
    public static func rename(
        bytes name: [UInt8], at directory: Int32, to newName: String, at newDirectory: Int32
    ) throws(Errno) {
        let path = name.map { CChar(bitPattern: $0) } + [0]
        _ = try checked { renameat(directory, path, newDirectory, newName) }
    }

    /// renameat2(RENAME_NOREPLACE): fails with `.fileExists` instead of replacing.
    public static func renameNew(
        _ name: String, at directory: Int32, to newName: String, at newDirectory: Int32
    ) throws(Errno) {
        _ = try checked {
            cl_renameat2(
                directory, name, newDirectory, newName, UInt32(CL_RENAME_NOREPLACE))
        }
    }

    /// renameat2(RENAME_EXCHANGE): both names must be there. ENOSYS or EINVAL where a file system
    /// cannot.
    public static func exchange(
        _ name: String, at directory: Int32, with other: String, at otherDirectory: Int32
    ) throws(Errno) {
        _ = try checked {
            cl_renameat2(directory, name, otherDirectory, other, UInt32(CL_RENAME_EXCHANGE))
        }
    }

    /// Permission bits of what is no link; one that takes its place meanwhile would be followed
    /// (fchmodat(2)): for directories where only the caller writes.
    public static func setMode(
        _ name: String, at directory: Int32, to mode: UInt32
    ) throws(Errno) {
        if try status(name, at: directory).isLink { throw .tooManySymbolicLinkLevels }
        _ = try checked { fchmodat(directory, name, mode_t(mode), 0) }
    }

    public static func unlink(_ name: String, at directory: Int32) throws(Errno) {
        _ = try checked { unlinkat(directory, name, 0) }
    }

    public static func removeDirectory(_ name: String, at directory: Int32) throws(Errno) {
        _ = try checked { unlinkat(directory, name, AT_REMOVEDIR) }
    }

    public static func makeDirectory(
        _ name: String, at directory: Int32 = here, mode: UInt32 = 0o700
    ) throws(Errno) {
        _ = try checked { mkdirat(directory, name, mode) }
    }
}
