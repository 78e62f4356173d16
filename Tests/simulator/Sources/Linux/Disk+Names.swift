// SPDX-License-Identifier: Apache-2.0
public import SystemPackage

/// What changes names and bytes in the cache. taskd's calls end here, and so do those of owners.
extension Disk {
    /// The inode at a path from a directory, or from the root where it is absolute.
    public func find(_ path: String, from start: DiskNode? = nil) throws(Errno) -> DiskNode {
        if let one = start?.entries[path] { return one }  // mostly
        var inode = path.hasPrefix("/") ? root : start ?? root
        for part in path.split(separator: "/") where part != "." {
            guard inode.kind == .directory else { throw .notDirectory }
            guard let next = inode.entries[String(part)] else { throw .noSuchFileOrDirectory }
            inode = next
        }
        return inode
    }

    /// The directory of a path, and its last name.
    func parent(_ path: String, from start: DiskNode?) throws(Errno) -> (DiskNode, String) {
        guard let slash = path.lastIndex(of: "/") else { return (start ?? root, path) }
        let directory = try find(String(path[...slash]), from: start)
        guard directory.kind == .directory else { throw .notDirectory }
        return (directory, String(path[path.index(after: slash)...]))
    }

    public func create(
        _ name: String, in directory: DiskNode, _ kind: DiskNode.Kind = .file, mode: UInt32 = 0o600
    ) throws(Errno) -> DiskNode {
        if free < 4096 { throw .noSpace }
        let inode = make(kind, mode)
        inode.links = 1
        directory.entries[name] = inode
        touch(directory)
        add(NameChange(come: (directory, name, inode), inode: inode, modified: 0, changed: 0))
        Inotify.notify(directory, name, .created)
        return inode
    }

    public func write(_ bytes: [UInt8], at offset: Int, to inode: DiskNode) throws(Errno) {
        let growth = offset + bytes.count - inode.size
        if growth > free { throw .noSpace }
        inode.modified = clock()
        inode.changed = inode.modified
        let isZero = offset >= inode.data.count && bytes.count > 512 && bytes.allSatisfy { $0 == 0 }
        if isZero {
            if growth > 0 {
                inode.resize(offset + bytes.count)
                inode.pending.append(.init(offset: inode.size, bytes: nil))
            }
        } else {
            inode.put(bytes, at: offset)
            inode.pending.append(.init(offset: offset, bytes: bytes))
        }
    }

    public func resize(_ inode: DiskNode, to size: Int) throws(Errno) {
        if size - inode.size > free { throw .noSpace }
        inode.resize(size)
        inode.modified = clock()
        inode.changed = inode.modified
        inode.pending.append(.init(offset: size, bytes: nil))
    }

    public func unlink(_ name: String, in directory: DiskNode) throws(Errno) {
        guard let inode = directory.entries[name] else { throw .noSuchFileOrDirectory }
        if inode.kind == .directory { throw .isDirectory }
        directory.entries[name] = nil
        inode.links -= 1
        touch(directory)
        add(NameChange(gone: (directory, name), inode: inode, modified: 0, changed: 0))
        Inotify.notify(directory, name, .deleted)
    }

    public func rename(
        _ name: String, in from: DiskNode, to newName: String, in to: DiskNode,
        replaces: Bool = true
    ) throws(Errno) {
        guard let inode = from.entries[name] else { throw .noSuchFileOrDirectory }
        if let old = to.entries[newName] {
            if !replaces { throw .fileExists }
            if old === inode { return }
            if old.kind == .directory { throw .isDirectory }
            old.links -= 1
        }
        from.entries[name] = nil
        to.entries[newName] = inode
        touch(from)
        touch(to)
        add(
            NameChange(
                gone: (from, name), come: (to, newName, inode), inode: inode, modified: 0,
                changed: 0))
        Inotify.notify(from, name, .movedFrom)
        Inotify.notify(to, newName, .movedTo)
    }

    func exchange(
        _ name: String, in one: DiskNode, with other: String, in two: DiskNode
    ) throws(Errno) {
        guard let first = one.entries[name], let second = two.entries[other] else {
            throw .noSuchFileOrDirectory
        }
        one.entries[name] = second
        two.entries[other] = first
        second.changed = clock()
        add(
            NameChange(
                come: (one, name, second), alsoCome: (two, other, first), inode: first,
                modified: 0, changed: 0))
        for (directory, name) in [(one, name), (two, other)] {
            Inotify.notify(directory, name, .movedFrom)
            Inotify.notify(directory, name, .movedTo)
        }
    }

    /// A second name for a file, as cp(1) gives a copy one: for owners who do what they should not.
    public func copy(_ inode: DiskNode, to name: String, in directory: DiskNode) throws(Errno) {
        let new = try create(name, in: directory)
        try write(inode.data, at: 0, to: new)
        Inotify.notify(directory, name, .closedAfterWriting)
    }

    /// A file that was removed is there again, as if it had not been.
    public func putBack(_ inode: DiskNode, _ name: String, in path: String) throws(Errno) {
        let directory = try find(path)
        if directory.entries[name] == nil { directory.entries[name] = inode }
    }

    public func setTimes(_ inode: DiskNode, modified: Int64) {
        inode.modified = modified
        add(NameChange(inode: inode, modified: 0, changed: 0))
    }

    private func touch(_ directory: DiskNode) {
        directory.modified = clock()
        directory.changed = directory.modified
    }

    private func add(_ change: NameChange) {
        var change = change
        change.inode.changed = clock()
        change.modified = change.inode.modified
        change.changed = change.inode.changed
        pending.append(change)
    }

    /// fsync(2) by somebody else than taskd.
    public func syncByOwner(_ inode: DiskNode) { sync(inode, dataOnly: false) }

    // MARK: Descriptions

    public func beginWriting(_ inode: DiskNode) { inode.writers += 1 }
    public func endWriting(_ inode: DiskNode) { inode.writers = max(0, inode.writers - 1) }

    func close(_ open: Open) {
        guard case .file(let inode) = open.what else {
            if case .socket(let channel) = open.what { channel.isClosedHere = true }
            return
        }
        if open.isWriter { endWriting(inode) }
        inode.locks.removeAll { $0.holder == ObjectIdentifier(open) }
    }
}

extension Disk {
    /// One bit of a file turns, in the cache and on disk.
    public func flip(_ inode: DiskNode, bit: Int) {
        let mask = UInt8(1) << UInt8(bit % 8)
        if bit / 8 < inode.data.count { inode.data[bit / 8] ^= mask }
        if bit / 8 < inode.diskData.count { inode.diskData[bit / 8] ^= mask }
    }
}

extension Open {
    /// What was sealed into memory and passed.
    public var sealedBytes: [UInt8]? {
        if case .bytes(let bytes) = what { return bytes }
        return nil
    }
}
