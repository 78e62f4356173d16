// SPDX-License-Identifier: Apache-2.0
public import SystemPackage

/// What changes directories, locks and leases.
extension File {
    private static var machine: Machine { Machine.current }

    public static func rename(
        _ name: String, at directory: Int32, to newName: String, at newDirectory: Int32
    ) throws(Errno) {
        try machine.enter(.rename, "\(name) \(newName)")
        if name == "." { throw .resourceBusy }
        try machine.disk.rename(
            name, in: try self.directory(directory), to: newName,
            in: try self.directory(newDirectory))
    }

    public static func rename(
        bytes name: [UInt8], at directory: Int32, to newName: String, at newDirectory: Int32
    ) throws(Errno) {
        try rename(
            String(decoding: name, as: UTF8.self), at: directory, to: newName, at: newDirectory)
    }

    public static func renameNew(
        _ name: String, at directory: Int32, to newName: String, at newDirectory: Int32
    ) throws(Errno) {
        try machine.enter(.rename, "\(name) \(newName) new")
        try machine.disk.rename(
            name, in: try self.directory(directory), to: newName,
            in: try self.directory(newDirectory), replaces: false)
    }

    public static func exchange(
        _ name: String, at directory: Int32, with other: String, at otherDirectory: Int32
    ) throws(Errno) {
        try machine.enter(.rename, "\(name) <> \(other)")
        try machine.disk.exchange(
            name, in: try self.directory(directory), with: other,
            in: try self.directory(otherDirectory))
    }

    public static func unlink(_ name: String, at directory: Int32) throws(Errno) {
        try machine.enter(.unlink, name)
        try machine.disk.unlink(name, in: try self.directory(directory))
    }

    public static func makeDirectory(
        _ name: String, at directory: Int32 = here, mode: UInt32 = 0o700
    ) throws(Errno) {
        try machine.enter(.mkdir, name)
        let start = directory == here ? machine.disk.root : try self.directory(directory)
        let (parent, last) = try machine.disk.parent(name, from: start)
        if parent.entries[last] != nil { throw .fileExists }
        _ = try machine.disk.create(last, in: parent, .directory, mode: mode)
    }

    // MARK: Locks

    public static func tryLock(_ descriptor: Int32, shared: Bool = false) throws(Errno) -> Bool {
        try machine.enter(.lock)
        let open = try machine.open(descriptor)
        guard let inode = open.inode else { throw .badFileDescriptor }
        let own = ObjectIdentifier(open)
        if inode.locks.contains(where: { $0.holder != own && !($0.shared && shared) }) {
            return false
        }
        inode.locks.removeAll { $0.holder == own }
        inode.locks.append((own, shared))
        return true
    }

    public static func unlock(_ descriptor: Int32) throws(Errno) {
        try machine.enter(.lock)
        let open = try machine.open(descriptor)
        open.inode?.locks.removeAll { $0.holder == ObjectIdentifier(open) }
    }

    public static func releaseLease(_ descriptor: Int32) throws(Errno) {}

    public static func tryReadLease(_ descriptor: Int32) throws(Errno) -> Bool {
        try machine.enter(.lease)
        guard let inode = try machine.open(descriptor).inode else { throw .badFileDescriptor }
        return inode.writers == 0
    }
}

/// Reads a directory's names; those that come meanwhile are not seen, those that went are.
public final class DirectoryStream {
    private var names: [String]
    private let descriptor: Descriptor

    public init(_ name: String, at directory: Int32) throws(Errno) {
        let machine: Machine = Machine.current
        descriptor = try File.openDirectory(name, at: directory)
        guard let inode = try machine.open(descriptor.number).inode else { throw .notDirectory }
        names = inode.entries.keys.sorted()
        if names.count > 1, machine.random.oneIn(2) { names.reverse() }
    }

    public func next() throws(Errno) -> [UInt8]? {
        try Machine.current.enter(.list)
        return names.popLast().map { Array($0.utf8) }
    }
}

/// The few files of /proc that name this host, boot and process.
enum HostFiles {
    static func text(_ path: String, _ machine: Machine) -> String? {
        switch path {
        case "/proc/sys/kernel/hostname": return "host\n"
        case "/proc/sys/kernel/random/boot_id": return "boot-\(machine.boot)\n"
        case "/proc/self/stat", "/proc/\(machine.process.pid)/stat":
            let zeros = String(repeating: " 0", count: 18)
            return "\(machine.process.pid) (taskd) S\(zeros) \(machine.process.start) 0\n"
        default: return nil
        }
    }
}
