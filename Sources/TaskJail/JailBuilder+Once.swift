// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

extension JailBuilder {
    // MARK: - What is done once, before any task

    /// The launcher, forked once (jail_prepare.c), and the slot's, which it forks: what all jails
    /// inherit.
    mutating func addOnce() {
        once(
            "launcher", "setsid umask=022 signals=default descriptors=none oom_score_adj=-1000",
            [
                "umask 022", "close_range 11", isOrdinary ? "capset none" : "capset effective=all",
                "setsid", "open /proc/self/oom_score_adj",
            ])
        once(
            "keyring", "a new session keyring, empty",
            ["keyctl KEYCTL_JOIN_SESSION_KEYRING"])
        once(
            "unshare", isOrdinary ? "user mnt uts" : "uts",
            isOrdinary
                ? [
                    "unshare CLONE_NEWNS|CLONE_NEWUTS|CLONE_NEWUSER", "open /proc/self/uid_map",
                    "open /proc/self/setgroups", "open /proc/self/gid_map",
                ] : ["unshare CLONE_NEWUTS"])
        once("hostname", "task", ["sethostname task"], comment: "each jail begins with a copy")
        if !isOrdinary {
            once(
                "rights", "bounding=none securebits=locked",
                ["prctl PR_CAPBSET_DROP", "prctl PR_SET_SECUREBITS"])
        }
        once(
            "session", "pdeathsig=KILL dumpable=no",
            ["prctl PR_SET_PDEATHSIG", "prctl PR_SET_DUMPABLE"],
            comment: "after the last change of credentials, which clears it")
        once(
            "slot", "a launcher of its own in the slot's v1 cgroups; pdeathsig=KILL dumpable=no",
            [
                "prctl PR_SET_PDEATHSIG", "prctl PR_SET_DUMPABLE", "close_range 11",
                "prctl PR_SET_DUMPABLE", "open /proc/self/oom_score_adj", "prctl PR_SET_DUMPABLE",
            ])
    }

    private mutating func once(
        _ what: String, _ detail: String, _ calls: [String], comment: String? = nil
    ) {
        line(.once, what, detail, comment: comment)
        lines[lines.count - 1].calls = calls
    }

    // MARK: - What is not as good as it could be

    /// Sentences for an operator: what this machine or this user leaves open.
    mutating func addWarnings() {
        if facts.landlock < 6, !request.hasPrivateNetwork {
            warnings.append(
                "abstract sockets of the host are reachable: Landlock's scopes need Linux 6.12; "
                    + "PrivateNetwork=yes hides them")
        }
        if facts.landlock < 2 {
            warnings.append(
                "a program of the host that runs in the jail can be executed by /proc/PID/exe: "
                    + "Landlock's rules need Linux 5.19")
        }
        if request.limits.memoryHigh != nil, facts.controllers["memory"]?.isV2 == false {
            warnings.append("MemoryHigh= is a soft limit only: cgroup v1 has no other")
        }
        let who = request.identity
        if !isOrdinary, who.uid == 0 {
            warnings.append(
                "files of root in the directories that are shown are the task's own; "
                    + "User= another gives it fewer")
        }
        guard isOrdinary else { return }
        let others = who.supplementaryGroups.filter { $0 != who.outside?.gid }
        if !others.isEmpty {
            warnings.append(
                "groups kept: \(others.map(String.init).joined(separator: ",")): without root they "
                    + "can't be dropped, and files that are open to them are open to the task")
        }
        if facts.runsCoreHandler {
            warnings.append(
                "a crash runs the host's core handler on the task's memory: RLIMIT_CORE is 0 here "
                    + "and can't be raised to 1, the kernel's word for never")
        }
    }
}
