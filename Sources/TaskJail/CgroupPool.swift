// SPDX-License-Identifier: Apache-2.0
import Glibc
import Linux

/// The cgroups of a pool's slots: made once, reused by one attempt after another.
///
/// A pool holds flock(2) on its directories for life: that, and not its pid, says that it lives,
/// since pools in several pid namespaces (containers) may share one tree of cgroups.
final class CgroupPool {
    /// What pools are called: `taskrun-PID-TIME`.
    static let prefix = "taskrun-"
    private var name: String
    private let controllers: [String: CgroupPlace]
    private let unified: CgroupPlace?
    private let log = KernelLog()
    /// Cgroups of a taskrun that was killed, which do not become empty.
    private(set) var leftovers: [String] = []
    private var made: [String] = []
    private var renewals: [Int: Int] = [:]
    private var locks: [String: Int32] = [:]

    init(_ facts: HostFacts) {
        name = "\(Self.prefix)\(getpid())-\(Clock.boot())"
        var controllers = facts.controllers
        if controllers.values.contains(where: \.isV2), let place = facts.unified {
            if !Self.handOut(place, controllers) {
                controllers = controllers.filter { !$0.value.isV2 }
            }
        }
        self.controllers = controllers
        unified = facts.unified
        leftovers = Self.sweep(places)
    }

    /// What is really there: `facts` without what could not be handed out.
    func refine(_ facts: inout HostFacts) {
        facts.controllers = controllers
    }

    private var places: [CgroupPlace] {
        var all = Array(controllers.values)
        if let unified { all.append(unified) }
        return all.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
    }

    // No processes in inner nodes (cgroups(7)): what is in a delegated one moves to supervisor/
    // first: we, and a taskd that started us. A cgroup that hands controllers out already, or the
    // root, needs no move.
    private static func handOut(
        _ place: CgroupPlace, _ controllers: [String: CgroupPlace]
    ) -> Bool {
        let control = place.path + "/cgroup.subtree_control"
        let wanted = controllers.filter { $0.value.isV2 }.keys.map { "+" + $0 }.sorted()
        if Text.write(wanted.joined(separator: " "), to: control) { return true }
        let supervisor = place.path + "/supervisor"
        guard mkdir(supervisor, 0o755) == 0 || errno == EEXIST else { return false }
        for _ in 0..<100 {  // some may fork meanwhile
            for pid in (Text.read(place.path + "/cgroup.procs") ?? "").split(separator: "\n") {
                _ = Text.write(String(pid), to: supervisor + "/cgroup.procs")
            }
            if Text.write(wanted.joined(separator: " "), to: control) { return true }
        }
        return false
    }

    // MARK: - Another program goes on

    func fill(_ state: inout LauncherHandover) {
        state.pool = name
        state.directories = made
        state.renewals = renewals
        state.locks = locks
    }

    func resume(_ state: LauncherHandover) {
        name = state.pool
        made = state.directories
        renewals = state.renewals
        locks = state.locks
    }

    func resumed(_ slot: SlotHandover) -> CgroupSlot {
        let places =
            slot.v2.map { ($0.key, CgroupPlace(isV2: true, path: $0.value)) }
            + slot.v1.map { ($0.key, CgroupPlace(isV2: false, path: $0.value)) }
        let result = CgroupSlot(
            controllers: Dictionary(places) { first, _ in first }, unified: slot.unified, log: log)
        result.resume(slot.counters)
        return result
    }

    /// Removes directories of slots that are not in use. rmdir(2) alone would not spare all that are:
    /// one whose jail has just ended is empty, and its slot goes on with it.
    func removeIdle(but used: Set<String>) {
        made.removeAll { $0.contains("/slot-") && !used.contains($0) && rmdir($0) == 0 }
    }

    /// A descriptor of the directory with an exclusive lock; -1 where another holds it.
    static func lock(_ path: String) -> Int32 {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if descriptor < 0 { return -1 }
        if (try? File.tryLock(descriptor)) == true { return descriptor }
        close(descriptor)
        return -1
    }

    /// New cgroups for a slot: `slot-N`, or `slot-N.M` where it has had M.
    func slot(_ index: Int) throws(JailError) -> CgroupSlot {
        let count = renewals[index, default: 0]
        renewals[index] = count + 1
        let directory = count == 0 ? "slot-\(index)" : "slot-\(index).\(count)"
        var paths: [String: String] = [:]
        for place in places {
            let pool = place.path + "/" + name
            try makeLocked(pool)
            if place.isV2 { try handOutBelow(pool) }
            try make(pool + "/" + directory)
            paths[place.path] = pool + "/" + directory
        }
        return CgroupSlot(
            controllers: controllers.compactMapValues { place in
                paths[place.path].map { CgroupPlace(isV2: place.isV2, path: $0) }
            }, unified: unified.flatMap { paths[$0.path] }, log: log)
    }

    private func handOutBelow(_ pool: String) throws(JailError) {
        let names = controllers.filter { $0.value.isV2 }.keys.map { "+" + $0 }.sorted()
        if names.isEmpty
            || Text.write(names.joined(separator: " "), to: pool + "/cgroup.subtree_control")
        {
            return
        }
        throw JailError(
            .cgroup,
            "unable to hand out controllers in \(pool): \(String(cString: strerror(errno)))")
    }

    // Another's sweep may take the directory between mkdir and lock: then it is made again.
    private func makeLocked(_ path: String) throws(JailError) {
        for _ in 0..<100 where locks[path] == nil {
            try make(path)
            let descriptor = Self.lock(path)
            if descriptor < 0 { continue }
            if access(path, F_OK) == 0 {
                locks[path] = descriptor
            } else {
                close(descriptor)
            }
        }
        if locks[path] == nil {
            throw JailError(.cgroup, "unable to lock the cgroup \(path)", errno: errno)
        }
    }

    private func make(_ path: String) throws(JailError) {
        if mkdir(path, 0o755) == 0 {
            made.append(path)
        } else if errno != EEXIST {
            throw JailError(.cgroup, "unable to make the cgroup \(path)", errno: errno)
        }
    }

    /// Removes the directories; the launchers must be gone.
    func remove() {
        for path in made.reversed() { rmdir(path) }
        made = []
        for descriptor in locks.values { close(descriptor) }
        locks = [:]
    }
}
