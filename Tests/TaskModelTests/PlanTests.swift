// SPDX-License-Identifier: Apache-2.0
import TaskModel
import Testing

@Suite struct PlanTests {
    static let sample: Plan = {
        var lib = TaskSpec(name: "libpng.service")
        lib[.optional] = ["no"]
        var site = TaskSpec(name: "site")
        site[.command] = ["./run"]
        site[.file] = ["run:755:" + SHA256.hex(Array("#!/bin/sh\n".utf8))]
        return Plan(
            tasks: [PlanTask(number: 0, spec: lib), PlanTask(number: 1, spec: site)],
            edges: [PlanEdge(from: 0, to: 1, kind: .ok)],
            items: [PlanItems(task: 1, count: 2, first: 0)],
            blobs: [
                PlanBlob(kind: .unit, name: "site.task", bytes: Array("[Command]\n\n\0=".utf8)),
                PlanBlob(kind: .file, name: "run", bytes: Array("#!/bin/sh\n".utf8)),
                PlanBlob(kind: .items, name: "1", bytes: Array("a\nb\n".utf8)),
            ])
    }()

    @Test func comesBackAsItWas() throws {
        let bytes = Self.sample.encode()
        let again = try Plan(parsing: bytes)
        #expect(again == Self.sample)
        #expect(again.encode() == bytes)
        #expect(again.digest == Plan.digest(ofEncoded: bytes))
        #expect(again.files(of: again.tasks[1]).map(\.name) == ["run"])
        #expect(again.itemList(of: 1)?.bytes == Array("a\nb\n".utf8))
    }

    @Test func theTextIsTheFormat() {
        let text = String(decoding: Self.sample.encode(), as: UTF8.self)
        #expect(
            text.hasPrefix(
                "taskplan 1\ntask 0 libpng.service\ntask 1 site command=./run file=run:755:"))
        #expect(text.contains("\nedge 0 1 ok\nitems 1 2 0\nblob unit site.task "))
    }

    static func sealed(_ body: String) -> [UInt8] {
        Array((body + "digest \(SHA256.hex(Array(body.utf8)))\n").utf8)
    }

    @Test(arguments: [
        ("taskplan 2\ntask 0 a\n", 1), ("taskplan 1\n", 1), ("taskplan 1\ntask 0 a\ntask 0 b\n", 3),
        ("taskplan 1\ntask 0 a\ntask 1 a\n", 3), ("taskplan 1\ntask 0 a Nope=1\n", 2),
        ("taskplan 1\ntask 0 a\ntask 1 b\nedge 1 0 ok\n", 4),
        ("taskplan 1\ntask 0 a\nedge 0 0 ok\n", 3), ("taskplan 1\ntask 0 a\nedge 0 7 ok\n", 3),
        ("taskplan 1\ntask 0 a\ntask 1 b\nedge 0 1 maybe\n", 4),
        ("taskplan 1\ntask 0 a\nitems 3 1 0\n", 3),
        ("taskplan 1\ntask 0 a\nitems 0 99999999 0\n", 3),
        ("taskplan 1\ntask 0 a\nblob file x 00 3\nabc\n", 3),
        ("taskplan 1\ntask 0 a\nblob file x 00 99\nabc\n", 3),
        ("taskplan 1\ntask 0 a/b\n", 2), ("taskplan 1\ntask 0 a\nnoise\n", 3),
    ])
    func refusesWithTheLine(body: String, line: Int) {
        let error = #expect(throws: PlanError.self) { try Plan(parsing: Self.sealed(body)) }
        #expect(error?.line == line)
    }

    @Test func aReducedPlanKeepsItsNumbers() throws {
        let plan = try Plan(
            parsing: Self.sealed("taskplan 1\ntask 3 a\ntask 7 b\nedge 3 7 end\n"))
        #expect(plan.tasks.map(\.number) == [3, 7])
        #expect(throws: PlanError.self) {
            try Plan(parsing: Self.sealed("taskplan 1\ntask 3 a\ntask 7 b\nedge 3 6 end\n"))
        }
    }

    @Test func everyChangedByteIsNoticed() {
        let bytes = Self.sample.encode()
        for index in bytes.indices {
            var changed = bytes
            changed[index] ^= 1
            #expect(throws: PlanError.self) { try Plan(parsing: changed) }
        }
        for count in 0..<bytes.count {
            #expect(throws: PlanError.self) { try Plan(parsing: Array(bytes.prefix(count))) }
        }
    }

    @Test func aBlobIsTakenFromTheFront() throws {
        var buffer: [UInt8] = []
        for blob in Self.sample.blobs { blob.append(to: &buffer) }
        var rest = buffer[...]
        let taken = try (0..<3).map { _ in try PlanBlob(takingFrom: &rest) }
        #expect(taken == Self.sample.blobs && rest.isEmpty)
        #expect(throws: PlanError.self) { try PlanBlob(takingFrom: &rest) }
    }
}
