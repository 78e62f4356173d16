// SPDX-License-Identifier: Apache-2.0
import CLinux

/// The system calls of the steps, as `--plan -o json` lists them: `NAME OBJECT`, in the order of the
/// interpreter. What only reads, waits or closes is not among them. A test compares them with a trace.
extension JailOp {
    var calls: [String] {
        launcherCalls ?? mountCalls ?? processCalls
    }

    private var keepsIDs: Bool { flags & Int(CL_STEP_KEEP_IDS) != 0 }
    private var target: String { to ?? "" }
    private var source: String { from ?? "" }

    private var groupList: String {
        guard case .groups(let list) = payload else { return "" }
        return list.map(String.init).joined(separator: ",")
    }

    private var attributes: String {
        var words = flags & Int(CL_STEP_KEEP_DEV) == 0 ? ["nodev", "nosuid"] : ["nosuid"]
        if flags & Int(CL_STEP_READONLY) != 0 { words.append("rdonly") }
        return "mount_setattr " + words.joined(separator: ",")
    }

    private var launcherCalls: [String]? {
        switch kind {
        case CL_OP_AS_USER:
            return (keepsIDs ? [] : ["setgroups \(groupList)", "setfsgid \(b)", "setfsuid \(a)"])
                + ["capset effective=none"]
        case CL_OP_AS_SELF:
            return ["capset effective=all"]
                + (keepsIDs
                    ? [] : ["setfsuid 0", "setfsgid 0", "setgroups ", "prctl PR_SET_PDEATHSIG"])
        case CL_OP_OPEN: return ["openat2 \(source)"]
        case CL_OP_STREAM where a == 0:
            return [
                "openat2 \(source)", "capset effective=all", "open_tree ",
                "mount_setattr nodev,nosuid,rdonly", "capset effective=none", "open /proc/self/fd",
            ]
        case CL_OP_STREAM, CL_OP_SECRET: return ["openat2 \(source)", "open /proc/self/fd"]
        case CL_OP_TREE: return ["open_tree ", attributes]
        case CL_OP_OOM_ADJUST: return ["pwrite64 200"]
        default: return nil
        }
    }

    private var mountCalls: [String]? {
        switch kind {
        case CL_OP_NEW_ROOT:
            return [
                "unshare CLONE_NEWNS", "mount private /", "mount tmpfs \(source)",
                "chdir \(source)",
            ]
        case CL_OP_MKDIR: return ["mkdir \(target)"]
        case CL_OP_SYMLINK: return ["symlink \(target)"]
        case CL_OP_FILE, CL_OP_COPY, CL_OP_CREDENTIAL: return ["create \(target)"]
        case CL_OP_NODE: return ["mknod \(target)"]
        case CL_OP_BIND: return ["open_tree \(source)", attributes, "move_mount \(target)"]
        case CL_OP_DEVPTS: return ["mount devpts \(target)"]
        case CL_OP_PIVOT:
            return ["mount_setattr rdonly", "pivot_root .", "umount2 .", "chdir /"]
        case CL_OP_TMPFS: return ["mount tmpfs \(target)"]
        case CL_OP_SUBTREE: return ["mount bind \(target)"]
        case CL_OP_SUBMIT: return ["mount bind \(target)", "mount remount \(target)"]
        case CL_OP_ATTACH: return ["openat2 \(target)", "move_mount "]
        case CL_OP_OVERLAY: return ["mount overlay \(target)"]
        case CL_OP_PROC: return ["mount proc \(target)"]
        case CL_OP_COVER:
            return ["mount bind \(target)"] + (from == nil ? ["mount remount \(target)"] : [])
        case CL_OP_SEAL: return ["mount remount \(target)"]
        default: return nil
        }
    }

    private var processCalls: [String] {
        switch kind {
        case CL_OP_ID_MAP:
            return ["prctl PR_SET_DUMPABLE"]
                + ["uid_map", "setgroups", "gid_map"].map { "open /proc/self/\($0)" }
                + ["prctl PR_SET_DUMPABLE"]
        case CL_OP_CGROUP_NS: return ["unshare CLONE_NEWCGROUP"]
        case CL_OP_LOOPBACK: return ["ioctl SIOCSIFFLAGS"]
        case CL_OP_RLIMIT: return ["setrlimit \(source)"]
        case CL_OP_NICE: return ["setpriority \(Int64(bitPattern: a))"]
        case CL_OP_BOUNDING: return ["prctl PR_CAPBSET_DROP"]
        case CL_OP_SECUREBITS: return ["prctl PR_SET_SECUREBITS"]
        case CL_OP_CLOSE: return ["close_range 4"]
        case CL_OP_GROUP: return ["setpgid 0"]
        case CL_OP_SESSION: return ["setsid"]
        case CL_OP_IDS where keepsIDs: return []
        case CL_OP_IDS:
            return [
                "setgroups \(groupList)", "setresgid \(b)", "setresuid \(a)",
                "prctl PR_SET_DUMPABLE",
            ]
        case CL_OP_NO_CAPS: return ["capset none"]
        case CL_OP_NO_NEW_PRIVS: return ["prctl PR_SET_NO_NEW_PRIVS"]
        case CL_OP_LANDLOCK:
            return ["create_ruleset", "add_rule", "restrict_self"].map { "landlock_" + $0 }
        case CL_OP_CHDIR: return ["chdir \(target)"]
        case CL_OP_DESCRIPTORS: return ["close_range 3"]
        case CL_OP_FILTER: return ["seccomp SECCOMP_SET_MODE_FILTER"]
        default: return []
        }
    }
}
