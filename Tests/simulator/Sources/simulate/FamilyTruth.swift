// SPDX-License-Identifier: Apache-2.0
import TaskModel

/// What attempts dropped, and what of it taskd has said is durable.
struct FamilyTruth {
    struct Drop: Hashable {
        var key: ModelPool.Key
        var child: TaskID
        var name: String
    }

    /// Whose a subtask is, and of which generation of that.
    private(set) var kin: [TaskID: (parent: TaskRef, generation: Int)] = [:]
    /// By attempts that have not ended.
    private var acknowledged: [ModelPool.Key: [Drop]] = [:]
    private var dropped: [ModelPool.Key: [Drop]] = [:]
    /// By attempts that came to their own end: each has its accept, or says why not.
    private(set) var promised: Set<Drop> = []

    mutating func dropped(_ name: String, of key: ModelPool.Key, generation: Int) {
        let id = Subtask.id(of: name, parent: key.ref, generation: generation)
        kin[id] = (key.ref, generation)
        dropped[key, default: []].append(Drop(key: key, child: id, name: name))
    }

    mutating func acknowledged(_ name: String, of key: ModelPool.Key) {
        guard let drop = dropped[key]?.first(where: { $0.name == name }) else { return }
        acknowledged[key, default: []].append(drop)
        if ends.contains(key) { promised.insert(drop) }
    }

    /// Attempts that ended without being killed.
    private var ends: Set<ModelPool.Key> = []

    mutating func ended(_ key: ModelPool.Key, isCancelled: Bool) {
        let own = acknowledged.removeValue(forKey: key) ?? []
        if isCancelled { return }
        ends.insert(key)
        promised.formUnion(own)
    }

    /// What it ran is lost; what it had not told is gone.
    mutating func poolDied() {
        (acknowledged, dropped, ends) = ([:], [:], [])
    }
}
