// SPDX-License-Identifier: Apache-2.0
/// A file, directory or socket of the model: what the cache knows, and what the disk has.
public final class DiskNode {
    public enum Kind: Sendable { case file, directory, socket, fifo, link }

    public let number: UInt64
    public let kind: Kind
    public internal(set) var mode: UInt32
    public internal(set) var uid: UInt32 = 0
    /// Bytes up to the last that was written; zeros follow up to `size`.
    public internal(set) var data: [UInt8] = []
    public internal(set) var size = 0
    public internal(set) var modified: Int64 = 0
    public internal(set) var changed: Int64 = 0
    public internal(set) var entries: [String: DiskNode] = [:]
    public internal(set) var links = 0

    var pending: [Change] = []
    var diskData: [UInt8] = []
    var diskSize = 0
    var diskModified: Int64 = 0
    var diskChanged: Int64 = 0
    var diskEntries: [String: DiskNode] = [:]
    /// fsync(2) of a directory that names it has succeeded.
    var isNamePromised = false
    /// So many bytes an fsync(2) or fdatasync(2) has called durable; of so many the world was told.
    private(set) var promised = 0, told = 0

    var writers = 0
    var locks: [(holder: ObjectIdentifier, shared: Bool)] = []
    let space: Space

    struct Change {
        var offset: Int
        /// nil: the size is set to `offset`.
        var bytes: [UInt8]?
        /// fdatasync failed on it: a later one says that all is well, and does not write it.
        var isDropped = false
    }

    init(_ number: UInt64, _ kind: Kind, _ mode: UInt32, _ space: Space) {
        (self.number, self.kind, self.mode, self.space) = (number, kind, mode, space)
    }

    deinit {
        space.used -= size
        space.free.append(number)
    }

    func resize(_ new: Int) {
        space.used += new - size
        size = new
        if data.count > new { data.removeLast(data.count - new) }
        promised = min(promised, data.count)
        told = min(told, promised)
    }

    /// What taskd was told is durable, and the world was not yet told of.
    func promise(all isAll: Bool) -> ArraySlice<UInt8> {
        if isAll { promised = data.count }
        guard isNamePromised, told < promised else { return [] }
        defer { told = promised }
        return data[told..<promised]
    }

    /// What survived a power failure by luck was promised to nobody.
    func forgetPromises() { (promised, told) = (data.count, data.count) }

    func put(_ bytes: [UInt8], at offset: Int) {
        if offset + bytes.count > size { resize(offset + bytes.count) }
        if data.count < offset + bytes.count {
            data.append(contentsOf: repeatElement(0, count: offset + bytes.count - data.count))
        }
        data.replaceSubrange(offset..<offset + bytes.count, with: bytes)
    }
}

/// Blocks and inode numbers of the file system.
final class Space {
    var used = 0
    var free: [UInt64] = []
    var next: UInt64 = 2
}

/// One file system: names and bytes in the cache, and what of them is on disk.
public final class Disk {
    /// What survives a power failure beyond what was synced.
    public struct Rules: Sendable {
        /// fsync of anything commits every name operation before it (ext4); else only those up to the
        /// last that concerns the file or directory (XFS).
        public var commitsAll = true
        /// fsync of a file makes its name durable as well; POSIX does not say so.
        public var fileSyncCommits = true
        /// Un-synced writes survive as a prefix; else each sector of 512 bytes by itself.
        public var writesInOrder = true
        /// Un-synced name operations survive as a prefix (journaling file systems); else any that can.
        public var namesInOrder = true
        public init() {}
    }

    /// One operation on names, atomic.
    struct NameChange {
        var gone: (directory: DiskNode, name: String)?
        var come: (directory: DiskNode, name: String, inode: DiskNode)?
        var alsoCome: (directory: DiskNode, name: String, inode: DiskNode)?
        var inode: DiskNode
        var modified: Int64
        var changed: Int64

        func concerns(_ other: DiskNode) -> Bool {
            inode === other || gone?.directory === other || come?.directory === other
                || alsoCome?.directory === other || alsoCome?.inode === other
        }
    }

    public let rules: Rules
    let space = Space()
    public let root: DiskNode
    var pending: [NameChange] = []
    /// Total bytes, and what others use of them.
    public var total = 1 << 30
    public var hog = 0
    var clock: () -> Int64 = { 0 }

    public init(_ rules: Rules) {
        self.rules = rules
        root = DiskNode(1, .directory, 0o755, space)
    }

    public var free: Int { max(0, total - space.used - hog) }

    func makeSystemDirectory(_ path: String) {
        let inode = make(.directory, 0o755)
        root.entries[String(path.dropFirst())] = inode
        root.diskEntries[String(path.dropFirst())] = inode
        inode.links = 1
    }

    func make(_ kind: DiskNode.Kind, _ mode: UInt32) -> DiskNode {
        let number: UInt64
        if let free = space.free.popLast() {
            number = free
        } else {
            number = space.next
            space.next += 1
        }
        let inode = DiskNode(number, kind, mode, space)
        inode.modified = clock()
        inode.changed = inode.modified
        return inode
    }

    // MARK: Syncing

    /// The bytes of a file, or the names of a directory, and what the rules add.
    func sync(_ inode: DiskNode, dataOnly: Bool) {
        if inode.kind == .file {
            flush(inode)
            if !dataOnly, rules.fileSyncCommits { commit(for: inode) }
        } else {
            commit(for: inode)
        }
    }

