// SPDX-License-Identifier: Apache-2.0
import Glibc
import Testing

@testable import TaskJail

/// A slot whose forks are held back while what is left in it is killed. The files stand for the
/// kernel's; a directory in the place of one cannot be written.
@Suite struct SlotHoldTests {
    /// The file that holds forks back, and what it says then and afterwards.
    enum Hierarchy: CaseIterable { case v1, v2 }

    final class Place {
        let path: String
        let hierarchy: Hierarchy
        var knob: String { path + (hierarchy == .v2 ? "/cgroup.freeze" : "/pids.max") }

        init(_ hierarchy: Hierarchy) throws {
            self.hierarchy = hierarchy
            var template = Array("/tmp/taskspool-test.XXXXXX".utf8CString)
            path = try #require(mkdtemp(&template).map { String(cString: $0) })
            for (name, text) in [
                ("/cgroup.events", "populated 0\nfrozen 0\n"), ("/cgroup.procs", ""),
                ("/cgroup.freeze", "0"), ("/pids.max", "max"),
            ] { try write(text, to: path + name) }
        }

        deinit {
            rmdir(knob)
            for name in ["/cgroup.events", "/cgroup.procs", "/cgroup.freeze", "/pids.max"] {
                unlink(path + name)
            }
            rmdir(path)
        }

        func write(_ text: String, to file: String) throws {
            let descriptor = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
            try #require(descriptor >= 0)
            #expect(Glibc.write(descriptor, text, text.utf8.count) == text.utf8.count)
            close(descriptor)
        }

        func refuse() { #expect(unlink(knob) == 0 && mkdir(knob, 0o700) == 0) }

        func permit() throws {
            #expect(rmdir(knob) == 0)
            try write(hierarchy == .v2 ? "1" : "0", to: knob)
        }

        var slot: CgroupSlot {
            CgroupSlot(
                controllers: hierarchy == .v2
                    ? [:] : ["pids": CgroupPlace(isV2: false, path: path)],
                unified: hierarchy == .v2 ? path : nil, log: KernelLog())
        }

        /// Without what a longer text left behind it: files of the kernel have no such rest.
        var text: Character? { Text.read(knob)?.first }
    }

    @Test(arguments: Hierarchy.allCases)
    func `a slot that stays held back is not for the next attempt`(_ hierarchy: Hierarchy) throws {
        let place = try Place(hierarchy)
        let slot = place.slot
        slot.killAll(but: 0)
        #expect(place.text == (hierarchy == .v2 ? "1" : "0"))
        place.refuse()
        #expect(!slot.release())
        #expect(!slot.isFree(but: 0))
        try place.permit()
        #expect(slot.isFree(but: 0))
        #expect(place.text == (hierarchy == .v2 ? "0" : "m"))
    }

    @Test(arguments: Hierarchy.allCases)
    func `what could not be held back is tried again`(_ hierarchy: Hierarchy) throws {
        let place = try Place(hierarchy)
        let slot = place.slot
        place.refuse()
        slot.killAll(but: 0)
        #expect(!slot.isHoldingForks)
        try place.permit()
        try place.write("m", to: place.knob)
        slot.killAll(but: 0)
        #expect(slot.isHoldingForks && place.text == (hierarchy == .v2 ? "1" : "0"))
    }

    @Test func `what a task froze itself is thawed`() throws {
        let place = try Place(.v2)
        let slot = place.slot
        try place.write("populated 0\nfrozen 1\n", to: place.path + "/cgroup.events")
        try place.write("1", to: place.knob)
        #expect(slot.isFree(but: 0) && place.text == "0")
    }

    @Test(arguments: Hierarchy.allCases)
    func `the next program knows what the one before held back`(_ hierarchy: Hierarchy) throws {
        let place = try Place(hierarchy)
        try place.write(hierarchy == .v2 ? "1" : "0", to: place.knob)
        let slot = place.slot
        slot.resume([])
        #expect(slot.isHoldingForks)
        #expect(slot.release() && place.text == (hierarchy == .v2 ? "0" : "m"))
    }
}
