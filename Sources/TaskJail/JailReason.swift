// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// Why a step failed, as a sentence: what could not be done to what, the kernel's word, and what the
/// operator can do about it.
struct JailReason {
    let plan: JailPlan
    let report: cl_jail_report

    private var op: JailOp? { plan.ops.at(Int(report.step)) }
    private var detail: UInt32 { report.detail }
    private var isExecute: Bool { op?.kind == CL_OP_EXEC }
    /// No step of the plan: the clone, or what the launcher does once for all jails.
    private var isBefore: Bool {
        detail == UInt32(CL_DETAIL_CLONE) || detail == UInt32(CL_DETAIL_LAUNCHER)
    }

    var failure: JailFailure {
        JailFailure(
            code: code.rawValue, errno: report.error, message: "unable to \(what): \(why)",
            program: Int(report.run),
            isMissing: isExecute && report.error == ENOENT && detail == 0,
            line: isBefore ? 0 : (op?.line ?? -1) + 1, isTransient: isTransient)
    }

    // What the launcher could not do at its start stays so.
    private var isTransient: Bool {
        detail == UInt32(CL_DETAIL_CLONE)
            && JailError.isShortage(report.error)
    }

    private var code: JailCode {
        guard detail == UInt32(CL_DETAIL_LAUNCHER) else {
            return JailCode(rawValue: Int32(report.code)) ?? .namespace
        }
        return switch UInt32(report.value) {
        case CL_LAUNCHER_KEYRING.rawValue: .keyring
        case CL_LAUNCHER_BOUNDING.rawValue, CL_LAUNCHER_SECUREBITS.rawValue: .capabilities
        case CL_LAUNCHER_MAP.rawValue: .user
        case CL_LAUNCHER_SESSION.rawValue: .session
        default: .namespace
        }
    }

    private var what: String {
        if detail == UInt32(CL_DETAIL_LAUNCHER) { return launcherPhrase }
        if detail == UInt32(CL_DETAIL_CLONE) { return "make the namespaces" }
        if isExecute { return "execute " + programName }
        return op?.phrase ?? "build the jail"
    }

    private var launcherPhrase: String {
        switch UInt32(report.value) {
        case CL_LAUNCHER_KEYRING.rawValue: "join a session keyring of the jail's own"
        case CL_LAUNCHER_BOUNDING.rawValue: "drop the capabilities"
        case CL_LAUNCHER_SECUREBITS.rawValue: "lock the secure bits"
        case CL_LAUNCHER_MAP.rawValue: "map the user into the launcher's namespace"
        case CL_LAUNCHER_SESSION.rawValue: "start a session without a terminal"
        case CL_LAUNCHER_HOSTNAME.rawValue: "set the jail's host name"
        default: "make the launcher's namespaces"
        }
    }

    private var programName: String {
        let programs = plan.request.programs
        guard Int(report.run) < programs.count else { return "the program" }
        return programs[Int(report.run)].arguments.first ?? "the program"
    }

    private var text: String { String(cString: strerror(report.error)) }

    private var why: String {
        if let special = special { return special }
        return "\(text); \(cure)"
    }

    /// Sentences of one step.
    private var special: String? {
        guard let op, !isBefore else { return nil }
        switch (op.kind, report.error) {
        case (CL_OP_OPEN, _), (CL_OP_STREAM, _), (CL_OP_SECRET, _): return openReason(op)
        case (CL_OP_EXEC, _): return executeReason
        case (CL_OP_CREDENTIAL, EFBIG):
            return "the credentials are longer than 1 MiB together; bind the file with "
                + "BindReadOnlyPaths=, or make it shorter"
        case (CL_OP_PROC, EPERM):
            return "\(text); the host's /proc is itself masked (a container): run outside of it"
        case (CL_OP_ATTACH, ELOOP), (CL_OP_POINT, ELOOP):
            return "a symbolic link leads there; name the place itself"
        case (CL_OP_POINT, ENOTDIR), (CL_OP_POINT, EISDIR):
            return "a link, or a file of another kind, is in the way; name another place"
        case (CL_OP_ATTACH, ENOENT), (CL_OP_POINT, EROFS), (CL_OP_POINT, ENOENT):
            return "\(text); make the mount point `\(op.to ?? "")` on the host, or bind elsewhere"
        default: return nil
        }
    }

