// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage

/// What a spool's directories must be, at the start and later.
extension Spool {
    static func check(
        _ found: File.Status, _ directory: SpoolDirectory, _ name: String, owner: UInt32
    ) throws(SpoolError) {
        if found.uid != owner || found.mode & 0o022 != 0 && directory != .incoming {
            throw SpoolError("use \(name)", "it must belong to uid \(owner) and to nobody else")
        }
    }

    // A mount of the same file system has its device. rename(2) compares the mounts before it looks at
    // the names, and never moves a `.`.
    static func isMounted(_ directory: Int32, _ root: Int32) -> Bool {
        do {
            try File.rename(".", at: directory, to: ".", at: root)
            return false
        } catch {
            return error == .improperLink
        }
    }

    /// Whether the spool is still what was opened: each directory at its place, of its owner, and
    /// closed to others.
    ///
    /// - Throws: what is not; without an errno where somebody else may write.
    public func verify() throws(SpoolError) {
        let root = rootNumber
        let status = try SpoolError.naming("use spool \(path)") { () throws(Errno) in
            try File.status(of: root)
        }
        if status.uid != owner || status.mode & 0o002 != 0 {
            throw SpoolError(
                "use spool \(path)", "it must belong to uid \(owner) and to nobody else")
        }
        for directory in SpoolDirectory.allCases {
            let (name, number) = ("\(path)/\(directory.rawValue)", number(directory))
            let found = try SpoolError.naming("use \(name)") { () throws(Errno) in
                let found = try File.status(directory.rawValue, at: root)
                if try found.inode != File.status(of: number).inode {
                    throw .noSuchFileOrDirectory
                }
                return found
            }
            try Self.check(found, directory, name, owner: owner)
            if found.mode & 0o700 != 0o700 {
                throw SpoolError("use \(name)", "its owner may not read and write it")
            }
        }
    }
}
