// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import Linux

extension CgroupPool {
    /// Empties and removes what a taskrun that was killed left. Its jails died with it; a task without
    /// a jail may have descendants there.
    ///
    /// Only what is provably such: a directory of this user's, with a name that a pool gives, whose
    /// lock nobody holds.
    ///
    /// - Returns: those that do not become empty: in which no process ended for a fifth of a second, or
    ///   that are not empty after two. Each start waits for them, so what hangs must not hold it up.
    static func sweep(_ places: [CgroupPlace]) -> [String] {
        var dead: [(path: String, lock: Int32)] = []
        for place in places { dead += leftovers(place.path) }
        defer { for entry in dead { close(entry.lock) } }
        let paths = dead.map(\.path)
        let until = Clock.boot() + 2_000_000
        // All hierarchies of v1 together: forks are held back in one of them, numbers are in each.
        var left = paths
        var (inside, since) = (Int.max, Int64(0))
        repeat {
            let still = left.flatMap(slots).reduce(0) { $0 + empty($1) }
            if still < inside { (inside, since) = (still, Clock.boot()) }
            left = left.filter { !remove($0) }
            if left.isEmpty { return [] }
            cl_pause(1_000)
        } while Clock.boot() < min(until, since + 200_000)
        return left
    }

    private static func leftovers(_ place: String) -> [(path: String, lock: Int32)] {
        var found: [(path: String, lock: Int32)] = []
        for name in names(in: place) where isOurs(name) {
            let path = place + "/" + name
            let descriptor = lock(path)
            if descriptor < 0 { continue }
            if let status = try? File.status(of: descriptor), status.uid == geteuid() {
                found.append((path, descriptor))
            } else {
                close(descriptor)
            }
        }
        return found
    }

    private static func isOurs(_ name: String) -> Bool {
        guard name.hasPrefix(prefix) else { return false }
        let numbers = name.dropFirst(prefix.utf8.count).split(
            separator: "-", omittingEmptySubsequences: false)
        return numbers.count == 2
            && numbers.allSatisfy { !$0.isEmpty && $0.utf8.allSatisfy { 0x30...0x39 ~= $0 } }
    }

    private static func slots(_ pool: String) -> [String] {
        names(in: pool).filter { $0.hasPrefix("slot-") }.map { pool + "/" + $0 }
    }

    private static func names(in directory: String) -> [String] {
        var names: [String] = []
        guard let stream = try? DirectoryStream(directory, at: File.here) else { return names }
        while let bytes = try? stream.next() {
            names.append(String(decoding: bytes, as: UTF8.self))
        }
        return names
    }

    /// Kills who is inside.
    ///
    /// - Returns: how many there were.
    private static func empty(_ slot: String) -> Int {
        let pids = CgroupSlot.processes(in: slot)
        if pids.isEmpty { return 0 }
        for (file, text) in [("/pids.max", "0"), ("/cgroup.freeze", "1")]
        where access(slot + file, W_OK) == 0 {
            _ = Text.write(text, to: slot + file)
        }
        for pid in pids { CgroupSlot.kill(pid, ifIn: slot) }
        return pids.count
    }

    private static func remove(_ pool: String) -> Bool {
        for slot in slots(pool) { rmdir(slot) }
        return rmdir(pool) == 0 || errno == ENOENT
    }
}
