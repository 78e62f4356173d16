// SPDX-License-Identifier: Apache-2.0
import TaskModel
import Testing

@Suite struct `the table of a taskrun for its next self` {
    private var table: HandoverTable {
        var table = HandoverTable()
        var record = HandoverTable.Record("job")
        record.add("message", [UInt8](0...255))
        record.add("slot", 7)
        record.add("pipe", 4)
        record.add("pipe", 5)
        record.add("empty", "")
        table.records = [record, HandoverTable.Record("bare")]
        return table
    }

    @Test func `comes back as it went`() throws {
        let back = try #require(HandoverTable(parsing: table.encoded[...]))
        #expect(back == table)
        #expect(back.records[0].bytes("message") == [UInt8](0...255))
        #expect(back.records[0].texts("pipe") == ["4", "5"])
        #expect(back.records[0].number("slot") == 7)
    }

    @Test func `is refused when it is cut, or of another version`() {
        let bytes = table.encoded
        for end in bytes.indices {
            #expect(HandoverTable(parsing: bytes[..<end]) == nil || end == bytes.count - 1)
        }
        let other = Array(
            String(decoding: bytes, as: UTF8.self).replacing(
                "taskruntable 1", with: "taskruntable 2"
            ).utf8)
        #expect(HandoverTable(parsing: other[...]) == nil)
    }
}

@Suite struct `hostile messages of the pool` {
    /// xorshift: the same seed, the same bytes.
    private struct Dice {
        var state: UInt64
        mutating func next(_ below: Int) -> Int {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return Int(state % UInt64(below))
        }
    }

    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func `no bytes are a crash, and none are taken twice`(_ seed: UInt64) {
        let run = "01m88gw5xr1c3076pf4v8mtxa3"
        let right =
            "hello 1 /x\nlog 00000001-taskd-000001\nrun 1 \(run).0 a=1 x MaxTime=2s LimitCPU=150%25 arg=a%20b blobs=1\n"
            + "blob file x \(String(repeating: "0", count: 64)) 5\nhello\nkill \(run).0 a=1 grace=5\nack 3\nsealed 9\n"
        var dice = Dice(state: seed &* 0x9e37_79b9_7f4a_7c15)
        for _ in 0..<3000 {
            var bytes = Array(right.utf8)
            for _ in 0...dice.next(6) {
                let at = dice.next(bytes.count)
                switch dice.next(3) {
                case 0: bytes[at] = UInt8(dice.next(256))
                case 1: bytes.removeSubrange(at..<min(bytes.count, at + dice.next(9)))
                default:
                    bytes.insert(
                        contentsOf: Array("99999999999999999999".utf8.prefix(dice.next(21))), at: at
                    )
                }
                if bytes.isEmpty { bytes = [10] }
            }
            var packet = bytes[...]
            var left = packet.count
            while let message = (try? PoolMessage.next(from: &packet)) ?? nil {
                #expect(packet.count < left, "seed \(seed)")
                left = packet.count
                if case .run(let job) = message {
                    _ = try? TaskSpec(name: job.name, parsing: job.fields)
                }
            }
        }
    }
}
