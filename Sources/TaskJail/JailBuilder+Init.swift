// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

extension JailBuilder {
    // MARK: - What the parent does

    mutating func addParent() {
        let limits = request.limits
        var words: [String] = []
        words.append("memory=" + Self.size(limits.memory))
        words.append("pids=" + (limits.tasks.map { String($0) } ?? "infinity"))
        words.append("cpu=" + (limits.cpuPercent.map { "\($0)%" } ?? "none"))
        let by = CgroupLayout.wanted.map { name in
            name + ":" + (facts.controllers[name].map { $0.isV2 ? "v2" : "v1" } ?? "rlimit")
        }
        if let high = limits.memoryHigh {
            let isSoft = facts.controllers["memory"]?.isV2 == false
            words.append("high=" + Self.size(high) + (isSoft ? "(soft)" : ""))
        }
        line(
            .parent, "cgroup", "slot  " + words.joined(separator: " "),
            comment: by.joined(separator: " "))
        if let timer = request.timer { line(.parent, "timer", timer) }
        if let log = request.log { line(.parent, "log", log) }
    }

    // MARK: - The clone

    mutating func addClone() {
        let net = request.hasPrivateNetwork ? "net" : "net=host"
        let comment = request.hasPrivateNetwork ? nil : "PrivateNetwork=no: 127.0.0.1 is reachable"
        let user = request.identity.outside.map { " user(\(request.identity.uid)=\($0.uid))" } ?? ""
        line(
            .launcher, "clone3", "pid mnt ipc uts cgroup\(user); \(net); oom_score_adj=200",
            comment: comment)
        add(\.initial, CL_OP_OOM_ADJUST, .outOfMemoryAdjust) {
            $0.size = 3
            $0.payload = .text("200")
        }
        for letter in "pmiu" { cloneFlags |= Self.word(letter) }
        if request.hasPrivateNetwork { cloneFlags |= Self.word("n") }
        if isOrdinary { cloneFlags |= Self.word("U") }
        var flags = ["CLONE_NEWNS", "CLONE_PARENT", "CLONE_NEWUTS", "CLONE_NEWIPC", "CLONE_NEWPID"]
        if request.hasPrivateNetwork { flags.append("CLONE_NEWNET") }
        if isOrdinary { flags.append("CLONE_NEWUSER") }
        if facts.unified != nil { flags.append("CLONE_INTO_CGROUP") }
        cloneCall = "clone3 " + flags.sorted().joined(separator: "|")
        cloneLine = lines.count - 1
    }

    private static func word(_ letter: Character) -> UInt64 {
        cl_clone_word(CChar(bitPattern: letter.asciiValue ?? 0))
    }

    // MARK: - init

    mutating func addInit() {
        line(
            .initial, "session",
            "the launcher's, without a terminal; umask=022 signals=default pdeathsig=KILL dumpable=no"
        )
        lines[lines.count - 1].calls = [
            "prctl PR_SET_PDEATHSIG", "prctl PR_SET_DUMPABLE", "umask 022",
        ]
        if let outside = request.identity.outside { addMap(outside) }
        line(.initial, "cgroup", "namespace")
        add(\.initial, CL_OP_CGROUP_NS, .namespace)
        addPrivateFiles()
        addTrees()
        addCredentials()
        addProc()
        if request.hasPrivateNetwork {
            line(.initial, "loopback", "up")
            add(\.initial, CL_OP_LOOPBACK, .network)
        }
        addLimits()
        line(
            .initial, "close",
            "all but the control socket and the task's three descriptors"
                + (request.hasSubmit ? ", and the submit directory" : ""))
        add(\.initial, CL_OP_CLOSE, .descriptors)
        line(
            .initial, "start",
            "each program below: vfork, no handler; at the last one capabilities=kill",
            comment: "init reaps, reports and ends last")
        lines[lines.count - 1].calls = [
            "clone3 CLONE_CLEAR_SIGHAND|CLONE_VFORK|CLONE_VM", "capset kill",
        ]
    }

    private mutating func addMap(_ outside: (uid: UInt32, gid: UInt32)) {
        let who = request.identity
        line(
            .initial, "map", "uid \(who.uid)=\(outside.uid) gid \(who.gid)=\(outside.gid)",
            comment: "other groups of \(outside.uid) cannot be dropped")
        add(\.initial, CL_OP_ID_MAP, .user) {
            $0.payload = .text("\(who.uid) \(outside.uid) 1")
            $0.from = "\(who.gid) \(outside.gid) 1"
        }
    }

    /// The place of quota directories, where one is used in place of a tmpfs: that is charged to
    /// LimitMem=, and one of more than half of it would leave too little.
    var usedQuota: String? {
        guard let quota = facts.quota, !isOrdinary, let disk = request.limits.disk,
            let memory = request.limits.memory, disk > memory / 2
        else { return nil }
        return quota
    }

