// SPDX-License-Identifier: Apache-2.0
import Linux
import TaskModel

/// The processes of one attempt: its steps, one after another. Calls its delegate from the loop.
protocol Session: AnyObject {
    /// Starts the first step.
    func start() throws(SessionFailure)
    /// Starts the next step, after one that ended well.
    func proceed() throws(SessionFailure)
    /// Asks for the directory into which its task drops subtasks, where there is one.
    func askForDrops()
    /// A signal to the step that runs.
    func signal(_ number: Int32)
    /// Ends all that runs, for good.
    func kill()
    /// What another program needs to go on with it; nil while it is being built, or ends.
    func handOver(_ record: inout HandoverTable.Record) -> [Int32]?
    /// The limits that the attempt met, once it has finished; what weighs most first.
    func breaches() -> [Breach]
    /// When `look` has something to do: CLOCK_BOOTTIME in microseconds, `.max` for never.
    var nextLook: Int64 { get }
    /// Looks at what no descriptor tells.
    func look()
    /// Since when its processes should be gone; nil while they may run. CLOCK_BOOTTIME.
    var endingSince: Int64? { get }
    /// Which of them there are; only for messages.
    var processes: [Int32] { get }
    /// Names of limits that can't be had here.
    var weak: [String] { get }
    /// Bytes that all its processes together had at most; 0 where nobody counts.
    var peakMemory: Int64 { get }
    /// Who the task is, where that is not who it looks like.
    var identity: String? { get }
}

/// A limit that an attempt met.
struct Breach {
    /// The reason when it is why the attempt failed; nil for what only slows down.
    var reason: FailureReason?
    /// Directive, value and figure reached.
    var what: String
    /// Its name in the note of an attempt that did not fail for it.
    var note: String
    /// It failed the attempt, whatever its exit status.
    var isFatal: Bool
}

/// What hears of a session's steps.
protocol SessionDelegate: AnyObject {
    /// The first step runs, or is about to.
    func sessionStarted()
    /// The directory into which its task drops subtasks: once it was asked for, and before the last step's
    /// end where something lies in it.
    func sessionSubmits(_ directory: OpenFile)
    /// `nextLook` or `endingSince` has changed, and no other call says so.
    func sessionWantsLook()
    /// The step that ran has ended, and nothing of it is left.
    func stepEnded(_ end: ProcessEnd)
    /// The session can't go on. `sessionFinished` follows, unless `start` or `proceed` threw it.
    func sessionFailed(_ failure: SessionFailure)
    /// Nothing of the session is left.
    func sessionFinished()
}
