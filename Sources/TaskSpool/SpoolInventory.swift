// SPDX-License-Identifier: Apache-2.0
import Linux
public import SystemPackage
public import TaskModel

/// A plan's file in a state directory.
public struct PlanPlace: Hashable, Sendable {
    public var directory: SpoolDirectory
    public var file: RunFileName

    public init(_ directory: SpoolDirectory, _ file: RunFileName) {
        self.directory = directory
        self.file = file
    }
}

extension PlanPlace: CustomStringConvertible {
    public var description: String { "\(directory.rawValue)/\(file)" }
}

/// What lies in a spool when taskd starts, but for incoming/, which may hold millions: names only, no
/// file is opened.
public struct SpoolInventory: Sendable {
    /// `tmp/ID@NAME`.
    public private(set) var taken: [TaskID: TakenName] = [:]
    /// `tmp/ID`: a plan that was being built.
    public private(set) var building: Set<TaskID> = []
    /// `tmp/ID.full`: step 6 was under way.
    public private(set) var full: Set<TaskID> = []
    /// The plans of each run: one, unless somebody copied it.
    public private(set) var plans: [TaskID: [PlanPlace]] = [:]
    /// Those that were claimed from the ledger: beside them the run may lie in outgoing/, as this spool's own.
    public private(set) var claims: Set<PlanPlace> = []

    /// Ids that have a file in the spool.
    public var ids: Set<TaskID> {
        Set(taken.keys).union(building).union(full).union(plans.keys)
    }

    /// Whether files stand for the run: a plan, or what a plan can be made of. A half-built plan is
    /// none, and a drop in incoming/ is not yet a run.
    public func hasRun(_ id: TaskID) -> Bool {
        plans[id] != nil || taken[id] != nil || full.contains(id)
    }

    /// Reads the directories, those of the states in the order in which runs mostly move, so that a
    /// plan that moves meanwhile is rather seen twice than never.
    public init(reading spool: Spool) throws(Errno) {
        try spool.names(in: .tmp) { addTemporary($0) }
        try addPlans(spool)
    }

    /// Looks for plans again: of runs that were seen nowhere, because they moved meanwhile.
    public mutating func addPlans(_ spool: Spool) throws(Errno) {
        for directory in SpoolDirectory.states {
            try spool.names(in: directory) { name in
                guard let file = RunFileName(bytes: name[...]) else { return }
                let place = PlanPlace(directory, file)
                if file.token != nil {
                    claims.insert(place)
                    return
                }
                if plans[file.run]?.contains(place) != true {
                    plans[file.run, default: []].append(place)
                }
            }
        }
    }

    /// A plan that was being built has got its place in ready/.
    public mutating func moveBuilt(_ id: TaskID) {
        building.remove(id)
        plans[id] = [PlanPlace(.ready, RunFileName(run: id))]
    }

    private mutating func addTemporary(_ name: [UInt8]) {
        if let drop = TakenName(name) {
            taken[drop.id] = drop
        } else if let id = TaskID(bytes: name[...]) {
            building.insert(id)
        } else if name.suffix(5) == Array(".full".utf8)[...],
            let id = TaskID(bytes: name.dropLast(5))
        {
            full.insert(id)
        }
    }
}
