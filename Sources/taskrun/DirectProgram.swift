// SPDX-License-Identifier: Apache-2.0
import Glibc
import Linux
import SystemPackage
import TaskModel

/// Finds what an unjailed step executes, and says what to do when it can't be.
enum DirectProgram {
    /// The program of a step with its arguments and the task's environment.
    static func prepare(_ step: Int, of job: Job) throws(SessionFailure) -> Program {
        let recipe = job.recipe
        let argv = job.steps[step].argv
        let shared: Program
        if let known = recipe.programs[step] {
            shared = known
        } else {
            shared = Program(
                path: try find(argv[0], step, job), arguments: argv,
                environment: TaskEnvironment.shared(recipe.spec, of: recipe.owner))
            // Of items too, where they differ in the other words only.
            if argv[0] == recipe.steps[step].argv[0] { recipe.programs[step] = shared }
        }
        let variables = TaskEnvironment.identifying(job)
        return job.hasOwnSteps
            ? Program(shared, arguments: argv, adding: variables)
            : Program(shared, adding: variables)
    }

    /// The places of a step's program that its owner looks at, in order.
    static func candidates(_ name: String, _ spec: TaskSpec) -> [String] {
        if name.hasPrefix("/") { return [name] }
        if name.contains("/") { return [inDirectory(name, spec)] }
        if spec.name.hasPrefix("systemd:"), let beside = beside(name) { return [beside] }
        return TaskEnvironment.path(of: spec).split(separator: ":").map { "\($0)/\(name)" }
    }

    // ./x of a command is Dir/x (task.unit(5)).
    private static func inDirectory(_ name: String, _ spec: TaskSpec) -> String {
        guard let base = spec.text(.dir) else { return name }
        return base + "/" + (name.hasPrefix("./") ? String(name.dropFirst(2)) : name)
    }

    private static func find(
        _ name: String, _ step: Int, _ job: Job
    ) throws(SessionFailure) -> String {
        let spec = job.recipe.spec
        if name.hasPrefix("/") { return name }
        if name.contains("/") { return inDirectory(name, spec) }
        // What asks systemd comes with taskrun, wherever that was installed.
        if spec.name.hasPrefix("systemd:"), let beside = beside(name) { return beside }
        let search = TaskEnvironment.path(of: spec)
        for directory in search.split(separator: ":") {
            let candidate = "\(directory)/\(name)"
            if access(candidate, X_OK) == 0 { return candidate }
        }
        throw missing(
            step, job, exit: 127,
            "\(name) was not found on PATH (\(search)): install it, or write its path")
    }

    /// A program in taskrun's own directory.
    private static func beside(_ name: String) -> String? {
        guard let own = try? Caller.linkTarget("/proc/self/exe"),
            let slash = own.lastIndex(of: "/")
        else { return nil }
        let path = own[...slash] + name
        return Caller.isExecutable(String(path)) ? String(path) : nil
    }

    /// The directory that a step starts in.
    static func openDirectory(_ path: String) throws(SessionFailure) -> OpenFile {
        do throws(Errno) {
            return try OpenFile.open(path, flags: [.path, .directory])
        } catch .noSuchFileOrDirectory {
            throw SessionFailure(
                reason: .jail, exit: 200,
                what: "the directory \(path) does not exist: mkdir -p \(path)")
        } catch {
            throw SessionFailure(
                reason: .jail, exit: 200, what: "unable to enter \(path): \(error)")
        }
    }

    /// What a failed start means for the attempt.
    static func failure(_ error: SpawnError, _ step: Int, of job: Job) -> SessionFailure {
        let name = job.recipe.programs[step]?.name ?? job.steps[step].argv[0]
        job.recipe.programs[step] = nil
        switch (error.step, error.errno) {
        case (.execute, .noSuchFileOrDirectory), (.execute, .notDirectory):
            return missing(
                step, job, exit: 127,
                "unable to execute \(name): \(error.errno): install it, or the interpreter that "
                    + "its first line names")
        case (.execute, .permissionDenied), (.execute, .execFormatError):
            return missing(
                step, job, exit: 126,
                "unable to execute \(name): \(error.errno): make it executable (chmod +x), with a "
                    + "first line such as #!/bin/sh where it is a script")
        case (.execute, _):
            return SessionFailure(
                reason: .jail, exit: 203, what: "unable to execute \(name): \(error.errno)")
        case (.cgroup, _), (.clone, .noSuchFileOrDirectory):
            return SessionFailure(
                reason: .jail, exit: 219, what: "unable to enter the slot's cgroup: \(error.errno)")
        case (.clone, _):
            return SessionFailure(
                reason: .jail, exit: 202, what: "unable to make a process: \(error.errno)",
                isTransient: true)
        case (.directory, _):
            return SessionFailure(
                reason: .jail, exit: 200, what: "unable to enter the directory: \(error.errno)")
        case (.limit, _):
            return SessionFailure(
                reason: .jail, exit: 205, what: "unable to set a limit: \(error.errno)")
        case (.input, _):
            return SessionFailure(
                reason: .jail, exit: 208,
                what: "unable to open \(job.recipe.input): \(error.errno)")
        case (.output, _):
            return SessionFailure(
                reason: .jail, exit: 209,
                what: "unable to open \(job.recipe.output): \(error.errno)")
        case (.identity, _):
            return SessionFailure(
                reason: .jail, exit: 217, what: "unable to become the owner: \(error.errno)")
        case (.session, _), (.descriptors, _):
            return SessionFailure(
                reason: .jail, exit: 202, what: "unable to set up the process: \(error.errno)")
        }
    }

    private static func missing(
        _ step: Int, _ job: Job, exit: Int32, _ what: String
    ) -> SessionFailure {
        let isCheck = job.recipe.steps[step].check != nil
        return SessionFailure(reason: isCheck ? .check : .missing, exit: exit, what: what)
    }
}
