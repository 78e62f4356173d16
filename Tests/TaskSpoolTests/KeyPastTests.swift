// SPDX-License-Identifier: Apache-2.0
import TaskModel
import TaskSpool
import Testing

/// What a restart knows of keys.
@Suite struct KeyPastTests {
    private let run = "01hzy3v7k8m2n4p6q8r0s2t4v6"

    @Test func anAcceptWithAKeyIsKeptAfterItsEnd() throws {
        var fold = JournalFold(interesting: [], inodes: [])
        for line in [
            "1 accept RUN name=a digest=00000000000000ffab key=x%20y",
            "2 end RUN state=success final=yes",
            "3 accept 01hzy3v7k8m2n4p6q8r0s2t4v7 name=b digest=ab",
        ] {
            let text = line.replacing("RUN", with: run)
            fold.add(try EventLine(parsing: Array(text.utf8)[...]), isThisBoot: false)
        }
        let id = try #require(TaskID(run))
        #expect(fold.keys == [id: 255])
        var checkpoint = Checkpoint(epoch: 1, segment: "s", sequence: 1, runs: [:])
        checkpoint.keys = fold.keys
        #expect(Checkpoint(parsing: checkpoint.encode())?.keys == [id: 255])
    }

    @Test func aKeysIdIsThatOfItsDay() {
        let day = 20_000 * TaskID.day
        let first = TaskID(key: "a", milliseconds: day + 5)
        #expect(first.milliseconds == day)
        #expect(TaskID(key: "a", milliseconds: day + TaskID.day - 1) == first)
        #expect(TaskID(key: "a", milliseconds: first.milliseconds) == first)
        #expect(TaskID(key: "a", milliseconds: day + TaskID.day) != first)
        #expect(TaskID(key: "b", milliseconds: day) != first)
    }

    @Test(
        arguments: [
            ("task 0 dep Key=no command=x\ntask 1 a Key=yes command=x\nedge 0 1 ok\n", "yes"),
            ("task 0 a Key=yes command=x\ntask 1 a.then command=x then=yes\nedge 0 1 ok\n", "yes"),
            ("task 0 a Key=no command=x\ntask 1 b command=x\nedge 0 1 ok\n", nil),
        ] as [(String, String?)])
    func theKeyIsThatOfWhatWasAskedFor(body: String, key: String?) throws {
        let text = "taskplan 1\n" + body
        let plan = try Plan(
            parsing: Array((text + "digest \(SHA256.hex(Array(text.utf8)))\n").utf8))
        #expect(plan.key == key)
    }
}
