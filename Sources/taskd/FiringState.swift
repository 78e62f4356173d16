// SPDX-License-Identifier: Apache-2.0
import Linux
import TaskModel
import TaskSpool
import TaskUnit

/// What taskd knows of the units that run by themselves, beside when they are due.
struct FiringState {
    /// A file of units/ as it was read.
    struct UnitFile {
        /// TASK_NAME: what its slots and ids go by.
        var unit: String
        var seen: Seen
        /// Of an armed one: TimeZone=, nil for the machine's zone.
        var zone: String?
        var isArmed = false
        /// Why it does not run by itself, though it says that it does.
        var problem: String?
    }

    /// What a change of a file or of its drop-ins changes.
    struct Seen: Equatable {
        var file: File.Status
        var dropIns: File.Status?

        /// When it last changed, in microseconds since 1970.
        var changed: Int64 { max(file.changed, dropIns?.changed ?? 0) }
    }

    var table = Timetable()
    /// By unit: what the journal accounts for, of armed units and of removed ones for a day.
    var pasts: [String: FiringPast] = [:]
    /// By file name.
    var files: [String: UnitFile] = [:]
    /// Names in units/ that were said to have changed.
    var changed: Set<String> = []
    var isScanWanted = true
    /// The scan of incoming/ that went with the last one of units/.
    var scans = 0
    /// Taskd has just started: @reboot may be due.
    var isStart = true
    /// The files of the zones that are in use, as they were read.
    var zones: [String?: File.Status] = [:]
    /// For what the timer is set.
    var timer: Int64?
    /// Units whose plan could not be written, of which that has been said.
    var unwritten: Set<String> = []
}
