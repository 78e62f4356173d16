// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import Linux

extension CgroupSlot {
    // MARK: - Emptiness: what tells when nothing of an attempt is left

    /// Who tells who is inside: the v2 directory; where there is none, pids or another of v1.
    private var population: CgroupPlace? {
        if let unifiedPath { return CgroupPlace(isV2: true, path: unifiedPath) }
        return CgroupLayout.wanted.reversed().compactMap { controllers[$0] }.first { !$0.isV2 }
    }

    /// cgroup.procs of the v1 hierarchy that a process without a jail enters by writing `0`; -1 where
    /// it is born in the v2 directory, or there is none.
    func openEntry() -> Int32 {
        guard let place = population, !place.isV2 else { return -1 }
        return open(place.path + "/cgroup.procs", O_WRONLY | O_CLOEXEC)
    }

    /// A descriptor that epoll(7) reports as priority when emptiness may have changed; -1 on v1.
    var events: Int32 {
        guard let place = population, place.isV2 else { return -1 }
        return file(place.path + "/cgroup.events")?.descriptor ?? -1
    }

    /// Whether nothing but the launcher is inside; nil where nobody knows.
    func isEmpty(but launcher: Int32) -> Bool? {
        guard let place = population else { return nil }
        if place.isV2 {
            return file(place.path + "/cgroup.events")?.number(after: "populated ").map { $0 == 0 }
        }
        return processes(but: launcher).isEmpty
    }

    /// Whether the next attempt may have it. A process counts for a moment after it was reaped.
    func isFree(but launcher: Int32) -> Bool {
        if !release() { return false }
        for _ in 0..<50 {
            if isEmpty(but: launcher) ?? true { return true }
            cl_pause(100)
        }
        return false
    }

    /// Who is inside.
    func processes(but launcher: Int32) -> [Int32] {
        guard let place = population else { return [] }
        return Self.processes(in: place.path).filter { $0 != launcher }
    }

    // The file is opened anew: v1 keeps what it once said for as long as it is open.
    static func processes(in directory: String) -> [Int32] {
        (Text.read(directory + "/cgroup.procs") ?? "").split(separator: "\n")
            .compactMap { Int32($0) }
    }

    /// SIGKILL to all inside but the launcher. Call it again until `isEmpty`.
    ///
    /// No new process may come meanwhile: pids.max 0 does that on v1, cgroup.freeze on v2; unlike the
    /// freezer of v1 neither holds back what was killed. Not by cgroup.kill: since Linux 6.14 what is
    /// born by CLONE_INTO_CGROUP into a cgroup that was once killed so dies at once, if the one
    /// that it is born from was not killed as often (the kernel compares `kill_seq` of the two).
    func killAll(but launcher: Int32) {
        guard let place = population else { return }
        if !isHoldingForks { isHoldingForks = holdForks(true, place) }
        for pid in processes(but: launcher) { Self.kill(pid, ifIn: place.path) }
    }

    /// Permits forks again, once it is empty: also where a task without a jail froze its own cgroup.
    ///
    /// - Returns: false where the kernel refuses. Nothing may be started in it then: what is born
    ///   frozen never reaches exec, and vfork(2) holds the one that waits for that.
    func release() -> Bool {
        guard let place = population, isHoldingForks || isFrozen(place) else { return true }
        isHoldingForks = !holdForks(false, place)
        return !isHoldingForks
    }

    private func isFrozen(_ place: CgroupPlace) -> Bool {
        place.isV2 && file(place.path + "/cgroup.events")?.number(after: "frozen ") == 1
    }

    /// Whether the program before held forks back: it may have handed over just then.
    func resumeHold() {
        guard let place = population else { return }
        if place.isV2 {
            isHoldingForks = Text.read(place.path + "/cgroup.freeze") == "1"
        } else if let pids = controllers["pids"], !pids.isV2 {
            isHoldingForks = Text.read(pids.path + "/pids.max") == "0"
        }
    }

    private func holdForks(_ isOn: Bool, _ place: CgroupPlace) -> Bool {
        if place.isV2 { return Text.write(isOn ? "1" : "0", to: place.path + "/cgroup.freeze") }
        guard let pids = controllers["pids"], !pids.isV2 else { return false }
        return Text.write(isOn ? "0" : written(pids), to: pids.path + "/pids.max")
    }

    // By descriptor, and only if it is still inside: the number may be another's by now.
    static func kill(_ pid: Int32, ifIn directory: String) {
        let process = cl_pidfd_open(pid)
        if process < 0 { return }
        let words = directory.split(separator: "/").suffix(2).joined(separator: "/")
        let own = Text.read("/proc/\(pid)/cgroup") ?? ""
        if own.split(separator: "\n").contains(where: { $0.hasSuffix("/" + words) }) {
            _ = cl_pidfd_send_signal(process, SIGKILL)
        }
        close(process)
    }
}
