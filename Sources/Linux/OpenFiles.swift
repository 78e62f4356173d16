// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// How many descriptors this process may have (RLIMIT_NOFILE, getrlimit(2)).
public enum OpenFiles {
    /// What a program expects that looks at each descriptor, or calls select(2): systemd's and the kernel's
    /// own soft limit.
    public static let usual: UInt64 = 1024

    /// Raises the soft limit to the hard one. Children have it too: `SpawnOptions.openFiles` lowers it.
    public static func raiseLimit() {
        var limit = rlimit()
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        guard getrlimit(resource, &limit) == 0, limit.rlim_cur < limit.rlim_max else { return }
        limit.rlim_cur = limit.rlim_max
        _ = setrlimit(resource, &limit)
    }

    /// Whether so many more can be opened. Numbers are given out from the lowest, so the last ones are free
    /// until all others were taken: where some of them are not it says no, though others may have become
    /// free since.
    public static func hasRoom(for more: Int) -> Bool {
        var limit = rlimit()
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        guard getrlimit(resource, &limit) == 0 else { return true }
        let first = Int(clamping: limit.rlim_cur) - more
        // Numbers end before those of an `int` do.
        guard first > 0, first < Int(Int32.max) - more else { return first > 0 }
        let probe = cl_fcntl_dup(2, Int32(first))
        if probe < 0 { return false }
        close(probe)
        return probe == Int32(first)
    }
}
