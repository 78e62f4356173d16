// SPDX-License-Identifier: Apache-2.0
import Linux
import TaskJournal
import TaskModel

/// What is doubled.
extension Ladder {
    private static func lines(_ head: String, _ line: @escaping (Int) -> String) -> (Int) -> [UInt8]
    {
        { count in Array((head + (0..<count).map { line($0) + "\n" }.joined()).utf8) }
    }

    static var rungs: [Rung] { units + pipelines + texts + journals + states }

    fileprivate static var states: [Rung] {
        [
            Rung(
                format: .checkpoint, name: "runs", size: 2000,
                make: lines("taskcheckpoint 1 1\npos 00000001-taskd-000001 1\n") {
                    let id = TaskID(high: 5, low: UInt64($0))
                    return "run \(id) g=0 name=x\natt \(id).0 a=1"
                }),
            Rung(format: .runas, name: "lines", size: 20_000, make: lines("") { "u\($0): a b" }),
            Rung(
                format: .conf, name: "one setting again and again", size: 4000,
                make: lines("[Retention]\n") { "FailedMax=\($0)" }),
            Rung(
                format: .conf, name: "errors", size: 4000,
                make: lines("[Retentio]\n[Retention]\n") { "FailedMa\($0)=1" }),
            Rung(
                format: .request, name: "arguments", size: 5000,
                make: { Array(("command=x" + (0..<$0).map { " arg=\($0)" }.joined()).utf8) }),
            Rung(
                format: .request, name: "variables", size: 5000,
                make: { Array(("command=x" + (0..<$0).map { " env=A\($0)=x" }.joined()).utf8) }),
        ]
    }

    fileprivate static var units: [Rung] {
        [
            Rung(
                format: .unit, name: "variables", size: 4000,
                make: lines("[Environment]\n") { "A\($0)=x" }),
            Rung(
                format: .unit, name: "variables and resets of checks", size: 2000,
                make: lines("[Checks]\n") { "c\($0)=true\nc=\n" }),
            Rung(
                format: .unit, name: "a list that is reset", size: 4000,
                make: lines("[Dependencies]\n") { "After=a\($0)\nAfter=" }),
            Rung(
                format: .unit, name: "arguments", size: 100_000,
                make: {
                    Array("[Command]\ncommand=x\n[Args]\nargs=\($0 > 0 ? "" : "")".utf8)
                        + (0..<$0 / 2000).flatMap { _ in
                            Array(("\\\n" + String(repeating: "a ", count: 500)).utf8)
                        }
                }),
            Rung(
                format: .unit, name: "files", size: 4000,
                make: lines("[Command]\ncommand=x\n[Service]\n") { "Files=f\($0)" }),
            Rung(
                format: .unit, name: "errors", size: 10_000,
                make: lines("[Servic]\n[Service]\n") { "Nic\($0)=1" }),
            Rung(
                format: .unit, name: "comments that go on", size: 10_000,
                make: lines("[Service]\nNice=1 # x\n") { _ in "and more" }),
            Rung(
                format: .compile, name: "a chain of units", size: 1000,
                make: lines("") {
                    "== a\($0).task\n[Dependencies]\nRequires=a\($0 + 1).task x\($0 % 7)\n"
                }),
            Rung(
                format: .compile, name: "a cycle", size: 1000,
                make: lines("") {
                    "== a\($0).task\n[Dependencies]\nAfter=a0.task\nWants=a\($0 + 1).task\n"
                }),
        ]
    }

    fileprivate static var pipelines: [Rung] {
        [
            Rung(
                format: .yaml, name: "members", size: 5000, make: lines("") { _ in "- command: x" }),
            Rung(
                format: .yaml, name: "groups", size: 2000,
                make: lines("") { _ in "- parallel: [{command: x}, {command: y}, {command: z}]" }),
            Rung(
                format: .yaml, name: "keys", size: 4000,
                make: lines("- command: x\n  Environment:\n") { "    A\($0): é" }),
            Rung(
                format: .yaml, name: "a list of arguments", size: 4000,
                make: lines("- command: x\n  args:\n") { "    - a\($0)" }),
            Rung(
                format: .yaml, name: "a long text", size: 100_000,
                make: {
                    Array("- command: x ".utf8)
                        + (0..<$0 / 1000).flatMap { _ in
                            Array(("\n   " + String(repeating: "é", count: 500)).utf8)
                        }
                }),
            Rung(
                format: .yaml, name: "flow without end", size: 20_000,
                make: { Array(("- [" + String(repeating: "a, ", count: $0)).utf8) }),
        ]
    }

