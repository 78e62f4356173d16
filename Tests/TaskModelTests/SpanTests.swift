// SPDX-License-Identifier: Apache-2.0
import TaskModel
import Testing

@Suite struct SpanTests {
    @Test(
        arguments: [
            ("2s", 2_000_000, "2s"), ("1h 30min", 5_400_000_000, "1h30min"),
            ("90", 90_000_000, "1min30s"),
            ("1.5h", 5_400_000_000, "1h30min"), ("300ms20s 5day", 432_020_300_000, "5d20s300ms"),
            ("5 usec", 5, "5us"), ("0", 0, "0s"), ("2w", 1_209_600_000_000, "14d"),
            ("7µs", 7, "7us"),
            ("0.5s", 500_000, "500ms"), (" 3 min ", 180_000_000, "3min"),
            ("1y", 31_557_600_000_000, "365d6h"),
        ] as [(String, Int64, String)])
    func reads(text: String, microseconds: Int64, canonical: String) throws {
        let span = try #require(TimeSpan(text))
        #expect(span.microseconds == microseconds)
        #expect(span.description == canonical)
        #expect(TimeSpan(canonical) == span)
    }

    @Test(arguments: [
        "", " ", "x", "-1s", "1.s", ".5s", "1 fortnight", "s", "99999999999999999999",
        "9999999999999999y",
        "1s,", "infinity 1s", "1e3",
    ])
    func refuses(text: String) { #expect(TimeSpan(text) == nil) }

    @Test func infinityIsLongest() {
        #expect(TimeSpan("infinity") == .infinity)
        #expect(TimeSpan.infinity.description == "infinity")
        #expect(TimeSpan.zero < .infinity)
    }
}

@Suite struct ByteLimitTests {
    @Test(
        arguments: [
            ("8G", 8 << 30, "8G"), ("0", 0, "0"), ("4096", 4096, "4K"),
            ("1.5M", 1_572_864, "1536K"),
            ("2T", 2 << 40, "2T"), ("1000", 1000, "1000"), ("64 M", 64 << 20, "64M"),
            ("infinity", .max, "infinity"),
        ] as [(String, Int64, String)])
    func reads(text: String, bytes: Int64, canonical: String) throws {
        let size = try #require(ByteLimit(text))
        #expect(size.bytes == bytes)
        #expect(size.description == canonical)
        #expect(ByteLimit(canonical) == size)
    }

    @Test(arguments: ["", "G", "8GB", "8g", "-1", "1..5M", "9999999T", "1.M", "0x10", "50%"])
    func refuses(text: String) { #expect(ByteLimit(text) == nil) }
}

@Suite struct ShellWordsTests {
    @Test(arguments: [
        (
            "site.md -o site.html --template=_template.html",
            ["site.md", "-o", "site.html", "--template=_template.html"]
        ),
        ("", []), ("   ", []), ("''", [""]), ("a'b c'd", ["ab cd"]), (#"a\ b"#, ["a b"]),
        (#""a \"b\" \x""#, [#"a "b" \x"#]), ("$HOME *.c ~ ; |", ["$HOME", "*.c", "~", ";", "|"]),
        ("'it'\\''s'", ["it's"]), ("\\'\u{301}\\;x", ["'\u{301};x"]), ("a\tb\nc", ["a", "b", "c"]),
        ("é 'ü'", ["é", "ü"]),
    ])
    func splits(line: String, words: [String]) throws {
        #expect(try ShellWords.split(line) == words)
        #expect(try ShellWords.split(ShellWords.join(words)) == words)
    }

    @Test(arguments: [("a 'b", 2), ("\"x", 0), ("x\\", 1)])
    func saysWhereAQuoteOpened(line: String, offset: Int) {
        let error = #expect(throws: ShellWords.Problem.self) { try ShellWords.split(line) }
        #expect(error?.offset == offset)
    }
}
