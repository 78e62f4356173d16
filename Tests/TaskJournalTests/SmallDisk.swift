// SPDX-License-Identifier: Apache-2.0
import Glibc
import Linux
import SystemPackage

/// A tmpfs of 1 MiB, for running out of space. Only root can have one.
final class SmallDisk {
    static var isAvailable: Bool { geteuid() == 0 && probe() }

    let path: String
    let directory: Int32
    private var descriptor: Int32

    init() throws {
        path = "/tmp/taskjournal-disk.\(Random.bits64())"
        try File.makeDirectory(path)
        guard mount("tmpfs", path, "tmpfs", 0, "size=1m") == 0 else { throw Errno.current }
        descriptor = try File.openDirectory(path).release()
        directory = descriptor
    }

    deinit {
        _ = Glibc.close(descriptor)
        umount2(path, Int32(MNT_DETACH))
        rmdir(path)
    }

    /// Uses up all that is free.
    func fill() throws {
        let number = try File.open(
            "filler", at: directory, flags: [.writeOnly, .create, .append]
        ).release()
        defer { _ = Glibc.close(number) }
        let page = [UInt8](repeating: 1, count: 4096)
        for _ in 0..<1024 where (try? File.writeAll(page, to: number)) == nil { return }
    }

    func free() throws { try File.unlink("filler", at: directory) }

    private static func probe() -> Bool {
        do {
            _ = try SmallDisk()
            return true
        } catch {
            return false
        }
    }
}
