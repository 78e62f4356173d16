// SPDX-License-Identifier: Apache-2.0
import Glibc
import Linux

/// When the host's files that a prepared root copies or binds last changed: part of its key, so that
/// an upgrade of the machine makes a new root.
enum HostStamp {
    private static let paths = [
        "/etc/ld.so.cache", "/etc/resolv.conf", "/etc/localtime", "/etc/ssl", "/etc/alternatives",
        "/usr",
    ]

    static func now() -> String {
        var sum: UInt64 = 0
        for path in paths {
            guard let status = try? File.status(path, following: true) else { continue }
            sum = sum &* 1_000_003 &+ UInt64(bitPattern: status.changed) &+ status.inode
        }
        return String(sum, radix: 36)
    }
}
