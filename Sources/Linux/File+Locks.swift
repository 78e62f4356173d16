// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
public import SystemPackage

/// Locks and leases.
extension File {
    /// Takes an exclusive flock(2) without waiting; false when another holds it.
    public static func tryLock(_ descriptor: Int32, shared: Bool = false) throws(Errno) -> Bool {
        do {
            _ = try checked { flock(descriptor, (shared ? LOCK_SH : LOCK_EX) | LOCK_NB) }
            return true
        } catch Errno.wouldBlock {
            return false
        }
    }

    /// Takes an exclusive flock(2), waiting for it.
    public static func lock(_ descriptor: Int32) throws(Errno) {
        _ = try checked { flock(descriptor, LOCK_EX) }
    }

    /// Gives a flock(2) back.
    public static func unlock(_ descriptor: Int32) throws(Errno) {
        _ = try checked { flock(descriptor, LOCK_UN) }
    }

    /// The kernel's word that nobody has the file open for writing (fcntl(2), F_SETLEASE): true when
    /// it was granted. Give it back with `releaseLease`. SIGIO must be blocked.
    public static func tryReadLease(_ descriptor: Int32) throws(Errno) -> Bool {
        do {
            _ = try checked { cl_lease_read(descriptor) }
            return true
        } catch Errno.wouldBlock {
            return false
        }
    }

    public static func releaseLease(_ descriptor: Int32) throws(Errno) {
        _ = try checked { cl_lease_release(descriptor) }
    }
}