    private mutating func addPrivateFiles() {
        var options = "mode=1777"
        var shown = "size=infinity"
        if let disk = request.limits.disk {
            let inodes = request.limits.inodes ?? 0
            options += ",size=\(max(disk, 65536)),nr_inodes=\(inodes)"
            shown = "size=\(Self.size(disk)) inodes=\(inodes)"
        }
        if let quota = usedQuota {
            line(
                .initial, "quota", "/tmp /scratch /dev/shm  \(shown) nosuid nodev",
                comment: "LimitDisk, a project of its own in \(quota)")
            add(\.initial, CL_OP_ATTACH, .namespace) {
                $0.a = UInt64(CL_JAIL_SCRATCH)
                $0.from = quota
                $0.to = "/tmp"
            }
        } else {
            line(
                .initial, "tmpfs", "/tmp /scratch /dev/shm  \(shown) nosuid nodev",
                comment: "LimitDisk, charged to LimitMem")
            add(\.initial, CL_OP_TMPFS, .namespace) {
                $0.to = "/tmp"
                $0.payload = .text(options)
            }
        }
        privateDirectory("/tmp/scratch", mode: 0o700, on: Self.scratch)
        privateDirectory("/tmp/shm", mode: 0o1777, on: "/dev/shm")
        if request.hasSubmit { addSubmit() }
        if !request.inputs.isEmpty { addInputs() }
        // Last: it covers the other names.
        privateDirectory("/tmp/tmp", mode: 0o1777, on: "/tmp")
    }

    // Of the same tmpfs: LimitDisk= holds for it.
    private mutating func addSubmit() {
        line(
            .initial, "submit", "\(Self.submit) rw nosuid nodev noexec",
            comment: "the parent gets its descriptor where something lies there")
        own("/tmp/submit", mode: 0o700)
        add(\.initial, CL_OP_SUBMIT, .namespace) {
            $0.from = "/tmp/submit"
            $0.to = Self.submit
        }
    }

    // The same: what it is given takes of its own space.
    private mutating func addInputs() {
        let names = request.inputs.map(\.path).joined(separator: " ")
        line(.initial, "inputs", "\(Self.inputs) ro nosuid nodev noexec: \(names)")
        own("/tmp/inputs", mode: 0o755)
        for input in request.inputs {
            add(\.initial, CL_OP_FILE, .namespace) {
                $0.to = "/tmp/inputs/" + input.path
                $0.flags = 0o444
                $0.size = UInt32(input.bytes.count)
                $0.payload = .bytes(input.bytes)
            }
        }
        add(\.initial, CL_OP_SUBTREE, .namespace) {
            $0.from = "/tmp/inputs"
            $0.to = Self.inputs
        }
        add(\.initial, CL_OP_SEAL, .namespace) { $0.to = Self.inputs }
    }

    private mutating func privateDirectory(_ path: String, mode: UInt32, on target: String) {
        own(path, mode: mode)
        add(\.initial, CL_OP_SUBTREE, .namespace) {
            $0.from = path
            $0.to = target
        }
    }

    private mutating func own(_ path: String, mode: UInt32) {
        let who = request.identity
        add(\.initial, CL_OP_MKDIR, .namespace) {
            $0.to = path
            $0.size = mode
            let isOwned = mode == 0o700
            $0.a = isOwned ? UInt64(who.uid) : .max
            $0.b = isOwned ? UInt64(who.gid) : .max
        }
    }

    private mutating func addTrees() {
        for (index, tree) in trees.enumerated() {
            line(
                .initial, "attach",
                "\(tree.source) on \(tree.target) \(tree.isWritable ? "rw" : "ro") nosuid nodev")
            // On the private tmpfs only: below another tree a point would be made, as root, in a
            // directory of the host, through links that its owner may have put there.
            let isNested = trees.contains { tree.target.hasPrefix($0.target + "/") }
            let makesPoint = isPrivate(tree.target) && !isNested
            add(\.initial, CL_OP_ATTACH, .namespace) {
                $0.a = UInt64(index)
                $0.from = tree.source
                $0.to = tree.target
                if makesPoint { $0.flags |= Int(CL_STEP_OPTIONAL) }
            }
        }
        guard hasJailFiles else { return }
        let names = request.files.map(\.path).joined(separator: " ")
        guard request.directory != nil else {
            line(.initial, "files", "\(Self.unitDirectory) ro: \(names)", comment: "in the root")
            return
        }
        line(.initial, "overlay", "\(Self.unitDirectory) ro: \(names) over the unit's directory")
        add(\.initial, CL_OP_OVERLAY, .namespace) {
            $0.to = Self.unitDirectory
            $0.payload = .text("lowerdir=/run/task/files:/run/task/host")
        }
    }

