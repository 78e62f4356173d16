// SPDX-License-Identifier: Apache-2.0
import Glibc
import Testing

/// Machines that forbid what a jail needs: each is one sentence with its cure.
@Suite(.enabled(if: geteuid() == 0, "needs root")) struct Refusals {
    /// Runs in a user namespace of the ordinary user, whose limits he can set.
    private func nested(_ script: String, _ options: [String] = []) -> ProbeRun {
        let probe = Probe.words(.user, options, ["/bin/true"])
        // setpriv … jailprobe …: the namespace comes between the two.
        let place = probe.firstIndex { $0.hasSuffix("/jailprobe") } ?? 0
        let inner = probe[place...].map { "'\($0)'" }.joined(separator: " ")
        return Probe.plain(
            probe[..<place] + [
                "/usr/bin/unshare", "-U", "--map-current-user", "--keep-caps", "/bin/sh", "-c",
                script + "\nexec " + inner,
            ])
    }

    @Test func `no user namespaces at all`() {
        let run = nested("echo 0 > /proc/sys/user/max_user_namespaces")
        #expect(run.status == 226)
        #expect(
            run.errors.contains(
                "unable to make a user namespace: this machine forbids user namespaces to "
                    + "ordinary programs (user.max_user_namespaces=0): run as root, or install "
                    + "contrib/apparmor/taskrun"), "\(run.errors)")
    }

    @Test func `no network namespaces`() {
        let run = nested("echo 0 > /proc/sys/user/max_net_namespaces", ["--net"])
        #expect(run.status == 226)
        #expect(
            run.errors.contains(
                "unable to make the namespaces: No space left on device; root can raise "
                    + "user.max_net_namespaces=0 (sysctl)"), "\(run.errors)")
    }

    @Test func `no namespaces for the launcher`() {
        let run = nested("echo 0 > /proc/sys/user/max_uts_namespaces")
        #expect(run.status == 226)
        #expect(
            run.errors.contains("unable to make the launcher's namespaces: No space left on device")
                && run.errors.contains("user.max_uts_namespaces=0"), "\(run.errors)")
    }

    /// Sysctls of other kernels, in files over /proc/sys/kernel.
    private static func sysctl(_ name: String, _ value: Int) -> String {
        "mount -t tmpfs sysctl /proc/sys/kernel; echo \(value) > /proc/sys/kernel/\(name)\n"
    }
    private static let chroot = "mkdir /mnt/r; mount --rbind / /mnt/r; /usr/sbin/chroot /mnt/r "

    @Test func `Debian's switch`() {
        let run = Probe.inMounts(
            .user, Self.sysctl("unprivileged_userns_clone", 0) + "probe", [], ["/bin/true"])
        #expect(run.status == 226)
        #expect(run.errors.contains("(kernel.unprivileged_userns_clone=0): run as root"))
    }

    @Test func `Ubuntu's switch, with and without the profile`() {
        let set = Self.sysctl("apparmor_restrict_unprivileged_userns", 1)
        // With the profile the namespace can be had, and the switch does not matter.
        let run = Probe.inMounts(.user, set + "probe", [], ["/bin/true"])
        #expect(!run.errors.contains("forbids"), "\(run.errors)")
        let words = Probe.words(.user, [], ["/bin/true"]).map { "'\($0)'" }
        let refused = Probe.inMounts(
            .user, set + "mount -t tmpfs r /mnt\n" + Self.chroot + words.joined(separator: " "), [],
            [])
        #expect(refused.status == 226)
        #expect(
            refused.errors.contains(
                "(kernel.apparmor_restrict_unprivileged_userns=1): run as root, or install "
                    + "contrib/apparmor/taskrun (profile with `userns,`)"), "\(refused.errors)")
    }

    @Test func `a chroot`() {
        let words = Probe.words(.user, [], ["/bin/true"]).map { "'\($0)'" }
        let run = Probe.inMounts(
            .user, "mount -t tmpfs r /mnt\n" + Self.chroot + words.joined(separator: " "), [], [])
        #expect(run.status == 226)
        #expect(
            run.errors.contains(
                "this machine refuses a user namespace (Operation not permitted): run as root, "
                    + "outside of a chroot or container"), "\(run.errors)")
    }

    @Test func `a masked process table`() {
        let run = Probe.inMounts(
            .user, "mount --bind /dev/null /proc/keys\nprobe", [], ["/bin/true"])
        #expect(run.status == 226)
        #expect(
            run.errors.contains(
                "unable to mount /proc: Operation not permitted; the host's /proc is itself masked "
                    + "(a container): run outside of it"), "\(run.errors)")
    }

    @Test(arguments: ["sys_admin", "setpcap", "setuid", "setgid", "mknod"])
    func `root without a capability`(_ name: String) {
        let words = Probe.words(.root, ["--user", "nobody"], ["/bin/true"])
        let run = Probe.plain(
            [
                "/usr/bin/setpriv", "--bounding-set", "-\(name)", "--inh-caps", "-\(name)",
            ] + words)
        #expect(run.status >= 200, "\(run.errors)")
        #expect(run.errors.contains("root itself may not do that here"), "\(run.errors)")
        #expect(run.errors.contains("unable to "))
    }
}
