// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskModel
import TaskSpool

/// Reads failed/ or rejected/ a part at a time, and keeps of what it finds only the oldest: memory is
/// bounded, however much lies there.
struct FileScan {
    enum Kind { case failed, rejected }

    /// One plan, or one rejected file with its reason.
    struct Found {
        /// When it was written, in microseconds since 1970: a plan as it failed, a reason as the file was
        /// rejected. A copy of a spool keeps these times.
        var since: Int64
        var name: String
    }

    let kind: Kind
    private let spool: Spool
    private let stream: DirectoryStream
    /// How many may stay.
    private let most: Int
    private var count = 0
    private var oldest: [Found] = []

    /// Of more the rest is found by the next scan.
    private static let kept = 20_000

    init(_ kind: Kind, _ spool: Spool, most: Int) throws(Errno) {
        self.kind = kind
        self.spool = spool
        self.most = most
        stream = try DirectoryStream(".", at: spool.number(kind == .failed ? .failed : .rejected))
    }

    /// Reads some names.
    ///
    /// - Parameter isLeft: of names that do not count.
    /// - Returns: false at the end.
    mutating func read(_ names: Int, leaving isLeft: (String) -> Bool) throws(Errno) -> Bool {
        for _ in 0..<names {
            guard let bytes = try stream.next() else { return false }
            guard let found = try look(bytes), !isLeft(found.name) else { continue }
            count += 1
            oldest.append(found)
            if oldest.count >= 2 * Self.kept { cut(to: Self.kept) }
        }
        return true
    }

    /// What is above the limit, the oldest first, and whether there is more of it than that.
    mutating func finish() -> (names: [String], isAll: Bool) {
        let surplus = max(0, count - most)
        cut(to: min(surplus, Self.kept))
        return (oldest.map(\.name), surplus <= Self.kept)
    }

    private mutating func cut(to number: Int) {
        oldest.sort { ($0.since, $0.name) < ($1.since, $1.name) }
        oldest.removeLast(max(0, oldest.count - number))
    }

    // nil: it is none of those, or is counted with another name.
    private func look(_ bytes: [UInt8]) throws(Errno) -> Found? {
        var name = String(decoding: bytes, as: UTF8.self)
        if kind == .failed {
            // Without a generation of its own it is about to be cancelled.
            guard let file = RunFileName(bytes: bytes[...]), file.generation > 0,
                let status = try status(name), status.isRegular
            else { return nil }
            return Found(since: status.modified, name: name)
        }
        guard let status = try status(name), !status.isDirectory else { return nil }
        if name.hasSuffix(".reason") {
            // One whose file is gone counts for it.
            name.removeLast(".reason".count)
            if try self.status(name) != nil { return nil }
            return Found(since: status.modified, name: name)
        }
        // The file's own time is its writer's.
        let reason = try self.status("\(name).reason")
        return Found(since: reason?.modified ?? status.changed, name: name)
    }

    private func status(_ name: String) throws(Errno) -> File.Status? {
        do throws(Errno) {
            return try File.status(name, at: spool.number(kind == .failed ? .failed : .rejected))
        } catch .noSuchFileOrDirectory {
            return nil
        }
    }
}

extension Daemon {
    /// Goes on with the directory that is being read; at its end it is known what goes.
    func goOnScanning() {
        guard var scan = retention.scan else { return }
        retention.scan = nil
        let kind = scan.kind
        do throws(Errno) {
            if try scan.read(RetentionState.namesPerTurn, leaving: { isLeft($0, kind) }) {
                retention.scan = scan
                return
            }
        } catch {
            return sayKept("read \(kind == .failed ? "failed" : "rejected")/: \(error)")
        }
        let (names, isAll) = scan.finish()
        retention.expired = names.reversed().compactMap { name in
            if kind == .rejected { return .rejected(name) }
            return RunFileName(bytes: Array(name.utf8)[...]).map { .plan($0) }
        }
        if !isAll { retention.subjects.append(kind == .failed ? .failed : .rejected) }
    }

    private func isLeft(_ name: String, _ kind: FileScan.Kind) -> Bool {
        switch kind {
        case .failed: RunFileName(bytes: Array(name.utf8)[...]).map { runs[$0.run] != nil } ?? true
        case .rejected: rejecting.contains(name)
        }
    }
}
