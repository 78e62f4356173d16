// SPDX-License-Identifier: Apache-2.0
import TaskModel
import TaskSpool
import TaskUnit
import Testing

@Suite struct CheckpointTests {
    private func sample() throws -> Checkpoint {
        let id = try #require(TaskID("01hzy3v7k8m2n4p6q8r0s2t4v6"))
        var past = RunPast()
        past.generation = 2
        past.accept = .init(name: "a b.task", unit: "a b", digest: "00")
        var first = RunPast.TaskPast()
        first.attempt = 3
        first.failures = 2
        first.due = 99
        var second = RunPast.TaskPast()
        second.attempt = 1
        second.final = .failure
        second.reason = .oom
        past.tasks = [0: first, 7: second]
        return Checkpoint(
            epoch: 4, segment: "00000004-taskd-000001", sequence: 17, runs: [id: past])
    }

    @Test func roundTrips() throws {
        let checkpoint = try sample()
        #expect(Checkpoint(parsing: checkpoint.encode()) == checkpoint)
    }

    @Test func whatIsParkedOrCancelledRoundTrips() throws {
        var checkpoint = try sample()
        var past = RunPast()
        past.accept = .init(name: "a")
        past.isHeld = true
        past.tasks[0] = RunPast.TaskPast()
        past.tasks[0]?.isCancelled = true
        let held = try #require(TaskID("01hzy3v7k8m2n4p6q8r0s2t4v7"))
        var cancelled = RunPast()
        cancelled.isCancelled = true
        let other = try #require(TaskID("01hzy3v7k8m2n4p6q8r0s2t4v8"))
        cancelled.accept = .init(name: "")
        checkpoint.runs = [held: past, other: cancelled]
        checkpoint.isStop = true
        checkpoint.cautiousUntil = 1_795_612_470_000_000
        #expect(Checkpoint(parsing: checkpoint.encode()) == checkpoint)
    }

    @Test func theSlotsOfUnitsRoundTrip() throws {
        var checkpoint = try sample()
        var past = FiringPast()
        past.slots.add(60_000_000, continues: true)
        past.slots.add(120_000_000, continues: true)
        past.slots.add(900_000_000, continues: false)
        past.boot = "b 1"
        checkpoint.firings = ["site": past, "a b": FiringPast()]
        #expect(Checkpoint(parsing: checkpoint.encode()) == checkpoint)
        let text = String(decoding: checkpoint.encode(), as: UTF8.self)
        #expect(
            text.contains("\ncron site slots=60000000-120000000,900000000-900000000 boot=b%201\n"))
    }

    @Test func whatNobodyWritesIsDamageOrNothing() throws {
        let id = "01hzy3v7k8m2n4p6q8r0s2t4v7"
        func read(_ lines: String) -> Checkpoint? {
            let body = Array("taskcheckpoint 1 1\npos 00000001-taskd-000001 1\n\(lines)".utf8)
            return Checkpoint(parsing: body + Array("digest \(SHA256.hex(body))\n".utf8))
        }
        #expect(read("att \(id).0 a=1\n") == nil, "of no run")
        #expect(read("run \(id) g=0\natt \(id).0.1 a=1\n") == nil, "of an item of no array")
        #expect(read("cautious -1\n") == nil)
        for number in ["-1", "9223372036854775807", "x"] {
            let read = read("run \(id) g=\(number)\natt \(id).0 a=\(number) losses=\(number)\n")
            let past = try #require(read?.runs.values.first)
            #expect(past.generation == 0 && past.tasks[0] == RunPast.TaskPast())
        }
    }

    @Test func everyFlippedByteIsFound() throws {
        let bytes = try sample().encode()
        for index in bytes.indices {
            var bad = bytes
            bad[index] ^= 1
            #expect(Checkpoint(parsing: bad) == nil, "byte \(index)")
        }
        for count in 0..<bytes.count { #expect(Checkpoint(parsing: Array(bytes[..<count])) == nil) }
    }
}
