// SPDX-License-Identifier: Apache-2.0
import Glibc
import Linux
import TaskJournal
import TaskModel

/// Large inputs that double: what costs more than twice as much is not linear.
enum Ladder {
    /// One way to make an input large.
    struct Rung {
        var format: Format
        var name: String
        /// The smallest; it is doubled twice.
        var size: Int
        var make: (Int) -> [UInt8]
    }

    /// Prints each rung's times; true when all are linear.
    static func climb(_ formats: [Format]) -> Bool {
        var isLinear = true
        for rung in rungs where formats.contains(rung.format) {
            var times: [Double] = []
            for step in [1, 2, 4] {
                let input = rung.make(rung.size * step)
                let best = (0..<3).map { _ in seconds { rung.format.test(input) } }.min() ?? 0
                times.append(best)
            }
            // Of what is over in no time the clock says little.
            let ratio = times[2] < 0.005 ? 0 : (times[2] / max(times[0], 0.000_5)).squareRoot()
            let isBad = ratio > 2.5
            isLinear = isLinear && !isBad
            let shown = times.map { "\(Int($0 * 1e6)) us" }.joined(separator: ", ")
            print("\(isBad ? "not linear: " : "")\(rung.format.rawValue) \(rung.name): \(shown)")
        }
        return isLinear
    }

    private static func seconds(_ body: () -> Void) -> Double {
        var before = timespec()
        var after = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before)
        body()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after)
        let whole = Double(after.tv_sec - before.tv_sec)
        return whole + Double(after.tv_nsec - before.tv_nsec) / 1e9
    }

    private static func lines(_ head: String, _ line: @escaping (Int) -> String) -> (Int) -> [UInt8]
    {
        { count in Array((head + (0..<count).map { line($0) + "\n" }.joined()).utf8) }
    }

    static var rungs: [Rung] { units + pipelines + texts + journals }

    private static var units: [Rung] {
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

    private static var pipelines: [Rung] {
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

    private static var texts: [Rung] {
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

    private static var journals: [Rung] {
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

    private static func journal(_ count: Int, damaged: Int) -> [UInt8] {
        let name = SegmentName(epoch: 1, writer: "taskd", number: 1)
        let head = SegmentHeader(node: "n", boot: "b", created: 1, firstSequence: 1, previous: nil)
        var bytes = head.bytes
        let seed = Checksum.crc32c(Array(name.stem.utf8)[...])
        for index in 1...count {
            let line = Array("1 note - what=\(index)".utf8)
            let body = Array(" \(line.count) \(index) ".utf8) + line + [0x0a]
            var record = SegmentText.digits(Checksum.crc32c(body[...], continuing: seed)) + body
            if damaged > 0, index % damaged == 0 { record[9] = UInt8(ascii: "x") }
            bytes += record
        }
        return [0x40] + bytes
    }

    private static func log(_ count: Int, damaged: Int) -> [UInt8] {
        var bytes: [UInt8] = [2]
        let ref = TaskRef(run: TaskID(high: 5, low: 5), task: 0)
        for index in 1...count {
            let start = bytes.count
            let payload = Array("line \(index)\n".utf8)
            LogRecord(
                ref: ref, attempt: 1, step: 0, stream: 1, microseconds: 5, payload: payload[...]
            ).append(to: &bytes)
            if damaged > 0, index % damaged == 0 { bytes[start + 30] = UInt8(ascii: "x") }
        }
        return bytes
    }
}
