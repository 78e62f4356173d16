// SPDX-License-Identifier: Apache-2.0
import HeapModule
import TaskModel

/// Who takes the pool down is told apart from those that ran beside it.
///
/// When the pool dies, all that it had is lost, a neighbour as much as the culprit. So an attempt
/// with one loss less than parks its run is a suspect: it is handed over to a free slot, not ahead,
/// and alone among its like. The loss that parks then is that of one, not of all who ran.
extension TaskEngine {
    /// How many losses in a row park a run.
    static var parkingLosses: Int { 3 }

    /// Microseconds after which the next suspect may start though this one still runs: a long task
    /// that did nothing wrong keeps the others waiting for no longer.
    static var probation: Int64 { 60_000_000 }

    static func isSuspect(losses: Int) -> Bool { losses >= parkingLosses - 1 }

    /// Whether the suspect that is first in the queue waits until the one on probation has ended, or
    /// its time is over.
    mutating func sitsOut(_ entry: ReadyEntry) -> Bool {
        if probation == nil { return false }
        ready.removeMin()
        suspects.append(entry)
        freeContended()
        return true
    }

    mutating func beginProbation(of ref: TaskRef, at now: Int64) {
        probation = (ref, now + Self.probation)
    }

    /// The attempt has ended: if it was the one on probation, the next has its turn.
    mutating func endProbation(of ref: TaskRef) {
        if probation?.ref == ref { endProbation() }
    }

    mutating func endProbation(at now: Int64) {
        if let probation, probation.until <= now { endProbation() }
    }

    private mutating func endProbation() {
        probation = nil
        ready.insert(contentsOf: suspects)
        suspects = []
    }
}
