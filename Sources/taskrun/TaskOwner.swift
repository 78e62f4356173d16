// SPDX-License-Identifier: Apache-2.0
import Glibc
import Linux
import TaskJail
import TaskModel

/// Whose a task is: the user of taskrun, or for a service of root the peer of its socket.
struct TaskOwner: Equatable {
    var uid: UInt32
    var gid: UInt32

    /// taskrun's own user.
    static var caller: TaskOwner { TaskOwner(uid: geteuid(), gid: getegid()) }

    /// taskrun must become another one first.
    var isOther: Bool { uid != geteuid() }

    /// His name in the host's data base, else his number.
    var name: String {
        getpwuid(uid).map { String(cString: $0.pointee.pw_name) } ?? String(uid)
    }

    /// What he may do: his groups, as at a login.
    var rights: SpawnOwner {
        guard let entry = getpwuid(uid) else {
            return SpawnOwner(uid: uid, gid: gid, groups: [gid])
        }
        let own = entry.pointee.pw_gid
        let name = String(cString: entry.pointee.pw_name)
        return SpawnOwner(uid: uid, gid: own, groups: ForOwner.groups(of: name, gid: own))
    }

    /// `NAME=VALUE` of an unjailed task of his.
    var environment: [String] {
        var variables = ["PATH=\(TaskEnvironment.defaultPath)", "LANG=C.UTF-8"]
        guard let entry = getpwuid(uid) else { return variables }
        let name = String(cString: entry.pointee.pw_name)
        variables.append("HOME=\(String(cString: entry.pointee.pw_dir))")
        variables.append("USER=\(name)")
        variables.append("LOGNAME=\(name)")
        return variables
    }

    // Nothing but taskrun's own neighbour with a name: no environment, no other argument or directive.
    private static func asksSystemd(_ spec: TaskSpec) -> Bool {
        let unit = String(spec.name.dropFirst("systemd:".utf8.count))
        guard spec.name.hasPrefix("systemd:"), !unit.hasPrefix("-") else { return false }
        var asking = TaskSpec(name: spec.name)
        asking[.command] = ["taskdep"]
        asking[.jail] = ["no"]
        for words in [["await", unit], ["await", "--optional", unit]] {
            asking[.arg] = words
            if spec == asking { return true }
        }
        return false
    }

    /// The word that permits an owner `Jail=no` in /etc/task/run-as, in place of a user.
    static let unjailed = "jail=no"

    /// An owner's tasks run without a jail only where root says so; but for the question about a unit
    /// of systemd, that every plan may ask.
    func refusalOfUnjailed(_ spec: TaskSpec) -> SessionFailure? {
        if !isOther || Self.asksSystemd(spec) { return nil }
        let name = name
        if RunAsRules.system.permits(owner: name, user: Self.unjailed) { return nil }
        return SessionFailure(
            reason: .jail, exit: 217,
            what: "unable to run without a jail for \(name): not permitted; root can add the line "
                + "`\(name): \(Self.unjailed)` to \(RunAsRules.path), task not started")
    }
}
