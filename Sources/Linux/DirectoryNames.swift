// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
public import SystemPackage

/// Reads the names of a directory by the caller's own descriptor, in pieces and in constant memory: the
/// descriptor has the position, and one after a name may be unlinked meanwhile (getdents64(2)).
public struct DirectoryNames {
    private var buffer = [UInt8](repeating: 0, count: 4096)
    private var end = 0
    private var at = 0

    public init() {}

    /// Begins again.
    public mutating func restart(_ directory: Int32) {
        (at, end) = (0, 0)
        _ = lseek(directory, 0, SEEK_SET)
    }

    /// The next name, as bytes, without `.` and `..`; nil at the end.
    public mutating func next(in directory: Int32) throws(Errno) -> [UInt8]? {
        while true {
            if at >= end {
                let count = buffer.count
                end = try checkedCount {
                    buffer.withUnsafeMutableBytes {
                        cl_names(directory, $0.baseAddress, count)
                    }
                }
                at = 0
                if end == 0 { return nil }
            }
            // ino 8, off 8, reclen 2, type 1, name.
            let length = Int(buffer[at + 16]) | Int(buffer[at + 17]) << 8
            let name = Array(buffer[(at + 19)..<(at + length)].prefix { $0 != 0 })
            at += length
            if name != [46], name != [46, 46] { return name }
        }
    }
}
