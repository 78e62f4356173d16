// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import TaskJail

/// The pure parts: plans as text, rules, layouts.
@Suite struct Plans {
    private func facts(root: Bool) -> HostFacts {
        let places = [
            "memory": CgroupPlace(isV2: false, path: "/m"),
            "pids": CgroupPlace(isV2: false, path: "/p"),
            "cpu": CgroupPlace(isV2: false, path: "/c"),
        ]
        return HostFacts(
            kernel: "6.18", landlock: 7, isRoot: root, layout: root ? .hybrid : .none,
            controllers: root ? places : [:], unified: nil, userNamespaceRefusal: nil,
            rootLinks: [("bin", "usr/bin")])
    }

    private func request(ordinary: Bool) -> JailRequest {
        let identity = JailIdentity(
            user: "test", group: "test", uid: 1000, gid: 1000, supplementaryGroups: [1000],
            outside: ordinary ? (500, 500) : nil)
        var request = JailRequest(
            unit: "pandoc.service",
            programs: [
                JailProgram(check: "check-pandoc", arguments: ["./check-pandoc"]),
                JailProgram(arguments: ["pandoc", "site.md"]),
            ], environment: ["DOCKER_PORT=0.0.0.0"], identity: identity)
        request.workingDirectory = "/tmp/pandoc"
        request.directory = "/home/test/pandoc"
        request.limits.memory = 8 << 30
        return request
    }

    @Test func `a plan prints its steps in the order of the build`() throws {
        let plan = try JailPlan(request(ordinary: false), facts: facts(root: true))
        let words = plan.lines.map { "\($0.place.rawValue) \($0.what)" }
        #expect(
            words == [
                "once launcher", "once keyring", "once unshare", "once hostname", "once rights",
                "once session", "once slot", "parent cgroup", "launcher open", "launcher open",
                "launcher root", "launcher clone3", "init session", "init cgroup", "init tmpfs",
                "init attach", "init attach", "init proc", "init rlimit", "init close",
                "init start",
                "task group", "task ids", "task nnp", "task cwd", "task seccomp", "task check",
                "task exec",
            ])
        let text = plan.text()
        #expect(text.hasPrefix("# pandoc.service  user=test(1000)  as=root  kernel=6.18"))
        #expect(text.contains("memory=8G pids=4096 cpu=none"))
        #expect(text.hasSuffix("weak: none\n"))
    }

    @Test func `an ordinary user's plan maps his id and names what is weak`() throws {
        let plan = try JailPlan(request(ordinary: true), facts: facts(root: false))
        #expect(plan.weak == ["LimitMem"])
        #expect(
            plan.lines.contains { $0.what == "map" && $0.detail == "uid 1000=500 gid 1000=500" })
        #expect(plan.json().contains("\"weak\":[\"LimitMem\"]"))
        var strict = request(ordinary: true)
        strict.strictness = .strict
        #expect(throws: JailError.self) { try JailPlan(strict, facts: facts(root: false)) }
    }

    @Test func `refused user namespaces are one sentence and 226`() throws {
        var facts = facts(root: false)
        facts.userNamespaceRefusal = "forbidden (x=1)"
        let error = #expect(throws: JailError.self) {
            try JailPlan(request(ordinary: true), facts: facts)
        }
        #expect(error?.code == 226)
        #expect(error?.message.contains("forbidden (x=1)") == true)
    }

    @Test func `the plan says what is left open`() throws {
        var old = facts(root: true)
        old.landlock = 1
        let warnings = try JailPlan(request(ordinary: false), facts: old).warnings
        #expect(warnings.count == 2)
        #expect(warnings.first?.hasPrefix("abstract sockets of the host are reachable") == true)
        var hidden = request(ordinary: false)
        hidden.hasPrivateNetwork = true
        #expect(try JailPlan(hidden, facts: facts(root: true)).warnings.isEmpty)
        var member = request(ordinary: true)
        member.identity.supplementaryGroups = [500, 27, 999]
        let plan = try JailPlan(member, facts: facts(root: false))
        #expect(plan.warnings.contains { $0.hasPrefix("groups kept: 27,999:") })
        #expect(plan.text().contains("groups=kept:500,27,999 "))
        #expect(plan.json().contains("\"landlock\":7,\"cgroup\":\"none\""))
    }

    @Test func `every step has its calls`() throws {
        var request = request(ordinary: false)
        request.credentials = [JailCredential(name: "a", path: "/a")]
        let plan = try JailPlan(request, facts: facts(root: true))
        for line in plan.lines where line.place != .parent {
            #expect(!line.calls.isEmpty, "\(line.what)")
        }
    }

    @Test func `a task drops capabilities before the filter and runs last`() throws {
        let ops = try JailPlan(request(ordinary: false), facts: facts(root: true)).ops
        let order = ops.task.map(\.phrase)
        #expect(order.last == "execute the program")
        #expect(
            order.firstIndex(of: "become the task's user") ?? 9 < order.firstIndex(
                of: "set no_new_privs") ?? 0)
        #expect(order.dropLast().last == "load the system call filter")
    }

    @Test(arguments: [
        ("alice: test build\n# root: all\n", "alice", "test", true),
        ("alice: test", "alice", "root", false),
        ("alice: test # bob\n", "alice", "bob", false),
        ("", "alice", "test", false), ("bob:test", "bob", "test", true),
        ("alice: test\r\nbob: carol dave\r\n", "alice", "test", true),
        ("alice: test\r\nbob: carol dave\r\n", "bob", "dave", true),
        ("alice: test\r\nbob: carol dave\r\n", "alice", "dave", false),
        ("al ice: root\n", "alice", "root", false), ("alice:\u{301} root", "alice", "root", true),
    ]) func `run-as rules`(_ text: String, _ owner: String, _ user: String, _ permits: Bool) {
        #expect(RunAsRules(parsing: text).permits(owner: owner, user: user) == permits)
    }

    @Test(
        arguments: [
            (UInt64?.none, "infinity"), (8 << 30, "8G"), (1 << 20, "1M"), (1500, "1500"),
        ] as [(UInt64?, String)]) func `sizes are printed in units`(_ size: UInt64?, _ text: String)
    {
        #expect(JailBuilder.size(size) == text)
    }

    @Test func `NUL bytes are refused`() {
        var request = request(ordinary: false)
        request.programs = [JailProgram(arguments: ["a\0b"])]
        #expect(throws: JailError.self) { try JailPlan(request, facts: facts(root: true)) }
    }
}
