// SPDX-License-Identifier: Apache-2.0
import Glibc
import Testing

/// contrib/schema/task.pipeline.schema.json says what the table of directives says. Whether the parser reads
/// the same files, Tests/scenarios/schema.t asks.
@Suite struct PipelineSchemaTests {
    private static let path = {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        return "/\(root)/contrib/schema/task.pipeline.schema.json"
    }()

    /// With TASKSPOOL_RECORD in the environment the file is written, and the test fails all the same.
    @Test func itIsMadeOfTheTable() throws {
        let made = Array(PipelineSchema.text.utf8)
        let kept = Self.read()
        if kept != made, getenv("TASKSPOOL_RECORD") != nil { try Self.write(made) }
        let line = zip(kept, made).prefix { $0 == $1 }.count { $0.0 == UInt8(ascii: "\n") } + 1
        #expect(kept == made, "line \(line) differs: TASKSPOOL_RECORD=1 writes it")
    }

    private static func read() -> [UInt8] {
        guard let file = fopen(path, "r") else { return [] }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let count = fread(&bytes, 1, bytes.count, file)
        return Array(bytes[..<count])
    }

    private static func write(_ bytes: [UInt8]) throws {
        let file = try #require(fopen(path, "w"))
        defer { fclose(file) }
        #expect(fwrite(bytes, 1, bytes.count, file) == bytes.count)
    }
}
