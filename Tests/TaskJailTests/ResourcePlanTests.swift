// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import TaskJail

/// Where the private files of a jail go: memory, or a disk with project quotas.
@Suite struct ResourcePlans {
    @Test(
        arguments: [
            (64, 32, false, "tmpfs"), (64, 33, false, "quota"), (nil, 33, false, "tmpfs"),
            (64, nil, false, "tmpfs"), (64, 33, true, "tmpfs"),
        ] as [(UInt64?, UInt64?, Bool, String)])
    func `a disk is used for what memory can't hold beside the programs`(
        _ memory: UInt64?, _ disk: UInt64?, _ isOrdinary: Bool, _ word: String
    ) throws {
        var facts = HostFacts(
            kernel: "6.18", landlock: 7, isRoot: !isOrdinary, layout: .none,
            controllers: ["memory": CgroupPlace(isV2: true, path: "/m")], unified: nil,
            userNamespaceRefusal: nil, rootLinks: [("bin", "usr/bin")])
        let identity = JailIdentity(
            user: "test", group: "test", uid: 1000, gid: 1000, supplementaryGroups: [1000],
            outside: isOrdinary ? (500, 500) : nil)
        var request = JailRequest(
            unit: "x", programs: [JailProgram(arguments: ["true"])], environment: [],
            identity: identity)
        request.limits.tasks = nil
        request.limits.memory = memory.map { $0 << 20 }
        request.limits.disk = disk.map { $0 << 20 }
        func way() throws -> [String] {
            try JailPlan(request, facts: facts).lines.map(\.what)
                .filter { $0 == "tmpfs" || $0 == "quota" }
        }
        #expect(try way() == ["tmpfs"])
        facts.quota = "/var/lib/task/scratch"
        #expect(try way() == [word])
        #expect(try JailPlan(request, facts: facts).usesQuota == (word == "quota"))
    }
}
