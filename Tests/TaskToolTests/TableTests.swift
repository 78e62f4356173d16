// SPDX-License-Identifier: Apache-2.0
import TaskModel
import Testing

@testable import TaskTool

/// Goal: the five formats print what task(1), OUTPUT says.
@Suite struct TableTests {
    static let id = "01jd0000000000000000000abc"
    static let columns = [
        Column("id"), Column("name"), Column("state"), Column("cpu_us", "CPU"),
        Column("created", nil), Column("message"),
    ]
    static let rows: [[Value]] = [
        [
            .id("\(id).2"), .text("si\tte"), .state(.success), .span(1_500_000),
            .time(1_764_044_938_000_000), .text("say \"hi\", then\nleave"),
        ],
        [.id(id), .text("b"), .state(.failure), .absent, .absent, .absent],
    ]

    func text(_ format: OutputFormat, _ style: Style = .plain, header: Bool = true) -> String {
        var writer = TableWriter(Self.columns, format: format, style: style, hasHeader: header)
        for row in Self.rows { writer.add(row) }
        writer.finish()
        return String(decoding: writer.take(), as: UTF8.self)
    }

    @Test func table() {
        #expect(
            text(.table) == """
                ID          NAME      STATE     CPU  MESSAGE
                00000abc.2  si\\x09te  success  1.5s  say "hi", then\\x0aleave
                00000abc    b         failure     -  -

                """)
    }

    @Test func json() {
        #expect(
            text(.json) == #"""
                {"schema":"task/1","items":[
                {"id":"01jd0000000000000000000abc.2","name":"si\tte","state":"success","cpu_us":1500000,"created":"2025-11-25T04:28:58.000000Z","message":"say \"hi\", then\nleave"},
                {"id":"01jd0000000000000000000abc","name":"b","state":"failure"}
                ]}

                """#)
    }

    @Test func jsonLines() {
        let lines = text(.jsonl).split(separator: "\n")
        #expect(lines.count == 2)
        #expect(lines.last == #"{"id":"01jd0000000000000000000abc","name":"b","state":"failure"}"#)
    }

    @Test func csv() {
        #expect(
            text(.csv) == """
                id,name,state,cpu_us,created,message
                01jd0000000000000000000abc.2,si\tte,success,1500000,2025-11-25T04:28:58.000000Z,"say ""hi"", then
                leave"
                01jd0000000000000000000abc,b,failure,,,

                """)
    }

    @Test func plain() {
        let lines = text(.plain).split(separator: "\n")
        #expect(lines.last == "01jd0000000000000000000abc\tb\tfailure\t-\t-\t-")
        #expect(lines.first?.contains("si\\tte\tsuccess\t1500000") == true)
    }

    @Test func noHeader() {
        #expect(!text(.table, header: false).contains("NAME"))
        #expect(!text(.csv, header: false).contains("name,state"))
    }

    @Test func emptyDocuments() {
        var json = TableWriter(Self.columns, format: .json)
        json.finish()
        #expect(
            String(decoding: json.take(), as: UTF8.self) == "{\"schema\":\"task/1\",\"items\":[]}\n"
        )
        var table = TableWriter(Self.columns, format: .table)
        table.finish()
        #expect(table.take().isEmpty)
    }

    @Test func theLastColumnIsCutAtTheTerminal() {
        let lines = text(.table, Style(isColored: false, width: 50)).split(separator: "\n")
        #expect(lines.allSatisfy { $0.count <= 50 })
        #expect(lines[1].hasSuffix("…"))
    }

    /// On a terminal: what says nothing is left out, and what is extra before the rest would wrap.
    @Test(
        arguments: [
            (nil, "A  B  EXTRA  LAST"), (80, "A  EXTRA  LAST"), (17, "A  LAST"), (12, "A  LAST"),
        ] as [(Int?, String)])
    func aTableFitsTheTerminal(_ width: Int?, _ heading: String) {
        var table = TableWriter(
            [Column("a"), Column("b"), Column("extra", "EXTRA", isExtra: true), Column("last")],
            format: .table, style: Style(isColored: false, width: width))
        table.add([.text("x"), .absent, .text("12345"), .text("a sentence")])
        table.finish()
        let lines = String(decoding: table.take(), as: UTF8.self).split(separator: "\n")
        #expect(lines[0].split(separator: " ").joined(separator: "  ") == heading)
        #expect(lines.allSatisfy { $0.count <= width ?? 80 })
    }

    @Test func colourIsOnlyOnStates() {
        let colored = text(.table, Style(isColored: true, width: nil))
        #expect(colored.contains("\u{1b}[32msuccess\u{1b}[0m"))
        #expect(!text(.table).contains("\u{1b}"))
    }

    @Test(arguments: [
        (true, [:], true), (false, [:], false), (true, ["NO_COLOR": "1"], false),
        (true, ["TERM": "dumb"], false), (false, ["CLICOLOR_FORCE": "1"], true),
        (false, ["CLICOLOR_FORCE": "1", "NO_COLOR": "1"], false),
    ])
    func colourRule(_ terminal: Bool, _ environment: [String: String], _ want: Bool) {
        #expect(Style.allowed(terminal) { environment[$0] } == want)
    }

    @Test func progress() {
        let line = Progress.line(
            done: 5, total: 20, label: "tasks", elapsed: 10_000_000, width: 80)
        #expect(line == "[#####...............] 5/20 tasks  10s  ETA 30s")
    }
}
