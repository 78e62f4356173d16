// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import Linux

/// What this machine offers a jail; read once at start.
public struct HostFacts: Sendable {
    /// How cgroups are mounted.
    public enum Layout: String, Sendable { case v2, hybrid, v1, none }

    /// `6.18` of uname(2).
    public var kernel: String
    /// 0 where the kernel has no Landlock; scopes need 6.
    public var landlock: Int
    public var isRoot: Bool
    public var layout: Layout
    /// Where slot cgroups are made, by controller (`memory`, `pids`, `cpu`); absent: unavailable.
    public var controllers: [String: CgroupPlace]
    /// A v2 directory for births, kills and emptiness, also where v1 limits.
    public var unified: CgroupPlace?
    /// A directory for private files under project quotas (`Launcher.useScratch`).
    public internal(set) var quota: String?
    /// Why an ordinary user cannot have a jail here; nil when he can.
    public var userNamespaceRefusal: String?
    /// The hard limit of core files is 0 and a program of the host takes them (core(5)).
    public var runsCoreHandler = false
    /// /bin, /lib…: a link of the host or, nil, a directory of its own.
    var rootLinks: [(name: String, target: String?)]

    /// Reads /proc and /sys; starts one short-lived child to probe user namespaces (not as root).
    public static func detect() -> HostFacts {
        let isRoot = geteuid() == 0
        let cgroups = CgroupLayout.read()
        return HostFacts(
            kernel: kernelVersion(), landlock: Int(cl_landlock_abi()), isRoot: isRoot,
            layout: cgroups.layout, controllers: cgroups.controllers, unified: cgroups.unified,
            userNamespaceRefusal: isRoot ? nil : refusal(),
            runsCoreHandler: !isRoot && hasCoreHandler(), rootLinks: links())
    }

    /// `hybrid(memory,pids,cpu:v1; unified)`: the layout, and who holds which limit.
    public var cgroups: String {
        var words: [String] = []
        for isV2 in [false, true] {
            let names = CgroupLayout.wanted.filter { controllers[$0]?.isV2 == isV2 }
            if !names.isEmpty {
                words.append(names.joined(separator: ",") + (isV2 ? ":v2" : ":v1"))
            }
        }
        if unified != nil { words.append("unified") }
        return layout.rawValue + (words.isEmpty ? "" : "(\(words.joined(separator: "; ")))")
    }

    private static func hasCoreHandler() -> Bool {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &limit) == 0, limit.rlim_max == 0
        else { return false }
        return Text.read("/proc/sys/kernel/core_pattern")?.hasPrefix("|") ?? false
    }

    private static func kernelVersion() -> String {
        let release = Text.read("/proc/sys/kernel/osrelease") ?? "?"
        return release.split(separator: ".").prefix(2).joined(separator: ".")
    }

    private static func links() -> [(name: String, target: String?)] {
        ["bin", "sbin", "lib", "lib32", "lib64", "libx32"].compactMap { name in
            var buffer = [CChar](repeating: 0, count: 4096)
            let count = readlink("/" + name, &buffer, buffer.count - 1)
            if count > 0 {
                let bytes = buffer[..<count].map { UInt8(bitPattern: $0) }
                return (name, String(decoding: bytes, as: UTF8.self))
            }
            return access("/" + name, F_OK) == 0 ? (name, nil) : nil
        }
    }

    private static let switches = [
        ("user.max_user_namespaces", "0"), ("kernel.unprivileged_userns_clone", "0"),
        ("kernel.apparmor_restrict_unprivileged_userns", "1"),
    ]

    // The sysctl is looked at first: under AppArmor's the namespace is made and only its first
    // mount fails.
    private static func refusal() -> String? {
        for (name, refusing) in switches {
            let path = "/proc/sys/" + name.split(separator: ".").joined(separator: "/")
            guard Text.read(path) == refusing else { continue }
            if name.hasPrefix("kernel.apparmor"), cl_probe_user_namespace() == 0 { continue }
            return "this machine forbids user namespaces to ordinary programs (\(name)=\(refusing))"
                + ": run as root, or install contrib/apparmor/taskrun (profile with `userns,`)"
        }
        let error = cl_probe_user_namespace()
        switch error {
        case 0: return nil
        case ENOSPC:
            return
                "no user namespace is left (\(NamespaceLimits.lowest(["user"]))): run as root, or "
                + "let root raise it (sysctl)"
        default:
            return
                "this machine refuses a user namespace (\(String(cString: strerror(error)))): run "
                + "as root, outside of a chroot or container, and not under RestrictNamespaces="
        }
    }
}

/// How many namespaces of a kind there may be (namespaces(7), /proc/sys/user).
enum NamespaceLimits {
    /// The tightest of these kinds, as `user.max_net_namespaces=0`.
    static func lowest(_ kinds: [String]) -> String {
        let values = kinds.map { kind in
            let text = Text.read("/proc/sys/user/max_\(kind)_namespaces")
            return (name: "user.max_\(kind)_namespaces", value: text.flatMap { Int($0) } ?? .max)
        }
        guard let lowest = values.min(by: { $0.value < $1.value }), lowest.value < .max else {
            return "user.max_*_namespaces"
        }
        return "\(lowest.name)=\(lowest.value)"
    }
}

/// A cgroup directory of ours below which slots are made.
public struct CgroupPlace: Equatable, Sendable {
    public var isV2: Bool
    public var path: String
}

/// Small text files of the kernel.
enum Text {
    /// Without the newline at the end; nil when it cannot be read.
    static func read(_ path: String) -> String? {
        guard let file = try? File.open(path),
            let bytes = try? File.readAll(file.number, limit: 1 << 20)
        else { return nil }
        var text = String(decoding: bytes, as: UTF8.self)
        while text.last == "\n" { text.removeLast() }
        return text
    }

    /// False when it cannot be written; errno tells.
    static func write(_ text: String, to path: String) -> Bool {
        let descriptor = open(path, O_WRONLY | O_CLOEXEC)
        if descriptor < 0 { return false }
        let count = text.utf8.count
        let wrote = text.withCString { Glibc.write(descriptor, $0, count) }
        let saved = errno
        close(descriptor)
        errno = saved
        return wrote == count
    }
}
