// SPDX-License-Identifier: Apache-2.0
import Glibc
import Testing

/// Who a task runs as.
@Suite struct Privilege {
    @Test(.needsRoot, arguments: Who.onlyRoot)
    func `a user becomes another only where root says so`(_ who: Who) {
        let refused = Probe.run(who, ["--owner", "65534", "--user", "root"], ["/usr/bin/id"])
        #expect(refused.status == 217)
        #expect(refused.errors.contains("`nobody: root`"))
        let permitted = Probe.run(
            who, ["--owner", "65534", "--user", "daemon", "--rules", "nobody: daemon"],
            ["/usr/bin/id", "-un"])
        #expect(permitted.output == "daemon\n")
        let group = Probe.run(
            who, ["--owner", "65534", "--user", "nobody", "--group", "shadow"], ["/usr/bin/id"])
        #expect(group.status == 216)
    }

    @Test(.needsRoot, arguments: Who.onlyRoot) func `an absent user is told how to be made`(
        _ who: Who
    ) {
        let run = Probe.run(who, ["--user", "no-such-user"], ["/bin/true"])
        #expect(run.status == 217)
        #expect(run.errors.contains("useradd"))
    }
}
