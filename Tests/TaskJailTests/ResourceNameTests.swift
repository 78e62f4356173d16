// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import TaskJail

/// Whom the kernel killed, from its log (JAIL attack 84).
@Suite struct ResourceNames {
    static let head =
        "6,812,99,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,"
        + "oom_memcg=/a/taskrun-1-2/slot-0,task_memcg=/a/taskrun-1-2/slot-0,task="

    @Test(arguments: [
        ("python3,pid=813,uid=0\n SUBSYSTEM=x", "python3", 813),
        (",pid=1,uid=0,pid=813,uid=0", ",pid=1,uid=0", 813),
        (",task=x,pid=9,pid=813,uid=0", ",task=x,pid=9", 813),
        ("a\\x0ab,pid=813,uid=0", "a\\x0ab", 813),
        (",pid=813,uid=65534", "", 813),
    ])
    func `a process names itself, not its number`(
        _ tail: String, _ name: String, _ pid: Int32
    ) throws {
        let (path, victim) = try #require(KernelLog.victim(in: Self.head + tail))
        #expect(path == "/a/taskrun-1-2/slot-0")
        #expect(victim == OOMVictim(name: name, pid: pid))
    }

    @Test(arguments: [
        "", "6,812,99,-;", "6,812,99,-;oom-kill:", "oom-kill:,task_memcg=/x,task=a,pid=1,uid=0",
        "6,1,1,-;task a: oom-kill:,task_memcg=/x,task=a,pid=1,uid=0",
        "6,1,1,-;oom-kill:,task_memcg=/x,task=a,pid=,uid=0",
        "6,1,1,-;oom-kill:,task_memcg=/x,task=a,pid=99999999999,uid=0",
    ])
    func `other records name nobody`(_ record: String) {
        #expect(KernelLog.victim(in: record) == nil)
    }
}
