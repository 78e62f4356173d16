// SPDX-License-Identifier: Apache-2.0
public import SystemPackage

/// As in the real module.
public struct OpenFlags: OptionSet, Sendable {
    public let rawValue: Int32
    public init(rawValue: Int32) { self.rawValue = rawValue }
    public static let writeOnly = OpenFlags(rawValue: 1)
    public static let readWrite = OpenFlags(rawValue: 2)
    public static let create = OpenFlags(rawValue: 4)
    public static let exclusive = OpenFlags(rawValue: 8)
    public static let truncate = OpenFlags(rawValue: 16)
    public static let append = OpenFlags(rawValue: 32)
    public static let directory = OpenFlags(rawValue: 64)
    public static let noFollow = OpenFlags(rawValue: 128)
    public static let nonBlocking = OpenFlags(rawValue: 256)
    public static let path = OpenFlags(rawValue: 512)
}

/// Calls on files, answered by the model.
public enum File {
    public static let here: Int32 = -100

    public struct Status: Equatable, Sendable {
        public var device: UInt64 = 1
        public var inode: UInt64
        public var mode: UInt32
        public var links: UInt64
        public var uid: UInt32
        public var gid: UInt32 = 0
        public var size: Int64
        public var modified: Int64
        public var changed: Int64
        private var type: DiskNode.Kind

        public var isRegular: Bool { type == .file }
        public var isDirectory: Bool { type == .directory }
        public var isLink: Bool { type == .link }
        public var kind: String {
            switch type {
            case .file: "a regular file"
            case .directory: "a directory"
            case .link: "a symbolic link"
            case .fifo: "a FIFO"
            case .socket: "a socket"
            }
        }

        init(_ inode: DiskNode) {
            self.inode = inode.number
            mode = inode.mode
            links = UInt64(inode.links)
            uid = inode.uid
            size = Int64(inode.size)
            modified = inode.modified
            changed = inode.changed
            type = inode.kind
        }
    }

    private static var machine: Machine { Machine.current }

    private static func start(_ directory: Int32) throws(Errno) -> DiskNode? {
        if directory == here { return nil }
        guard let inode = try machine.open(directory).inode else { throw .notDirectory }
        return inode
    }

    static func directory(_ number: Int32) throws(Errno) -> DiskNode {
        guard let inode = try start(number) else { return machine.disk.root }
        return inode
    }

    // MARK: Opening

    public static func open(
        _ name: String, at directory: Int32 = here, flags: OpenFlags = [], mode: UInt32 = 0o600
    ) throws(Errno) -> Descriptor {
        try machine.enter(flags.contains(.create) ? .create : .open, name)
        if name.hasPrefix("/proc/") {
            guard let text = HostFiles.text(name, machine) else { throw .noSuchFileOrDirectory }
            return Descriptor(owning: try machine.give(Open(.bytes(Array(text.utf8)))))
        }
        if name == "/dev/null" { return Descriptor(owning: try machine.give(Open(.bytes([])))) }
        return try opened(name, directory, flags, mode)
    }

    public static func openBeneath(
        _ name: String, at directory: Int32, flags: OpenFlags = [], mode: UInt32 = 0o600
    ) throws(Errno) -> Descriptor {
        try machine.enter(flags.contains(.create) ? .create : .open, name)
        if name.hasPrefix("/") || name.split(separator: "/").contains("..") {
            throw .init(rawValue: 18)
        }
        return try opened(name, directory, flags, mode)
    }

    private static func opened(
        _ name: String, _ directory: Int32, _ flags: OpenFlags, _ mode: UInt32
    ) throws(Errno) -> Descriptor {
        let disk = machine.disk
        let (parent, last) = try disk.parent(name, from: try start(directory))
        let isWriter = flags.contains(.writeOnly) || flags.contains(.readWrite)
        let inode: DiskNode
        if let found = last.isEmpty || last == "." ? parent : parent.entries[last] {
            if flags.contains(.create), flags.contains(.exclusive) { throw .fileExists }
            inode = found
        } else {
            guard flags.contains(.create) else { throw .noSuchFileOrDirectory }
            inode = try disk.create(last, in: parent, mode: mode)
        }
        if inode.kind == .link { throw .tooManySymbolicLinkLevels }
        if inode.kind == .socket { throw .noSuchAddressOrDevice }
        if flags.contains(.directory), inode.kind != .directory { throw .notDirectory }
        if isWriter, inode.kind == .directory { throw .isDirectory }
        if inode.mode & 0o400 == 0 { throw .permissionDenied }
        if flags.contains(.truncate), inode.size > 0 { try disk.resize(inode, to: 0) }
        if isWriter { disk.beginWriting(inode) }
        let open = Open(.file(inode), writer: isWriter, appending: flags.contains(.append))
        do {
            return Descriptor(owning: try machine.give(open))
        } catch {
            disk.close(open)
            throw error
        }
    }

    public static func openDirectory(
        _ name: String, at directory: Int32 = here
    ) throws(Errno) -> Descriptor {
        try open(name, at: directory, flags: .directory)
    }

