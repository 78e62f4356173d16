// SPDX-License-Identifier: Apache-2.0
import Glibc

/// What the machine has.
enum Machine {
    /// CPUs that are on line.
    static var processors: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }

    /// Bytes of physical memory.
    static var memory: Int { sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE)) }

    /// Attempts that run at once where nothing else is configured.
    static var defaultSlots: Int { 4 * processors }
}
