// SPDX-License-Identifier: Apache-2.0
import Glibc
import Linux
import SystemPackage
import TaskModel
import Testing

@testable import TaskJournal

@Suite struct JournaldTests {
    @Test func valuesWithLineEndsCarryTheirLength() {
        var entry = JournaldEntry("a\nb", priority: .info, identifier: "taskd")
        entry.add("TASK_NAME", "site")
        let expected =
            Array("MESSAGE\n".utf8) + [3, 0, 0, 0, 0, 0, 0, 0]
            + Array("a\nb\nPRIORITY=6\nSYSLOG_IDENTIFIER=taskd\nTASK_NAME=site\n".utf8)
        #expect(entry.bytes == expected)
    }

    @Test func whatNobodyTakesIsCounted() {
        var sender = JournaldSender(path: "/nonexistent/socket")
        sender.send { JournaldEntry("m", priority: .error, identifier: "taskd") }
        #expect(sender.dropped == 1)
    }

    @Test func aStandInGetsWholeEntries() throws {
        let path = "/tmp/taskjournal-journald.\(Random.bits64())"
        let socket = try StandIn(path)
        var sender = JournaldSender(path: path)
        let entry = JournaldEntry(
            "site failed: exit 7", priority: .error, id: "R.1", name: "site", run: "R",
            state: "failure")
        sender.send { entry }
        let text = String(decoding: socket.receive(), as: UTF8.self)
        let fields = Set(text.split(separator: "\n").map(String.init))
        #expect(
            fields.isSuperset(of: [
                "MESSAGE=site failed: exit 7", "PRIORITY=3", "TASK_ID=R.1", "TASK_NAME=site",
                "TASK_RUN=R", "TASK_STATE=failure", "SYSLOG_IDENTIFIER=site",
            ]))
        #expect(sender.dropped == 0)
        // A reader that does not read: the socket fills, and nobody waits.
        for _ in 0..<5000 { sender.send { entry } }
        #expect(sender.dropped > 0)
    }
}

/// A datagram socket in the place of systemd's.
private final class StandIn {
    private let number: Int32
    private let path: String

    init(_ path: String) throws {
        self.path = path
        number = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { space in
            for (index, byte) in path.utf8.enumerated() { space[index] = byte }
        }
        let size = socklen_t(MemoryLayout<sockaddr_un>.size)
        let code = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(number, $0, size) }
        }
        guard code == 0 else { throw Errno.current }
    }

    deinit {
        close(number)
        unlink(path)
    }

    func receive() -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 65536)
        let count = recv(number, &bytes, bytes.count, 0)
        return Array(bytes.prefix(max(0, count)))
    }
}
