// SPDX-License-Identifier: Apache-2.0

/// Outlines of plans by their digest: an accept carries its plan only once a segment.
final class PlanMemory {
    private let add: Statement
    private let find: Statement
    private var recent: [String: PlanOutline] = [:]

    private static let mostRecent = 1000

    init(_ database: Database) throws(HistoryError) {
        add = try database.prepare("insert or ignore into plan(digest, tasks) values(?1, ?2)")
        find = try database.prepare("select tasks from plan where digest = ?1")
    }

    func remember(_ outline: PlanOutline, _ digest: String) throws(HistoryError) {
        add.bind(1, digest)
        add.bind(2, outline.text)
        try add.run()
        keep(outline, digest)
    }

    func outline(_ digest: String) throws(HistoryError) -> PlanOutline? {
        if let known = recent[digest] { return known }
        find.bind(1, digest)
        defer { find.reset() }
        guard try find.step(), let text = find.text(0) else { return nil }
        let outline = PlanOutline(text: text)
        keep(outline, digest)
        return outline
    }

    private func keep(_ outline: PlanOutline, _ digest: String) {
        if recent.count >= Self.mostRecent { recent.removeAll(keepingCapacity: true) }
        recent[digest] = outline
    }
}
