// SPDX-License-Identifier: Apache-2.0
import TaskModel
import Testing

@Suite struct IDTests {
    @Test(arguments: [
        (UInt64(0), UInt64(0), "00000000000000000000000000"),
        (UInt64.max, UInt64.max, "7zzzzzzzzzzzzzzzzzzzzzzzzz"),
        (UInt64(1), UInt64(0), "0000000000000g000000000000"),
    ])
    func textHasTwentySixDigits(high: UInt64, low: UInt64, text: String) {
        let id = TaskID(high: high, low: low)
        #expect(id.description.count == 26)
        #expect(TaskID(id.description) == id)
        #expect(id.description == text)
    }

    @Test(arguments: [0, 9, 10, 1_234_567_890, Int.max, -1, Int.min])
    func numbersAppendAsTheirDigits(_ number: Int) {
        var bytes = Array("x".utf8)
        Decimal.append(number, to: &bytes)
        Decimal.append(UInt64.max, to: &bytes)
        #expect(String(decoding: bytes, as: UTF8.self) == "x\(number)18446744073709551615")
    }

    @Test func roundTripsAndSortsAsText() {
        var last = TaskID(high: 0, low: 0)
        var seed: UInt64 = 0x9e37_79b9_7f4a_7c15
        for step in 1...2000 {
            seed = seed &* 6_364_136_223_846_793_005 &+ 1
            let id = TaskID(milliseconds: UInt64(step), upper: UInt16(seed >> 48), lower: seed)
            #expect(TaskID(id.description.uppercased()) == id)
            #expect(last < id && last.description < id.description)
            last = id
        }
    }

    @Test(arguments: ["", "0", "8zzzzzzzzzzzzzzzzzzzzzzzzz", "0000000000000000000000000i", "é"])
    func refuses(text: String) {
        #expect(TaskID(text) == nil)
    }

    @Test(arguments: ["RUN", "RUN.0", "RUN.17", "RUN.3.999999"])
    func refRoundTrips(shape: String) {
        let text = shape.replacing("RUN", with: "01hzy3v7k8m2n4p6q8r0s2t4v6")
        #expect(TaskRef(text)?.description == text)
    }

    @Test(arguments: ["RUN.", "RUN.01", "RUN.-1", "RUN.1.2.3", "RUN.99999999999999999999"])
    func refRefuses(shape: String) {
        #expect(TaskRef(shape.replacing("RUN", with: "01hzy3v7k8m2n4p6q8r0s2t4v6")) == nil)
    }

    @Test(arguments: [
        "RUN", "RUN:2", "RUN+1", "RUN:3+12", "RUN=7.1", "RUN:3+12=1764273123123123.2",
    ])
    func fileNameRoundTrips(shape: String) {
        let text = shape.replacing("RUN", with: "01hzy3v7k8m2n4p6q8r0s2t4v6")
        #expect(RunFileName(bytes: Array(text.utf8)[...])?.description == text)
    }

    @Test(arguments: [
        "RUN:1", "RUN+0", "RUN:", "RUN+1:2", "RUN@x", "RUN.full", "RUN=", "RUN=1", "RUN=0.1",
        "RUN=1.0", "RUN=1.1+1",
    ])
    func fileNameRefuses(shape: String) {
        let text = shape.replacing("RUN", with: "01hzy3v7k8m2n4p6q8r0s2t4v6")
        #expect(RunFileName(bytes: Array(text.utf8)[...]) == nil)
    }

    @Test func stateNumbersAreFrozen() {
        let words = TaskState.allCases.map { "\($0.rawValue) \($0.word)" }
        #expect(
            words == [
                "0 created", "1 pending", "2 ready", "3 running", "4 waiting", "5 success",
                "6 failure", "7 cancelled", "8 skipped", "9 rejected", "10 lost",
            ])
    }
}

@Suite struct SubtaskTests {
    @Test func itsIDHasTheAgeOfItsRootAndExistsOnce() {
        let run = TaskID(milliseconds: 17, upper: 1, lower: 2)
        let parent = TaskRef(run: run, task: 3)
        let id = Subtask.id(of: "a", parent: parent, generation: 0)
        #expect(id.milliseconds == 17)
        #expect(id == Subtask.id(of: "a", parent: parent, generation: 0))
        let others = [
            Subtask.id(of: "b", parent: parent, generation: 0),
            Subtask.id(of: "a", parent: parent, generation: 1),
            Subtask.id(of: "a", parent: TaskRef(run: run, task: 4), generation: 0),
            Subtask.id(of: "a", parent: TaskRef(run: run, task: 3, item: 0), generation: 0),
            Subtask.id(of: "a", parent: TaskRef(run: id, task: 3), generation: 0),
        ]
        #expect(Set(others + [id]).count == 6)
    }

    @Test(
        arguments: [
            (nil, false, false), (TaskState.success, false, false), (.skipped, false, false),
            (.failure, false, true), (.cancelled, false, true), (.success, true, true),
        ] as [(TaskState?, Bool, Bool)])
    func whatFailsItsParent(state: TaskState?, isRefused: Bool, hasFailed: Bool) {
        var child = Subtask(id: TaskID(high: 0, low: 0), name: "a", attempt: 1, state: state)
        child.isRefused = isRefused
        #expect(child.hasFailed == hasFailed)
    }
}
