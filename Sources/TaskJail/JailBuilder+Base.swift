// SPDX-License-Identifier: Apache-2.0
import CLinux

extension JailBuilder {
    // MARK: - The prepared root

    mutating func addBase() {
        let who = request.identity
        line(
            .launcher, "root",
            "prepared (ro): /usr /bin /sbin /lib /lib64 /etc(passwd: \(who.user), nobody) /dev",
            comment: "kept for the next task of \(who.user) with the same mount points")
        add(\.base, CL_OP_NEW_ROOT, .namespace) {
            $0.from = "/tmp"
            $0.payload = .text("size=8m,nr_inodes=4096,mode=755")
        }
        for name in Self.directories { directory(name) }
        if !request.credentials.isEmpty { directory("run/task/credentials") }
        if request.hasSubmit { directory("run/task/submit") }
        if !request.inputs.isEmpty { directory("run/task/inputs") }
        addSystem()
        addAccounts()
        addDevices()
        addJailFiles()
        for (index, tree) in trees.enumerated() where !isPrivate(tree.target) {
            add(\.base, CL_OP_POINT, .namespace) {
                $0.a = UInt64(index)
                $0.to = String(tree.target.dropFirst())
            }
        }
        add(\.base, CL_OP_PIVOT, .namespace)
    }

    private static let directories = [
        "usr", "etc", "dev", "dev/pts", "dev/shm", "proc", "sys", "tmp", "scratch", "run",
        "run/task", "run/task/dir", "run/task/host", "run/task/files", "root", "home", "var",
        "opt", "srv", "mnt",
    ]

    private mutating func directory(_ path: String, mode: UInt32 = 0o755) {
        add(\.base, CL_OP_MKDIR, .namespace) {
            $0.to = path
            $0.size = mode
            $0.a = .max
            $0.b = .max
        }
    }

    private mutating func link(_ path: String, to target: String) {
        add(\.base, CL_OP_SYMLINK, .namespace) {
            $0.to = path
            $0.from = target
        }
    }

    private mutating func file(_ path: String, _ text: String) {
        file(path, Array(text.utf8), mode: 0o644)
    }

    private mutating func file(_ path: String, _ bytes: [UInt8], mode: UInt32) {
        add(\.base, CL_OP_FILE, .namespace) {
            $0.to = path
            $0.flags = Int(mode)
            $0.size = UInt32(bytes.count)
            $0.payload = .bytes(bytes)
        }
    }

    private mutating func bind(_ path: String, flags: Int) {
        add(\.base, CL_OP_BIND, .namespace) {
            $0.from = "/" + path
            $0.to = path
            $0.flags = flags
        }
    }

    private mutating func addSystem() {
        let readOnly = Int(CL_STEP_READONLY)
        bind("usr", flags: readOnly)
        for entry in facts.rootLinks {
            if let target = entry.target {
                link(entry.name, to: target)
            } else {
                directory(entry.name)
                bind(entry.name, flags: readOnly)
            }
        }
        link("var/tmp", to: "/tmp")
        for name in ["ssl", "ca-certificates", "alternatives", "ld.so.conf.d"] {
            directory("etc/" + name)
            bind("etc/" + name, flags: readOnly | Int(CL_STEP_OPTIONAL))
        }
        for name in ["ld.so.cache", "ld.so.conf", "resolv.conf", "localtime"] {
            add(\.base, CL_OP_COPY, .namespace) {
                $0.from = "/etc/" + name
                $0.to = "etc/" + name
                $0.flags = Int(CL_STEP_OPTIONAL)
            }
        }
    }

    private mutating func addAccounts() {
        let who = request.identity
        var users = "\(who.user):x:\(who.uid):\(who.gid)::\(workingDirectory):/bin/sh\n"
        var groups = "\(who.group):x:\(who.gid):\n"
        if who.uid != 65534 { users += "nobody:x:65534:65534::/:/usr/sbin/nologin\n" }
        if who.gid != 65534 { groups += "nogroup:x:65534:\n" }
        file("etc/passwd", users)
        file("etc/group", groups)
        file("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n")
        file("etc/hosts", "127.0.0.1 localhost task\n::1 localhost\n")
        file("etc/hostname", "task\n")
    }

    private mutating func addDevices() {
        let nodes: [(String, UInt64, UInt64)] = [
            ("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9),
            ("tty", 5, 0),
        ]
        for (name, major, minor) in nodes {
            if isOrdinary {  // mknod is EPERM in a user namespace
                file("dev/" + name, [], mode: 0o644)
                bind("dev/" + name, flags: Int(CL_STEP_KEEP_DEV))
                continue
            }
            add(\.base, CL_OP_NODE, .namespace) {
                $0.to = "dev/" + name
                $0.size = 0o666
                $0.a = major
                $0.b = minor
            }
        }
        for (name, target) in [
            ("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"), ("stdout", "/proc/self/fd/1"),
            ("stderr", "/proc/self/fd/2"), ("ptmx", "pts/ptmx"),
        ] { link("dev/" + name, to: target) }
        add(\.base, CL_OP_DEVPTS, .namespace) { $0.to = "dev/pts" }
        // A new proc needs an old one that is wholly visible (mount_namespaces(7)); it lies on top.
        if isOrdinary { bind("proc", flags: Int(CL_STEP_KEEP_DEV)) }
    }

    private mutating func addJailFiles() {
        let root = request.directory == nil ? "run/task/dir" : "run/task/files"
        var made: Set<String> = []
        for carried in request.files {
            var parent = root
            for part in Self.components(carried.path).dropLast() {
                parent += "/" + part
                if made.insert(parent).inserted { directory(parent) }
            }
            let path = root + "/" + Self.components(carried.path).joined(separator: "/")
            file(path, carried.bytes, mode: carried.mode & 0o555 | 0o444)
        }
    }

    /// A place on the attempt's own tmpfs, whose mount points are made each time.
    func isPrivate(_ path: String) -> Bool {
        path.hasPrefix("/tmp/")
    }
}
