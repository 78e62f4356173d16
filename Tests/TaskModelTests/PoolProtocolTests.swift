// SPDX-License-Identifier: Apache-2.0
import TaskModel
import Testing

@Suite struct PoolProtocolTests {
    static let ref = TaskRef(run: TaskID(milliseconds: 17, upper: 1, lower: 2), task: 3)
    static let job = PoolJob(
        sequence: 9, ref: ref, attempt: 2, name: "a b",
        fields: Array("command=true x=%20".utf8)[...],
        blobs: [
            .init(name: "run me", sha256: "ab", bytes: Array("line\nblob file x y 3\n".utf8)[...]),
            .init(name: "e", sha256: "cd", bytes: []),
        ])
    static let fed: PoolJob = {
        var job = Self.job
        job.inputs = [.init(name: "first", sha256: "ef", bytes: Array("a\n\0".utf8)[...])]
        return job
    }()
    static let all: [PoolMessage] = [
        .hello(version: 1, spool: nil), .hello(version: 1, spool: "/var/spool/a b"),
        .log(segment: "1-0-1.open"), .run(job), .run(fed),
        .run(PoolJob(sequence: 0, ref: ref, attempt: 1, name: "x")),
        .kill(ref, attempt: 2, grace: 10_000_000), .ack(7), .drain, .sealed(bytes: 70_000),
        .child(ref, attempt: 2, file: "fetch@1.end", text: "state=success id=x\n"),
        .result(ref, attempt: 2, file: "fetch@1.result", bytes: [0, 10, 0xff, 0x20]),
        .result(ref, attempt: 2, file: "none.result", bytes: []),
        .wake(ref, attempt: 1, reason: nil), .wake(ref, attempt: 2, reason: "no a b"),
        .running(ref, attempt: 1), .event(4, line: Array("17 end x.0 a=1".utf8)[...]), .slots(8),
    ]

    static func messages(_ bytes: [UInt8]) throws -> [PoolMessage] {
        var packet = bytes[...]
        var messages: [PoolMessage] = []
        while let message = try PoolMessage.next(from: &packet) { messages.append(message) }
        return messages
    }

    @Test(arguments: all) func roundTrips(message: PoolMessage) throws {
        #expect(try Self.messages(message.bytes) == [message])
    }

    @Test func manyInAPacket() throws {
        var bytes: [UInt8] = []
        for message in Self.all { message.append(to: &bytes) }
        #expect(try Self.messages(bytes) == Self.all)
    }

    @Test func jobIsOneLineAndItsFiles() {
        let id = Self.ref.description
        let text = String(decoding: PoolMessage.run(Self.job).bytes, as: UTF8.self)
        #expect(
            text == """
                run 9 \(id) a=2 a%20b command=true x=%20 blobs=2
                blob file run%20me ab 21
                line
                blob file x y 3

                blob file e cd 0


                """)
    }

    @Test(arguments: [
        "ack 1", "run", "ack\n", "ack x\n", "ack 1 2\n", "ack -1\n", "drain now\n", "slots\n",
        "kill x a=1 grace=0\n", "kill 0000000000000000000000000a.0 grace=0\n", "hello\n",
        "hello x\n", "hello 1 a b\n", "hello 1  \n", "log\n", "log  \n", "nonsense 1\n", "\n",
        " ack 1\n", "sealed\n",
        "child x a=1 f.end t\n", "child 0000000000000000000000000a a=1 f.end t\n",
        "child 0000000000000000000000000a.0 a=1\n",
        "child 0000000000000000000000000a.0 a=1 f.end\n",
        "child 0000000000000000000000000a.0 a=1 f.end t x\n",
        "child 0000000000000000000000000a.0 a=1  t\n",
        "child 0000000000000000000000000a.0 a=1 .end t\n",
        "child 0000000000000000000000000a.0 a=1 ../f t\n",
        "child 0000000000000000000000000a.0 a=1 a/b t\n",
        "child 0000000000000000000000000a.0 a=1 a%2fb t\n",
        "wake\n", "wake 0000000000000000000000000a a=1\n",
        "wake 0000000000000000000000000a.0 a=1 x y\n",
        "event 1\n", "running 0000000000000000000000000a a=1\n",
        "running 0000000000000000000000000a.0 a=0\n",
        "run 1 0000000000000000000000000a.0 a=1\n",
        "run 1 0000000000000000000000000a.0 a=1 x blobs=1\n",
        "run 1 0000000000000000000000000a.0 a=1 x blobs=9999\n",
        "run 1 0000000000000000000000000a.0 a=1 x blobs=1\nblob file a b 9\nx\n",
        "run 1 0000000000000000000000000a.0 a=1 x blobs=1\nblob file a b 1\nxy\n",
        "run 1 0000000000000000000000000a.0 a=1 x blobs=1\nblob other a b 1\nx\n",
        "run 1 0000000000000000000000000a.0 a=1 x blobs=1\nblob input .a b 1\nx\n",
        "run 1 0000000000000000000000000a.0 a=1 x blobs=1\nblob input ../a b 1\nx\n",
        "run 1 0000000000000000000000000a.0 a=1 x blobs=1\nblob input a%2fb b 1\nx\n",
        "run 1 0000000000000000000000000a.0 a=1 x blobs=1\nblob file a b 18446744073709551616\n",
    ])
    func refuses(text: String) {
        #expect(throws: PoolProtocolError.self) { try Self.messages(Array(text.utf8)) }
    }

    @Test(arguments: [(135, true), (136, false)])
    func limitsAChildsFile(length: Int, isTaken: Bool) {
        let message = PoolMessage.child(
            Self.ref, attempt: 1, file: String(repeating: "f", count: length), text: "t")
        #expect((try? Self.messages(message.bytes)) == (isTaken ? [message] : nil))
    }

    @Test(arguments: [(EventLine.longest, true), (EventLine.longest + 1, false)])
    func limitsAChildsText(length: Int, isTaken: Bool) {
        let message = PoolMessage.child(
            Self.ref, attempt: 1, file: "f", text: String(repeating: "t", count: length))
        #expect((try? Self.messages(message.bytes)) == (isTaken ? [message] : nil))
    }

    @Test(arguments: [(ResultPlace.largest, true), (ResultPlace.largest + 1, false)])
    func limitsAnInput(length: Int, isTaken: Bool) {
        var job = Self.job
        job.inputs = [
            .init(name: "f", sha256: "ab", bytes: [UInt8](repeating: 7, count: length)[...])
        ]
        let message = PoolMessage.run(job)
        #expect((try? Self.messages(message.bytes)) == (isTaken ? [message] : nil))
    }

    /// Whatever arrives, the parser ends with messages or an error.
    @Test func survivesDamage() {
        var bytes: [UInt8] = []
        for message in Self.all { message.append(to: &bytes) }
        var state: UInt64 = 0x9e37_79b9_7f4a_7c15
        for _ in 0..<2000 {
            var damaged = bytes
            for _ in 0..<3 {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                damaged[Int(state >> 33) % damaged.count] = UInt8(truncatingIfNeeded: state >> 24)
            }
            _ = try? Self.messages(Array(damaged.prefix(Int(state >> 40) % damaged.count + 1)))
        }
    }
}
