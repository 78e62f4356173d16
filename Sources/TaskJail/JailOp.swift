// SPDX-License-Identifier: Apache-2.0
import CLinux

/// One step of the C interpreter, before it is laid out in the launcher's shared area.
struct JailOp {
    enum Payload {
        case none
        case text(String)
        case bytes([UInt8])
        case groups([UInt32])
        case filter(SeccompFilters.Options)
    }

    var kind: cl_jail_op
    var code: JailCode
    /// Which printed line it belongs to.
    var line = 0
    var flags = 0
    var size: UInt32 = 0
    var a: UInt64 = 0
    var b: UInt64 = 0
    var from: String?
    var to: String?
    var payload = Payload.none
    /// Whose rights a path is opened with, where they are not the task's user's.
    var reader: String?

    init(_ kind: cl_jail_op, _ code: JailCode) {
        self.kind = kind
        self.code = code
    }

    /// `VERB OBJECT` for a message.
    var phrase: String {
        let to = to ?? ""
        let from = from ?? ""
        return switch kind {
        case CL_OP_AS_USER, CL_OP_AS_SELF: "take the file access rights of the task's user"
        case CL_OP_OPEN, CL_OP_STREAM: "open \(from)"
        case CL_OP_SECRET: "open the credential \(from)"
        case CL_OP_CREDENTIAL: "copy the credential \(from)"
        case CL_OP_SEAL: "make \(to) read-only"
        case CL_OP_TREE: "clone the mount of \(from)"
        case CL_OP_NEW_ROOT: "mount a new root on \(from)"
        case CL_OP_MKDIR, CL_OP_POINT: "make /\(to) in the new root"
        case CL_OP_SYMLINK: "link /\(to) to \(from) in the new root"
        case CL_OP_FILE, CL_OP_COPY: "write /\(to) in the new root"
        case CL_OP_BIND: "bind \(from) on /\(to)"
        case CL_OP_NODE: "make the device /\(to)"
        case CL_OP_DEVPTS: "mount devpts on /\(to)"
        case CL_OP_PIVOT: "enter the new root"
        case CL_OP_ID_MAP: "map the user of the jail"
        case CL_OP_CGROUP_NS: "make a cgroup namespace"
        case CL_OP_TMPFS: "mount a tmpfs on \(to)"
        case CL_OP_SUBTREE: "bind \(from) on \(to)"
        case CL_OP_SUBMIT: "hand over the directory \(to)"
        case CL_OP_ATTACH: "attach \(from) on \(to)"
        case CL_OP_OVERLAY: "mount an overlay on \(to)"
        case CL_OP_PROC: "mount /proc"
        case CL_OP_COVER: "cover \(to)"
        case CL_OP_LOOPBACK: "start the loopback interface"
        case CL_OP_RLIMIT: "set \(from)"
        case CL_OP_NICE: "set the nice value"
        case CL_OP_OOM_ADJUST: "set oom_score_adj"
        case CL_OP_BOUNDING, CL_OP_NO_CAPS: "drop the capabilities"
        case CL_OP_SECUREBITS: "lock the secure bits"
        case CL_OP_CLOSE, CL_OP_DESCRIPTORS: "arrange the descriptors"
        case CL_OP_GROUP: "start a process group"
        case CL_OP_SESSION: "start a session"
        case CL_OP_IDS: "become the task's user"
        case CL_OP_NO_NEW_PRIVS: "set no_new_privs"
        case CL_OP_LANDLOCK: "restrict signals and abstract sockets (Landlock)"
        case CL_OP_CHDIR: "enter \(to)"
        case CL_OP_FILTER: "load the system call filter"
        case CL_OP_EXEC: "execute the program"
        default: "build the jail"
        }
    }
}

/// The steps of a plan by the process that performs them.
struct JailOps {
    var open: [JailOp] = []
    var base: [JailOp] = []
    var initial: [JailOp] = []
    var task: [JailOp] = []

    var count: Int { open.count + base.count + initial.count + task.count }

    /// The step with an index of the flat array.
    func at(_ index: Int) -> JailOp? {
        var rest = index
        for part in [open, base, initial, task] {
            if rest < part.count { return part[rest] }
            rest -= part.count
        }
        return nil
    }
}
