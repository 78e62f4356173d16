// SPDX-License-Identifier: Apache-2.0
import Glibc
import Linux
import SystemPackage
import TaskModel

/// The mounts whose files somebody serves, over a network or by FUSE: each look at a path there may
/// hang for as long as he does, and must not be the loop's.
///
/// By the mounts' names alone (proc_pid_mountinfo(5)): a symbolic link that leads there is not known.
final class ServedMounts {
    // Where the kernel alone answers.
    private static let local: Set<String> = [
        "ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "bcachefs", "zfs", "jfs", "tmpfs", "ramfs",
        "devtmpfs", "overlay", "squashfs", "erofs", "iso9660", "udf", "vfat", "exfat", "ntfs3",
        "proc",
        "sysfs", "devpts", "cgroup", "cgroup2", "mqueue", "hugetlbfs", "debugfs", "tracefs",
        "securityfs", "bpf", "fusectl", "nsfs", "selinuxfs", "configfs", "pstore", "efivarfs",
        "rootfs", "binfmt_misc",
    ]
    private static let longest = 16 << 20

    private let table = try? OpenFile.open("/proc/self/mountinfo")
    private var places: [String] = []
    private var isRead = false

    /// Whether a path that the job names lies on one: its directory, files, program, or PATH.
    func mayHang(_ job: Job) -> Bool {
        let recipe = job.recipe
        readWhenChanged()
        if places.isEmpty { return false }
        let files = [recipe.input, recipe.output].compactMap { text in
            text.hasPrefix("file:") ? String(text.dropFirst(5)) : nil
        }
        let programs = job.steps.flatMap {
            DirectProgram.candidates($0.argv.first ?? "", recipe.spec)
        }
        let directory = recipe.direct.directory.map { [$0] } ?? []
        return (directory + files + programs).contains(where: isServed)
    }

    private func isServed(_ path: String) -> Bool {
        places.contains { place in
            path == place || place == "/" || path.hasPrefix(place) && path.hasPrefix(place + "/")
        }
    }

    private func readWhenChanged() {
        guard let table else { return }
        var change = pollfd(fd: table.number, events: Int16(POLLPRI), revents: 0)
        let hasChanged = poll(&change, 1, 0) > 0
        if isRead, !hasChanged { return }
        isRead = true
        guard let fresh = try? OpenFile.open("/proc/self/mountinfo"),
            let bytes = (try? File.readAll(fresh.number, limit: Self.longest)) ?? nil
        else { return }
        places = String(decoding: bytes, as: UTF8.self).split(separator: "\n").compactMap(
            Self.served)
    }

    // `36 35 98:0 /root /mount options … - type source options`.
    private static func served(_ line: Substring) -> String? {
        let words = line.split(separator: " ")
        guard let dash = words.firstIndex(of: "-"), dash + 1 < words.count, words.count > 4,
            !local.contains(String(words[dash + 1]))
        else { return nil }
        return unescaped(words[4])
    }

    // Blanks and the like are written as `\040`.
    private static func unescaped(_ text: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            let digits = rest.prefix(3)
            if byte == UInt8(ascii: "\\"), digits.count == 3,
                let code = UInt8(String(decoding: digits, as: UTF8.self), radix: 8)
            {
                bytes.append(code)
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
