// SPDX-License-Identifier: Apache-2.0
import CLinux

extension File {
    /// Whether an extended attribute (xattr(7)) has this value; false where there is none, or the
    /// file system knows none.
    public static func attribute(_ name: String, of path: String, is value: String) -> Bool {
        var bytes = [UInt8](repeating: 0, count: value.utf8.count)
        let count = bytes.withUnsafeMutableBytes {
            cl_getxattr(path, name, $0.baseAddress, $0.count)
        }
        return count == bytes.count && bytes.elementsEqual(value.utf8)
    }
}