    /// Directories that nothing in a jail needs: the empty /sys lies over them.
    private static let emptied = ["irq", "bus", "fs", "acpi", "scsi"]
    private static let hidden = [
        "sysrq-trigger", "kcore", "keys", "kallsyms", "timer_list", "latency_stats",
    ]
    /// What only the host's root may read, and so a task of his: the layout of its memory.
    private static let hiddenFromRoot = [
        "kpagecount", "kpageflags", "kpagecgroup", "slabinfo", "vmallocinfo",
    ]

    private mutating func addProc() {
        // Group 0 would see all: a group that nobody has.
        var options = "hidepid=invisible" + (isOrdinary ? "" : ",gid=65533")
        if request.hasOnlyProcesses { options += ",subset=pid" }
        let isRoot = !isOrdinary && request.identity.uid == 0
        let files = Self.hidden + (isRoot ? Self.hiddenFromRoot : [])
        let covers = 1 + Self.emptied.count + files.count
        line(
            .initial, "proc",
            "/proc \(options) nosuid nodev noexec"
                + (request.hasOnlyProcesses ? "" : " +\(covers) covers") + "; /sys empty",
            comment: request.hasOnlyProcesses ? nil : "what this kernel lacks needs no cover")
        add(\.initial, CL_OP_PROC, .namespace) {
            $0.to = "/proc"
            $0.payload = .text(options)
        }
        if request.hasOnlyProcesses { return }
        add(\.initial, CL_OP_COVER, .namespace) { $0.to = "/proc/sys" }
        for name in Self.emptied { cover(name, with: "/sys") }
        for name in files { cover(name, with: "/dev/null") }
    }

    private mutating func cover(_ name: String, with source: String) {
        add(\.initial, CL_OP_COVER, .namespace) {
            $0.to = "/proc/" + name
            $0.from = source
        }
    }

    // MARK: - Resource limits

    private mutating func addLimits() {
        let limits = request.limits
        line(
            .initial, "rlimit",
            "core=1 memlock=64K msgqueue=0 rtprio=0 nofile=\(limits.openFiles.soft); "
                + "nice=\(request.nice)")
        // 1, not 0: a piped core_pattern ignores 0 and runs its helper, as root, outside (core(5)).
        rlimit("RLIMIT_CORE", RLIMIT_CORE, 1)
        rlimit("RLIMIT_MEMLOCK", __rlimit_resource(8), 65536)
        rlimit("RLIMIT_MSGQUEUE", __rlimit_resource(12), 0)
        rlimit("RLIMIT_NICE", __rlimit_resource(13), 0)
        rlimit("RLIMIT_RTPRIO", __rlimit_resource(14), 0)
        rlimit("RLIMIT_NOFILE", RLIMIT_NOFILE, limits.openFiles.soft, hard: limits.openFiles.hard)
        if let time = limits.cpuTime {
            let seconds = max(1, (time + 999_999) / 1_000_000)
            rlimit("RLIMIT_CPU", RLIMIT_CPU, seconds, hard: seconds + 5)
        }
        if facts.controllers["pids"] == nil, let tasks = limits.tasks {
            rlimit("RLIMIT_NPROC", __rlimit_resource(6), tasks + 1)
        }
        if facts.controllers["memory"] == nil, let memory = limits.memory {
            rlimit("RLIMIT_DATA", RLIMIT_DATA, memory)
        }
        let nice = Int64(request.nice)
        if nice != 0 {
            add(\.initial, CL_OP_NICE, .nice) { $0.a = UInt64(bitPattern: nice) }
        }
        guard isOrdinary else { return }  // as root the launcher did it once for all
        add(\.initial, CL_OP_BOUNDING, .capabilities)
        add(\.initial, CL_OP_SECUREBITS, .capabilities)
    }

    private mutating func rlimit(
        _ name: String, _ resource: __rlimit_resource, _ soft: UInt64, hard: UInt64? = nil
    ) {
        add(\.initial, CL_OP_RLIMIT, .limits) {
            $0.from = name
            $0.size = resource.rawValue
            $0.a = soft
            $0.b = hard ?? soft
        }
    }

    static func size(_ bytes: UInt64?) -> String {
        guard let bytes else { return "infinity" }
        for (shift, unit) in [(40, "T"), (30, "G"), (20, "M"), (10, "K")] as [(UInt64, String)]
        where bytes >> shift > 0 && bytes & (1 << shift - 1) == 0 {
            return "\(bytes >> shift)\(unit)"
        }
        return String(bytes)
    }
}
