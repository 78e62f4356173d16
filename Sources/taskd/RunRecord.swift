// SPDX-License-Identifier: Apache-2.0
import TaskModel
import TaskSpool

/// What taskd knows of a live run beside the engine: its plan, and where its file is.
///
/// A cache: the directory is the truth, and a rename that meets ENOENT looks there.
struct RunRecord {
    var plan: Plan
    /// Unit name, as `name=` of its events.
    var name: String
    var directory: SpoolDirectory
    var file: RunFileName
    /// The run's end is journaled; the file goes when that is durable.
    var isEnded = false
    /// Its owner removed the file.
    var isRemoved = false
    /// fsync(2) of its file has failed: another must not be believed.
    var isSyncLost = false
    /// What its owner has cancelled and has not ended: the run, or tasks of it.
    var cancelled: Set<TaskRef> = []
    /// Final states by task number, for the reduced plan; kept only where there are several tasks.
    var results: [Int: TaskState] = [:]

    /// A run of one task carries its attempt in its file name.
    var isSingle: Bool { plan.tasks.count == 1 }

    /// The place of the task with that number.
    func task(_ number: Int) -> PlanTask? {
        if plan.tasks.indices.contains(number), plan.tasks[number].number == number {
            return plan.tasks[number]
        }
        return plan.tasks.first { $0.number == number }
    }
}

/// What may be done only once a journal record is durable.
enum AfterSync {
    /// Step 4 of task-spool(7): the drop is in the journal.
    case removeTaken(TakenName)
    /// Rule 6: the reject is in the journal.
    case moveRejected(TakenName, as: String)
    /// Step 6: the run's end is in the journal.
    case finish(TaskID, TaskState)
    /// The pool may forget its events up to this number, if it is still the same connection.
    case acknowledge(Int, connection: Int)
    /// Attempts that may take the machine down start only when that is on record.
    case startGated(TaskRef, attempt: Int)
    /// An installed definition's drop.
    case install(TakenName, as: String)
    /// A command's drop.
    case removeCommand(String)
}