    private func flush(_ inode: DiskNode) {
        if inode.pending.isEmpty { return }
        if inode.pending.contains(where: \.isDropped) {
            for change in inode.pending where !change.isDropped { apply(change, to: inode) }
            inode.pending.removeAll { !$0.isDropped }
        } else {
            inode.diskData = inode.data
            inode.diskSize = inode.size
            inode.pending = []
        }
        inode.diskModified = inode.modified
        inode.diskChanged = inode.changed
    }

    /// fdatasync(2) failed: the kernel has marked the pages clean.
    func dropPages(_ inode: DiskNode) {
        for index in inode.pending.indices { inode.pending[index].isDropped = true }
    }

    /// A call of taskd has said that it is durable, whether that is so or not.
    func promise(_ inode: DiskNode) {
        if inode.kind == .file { return tell(inode, inode.promise(all: true)) }
        for entry in inode.entries.values where entry.kind == .file {
            entry.isNamePromised = true
            tell(entry, entry.promise(all: false))
        }
    }

    private func tell(_ inode: DiskNode, _ bytes: ArraySlice<UInt8>) {
        if !bytes.isEmpty { Machine.current.world.becameDurable(inode, bytes) }
    }

    private func apply(_ change: DiskNode.Change, to inode: DiskNode) {
        guard let bytes = change.bytes else {
            inode.diskSize = change.offset
            if inode.diskData.count > change.offset {
                inode.diskData.removeLast(inode.diskData.count - change.offset)
            }
            return
        }
        let end = change.offset + bytes.count
        inode.diskSize = max(inode.diskSize, end)
        if inode.diskData.count < end {
            inode.diskData.append(contentsOf: repeatElement(0, count: end - inode.diskData.count))
        }
        inode.diskData.replaceSubrange(change.offset..<end, with: bytes)
    }

    private func commit(for inode: DiskNode) {
        if pending.isEmpty { return }
        let last = rules.commitsAll ? pending.count - 1 : pending.lastIndex { $0.concerns(inode) }
        guard let last else { return }
        if rules.namesInOrder {
            for change in pending[...last] { apply(change) }
            pending.removeFirst(last + 1)
        } else {
            for change in pending[...last] where change.concerns(inode) { apply(change) }
            pending = pending.enumerated().filter { $0 > last || !$1.concerns(inode) }.map(\.1)
        }
    }

    private func apply(_ change: NameChange) {
        if let gone = change.gone { gone.directory.diskEntries[gone.name] = nil }
        for come in [change.come, change.alsoCome] {
            guard let come else { continue }
            come.directory.diskEntries[come.name] = come.inode
        }
        change.inode.diskModified = change.modified
        change.inode.diskChanged = change.changed
    }

    // MARK: Power failure

    func powerFailure(_ dice: inout Dice) {
        let count = pending.count
        let kept = dice.pick([0, count, dice.below(count + 1), dice.below(count + 1)])
        for (index, change) in pending.enumerated() {
            if rules.namesInOrder ? index < kept : dice.oneIn(2) { apply(change) }
        }
        pending = []
        var seen: Set<ObjectIdentifier> = []
        restore(root, &dice, &seen)
    }

    private func restore(_ inode: DiskNode, _ dice: inout Dice, _ seen: inout Set<ObjectIdentifier>)
    {
        if !seen.insert(ObjectIdentifier(inode)).inserted {
            inode.links += 1
            return
        }
        inode.links = 1
        inode.locks = []
        inode.writers = 0
        if inode.kind == .file {
            loseWrites(inode, &dice)
            inode.forgetPromises()
        }
        inode.modified = inode.diskModified
        inode.changed = inode.diskChanged
        guard inode.kind == .directory else { return }
        inode.entries = inode.diskEntries
        for name in inode.entries.keys.sorted() {
            if let entry = inode.entries[name] { restore(entry, &dice, &seen) }
        }
    }

    private func loseWrites(_ inode: DiskNode, _ dice: inout Dice) {
        if inode.pending.isEmpty { return }
        if rules.writesInOrder {
            let count = inode.pending.count
            var kept = dice.pick([0, count, dice.below(count + 1)])
            for var change in inode.pending {
                if change.isDropped ? dice.oneIn(2) : kept > 0 {
                    apply(change, to: inode)
                } else if !change.isDropped, kept == 0, let bytes = change.bytes {
                    change.bytes = Array(bytes.prefix(dice.below(bytes.count + 1)))
                    apply(change, to: inode)
                }
                if !change.isDropped { kept -= 1 }
            }
        } else {
            for change in inode.pending { applySectors(change, to: inode, &dice) }
        }
        inode.pending = []
        inode.space.used += inode.diskSize - inode.size
        inode.size = inode.diskSize
        inode.data = inode.diskData
    }

    private func applySectors(_ change: DiskNode.Change, to inode: DiskNode, _ dice: inout Dice) {
        guard let bytes = change.bytes else {
            if dice.oneIn(2) { apply(change, to: inode) }
            return
        }
        var start = 0
        while start < bytes.count {
            let end = min(bytes.count, ((change.offset + start) / 512 + 1) * 512 - change.offset)
            if dice.oneIn(2) {
                let part = DiskNode.Change(
                    offset: change.offset + start, bytes: Array(bytes[start..<end]))
                apply(part, to: inode)
            }
            start = end
        }
    }
}
