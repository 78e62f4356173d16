// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import Linux
import Testing

enum Build {
    static let hasFaults: Bool = {
        #if DEBUG
            true
        #else
            false
        #endif
    }()
}

/// JAIL attack 105: every step fails once. The code is the table's, the sentence says what, why and
/// what to do, and nothing is left behind. Only debug builds can be told to fail.
@Suite(.enabled(if: Build.hasFaults, "the probe is a release build")) struct Faulty {
    /// Jails that have between them every kind of step.
    static let kinds = ["plain", "net", "full"]

    @Test(arguments: Who.available, kinds)
    func `every step that fails is named, and leaves nothing`(_ who: Who, _ kind: String) throws {
        var probe = try #require(Self.start(who, kind))
        let isReady = probe.isStopped(after: "ready")
        try #require(isReady, "\(probe.live.text)")
        let before = Left(of: probe.live.pid)
        kill(probe.live.pid, SIGCONT)
        let isDone = probe.isStopped(after: "done")
        #expect(isDone, "\(probe.live.text.suffix(2000))")
        let after = Left(of: probe.live.pid)
        kill(probe.live.pid, SIGCONT)
        #expect(Probe.wait(probe.live.pid) == 0)
        #expect(after == before)
        Self.check(probe.live.text)
    }

    private static func check(_ text: String) {
        var wanted: [String: String] = [:]
        var count = 0
        for line in text.split(separator: "\n") {
            if line.hasPrefix("fault ") {
                wanted = fields(line)
            } else if line.hasPrefix("failed ") {
                count += 1
                judge(fields(line), wanted)
                wanted = [:]
            } else if line.hasPrefix("finished "), !wanted.isEmpty {
                Issue.record("not failed: \(wanted)")
                wanted = [:]
            }
        }
        #expect(count > 200, "steps are missing")
    }

    private static func judge(_ got: [String: String], _ wanted: [String: String]) {
        #expect(got["code"] == wanted["want"], "\(got)")
        #expect(got["errno"] == wanted["errno"], "\(got)")
        let message = got["message"] ?? ""
        let phrase = wanted["phrase"] ?? "?"
        let isExecution = phrase == "execute the program"
        #expect(message.hasPrefix("unable to " + (isExecution ? "execute" : phrase)), "\(message)")
        let reason = String(cString: strerror(Int32(got["errno"] ?? "") ?? 0))
        #expect(message.contains(": \(reason); "), "no cure: \(message)")
        let cure = message.split(separator: "; ").last ?? ""
        #expect(cure.utf8.count > 20, "\(message)")
    }

    /// `NAME=VALUE` words; the last one is the rest of the line.
    private static func fields(_ line: Substring) -> [String: String] {
        var result: [String: String] = [:]
        for word in line.split(separator: " ").dropFirst() {
            let parts = word.split(separator: "=", maxSplits: 1).map(String.init)
            if parts.count == 2, result["message"] == nil, result["phrase"] == nil {
                result[parts[0]] = parts[1]
            }
        }
        for last in ["message", "phrase"] {
            let parts = line.split(separator: " \(last)=", maxSplits: 1)
            if parts.count == 2 { result[last] = String(parts[1]) }
        }
        return result
    }

    private static func start(_ who: Who, _ kind: String) -> Stopping? {
        let work = Directory.make(owner: who.uid)
        let unit = Directory.make(owner: who.uid)
        let secret = Directory.make(owner: who.uid)
        Directory.write("secret\n", secret + "/key")
        Directory.write("in\n", secret + "/in")
        chown(secret + "/key", who.uid, who.uid)
        let options: [String]
        switch kind {
        case "full":
            options = [
                "--work", work, "--dir", unit, "--file", "a/b=x", "--bind", "\(secret):/srv/x",
                "--bind", "\(secret):/tmp/deep/x", "--credential", "key:\(secret)/key", "--in",
                secret + "/in", "--out", work + "/out", "--nice", "1", "--cputime", "9000000",
                "--check", "true", "--net", "--owner", String(who.uid),
            ]
        case "net": options = ["--net", "--subset"]
        default: options = []
        }
        return Stopping(Probe.start(who, ["--faults"] + options, ["/bin/true"], until: "ready"))
    }
}

/// A probe that stops itself when it has said a word.
struct Stopping {
    var live: LiveProbe

    init?(_ live: LiveProbe?) {
        guard let live else { return nil }
        self.live = live
    }

    mutating func isStopped(after word: String) -> Bool {
        guard live.read(until: word + "\n") else { return false }
        for _ in 0..<1000 {
            if text("/proc/\(live.pid)/stat").contains(") T ") { return true }
            poll(nil, 0, 10)
        }
        return false
    }
}

/// What a probe and its launchers hold.
struct Left: Equatable, CustomStringConvertible {
    var processes: [String] = []
    var descriptors: [Int] = []
    var mounts: [Int] = []
    var hostMounts = 0
    var cgroups = 0

    init(of pid: Int32) {
        hostMounts = text("/proc/self/mountinfo").split(separator: "\n").count
        for name in names("/proc").sorted() where Int32(name) != nil {
            let status = text("/proc/\(name)/status")
            guard name == String(pid) || status.contains("\nPPid:\t\(pid)\n") else { continue }
            processes.append(name)
            descriptors.append(names("/proc/\(name)/fd").count)
            mounts.append(text("/proc/\(name)/mountinfo").split(separator: "\n").count)
        }
        for place in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/memory"] {
            cgroups += names(place).count { $0.hasPrefix("taskrun-\(pid)-") }
        }
    }

    var description: String {
        "processes \(processes), descriptors \(descriptors), mounts \(mounts), "
            + "host \(hostMounts), cgroups \(cgroups)"
    }
}
