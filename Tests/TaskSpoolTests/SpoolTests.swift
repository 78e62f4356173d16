// SPDX-License-Identifier: Apache-2.0
import Glibc
import Linux
import SystemPackage
import TaskModel
import TaskSpool
import Testing

/// A spool in a directory of its own, gone with the test.
final class TemporarySpool {
    let path: String
    let spool: Spool

    init() throws {
        var template = Array("/tmp/spool-test-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Errno.current }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        spool = try Spool(path: path + "/spool", creating: true)
        SignalSource.block(SIGIO)
    }

    func drop(_ text: String, as name: String) throws {
        try spool.write(Array(text.utf8), to: name, .incoming, durable: false)
    }

    deinit {
        let remove = Program(path: "/bin/rm", arguments: ["rm", "-rf", path], environment: [])
        guard let child = try? Child.start(remove, SpawnOptions()) else { return }
        var status: Int32 = 0
        waitpid(child.pid, &status, 0)
    }
}

@Suite struct SpoolTests {
    @Test func isMadeOnceAndOpenedAgain() throws {
        let temporary = try TemporarySpool()
        let again = try Spool(path: temporary.path + "/spool")
        #expect(again.owner == getuid())
        for directory in SpoolDirectory.allCases {
            #expect(try File.status(of: again.number(directory)).isDirectory)
        }
    }

    @Test func refusesAForeignDirectory() throws {
        #expect(throws: SpoolError.self) { try Spool(path: "/usr") }
        #expect(throws: SpoolError.self) { try Spool(path: "/nonexistent") }
    }

    @Test func refusesADirectoryThatOthersMayWrite() throws {
        let temporary = try TemporarySpool()
        #expect(fchmod(temporary.spool.number(.ready), 0o777) == 0)
        #expect(throws: SpoolError.self) { try Spool(path: temporary.path + "/spool") }
    }

    @Test func looksAtAWholeFile() throws {
        let temporary = try TemporarySpool()
        try temporary.drop("[Command]\n", as: "a.task")
        guard case .complete(let bytes, _, _) = temporary.spool.look(at: "a.task") else {
            Issue.record("a closed file is complete")
            return
        }
        #expect(String(decoding: bytes, as: UTF8.self) == "[Command]\n")
    }

    @Test func waitsForAWriter() throws {
        let temporary = try TemporarySpool()
        let writer = try File.open(
            "a.task", at: temporary.spool.number(.incoming), flags: [.writeOnly, .create])
        #expect(temporary.spool.look(at: "a.task") == .beingWritten)
        try writer.close()
        #expect(temporary.spool.look(at: "a.task") != .beingWritten)
    }

    @Test func refusesWhatIsNoFile() throws {
        let temporary = try TemporarySpool()
        let incoming = temporary.path + "/spool/incoming/"
        #expect(mkfifo(incoming + "fifo", 0o600) == 0)
        #expect(symlink("/etc/shadow", incoming + "link") == 0)
        #expect(mkdir(incoming + "directory", 0o700) == 0)
        let sparse = open(incoming + "sparse", O_CREAT | O_WRONLY, 0o600)
        #expect(ftruncate(sparse, 10 << 30) == 0)
        close(sparse)
        for name in ["fifo", "link", "directory", "sparse"] {
            guard case .refused(let why) = temporary.spool.look(at: name) else {
                Issue.record("\(name) is not refused")
                continue
            }
            #expect(!why.isEmpty)
        }
        #expect(temporary.spool.look(at: "nothing") == .gone)
    }

    @Test func takesOnlyWhatItLookedAt() throws {
        let temporary = try TemporarySpool()
        try temporary.drop("one", as: "a")
        guard case .complete(_, let identity, _) = temporary.spool.look(at: "a") else { return }
        let taken = TakenName(id: TaskID(high: 1, low: 2), name: "a")
        #expect(try temporary.spool.take("a", as: taken, identity))
        #expect(try !temporary.spool.take("a", as: taken, identity))

        try temporary.drop("two", as: "b")
        guard case .complete(_, let old, _) = temporary.spool.look(at: "b") else { return }
        try temporary.spool.write(Array("three".utf8), to: "new", .tmp, durable: false)
        try temporary.spool.move("new", .tmp, to: "b", .incoming)
        let second = TakenName(id: TaskID(high: 1, low: 3), name: "b")
        #expect(try !temporary.spool.take("b", as: second, old))
        #expect(temporary.spool.exists("b", .incoming))
    }

    @Test(arguments: [
        ("site.task", DropName.unit(name: "site.task", id: nil)),
        (
            "01hzy3v7k8m2n4p6q8r0s2t4v6@site.task",
            .unit(name: "site.task", id: TaskID("01hzy3v7k8m2n4p6q8r0s2t4v6"))
        ),
        ("resize@large.task", .unit(name: "resize@large.task", id: nil)),
        (".hidden", .temporary), ("site.task~", .temporary), ("a b", .unsafe),
        ("a\nb", .unsafe), ("-rf", .unsafe), (String(repeating: "x", count: 129), .unsafe),
    ])
    func namesAreClassified(name: String, expected: DropName) {
        #expect(DropName(Array(name.utf8)) == expected)
    }

    @Test func cancelNamesARunOrATask() throws {
        let text = "01hzy3v7k8m2n4p6q8r0s2t4v6"
        let id = try #require(TaskID(text))
        #expect(DropName(Array("\(text).cancel".utf8)) == .cancel(TaskRef(run: id)))
        #expect(DropName(Array("\(text).3.cancel".utf8)) == .cancel(TaskRef(run: id, task: 3)))
    }

    @Test func safeNamesStayInTheAllowedSet() {
        for name in ["a\nb", "", "-x", "../../etc", String(repeating: "é", count: 200)] {
            let safe = DropName.safe(Array(name.utf8))
            #expect(DropName(Array(safe.utf8)) == .unit(name: safe, id: nil))
        }
    }
}
