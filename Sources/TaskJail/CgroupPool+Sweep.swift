// SPDX-License-Identifier: Apache-2.0
import Glibc
import Linux

extension CgroupPool {
    /// What a taskrun that was killed left below a place: jailed tasks died with it, of others what
    /// had a parent of its own may live; its directories are there.
    static func sweep(_ place: String) {
        for name in names(in: place) where name.hasPrefix(prefix) {
            guard name.dropFirst(prefix.utf8.count).contains("-") else { continue }
            let descriptor = lock(place + "/" + name)
            if descriptor < 0 { continue }
            empty(place + "/" + name)
            close(descriptor)
        }
    }

    private static func empty(_ directory: String) {
        for name in names(in: directory) where name.hasPrefix("slot-") {
            removeKilling(directory + "/" + name)
        }
        rmdir(directory)
    }

    // Some may fork meanwhile; what was killed is gone in a moment, but for what hangs in the kernel:
    // that stays, with its directory.
    private static func removeKilling(_ slot: String) {
        for _ in 0..<200 {
            if rmdir(slot) == 0 || errno != EBUSY { return }
            for pid in (Text.read(slot + "/cgroup.procs") ?? "").split(separator: "\n") {
                if let number = Int32(pid), number > 1 { kill(number, SIGKILL) }
            }
            Clock.pause(5_000)
        }
    }

    private static func names(in directory: String) -> [String] {
        guard let stream = try? DirectoryStream(directory, at: File.here) else { return [] }
        var names: [String] = []
        while let bytes = try? stream.next() {
            names.append(String(decoding: bytes, as: UTF8.self))
        }
        return names
    }
}