    public static func status(of descriptor: Int32) throws(Errno) -> Status {
        try machine.enter(.stat)
        guard let inode = try machine.open(descriptor).inode else { throw .invalidArgument }
        return Status(inode)
    }

    public static func status(
        _ name: String, at directory: Int32 = here, following: Bool = false
    ) throws(Errno) -> Status {
        try machine.enter(.stat, name)
        return Status(try machine.disk.find(name, from: try start(directory)))
    }

    public static func freeSpace(
        _ descriptor: Int32
    ) throws(Errno) -> (bytes: Int64, inodes: Int64, total: Int64) {
        try machine.enter(.space)
        let disk = machine.disk
        return (Int64(disk.free), 1_000_000, Int64(disk.total))
    }

    // MARK: Bytes

    public static func readAll(_ descriptor: Int32, limit: Int) throws(Errno) -> [UInt8]? {
        try machine.enter(.read)
        let open = try machine.open(descriptor)
        let all: [UInt8]
        switch open.what {
        case .bytes(let bytes): all = bytes
        case .file(let inode) where inode.kind == .file:
            if inode.size > limit { return nil }
            all = inode.data + [UInt8](repeating: 0, count: inode.size - inode.data.count)
        case .file: throw .isDirectory
        default: throw .invalidArgument
        }
        let rest = Array(all.dropFirst(open.offset))
        open.offset = all.count
        return rest.count > limit ? nil : rest
    }

    public static func readExactly(_ descriptor: Int32, count: Int) throws(Errno) -> [UInt8]? {
        let bytes = try readAll(descriptor, limit: .max)
        return bytes?.count == count ? bytes : nil
    }

    public static func read(
        _ descriptor: Int32, into bytes: inout [UInt8], at position: Int64
    ) throws(Errno) -> Int {
        try machine.enter(.read)
        let source: [UInt8]
        let size: Int
        switch try machine.open(descriptor).what {
        case .bytes(let all): (source, size) = (all, all.count)
        case .file(let inode) where inode.kind == .file: (source, size) = (inode.data, inode.size)
        default: throw .invalidArgument
        }
        let at = Int(position)
        let count = max(0, min(bytes.count, size - at))
        let known = max(0, min(count, source.count - at))
        bytes.withUnsafeMutableBytes { space in
            source.withUnsafeBytes { from in
                if known > 0 { space.copyMemory(from: .init(rebasing: from[at..<at + known])) }
            }
            for index in known..<count { space[index] = 0 }
        }
        return count
    }

    public static func writeAll(_ bytes: [UInt8], to descriptor: Int32) throws(Errno) {
        if descriptor == 2 {
            if !machine.isDead { machine.world.said(String(decoding: bytes, as: UTF8.self)) }
            return
        }
        try machine.enter(.write)
        let open = try machine.open(descriptor)
        guard let inode = open.inode, open.isWriter else { throw .badFileDescriptor }
        let offset = open.isAppending ? inode.size : open.offset
        try machine.disk.write(bytes, at: offset, to: inode)
        open.offset = offset + bytes.count
    }

    public static func writeAll(
        _ bytes: [UInt8], from offset: Int = 0, to descriptor: Int32, at position: Int64
    ) throws(Errno) {
        try machine.enter(.write)
        guard let inode = try machine.open(descriptor).inode else { throw .badFileDescriptor }
        if let trace = machine.trace, bytes.count < 60_000 {
            trace("    " + String(decoding: bytes[offset...], as: UTF8.self))
        }
        try machine.disk.write(
            offset == 0 ? bytes : Array(bytes[offset...]), at: Int(position), to: inode)
    }

    public static func sync(_ descriptor: Int32) throws(Errno) {
        try sync(descriptor, .sync)
    }

    public static func syncData(_ descriptor: Int32) throws(Errno) {
        try sync(descriptor, .syncData)
    }

    private static func sync(_ descriptor: Int32, _ call: Call) throws(Errno) {
        let inode = (try? machine.open(descriptor))?.inode
        do {
            try machine.enter(call)
        } catch {
            if !machine.isDead, let inode { machine.disk.dropPages(inode) }
            throw error
        }
        guard let inode else { throw .badFileDescriptor }
        if !Defect.skips(inode, machine) {
            machine.disk.sync(inode, dataOnly: call == .syncData)
        }
        machine.disk.promise(inode)
    }

    public static func truncate(_ descriptor: Int32, to size: Int64) throws(Errno) {
        try machine.enter(.truncate)
        guard let inode = try machine.open(descriptor).inode else { throw .badFileDescriptor }
        try machine.disk.resize(inode, to: Int(size))
    }

    public static func allocate(
        _ descriptor: Int32, offset: Int64, length: Int64
    ) throws(Errno) {
        try machine.enter(.allocate)
        guard let inode = try machine.open(descriptor).inode else { throw .badFileDescriptor }
        let end = Int(offset + length)
        if end > inode.size { try machine.disk.resize(inode, to: end) }
    }

    public static func setModified(_ descriptor: Int32, to microseconds: Int64) throws(Errno) {
        try machine.enter(.times)
        guard let inode = try machine.open(descriptor).inode else { throw .badFileDescriptor }
        machine.disk.setTimes(inode, modified: microseconds)
    }
}
