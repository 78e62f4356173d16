// SPDX-License-Identifier: Apache-2.0
import Glibc
import Linux

/// Where this process stands in the host's cgroups (cgroups(7)), and where it may make its own.
struct CgroupLayout {
    var layout = HostFacts.Layout.none
    var controllers: [String: CgroupPlace] = [:]
    var unified: CgroupPlace?

    private struct Mount {
        var isV2: Bool
        var root: String
        var point: String
        var controllers: [Substring]
    }

    static let wanted = ["memory", "pids", "cpu"]

    static func read() -> CgroupLayout {
        let mounts = parseMounts(Text.read("/proc/self/mountinfo") ?? "")
        let own = parseOwn(Text.read("/proc/self/cgroup") ?? "")
        var result = CgroupLayout()
        let hasV2 = mounts.contains { $0.isV2 }
        let hasV1 = mounts.contains { !$0.isV2 && !$0.controllers.isEmpty }
        result.layout = hasV2 ? (hasV1 ? .hybrid : .v2) : (hasV1 ? .v1 : .none)
        for mount in mounts where !mount.isV2 { result.addV1(mount, own) }
        if let mount = mounts.first(where: { $0.isV2 }), let path = own[""] {
            result.addV2(mount, path)
        }
        return result
    }

    private mutating func addV1(_ mount: Mount, _ own: [Substring: String]) {
        for name in Self.wanted where mount.controllers.contains(Substring(name)) {
            guard let path = own[Substring(name)] else { continue }
            let directory = Self.directory(mount, path)
            if access(directory, W_OK) == 0 {
                controllers[name] = CgroupPlace(isV2: false, path: directory)
            }
        }
    }

    private mutating func addV2(_ mount: Mount, _ path: String) {
        guard let base = Self.writableBase(mount, path) else { return }
        let place = CgroupPlace(isV2: true, path: base)
        unified = place
        let offered = (Text.read(base + "/cgroup.controllers") ?? "").split(separator: " ")
        for name in Self.wanted where controllers[name] == nil && offered.contains(Substring(name))
        {
            controllers[name] = place
        }
    }

    /// Our own cgroup when it is delegated, else the nearest one above that hands controllers out
    /// and is ours to write; never the root of a machine with systemd, who owns that.
    private static func writableBase(_ mount: Mount, _ path: String) -> String? {
        let hasSystemd = access("/run/systemd/system", F_OK) == 0
        var place = path
        if place.hasSuffix("/supervisor") { place.removeLast("/supervisor".utf8.count) }
        while true {
            let isRoot = place.isEmpty || place == "/"
            if isRoot && hasSystemd { return nil }
            let directory = directory(mount, place)
            if access(directory + "/cgroup.procs", W_OK) == 0, access(directory, W_OK) == 0,
                isRoot || isDelegated(directory)
            {
                return directory
            }
            if isRoot { return nil }
            place = String(place[..<(place.lastIndex(of: "/") ?? place.startIndex)])
        }
    }

    // systemd says so (Delegate=yes, the attribute since v251), alone in it (apart from us), or
    // already an inner node.
    private static func isDelegated(_ directory: String) -> Bool {
        if File.attribute("user.delegate", of: directory, is: "1") { return true }
        if Text.read(directory + "/cgroup.subtree_control")?.isEmpty == false { return true }
        let processes = (Text.read(directory + "/cgroup.procs") ?? "").split(separator: "\n")
        return processes.allSatisfy { Int32($0) == getpid() || isChild(String($0)) }
    }

    private static func isChild(_ pid: String) -> Bool {
        let status = Text.read("/proc/\(pid)/status") ?? ""
        return status.split(separator: "\n").contains("PPid:\t\(getpid())")
    }

    private static func directory(_ mount: Mount, _ path: String) -> String {
        var rest = path
        if mount.root != "/", rest.hasPrefix(mount.root) {
            rest.removeFirst(mount.root.utf8.count)
        }
        return mount.point + (rest == "/" ? "" : rest)
    }

    // "31 30 0:27 / /sys/fs/cgroup/pids rw,… - cgroup cgroup rw,pids" (proc(5))
    private static func parseMounts(_ text: String) -> [Mount] {
        text.split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ")
            guard let dash = words.firstIndex(of: "-"), dash + 1 < words.count, words.count > 5
            else { return nil }
            let type = words[dash + 1]
            guard type == "cgroup" || type == "cgroup2" else { return nil }
            let options = words.last.map { $0.split(separator: ",") } ?? []
            return Mount(
                isV2: type == "cgroup2", root: String(words[3]), point: String(words[4]),
                controllers: type == "cgroup" ? options.filter { $0 != "rw" && $0 != "ro" } : [])
        }
    }

    // "4:memory:/path" and "0::/path"
    private static func parseOwn(_ text: String) -> [Substring: String] {
        var result: [Substring: String] = [:]
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            let names = parts[1].split(separator: ",")
            for name in names { result[name] = String(parts[2]) }
            if names.isEmpty { result[""] = String(parts[2]) }
        }
        return result
    }
}
