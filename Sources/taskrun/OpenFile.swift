// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage

/// A descriptor that several may refer to, or nobody: closed with its last reference.
final class OpenFile {
    private let descriptor: Descriptor

    init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }

    var number: Int32 { descriptor.number }

    static func open(
        _ path: String, flags: OpenFlags = [], mode: UInt32 = 0o600
    ) throws(Errno) -> OpenFile {
        OpenFile(try File.open(path, flags: flags, mode: mode))
    }
}
