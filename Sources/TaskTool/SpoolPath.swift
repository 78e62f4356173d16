// SPDX-License-Identifier: Apache-2.0
public import Linux
import SystemPackage

/// Which spool a program works on: `--spool`, `$TASK_SPOOL`, `/var/spool/task/USER` where it
/// exists, else `$XDG_STATE_HOME/task/spool`. Nothing here creates one: taskd does.
public struct SpoolPath: Equatable, Sendable {
    public var path: String
    /// Where the choice came from, for a message: `--spool`, `TASK_SPOOL`, `default`.
    public var origin: String

    /// The choice, whether or not it exists.
    public static func choose(option: String?) -> SpoolPath {
        choose(
            option: option, user: Caller.userName, home: Caller.home,
            environment: Caller.environment,
            exists: { (try? File.status($0, following: true))?.isDirectory == true })
    }

    static func choose(
        option: String?, user: String?, home: String?, environment: (String) -> String?,
        exists: (String) -> Bool
    ) -> SpoolPath {
        if let option { return SpoolPath(path: option, origin: "--spool") }
        if let set = environment("TASK_SPOOL") { return SpoolPath(path: set, origin: "TASK_SPOOL") }
        if let user, exists("/var/spool/task/\(user)") {
            return SpoolPath(path: "/var/spool/task/\(user)", origin: "default")
        }
        let state = environment("XDG_STATE_HOME") ?? "\(home ?? "")/.local/state"
        return SpoolPath(path: "\(state)/task/spool", origin: "default")
    }

    /// Whether a spool is there: taskd writes `version` first.
    public var exists: Bool {
        (try? File.status("\(path)/version", following: true))?.isRegular == true
    }

    /// Root works on another's spool as that one: what root made in it, its owner's programs could
    /// not read.
    ///
    /// - Throws: a ToolError (77) where root may not.
    public func assumeOwner() throws(ToolError) {
        guard Caller.uid == 0, let status = try? File.status(path, following: true),
            status.uid != 0
        else { return }
        do {
            try Caller.become(uid: status.uid, gid: status.gid)
        } catch {
            throw ToolError(
                unableTo: "become", "uid \(status.uid), the owner of \(path)", error,
                "nothing was done", status: ExitStatus.noPermission)
        }
    }

    /// Opens the spool's directory; see `assumeOwner`.
    ///
    /// - Throws: a ToolError that says how to make one (69), or why this one is closed (77).
    public func open() throws(ToolError) -> Descriptor {
        try assumeOwner()
        do {
            let directory = try File.openDirectory(path)
            _ = try File.status("version", at: directory.number)
            return directory
        } catch Errno.noSuchFileOrDirectory, Errno.notDirectory {
            throw ToolError(
                "no spool at \(path) (\(origin)), nothing was done: start `taskd --spool=\(path)`, "
                    + "which makes it, or run a unit without one: `task run FILE`",
                status: ExitStatus.unavailable)
        } catch {
            throw ToolError(
                unableTo: "open", "spool \(path) (\(origin))", error,
                "only its owner may use it: `sudo -u OWNER task ...`, or name another by --spool")
        }
    }
}
