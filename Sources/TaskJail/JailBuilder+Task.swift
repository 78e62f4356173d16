// SPDX-License-Identifier: Apache-2.0
import CLinux

extension JailBuilder {
    // MARK: - The payload's process, for each program

    mutating func addTask() {
        let who = request.identity
        addGroup()
        addIdentity()
        line(
            .task, "nnp",
            "no_new_privs" + (hasPaths ? "; landlock execute=/" : "")
                + (hasScopes ? " scope=abstract-unix,signal" : ""))
        add(\.task, CL_OP_NO_NEW_PRIVS, .noNewPrivileges)
        let scopes: UInt64 = hasScopes ? 3 : 0
        if hasPaths { add(\.task, CL_OP_LANDLOCK, .landlock) { $0.a = scopes } }
        let directory = workingDirectory
        line(.task, "cwd", "\(workingDirectory) close_range=3-")
        add(\.task, CL_OP_CHDIR, .workingDirectory) { $0.to = directory }
        add(\.task, CL_OP_DESCRIPTORS, .descriptors)
        addFilters(isRoot: who.uid == 0)
        for program in request.programs {
            let words = program.arguments.joined(separator: " ")
            if let check = program.check {
                line(.task, "check", "\(check)  \(words)")
            } else {
                line(.task, "exec", words)
            }
            lines[lines.count - 1].calls = ["execve \(program.arguments.first ?? "")"]
        }
        add(\.task, CL_OP_EXEC, .execute)
    }

    // The launcher's session is shared by all jails, and with it the kernel's autogroup (sched(7)), whose
    // nice value a task may write (/proc/self/autogroup). In a cpu cgroup that means nothing, and a session
    // is a group of its own to make and to schedule; without one a task would slow down all others.
    private mutating func addGroup() {
        let hasCPU = facts.controllers["cpu"] != nil
        line(
            .task, hasCPU ? "group" : "session",
            hasCPU ? "a process group of its own" : "a session of its own")
        add(\.task, hasCPU ? CL_OP_GROUP : CL_OP_SESSION, .session)
    }

    // ABI 2 (Linux 5.19) permits what else it would forbid: renames from one directory to another.
    private var hasPaths: Bool { facts.landlock >= 2 }

    // ABI 6 (Linux 6.12) knows scopes: what mounts cannot hide.
    private var hasScopes: Bool { facts.landlock >= 6 }

    private mutating func addIdentity() {
        let who = request.identity
        let groups = who.supplementaryGroups.map(String.init).joined(separator: ",")
        line(
            .task, "ids",
            "groups=\(isOrdinary ? "kept:" : "")\(groups) gid=\(who.gid) uid=\(who.uid); "
                + "caps=none bounding=none ambient=none securebits=locked")
        add(\.task, CL_OP_IDS, .user) {
            $0.a = UInt64(who.uid)
            $0.b = UInt64(who.gid)
            $0.size = UInt32(who.supplementaryGroups.count)
            $0.payload = .groups(who.supplementaryGroups)
            if who.outside != nil { $0.flags |= Int(CL_STEP_KEEP_IDS) }
        }
        add(\.task, CL_OP_NO_CAPS, .capabilities)
    }

    private mutating func addFilters(isRoot: Bool) {
        let options = SeccompFilters.Options(
            allowsDebugging: request.systemCalls.allowsDebugging, isRoot: isRoot,
            refused: request.systemCalls.refused, hasX86: request.systemCalls.hasX86)
        line(.task, "seccomp", SeccompFilters.summary(options))
        add(\.task, CL_OP_FILTER, .seccomp) { $0.payload = .filter(options) }
    }
}