    private var executeReason: String? {
        switch report.error {
        case ENOENT where detail == UInt32(CL_DETAIL_INTERPRETER):
            return "the interpreter of its first line, or its loader, is not in the jail"
        case ENOENT where programName.hasPrefix("./"):
            let directory = plan.request.directory ?? "which it does not have"
            return "no such file in the unit's directory, \(directory); a plain drop carries none, "
                + "`task submit` does"
        case ENOENT:
            return "no such command in the jail; it shows /usr, /bin, the unit's directory "
                + "(./NAME) and BindReadOnlyPaths="
        case ENOEXEC: return "\(text); a script needs a first line `#!INTERPRETER`"
        case EACCES, EPERM:
            return "\(text); is its x bit set, and its file system not mounted noexec?"
        case E2BIG: return "\(text); pass less by [Args] and [Environment]"
        default: return nil
        }
    }

    private func openReason(_ op: JailOp) -> String? {
        let who = plan.request.identity
        // An ordinary user's files are his, whatever name the task sees.
        let isAlias = who.outside.map { $0.uid != who.uid } ?? false
        let owner = isAlias ? "\(who.outside?.uid ?? who.uid)" : who.user
        let path = op.from ?? ""
        if detail == UInt32(CL_DETAIL_KIND) { return kindReason(op) }
        if detail == UInt32(CL_DETAIL_OWNER) {
            let whom = isAlias ? "uid \(owner), who is \(who.user) in the jail" : owner
            return "not owned by \(whom); `chown \(owner) \(path)`"
        }
        switch report.error {
        case ENOENT where op.code == .workingDirectory:
            return "\(text); `mkdir -p \(path) && chown \(owner) \(path)`"
        case ENOENT where op.code == .namespace:
            return "\(text); make it, or write -\(path) where it may be absent"
        case ENOENT: return "\(text); make it, or leave the directive out"
        case EACCES: return "\(text) as \(op.reader ?? who.user); `namei -l \(path)` shows where"
        case ELOOP: return "\(text); name it without the link"
        default: return nil
        }
    }

    private func kindReason(_ op: JailOp) -> String {
        let found =
            switch UInt32(report.value) {
            case UInt32(S_IFIFO): "a FIFO"
            case UInt32(S_IFCHR), UInt32(S_IFBLK): "a device"
            case UInt32(S_IFSOCK): "a socket"
            case UInt32(S_IFDIR): "a directory"
            case UInt32(S_IFLNK): "a symbolic link"
            default: "a file"
            }
        let wanted =
            op.flags & Int(CL_STEP_FILE) != 0
            ? "a regular file"
            : op.flags & Int(CL_STEP_DIRECTORY) != 0
                ? "a directory" : "a directory, a regular file or a socket"
        return "it is \(found); name \(wanted)"
    }

    // MARK: - Cures by the kernel's word

    private var cure: String {
        switch report.error {
        case ENOSYS: "this kernel is too old for it; Linux 5.12 or later is needed"
        case ENOMEM, EAGAIN, EMFILE, ENFILE, EBUSY:
            "the machine is short of it just now: run fewer at once, or try again"
        case ENOSPC: spaceCure
        case EPERM, EACCES: permissionCure
        default: "see `taskrun --plan` and EXIT STATUS \(code.rawValue) in task-jail(7)"
        }
    }

    private var spaceCure: String {
        if isBefore {
            let asked = plan.request.hasPrivateNetwork ? ["net"] : []
            let tightest = NamespaceLimits.lowest(["pid", "mnt", "ipc", "uts", "user"] + asked)
            return "root can raise \(tightest) (sysctl), or run fewer at once"
        }
        return switch op?.kind {
        case CL_OP_CGROUP_NS: "raise user.max_cgroup_namespaces (sysctl), or run fewer at once"
        case CL_OP_FILE where op?.to?.hasPrefix("/tmp/") ?? false:
            "the results of its dependencies count for LimitDisk=: raise it"
        case CL_OP_MKDIR, CL_OP_POINT, CL_OP_FILE, CL_OP_COPY, CL_OP_SYMLINK, CL_OP_NODE:
            "carried files and mount points do not fit into the root's 8M: carry fewer"
        case CL_OP_STREAM: "make room on that file system"
        default: "raise fs.mount-max (sysctl), or run fewer at once"
        }
    }

    // What a service manager or a container takes away from root, and a security module from a user.
    private var permissionCure: String {
        if plan.request.identity.outside != nil {
            return "a security module or a container forbids it: run as root, or install "
                + "contrib/apparmor/taskrun (profile with `userns,`)"
        }
        return "root itself may not do that here: start taskrun outside of a container, and as a "
            + "service without CapabilityBoundingSet=, RestrictNamespaces= and SystemCallFilter="
    }
}
