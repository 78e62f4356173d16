// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskModel
import TaskSpool
import TaskTool

/// One drop on its way: the name it will have and its bytes.
struct Drop {
    /// NAME of `ULID@NAME`.
    var name: String
    var bytes: [UInt8]
    /// Its run's, where that is known: of a key.
    var id: TaskID?

    init(name: String, bytes: [UInt8]) {
        self.name = name
        self.bytes = bytes
    }

    /// A plan, whose id is its key's where it has one.
    init(name: String, _ plan: Plan) {
        self.init(name: name, bytes: plan.encode())
        id = Self.id(of: plan)
    }

    /// The id that a plan's key stands for today; nil where it has none.
    static func id(of plan: Plan) -> TaskID? {
        plan.key.map { TaskID(key: $0, milliseconds: UInt64(max(0, Clock.real()) / 1000)) }
    }
}

/// Puts drops into incoming/ so that they survive a power failure before their ids are printed,
/// with or without a taskd (task-spool(7), I3).
struct Submission {
    let spool: Spool
    /// Descriptors that are open at once, between write and fsync.
    private static let batch = 512

    /// Writes, syncs and publishes all, or none.
    ///
    /// Everything is on disk under names that nobody takes before the first rename; what can still
    /// fail then is a rename itself, and a death between two of them.
    /// - Parameter ids: an id for each drop; nil makes them.
    /// - Returns: the ids in the order of the drops; they sort in that order too.
    func publish(_ drops: [Drop], as ids: [TaskID]? = nil) throws(ToolError) -> [TaskID] {
        let names = ids ?? Self.ids(drops.count)
        var written = 0
        do {
            while written < drops.count {
                let end = min(written + Self.batch, drops.count)
                try write(drops[written..<end], names[written..<end])
                written = end
            }
        } catch {
            for name in names { try? spool.remove(Self.temporary(name), .tmp) }
            throw error
        }
        let ids = zip(drops, names).map { $0.id ?? $1 }
        try rename(drops, names, ids)
        return ids
    }

    // Written all, then synced all at once: the file system commits once for many.
    private func write(_ drops: ArraySlice<Drop>, _ ids: ArraySlice<TaskID>) throws(ToolError) {
        var numbers: [Int32] = []
        defer { for number in numbers { _ = Descriptor(owning: number) } }
        for (drop, id) in zip(drops, ids) {
            do {
                let file = try File.open(
                    Self.temporary(id), at: spool.number(.tmp),
                    flags: [.writeOnly, .create, .exclusive, .noFollow])
                let number = file.release()
                numbers.append(number)
                try File.writeAll(drop.bytes, to: number)
            } catch {
                throw failure(drop, error)
            }
        }
        if let (index, error) = File.syncAll(numbers) {
            throw failure(drops[drops.startIndex + index], error)
        }
    }

    private func rename(
        _ drops: [Drop], _ names: [TaskID], _ ids: [TaskID]
    ) throws(ToolError) {
        var renamed: [Int] = []
        for (index, drop) in drops.enumerated() {
            do {
                if try publish(drop, names[index], as: ids[index]) { renamed.append(index) }
            } catch {
                for name in names[index...] { try? spool.remove(Self.temporary(name), .tmp) }
                takeBack(renamed, drops, ids)
                throw failure(drop, error)
            }
        }
        do {
            try spool.sync(.incoming)
        } catch {
            takeBack(renamed, drops, ids)
            throw ToolError(
                unableTo: "sync", "\(spool.path)/incoming", error,
                "what was submitted may be lost by a power failure: look at `task list`")
        }
    }

    // False where the same lies there already: it has the same key, and is this one.
    private func publish(
        _ drop: Drop, _ name: TaskID, as id: TaskID
    ) throws(Errno) -> Bool {
        let place = "\(id)@\(drop.name)"
        do {
            try spool.moveNew(Self.temporary(name), .tmp, to: place, .incoming)
            return true
        } catch .fileExists where drop.id != nil {
            guard try spool.read(place, .incoming, limit: Spool.longestPlan) == drop.bytes else {
                throw .fileExists
            }
            try spool.remove(Self.temporary(name), .tmp)
            return false
        }
    }

    // What taskd has not taken yet goes again; what it has runs, and the message says so.
    private func takeBack(_ indices: [Int], _ drops: [Drop], _ ids: [TaskID]) {
        for (drop, id) in indices.map({ (drops[$0], ids[$0]) }) {
            do {
                try spool.remove("\(id)@\(drop.name)", .incoming)
            } catch {
                reporter.warning("\(drop.name) was taken already as \(id): `task cancel \(id)`")
            }
        }
    }

    // Begins with a dot: recovery takes `ID@NAME` in tmp/ for a drop that was taken.
    private static func temporary(_ id: TaskID) -> String { ".\(id)" }

    private func failure(_ drop: Drop, _ error: Errno) -> ToolError {
        let free = error == .noSpace ? try? File.freeSpace(spool.rootNumber) : nil
        let hint = free?.inodes == 0 ? " (no inodes are free: df -i)" : ""
        return ToolError(
            unableTo: "write", "the drop of \(drop.name)", error, "nothing was submitted\(hint)")
    }

    /// New ids that sort in the order in which they were asked for.
    static func ids(_ count: Int) -> [TaskID] {
        let first = TaskID(
            milliseconds: UInt64(Clock.real() / 1000),
            upper: UInt16(truncatingIfNeeded: Random.bits64()), lower: Random.bits64() >> 1)
        return (0..<count).map { TaskID(high: first.high, low: first.low + UInt64($0)) }
    }
}

/// Whether a file's name can be a drop's: `[A-Za-z0-9@._:-]`, with the id at most 128 bytes.
enum DropFileName {
    static let longest = DropName.longest - TaskID.length - 1

    /// What is wrong with a name; nil when it can be used.
    static func problem(_ name: String) -> String? {
        if name.utf8.count > longest { return "its name has more than \(longest) bytes" }
        let probe = Array("\(String(repeating: "0", count: TaskID.length))@\(name)".utf8)
        guard case .unit(let found, _) = DropName(probe), found == name, !name.hasPrefix("."),
            !name.hasPrefix("-")
        else {
            return
                "its name may hold only letters, digits and @ . _ : -, may not begin with . or - "
                + "and not end in ~"
        }
        return nil
    }
}