    fileprivate static var texts: [Rung] {
        [
            Rung(
                format: .percent, name: "bytes", size: 1 << 20,
                make: { (0..<$0).map { UInt8(truncatingIfNeeded: $0 &* 37) } }),
            Rung(
                format: .words, name: "quotes", size: 200_000,
                make: { Array(String(repeating: "'a b'\\' ", count: $0 / 8).utf8) }),
            Rung(
                format: .plan, name: "tasks and edges", size: 5000,
                make: { count in
                    Array(
                        ("taskplan 1\n"
                            + (0..<count).map { "task \($0) t\($0) command=x\n" }.joined()
                            + (1..<count).map { "edge \($0 - 1) \($0) ok\n" }.joined()).utf8)
                }),
            Rung(
                format: .plan, name: "carried files", size: 500,
                make: { count in
                    Array(
                        ("taskplan 1\ntask 0 x command=x"
                            + (0..<count).map {
                                " file=f\($0):755:\(SHA256.hex("\($0)".utf8))"
                            }.joined() + "\n"
                            + (0..<count).map {
                                "blob file f\($0) - \("\($0)".utf8.count)\n\($0)\n"
                            }
                            .joined()).utf8)
                }),
            Rung(
                format: .spec, name: "arguments", size: 20_000,
                make: { Array(("command=x" + (0..<$0).map { " arg=\($0)" }.joined()).utf8) }),
            Rung(
                format: .handover, name: "records", size: 4000,
                make: { count in
                    Array(
                        ("taskruntable 1\n" + (0..<count).map { "slot n=\($0) a=x a=y\n" }.joined()
                            + "end \(count)\n").utf8)
                }),
            Rung(
                format: .job, name: "messages", size: 20_000,
                make: { Array(String(repeating: "ack 5\n", count: $0).utf8) }),
            Rung(
                format: .cron, name: "a list", size: 20_000,
                make: { Array((String(repeating: "1,", count: $0) + "1 * * * *").utf8) }),
        ]
    }

    fileprivate static var journals: [Rung] {
        [
            Rung(format: .journal, name: "records", size: 2000, make: { journal($0, damaged: 0) }),
            Rung(
                format: .journal, name: "every second record is damaged", size: 2000,
                make: { journal($0, damaged: 2) }),
            Rung(
                format: .journal, name: "all is damaged", size: 2000,
                make: { journal($0, damaged: 1) }),
            Rung(
                format: .journal, name: "lengths that promise more", size: 4000,
                make: {
                    journal(1, damaged: 0)
                        + (0..<$0).flatMap { _ in Array("\n00000000 16000 5 1 note -".utf8) }
                }),
            Rung(format: .log, name: "pieces", size: 2000, make: { log($0, damaged: 0) }),
            Rung(
                format: .log, name: "every second piece is damaged", size: 2000,
                make: { log($0, damaged: 2) }),
            Rung(format: .log, name: "all is damaged", size: 2000, make: { log($0, damaged: 1) }),
            Rung(
                format: .log, name: "lengths that promise more", size: 2000,
                make: {
                    [2]
                        + (0..<$0).flatMap { _ in
                            Array("01m88gw5xr1c3076pf4v8mtxa3.0:1 0 1 1 90000 00000000\n".utf8)
                        }
                }),
        ]
    }

    /// So many pieces; of each n-th one byte is another, `at` behind its beginning.
    private static func pieces(
        _ count: Int, damaged: Int, at: Int, _ make: (Int) -> [UInt8]
    ) -> [UInt8] {
        (1...count).flatMap { index in
            var piece = make(index)
            if damaged > 0, index % damaged == 0 { piece[at] = UInt8(ascii: "x") }
            return piece
        }
    }

    private static func journal(_ count: Int, damaged: Int) -> [UInt8] {
        let name = SegmentName(epoch: 1, writer: "taskd", number: 1)
        let head = SegmentHeader(node: "n", boot: "b", created: 1, firstSequence: 1, previous: nil)
        let seed = Checksum.crc32c(Array(name.stem.utf8)[...])
        let records = pieces(count, damaged: damaged, at: 9) { index in
            let line = Array("1 note - what=\(index)".utf8)
            let body = Array(" \(line.count) \(index) ".utf8) + line + [0x0a]
            return SegmentText.digits(Checksum.crc32c(body[...], continuing: seed)) + body
        }
        return [0x40] + head.bytes + records
    }

    private static func log(_ count: Int, damaged: Int) -> [UInt8] {
        let ref = TaskRef(run: TaskID(high: 5, low: 5), task: 0)
        return [2]
            + pieces(count, damaged: damaged, at: 30) { index in
                let payload = Array("line \(index)\n".utf8)
                var bytes: [UInt8] = []
                LogRecord(
                    ref: ref, attempt: 1, step: 0, stream: 1, microseconds: 5, payload: payload[...]
                ).append(to: &bytes)
                return bytes
            }
    }
}
