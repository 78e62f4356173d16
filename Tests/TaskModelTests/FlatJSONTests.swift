// SPDX-License-Identifier: Apache-2.0
import TaskModel
import Testing

struct FlatJSONTests {
    private func parse(_ text: String) throws(ValueProblem) -> FlatJSON {
        try FlatJSON(parsing: text.utf8)
    }

    @Test func `an object's values are read`() throws {
        let object = try parse(
            #" { "id" : "i-0a", "n": 12, "q":"34", "x":-1.5e+3,"t":true,"f":false,"z":null } "#)
        #expect(object.string("id") == "i-0a" && object["id"] == .string("i-0a"))
        #expect(object.integer("n") == 12 && object.integer("q") == 34)
        #expect(object["x"] == .number("-1.5e+3") && object.integer("x") == nil)
        #expect(object["t"] == .bool(true) && object["f"] == .bool(false) && object["z"] == .null)
        #expect(object["none"] == nil && object.string("n") == nil)
        #expect(try parse("{}") == parse(" {\t} "))
    }

    @Test(arguments: [
        (#"a\"\\\/\b\f\n\r\t"#, "a\"\\/\u{8}\u{c}\n\r\t"), (#"\u00e9\u20AC"#, "é€"),
        (#"\ud83d\ude00"#, "😀"), ("é😀", "é😀"), ("", ""),
    ])
    func `strings are unescaped`(written: String, text: String) throws {
        #expect(try parse("{\"k\":\"\(written)\"}").string("k") == text)
    }

    @Test(arguments: [
        ("", "an end in column 1", "a {"), ("[]", "column 1", "a {"), ("{", "an end", "a string"),
        (#"{"a"}"#, "column 5", "a :"), (#"{"a":}"#, "column 6", "a number"),
        (#"{"a":[1]}"#, "column 6", "a string"), (#"{"a":{}}"#, "column 6", "a string"),
        (#"{"a":1,}"#, "column 8", "a string"), (#"{"a":1 "b":2}"#, "column 8", "a }"),
        (#"{"a":01}"#, "column 6", "a number"), (#"{"a":1.}"#, "column 6", "a number"),
        (#"{"a":-}"#, "column 6", "a number"), (#"{"a":1e}"#, "column 6", "a number"),
        (#"{"a":nul}"#, "column 6", "null"), (#"{"a":NaN}"#, "column 6", "null"),
        (#"{"a":1,"a":2}"#, "twice", "once"), (#"{"a":1}x"#, "column 8", "nothing"),
        (#"{"a":"b}"#, "an end", "at the string's end"), (#"{"a":"\x"}"#, "column 8", "one of"),
        (#"{"a":"\u12"}"#, "column 9", "four"), (#"{"a":"\ud83dx"}"#, "column 13", "surrogates"),
        (#"{"a":"\ud83d\u0041"}"#, "column 19", "surrogates"),
        (#"{"a":"\ude00"}"#, "column 13", "surrogates"),
        ("{\"a\":\"\u{1}\"}", "column 7", "control"),
    ])
    func `anything else is refused, by its column`(line: String, what: String, allowed: String) {
        let error = #expect(throws: ValueProblem.self) { try parse(line) }
        #expect(error?.what.contains(what) == true, "\(error?.what ?? "none")")
        #expect(error?.allowed.contains(allowed) == true, "\(error?.allowed ?? "none")")
    }

    @Test func `bytes that are no text are refused, and a line that is too long`() {
        #expect(throws: ValueProblem.self) { try FlatJSON(parsing: [0x7b, 0xff, 0x7d]) }
        let long = Array("{\"a\":\"".utf8) + [UInt8](repeating: 0x61, count: FlatJSON.longest)
        #expect(throws: ValueProblem.self) { try FlatJSON(parsing: long + Array("\"}".utf8)) }
    }
}
