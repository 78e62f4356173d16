// SPDX-License-Identifier: Apache-2.0
import Glibc
import Linux
import TaskModel

/// The environment of a task: what is documented and what its unit sets, nothing of taskrun's own.
///
/// What names the attempt comes first, then what all attempts of the task share.
enum TaskEnvironment {
    static let defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

    /// `NAME=VALUE` of all attempts of a task without a jail, those of the unit last: they win where
    /// a program reads the last.
    static func shared(_ spec: TaskSpec, of owner: TaskOwner) -> [String] {
        let set = spec[.env]
        let names = Set(set.compactMap { $0.divided(at: "=")?.before })
        let base = (owner.isOther ? owner.environment : own).filter { variable in
            variable.divided(at: "=").map { !names.contains($0.before) } ?? true
        }
        return base + set + bus(spec)
    }

    /// Where systemd listens, for what asks it (`systemd:NAME`), where it is not the usual place.
    private static func bus(_ spec: TaskSpec) -> [String] {
        let name = "DBUS_SYSTEM_BUS_ADDRESS"
        guard spec.name.hasPrefix("systemd:"), let address = Caller.environment(name)
        else { return [] }
        return ["\(name)=\(address)"]
    }

    /// What a jail shares with all attempts (PATH, HOME and the like are its own).
    static func sharedInJail(_ spec: TaskSpec) -> [String] {
        let set = spec[.env]
        return (set.contains { $0.hasPrefix("LANG=") } ? [] : ["LANG=C.UTF-8"]) + set
    }

    /// What names the attempt: `NAME=VALUE` strings, each ended by a zero byte.
    static func identifying(_ job: Job) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(160)
        func begin(_ name: StaticString) { name.withUTF8Buffer { bytes.append(contentsOf: $0) } }
        begin("TASK_ID=")
        job.ref.append(to: &bytes)
        begin("\0TASK_NAME=")
        bytes.append(contentsOf: job.name.utf8.filter { $0 != 0 })
        begin("\0TASK_RUN=")
        job.ref.run.append(to: &bytes)
        begin("\0TASK_ATTEMPT=")
        Decimal.append(job.attempt, to: &bytes)
        if let item = job.ref.item {
            begin("\0TASK_INDEX=")
            Decimal.append(item, to: &bytes)
        }
        if let item = job.item {
            begin("\0TASK_ITEM=")
            bytes.append(contentsOf: item.utf8)
        }
        bytes.append(0)
        return bytes
    }

    /// Where a command without a slash is looked for.
    static func path(of spec: TaskSpec) -> String {
        spec[.env].last { $0.hasPrefix("PATH=") }.map { String($0.dropFirst(5)) } ?? defaultPath
    }

    /// Of taskrun's user: read once, since a name service may be slow.
    private static let own = TaskOwner.caller.environment
}
