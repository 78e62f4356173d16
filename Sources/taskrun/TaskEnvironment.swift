// SPDX-License-Identifier: Apache-2.0
import Glibc
import Linux
import TaskModel

/// The environment of a task: what is documented and what its unit sets, nothing of taskrun's own.
enum TaskEnvironment {
    static let defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

    /// `NAME=VALUE`, those of the unit last: they win where a program reads the last.
    static func variables(of job: Job) -> [String] {
        let set = job.recipe.spec[.env]
        let base = own.filter { variable in
            !set.contains { $0.hasPrefix(variable.prefix { $0 != "=" } + "=") }
        }
        return base + identifying(job) + set + bus(job)
    }

    /// Where systemd listens, for what asks it (`systemd:NAME`), where it is not the usual place.
    private static func bus(_ job: Job) -> [String] {
        let name = "DBUS_SYSTEM_BUS_ADDRESS"
        guard job.recipe.spec.name.hasPrefix("systemd:"), let address = Caller.environment(name)
        else { return [] }
        return ["\(name)=\(address)"]
    }

    /// What a jail adds to (PATH, HOME and the like are its own).
    static func jailed(_ job: Job) -> [String] {
        let set = job.recipe.spec[.env]
        let language = set.contains { $0.hasPrefix("LANG=") } ? [] : ["LANG=C.UTF-8"]
        return language + identifying(job) + set
    }

    private static func identifying(_ job: Job) -> [String] {
        let spec = job.recipe.spec
        var variables = ["TASK_ID=\(job.ref)"]
        variables.append("TASK_NAME=\(spec.name)")
        variables.append("TASK_RUN=\(job.ref.run)")
        variables.append("TASK_ATTEMPT=\(job.attempt)")
        if let item = job.ref.item { variables.append("TASK_INDEX=\(item)") }
        return variables
    }

    /// Where a command without a slash is looked for.
    static func path(of spec: TaskSpec) -> String {
        spec[.env].last { $0.hasPrefix("PATH=") }.map { String($0.dropFirst(5)) } ?? defaultPath
    }

    /// Of the pool's user: read once, since a name service may be slow.
    private static let own: [String] = {
        var variables = ["PATH=\(defaultPath)", "LANG=C.UTF-8"]
        guard let entry = getpwuid(geteuid()) else { return variables }
        let name = String(cString: entry.pointee.pw_name)
        variables.append("HOME=\(String(cString: entry.pointee.pw_dir))")
        variables.append("USER=\(name)")
        variables.append("LOGNAME=\(name)")
        return variables
    }()
}
