// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
public import TaskHistory
import TaskJournal
public import TaskModel
import TaskSpool
public import TaskTool

// A drop that is not accepted yet is younger than all that the journal knows: who asks for its name
// right after dropping it means that one, not an older run.
extension History {
    /// The file of a drop that a word means and that is in no journal yet; nil when there is none.
    ///
    /// - Parameter word: an id or the end of one, a unit's name, `last` or nil for the latest.
    public func pendingDrop(
        _ word: String?, in choice: SpoolPath
    ) throws(HistoryError) -> String? {
        let selector = Selector(word ?? "last")
        // In the order in which drops move: one that moves meanwhile is seen in the second.
        for directory in [SpoolDirectory.incoming, .tmp] {
            let path = "\(choice.path)/\(directory.rawValue)"
            guard let stream = try? DirectoryStream(path, at: File.here) else { continue }
            while let bytes = (try? stream.next()) ?? nil {
                let file = String(decoding: bytes, as: UTF8.self)
                let taken = TakenName(bytes)
                guard !file.hasPrefix("."), !file.hasSuffix(".cancel"),
                    taken != nil || directory == .incoming,
                    Self.means(selector, file, taken, at: "\(path)/\(file)")
                else { continue }
                if let taken, try run(taken.id) != nil { continue }
                return file
            }
        }
        return nil
    }

    private static func means(
        _ selector: Selector, _ file: String, _ taken: TakenName?, at path: String
    ) -> Bool {
        switch selector {
        case .ref(let ref): return taken?.id == ref.run
        case .word(let name, _, let suffix, _, _):
            if UnitName.of(taken?.name ?? file) == name { return true }
            guard let suffix, let taken else { return false }
            return "\(taken.id)".hasSuffix(suffix)
        case .last:
            // A file without an id may lie there for long, half-written: it is not the latest then.
            if taken != nil { return true }
            let changed = (try? File.status(path))?.changed ?? 0
            return Clock.real() - changed < 2_000_000
        }
    }

    /// What a user means, as `find`: a drop that a living taskd is about to accept is waited for, a
    /// second at most.
    ///
    /// - Throws: exit status 3 when there is none, 2 when several ids end so.
    public func find(
        _ word: String?, in choice: SpoolPath, for reporter: Reporter
    ) throws(ToolError) -> TaskRef {
        let end = Clock.boot() + 1_000_000
        do {
            var file = try pendingDrop(word, in: choice)
            if file != nil, Self.isServed(choice) {
                let loop = try EventLoop()
                while file != nil, Clock.boot() < end {
                    _ = try loop.turn(until: Clock.boot() + 3000)
                    try refresh()
                    file = try pendingDrop(word, in: choice)
                }
            }
            // It may have been accepted between the last reading and that look.
            if file == nil, Self.hasJustMoved(choice) { try refresh() }
            let ref = try find(word)
            if let file {
                reporter.notice("\(file) lies in incoming/, not accepted yet: this is an older run")
            }
            return ref
        } catch {
            throw ToolError.reading(error)
        }
    }

    // Whether something left incoming/ a moment ago.
    private static func hasJustMoved(_ choice: SpoolPath) -> Bool {
        let incoming = "\(choice.path)/\(SpoolDirectory.incoming.rawValue)"
        guard let status = try? File.status(incoming) else { return false }
        return Clock.real() - status.modified < 2_000_000
    }

    private static func isServed(_ choice: SpoolPath) -> Bool {
        guard let directory = try? choice.open() else { return false }
        return (try? SpoolOwner.read(spool: directory.number))??.isAlive == true
    }
}
