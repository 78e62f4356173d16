// SPDX-License-Identifier: Apache-2.0
import TaskModel

/// One attempt to make.
struct Job {
    var ref: TaskRef
    /// From 1.
    var attempt: Int
    /// TASK_NAME; the recipe may be that of another task that differs in its name only.
    var name: String
    /// TASK_ITEM; nil where it is no item of an array.
    var item: String?
    var recipe: Recipe
    /// The recipe's programs, with the item's text in their words.
    let steps: [Recipe.Step]
    unowned var owner: any AttemptOwner

    init(
        ref: TaskRef, attempt: Int, name: String, item: String? = nil, recipe: Recipe,
        owner: any AttemptOwner
    ) {
        self.ref = ref
        self.attempt = attempt
        self.name = name
        self.item = item
        self.recipe = recipe
        steps = recipe.steps(of: item)
        self.owner = owner
    }

    /// Whether its programs are not the recipe's own.
    var hasOwnSteps: Bool { recipe.hasMarks && item != nil }
}

/// Who asked for an attempt: hears of it, and gets its output. Outlives the attempt.
protocol AttemptOwner: AnyObject {
    var sink: any OutputSink { get }
    /// Whose slots it takes: a uid.
    var account: UInt32 { get }
    /// Nothing of it starts just now.
    var isBlocked: Bool { get }
    /// A start, a check or a note happened.
    func report(_ line: [UInt8])
    /// Its task dropped a subtask: it is told before the attempt's end, and until it is acknowledged.
    func submitted(_ job: Job, _ line: [UInt8])
    /// Its task sleeps until subtasks have ended: it is told as the drops before it are, and to each
    /// connection until it wakes.
    func sleeps(_ job: Job, _ line: [UInt8])
    func woke(_ job: Job)
    /// Bytes of such lines that are not acknowledged.
    func unacknowledged(_ job: Job) -> Int
    /// Whether another attempt follows one whose end nobody heard: else that is a failure.
    func repeatsLost(_ job: Job) -> Bool
    /// The attempt ended, or is lost; nothing of it is left. The line has no `final=`.
    func ended(_ job: Job, _ line: [UInt8], _ result: AttemptResult)
}

extension AttemptOwner {
    var account: UInt32 { 0 }
    var isBlocked: Bool { false }
    func submitted(_ job: Job, _ line: [UInt8]) { report(line) }
    func sleeps(_ job: Job, _ line: [UInt8]) {}
    func woke(_ job: Job) {}
    func unacknowledged(_ job: Job) -> Int { 0 }
    func repeatsLost(_ job: Job) -> Bool { true }
}

/// How an attempt ended, in facts.
struct AttemptResult {
    /// `lost`: nothing is known of the program's end.
    var state: TaskState
    var reason: FailureReason?
    /// The exit code where there is one, also that of a failed check and of a refused jail.
    var exit: Int32?
    var signal: Int32?
    /// The check that failed.
    var check: String?
    /// A sentence that says what to do.
    var what: String?

    /// The status of a program whose end this is, as `taskrun UNIT` returns it.
    var exitStatus: Int32 {
        switch (state, reason) {
        case (.success, _), (.skipped, _): 0
        case (.cancelled, _): 130
        case (_, .timeout): 124
        case (_, .oom): 137
        case (_, .missing): exit ?? 127
        case (_, .signal): 128 + (signal ?? 0)
        case (_, .exit), (_, .jail), (_, .check): exit ?? signal.map { 128 + $0 } ?? 1
        default: 1
        }
    }
}

/// Why an attempt could not go on, with the sentence that says what to do.
struct SessionFailure: Error {
    var reason: FailureReason
    var exit: Int32
    var what: String
    /// The machine has no room just now: the job waits, the attempt did not begin.
    var isTransient = false
}
