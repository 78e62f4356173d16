// SPDX-License-Identifier: Apache-2.0
import Glibc
import Linux
import SystemPackage
import TaskPlan
import TaskSpool
import TaskUnit
import Testing

@Suite struct UnitSearchTests {
    private let temporary: TemporarySpool

    init() throws { temporary = try TemporarySpool() }

    private func write(_ text: String, _ name: String, mode: UInt32 = 0o644) throws {
        let path = "\(temporary.path)/\(name)"
        let file = try File.open(path, flags: [.writeOnly, .create], mode: mode)
        try File.writeAll(Array(text.utf8), to: file.number)
        chmod(path, mode)
    }

    private func search(owner: UInt32 = getuid(), author: UInt32? = nil) -> UnitSearch {
        UnitSearch(
            own: temporary.path, units: "\(temporary.path)/spool/units", owner: owner,
            author: author, system: [])
    }

    private func found(_ lookup: PlanInputs.UnitLookup) -> String {
        switch lookup {
        case .found(let text): "\(text.dropIns.count) drop-ins"
        case .absent: "absent"
        case .refused(let what, _): what
        }
    }

    @Test func theOwnDirectoryGoesFirst() throws {
        try write("own", "a.task")
        try write("spool", "spool/units/a.task")
        try write("spool", "spool/units/b.task")
        guard case .found(let first) = search().find("a.task"),
            case .found(let second) = search().find("b.task")
        else { throw Errno.noSuchFileOrDirectory }
        #expect(first.main.bytes == Array("own".utf8) && first.directory == temporary.path)
        #expect(second.directory == "\(temporary.path)/spool/units")
        #expect(found(search().find("c.task")) == "absent")
    }

    @Test(arguments: [1, 20]) func dropInsAreFoundHoweverManyAreAskedFor(_ count: Int) throws {
        let search = search()
        try File.makeDirectory("a.task.d", at: try directory())
        try write("x", "a.task.d/1.conf")
        try write("a", "a.task")
        for index in 0..<count {
            try write("b", "b\(index).task")
            #expect(found(search.find("b\(index).task")) == "0 drop-ins")
        }
        #expect(found(search.find("a.task")) == "1 drop-ins")
    }

    @Test func neighboursMayBeTheAuthorsAndOthersMayNot() throws {
        try write("a", "a.task")
        try write("b", "open.task", mode: 0o666)
        let me = getuid()
        #expect(found(search(owner: me + 1, author: me).find("a.task")) == "0 drop-ins")
        if me != 0 {
            #expect(found(search(owner: me + 1).find("a.task")).contains("belongs to uid"))
        }
        #expect(found(search().find("open.task")).contains("others may write"))
    }

    private func directory() throws -> Int32 {
        try File.openDirectory(temporary.path).release()
    }
}
