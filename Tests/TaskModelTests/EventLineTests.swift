// SPDX-License-Identifier: Apache-2.0
import TaskModel
import Testing

@Suite struct EventLineTests {
    @Test func writesOneEncodedLine() {
        let line = EventLine(
            17, .reject, "-", [.init("name", "a b=c\n%\u{7f}é"), .init("state", "rejected")])
        let text = String(decoding: line.bytes, as: UTF8.self)
        #expect(text == "17 reject - name=a%20b%3Dc%0A%25%7F%C3%A9 state=rejected")
    }

    @Test(arguments: [
        "17281 end 01hzy3v7k8m2n4p6q8r0s2t4v6.0 a=1 state=success exit=0 final=yes",
        "0 note - what=journal.torn bytes=12",
        "5 unheard-of - x=",
    ])
    func roundTrips(text: String) throws {
        let line = try EventLine(parsing: Array(text.utf8)[...])
        #expect(String(decoding: line.bytes, as: UTF8.self) == text)
    }

    @Test(arguments: [
        ("", EventLineError.noTime), ("x end -", .noTime), ("-1 end -", .noTime),
        ("1", .noVerb), ("1 end", .noID), ("1 end - a", .field("a")), ("1 end - =a", .field("=a")),
        ("1 end - a=%4", .field("a=%4")), ("1 end - a=%zz", .field("a=%zz")),
    ])
    func refuses(text: String, error: EventLineError) {
        #expect(throws: error) { try EventLine(parsing: Array(text.utf8)[...]) }
    }

    @Test func refusesALongLine() {
        let bytes = [UInt8](repeating: UInt8(ascii: "1"), count: EventLine.longest + 1)
        #expect(throws: EventLineError.tooLong(bytes.count)) { try EventLine(parsing: bytes[...]) }
    }

    @Test func everyByteSurvives() throws {
        let value = String(decoding: (0...127).map { UInt8($0) }, as: UTF8.self)
        let line = EventLine(1, .note, "-", [.init("data", value)])
        #expect(try EventLine(parsing: line.bytes[...]) == line)
    }

    @Test func randomBytesNeverCrash() {
        var seed: UInt64 = 1
        for _ in 0..<20_000 {
            let bytes = (0..<Int(seed >> 58)).map { _ -> UInt8 in
                seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return Array(" =%09aenotd-.".utf8)[Int(seed >> 33) % 13]
            }
            seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            _ = try? EventLine(parsing: bytes[...])
        }
    }
}
