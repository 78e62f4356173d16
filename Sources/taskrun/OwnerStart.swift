// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskModel

/// Starts the steps of an unjailed attempt of another owner than taskrun's user: each becomes the
/// owner, without capabilities and without a way to more (no_new_privs), and looks up its directory,
/// files and program with his rights. So are those of taskrun's user started whose paths may hang.
///
/// Nothing waits for it; why a step was not executed is known when it has ended.
final class OwnerStart {
    private let job: Job
    private var rights: SpawnOwner
    private var report: OpenFile?

    /// - Throws: root does not permit it.
    init(_ job: Job) throws(SessionFailure) {
        let recipe = job.recipe
        self.job = job
        if recipe.owner.isOther {
            if let refusal = recipe.owner.refusalOfUnjailed(recipe.spec) { throw refusal }
            rights = recipe.owner.rights
        } else {
            rights = SpawnOwner(uid: recipe.owner.uid, gid: recipe.owner.gid, groups: [])
            rights.isCaller = true
        }
        rights.directory = recipe.direct.directory
        rights.input = Self.file(recipe.input)
        rights.output = Self.file(recipe.output)
    }

    private static func file(_ text: String) -> String? {
        text.hasPrefix("file:") ? String(text.dropFirst(5)) : nil
    }

    func start(_ step: Int, _ options: SpawnOptions) throws(SpawnError) -> Child {
        let recipe = job.recipe
        let argv = job.steps[step].argv
        // One that was found by name already is not looked up anew.
        let shared =
            recipe.programs[step]
            ?? Program(
                path: argv[0], arguments: argv,
                environment: TaskEnvironment.shared(recipe.spec, of: recipe.owner))
        if !rights.isCaller, argv[0] == recipe.steps[step].argv[0] {
            recipe.programs[step] = shared
        }
        rights.paths = DirectProgram.candidates(argv[0], recipe.spec)
        let pipe: (read: Int32, write: Int32)
        do throws(Errno) { pipe = try Pipe.make() } catch {
            throw SpawnError(step: .clone, errno: error)
        }
        report = OpenFile(Descriptor(owning: pipe.read))
        let writing = Descriptor(owning: pipe.write)
        return try Child.start(
            Program(shared, arguments: argv, adding: TaskEnvironment.identifying(job)), options,
            as: rights,
            report: writing.number)
    }

    /// Where a failed start is told.
    var reading: Int32? { report?.number }

    func resume(_ reading: Int32) { report = OpenFile(Descriptor(owning: reading)) }

    /// Why the step that has ended was never executed; nil when it was.
    func failure(_ step: Int) -> SessionFailure? {
        guard let failure = report.flatMap({ Child.ownerFailure($0.number) }) else { return nil }
        report = nil
        var result = DirectProgram.failure(failure, step, of: job)
        result.isTransient = false
        if failure.step == .directory, let directory = rights.directory {
            result.what = "unable to enter \(directory): \(failure.errno)"
        }
        return result
    }
}
