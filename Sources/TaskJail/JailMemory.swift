// SPDX-License-Identifier: Apache-2.0
import Glibc
import Linux

/// The memory of all processes of a jail, summed up by looking at each: for an ordinary user, whose
/// jail no cgroup counts.
///
/// The jail's own /proc, mounted in it and by nobody to be changed there, lists them. Each page counts
/// once however many processes map it (`Pss` of proc(5)). What no process has mapped does not count:
/// files on the private file system, buffers of pipes and sockets, the kernel's own.
public final class JailMemory {
    private let initial: Int32
    private var list: Descriptor?
    private let page = Int64(sysconf(Int32(_SC_PAGESIZE)))

    /// - Parameter initial: the host's number of the jail's init, which must not have been reaped.
    public init(initial: Int32) { self.initial = initial }

    /// The sum, where it is above a limit; nil below, and while no program runs.
    ///
    /// The kernel walks page tables to find it, so this asks for it only where the sum of resident
    /// pages, which it knows, is above.
    public func sum(above limit: Int64) -> Int64? {
        openList()
        guard let number = list?.number else { return nil }
        let pids = Self.processes(number)
        var resident: Int64 = 0
        for pid in pids { resident += words(pid + "/statm", number).dropFirst().first ?? 0 }
        if resident * page <= limit { return nil }
        let sum = pids.reduce(Int64(0)) { $0 + proportional($1, number) }
        return sum > limit ? sum : nil
    }

    private func openList() {
        if list != nil { return }
        let children = Text.read("/proc/\(initial)/task/\(initial)/children") ?? ""
        guard let first = children.split(separator: " ").first else { return }
        // Not below a program's own root: it can have none but the jail's.
        list = try? File.open("/proc/\(first)/root/proc", flags: [.directory])
    }

    private static func processes(_ directory: Int32) -> [String] {
        var names: [String] = []
        guard let stream = try? DirectoryStream(".", at: directory) else { return names }
        while let bytes = try? stream.next() {
            if bytes.first.map({ (0x31...0x39).contains($0) }) ?? false {
                names.append(String(decoding: bytes, as: UTF8.self))
            }
        }
        return names
    }

    private func read(_ path: String, _ directory: Int32) -> [UInt8] {
        guard let file = try? File.open(path, at: directory) else { return [] }
        return (try? File.readAll(file.number, limit: 1 << 16)) ?? nil ?? []
    }

    private func words(_ path: String, _ directory: Int32) -> [Int64] {
        read(path, directory).split(separator: UInt8(ascii: " ")).map {
            Int64(String(decoding: $0, as: UTF8.self)) ?? 0
        }
    }

    // "Pss:                 812 kB"
    private func proportional(_ pid: String, _ directory: Int32) -> Int64 {
        for line in read(pid + "/smaps_rollup", directory).split(separator: UInt8(ascii: "\n"))
        where line.starts(with: Array("Pss:".utf8)) {
            let digits = line.filter { (0x30...0x39).contains($0) }
            return (Int64(String(decoding: digits, as: UTF8.self)) ?? 0) * 1024
        }
        return 0
    }
}
