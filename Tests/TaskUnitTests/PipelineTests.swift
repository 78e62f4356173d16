// SPDX-License-Identifier: Apache-2.0
import TaskModel
import TaskUnit
import Testing

@Suite struct PipelineTests {
    func parse(_ text: String) -> (pipeline: Pipeline, problems: [Diagnostic]) {
        PipelineParser.parse(
            UnitText(name: "p.yaml", main: UnitFile(file: "p.yaml", bytes: Array(text.utf8))))
    }

    @Test func listsAndGroupsNest() throws {
        let (pipeline, problems) = parse(
            """
            - fetch.task
            - parallel:
                - command: gzip -k
                  args: [a b, c]
                  Environment: {LEVEL: 9}
                - sequence: [x, y]
            - name: last
              command: /bin/true
              LimitMem: 1G
              Requires: [u, v]
            """)
        #expect(problems.map(\.text) == [])
        guard case .sequence(let steps) = pipeline.nodes[0].content else {
            Issue.record("no sequence")
            return
        }
        #expect(steps.count == 3)
        #expect(pipeline.nodes[steps[0]].content == .unit("fetch.task"))
        guard case .parallel(let members) = pipeline.nodes[steps[1]].content,
            case .inline(let gzip) = pipeline.nodes[members[0]].content,
            case .sequence(let inner) = pipeline.nodes[members[1]].content,
            case .inline(let last) = pipeline.nodes[steps[2]].content
        else {
            Issue.record("\(pipeline)")
            return
        }
        #expect(gzip.name == "p.gzip" && gzip.spec.argv == ["gzip", "-k", "a b", "c"])
        #expect(gzip.spec[.env] == ["LEVEL=9"])
        #expect(inner.map { pipeline.nodes[$0].content } == [.unit("x"), .unit("y")])
        #expect(last.name == "last" && last.spec[.limitMem] == ["1G"])
        #expect(last.settings(.requires).map(\.value) == ["u", "v"])
        #expect(last.settings(.requires).map(\.place.line) == [10, 10])
    }

    @Test(arguments: [
        ("", "p.yaml:1:1: an empty pipeline: "), ("[]", "p.yaml:1:1: an empty group: "),
        ("- &a x\n- *a\n", "p.yaml:1:3: an anchor: "), ("- *a\n", "p.yaml:1:3: an alias: "),
        ("- !!str x\n", "p.yaml:1:3: a tag: "),
        ("- a\n---\n- b\n", "p.yaml:2:1: a second document: "),
        ("- command: x\n  command: y\n", "p.yaml:2:3: the key command stands twice: "),
        ("- a\n\t- b\n", "p.yaml:"), ("- ? [a]\n  : b\n", "p.yaml:1:5: a key that is no text: "),
        ("- comand: x\n", "p.yaml:1:3: unknown key comand:: write command="),
        ("- parallel: x\n", "p.yaml:1:13: no list after parallel:: "),
        ("- parallel: [a]\n  Nice: 5\n", "p.yaml:2:3: Nice: beside parallel:: "),
        ("- a/b\n", "p.yaml:1:3: a/b is no unit's name: "),
        (
            "- command: x\n  LimitMem: lots\n",
            "p.yaml:2:13: LimitMem: lots is not understood: a size"
        ),
        ("- command: [a, b]\n", "p.yaml:1:12: command: is not a text: "),
        ("- command: x\n  Environment: [a]\n", "p.yaml:2:16: Environment: is no mapping: "),
        ("- command: x\n  Checks: {c: [1]}\n", "p.yaml:2:12: c: is not a text: "),
        ("- command: x\n  Nice:\n", "p.yaml:2:8: Nice: has no value: "),
        ("- command: x\n  Environment: {A=: b}\n", "p.yaml:2:17: A=: is no name: NAME=VALUE"),
        ("- command: x\n  Checks: {a b: ''}\n", "p.yaml:2:12: a b: is no name: NAME="),
        ("- args: \"''\"\n", "p.yaml:1:9: no [Command] for this: "),
        ("- command: ~\n", "p.yaml:1:12: command: has no value: "),
        ("- command: x\n  Environment: {A: , B: ''}\n", "p.yaml:2:17: A: has no value: "),
        ("- command: x\n  Requires: [a, ~]\n", "p.yaml:2:17: no text in Requires:: "),
        ("- ~\n", "p.yaml:1:3: an empty member is no unit's name: "),
        ("- command: x\n  Then: [t]\n", "p.yaml:2:9: Then: is no mapping: "),
    ])
    func problemsSayWhereAndWhatIsAllowed(text: String, message: String) {
        let problems = parse(text).problems
        #expect(problems.first?.text.hasPrefix(message) == true, "\(problems.map(\.text))")
    }

    /// What other readers of YAML take for a number, a flag or nothing is the text that stands there.
    @Test func plainValuesAreTexts() throws {
        let (pipeline, problems) = parse(
            "- {command: null, args: 012 1e3 no, Environment: {A: 1.10, B: '', C: '~'}}\n")
        #expect(problems.isEmpty)
        guard case .inline(let unit) = pipeline.nodes[1].content else {
            Issue.record("\(pipeline)")
            return
        }
        #expect(unit.spec.argv == ["null", "012", "1e3", "no"])
        #expect(unit.spec[.env] == ["A=1.10", "B=", "C=~"])
    }

    /// A word with a line end stands on no line of a plan; between words it is a blank.
    @Test func aCommandsWordHasNoLineEnd() {
        #expect(parse("- command: |\n    make\n    all\n").problems.isEmpty)
        let problems = parse("- command: |\n    sh -c 'a\n    b'\n").problems
        #expect(problems.map(\.what) == ["command: a NUL byte or a line end in a value"])
    }

    /// A place is one of the file, its column in bytes.
    @Test(arguments: [
        ("[", "1:2"), ("- a\n- [", "2:4"), ("é: [", "1:6"), ("- 'é' x", "1:8"),
        ("- a\r- &b", "1:7"),
        ("# é\n- éé: *a", "2:9"),
    ])
    func aProblemsPlaceIsInTheFile(text: String, place: String) throws {
        let first = try #require(parse(text).problems.first)
        #expect("\(first.place.line):\(first.place.column)" == place, "\(first.text)")
    }

    /// Lists and mappings count alike, each one level.
    @Test(arguments: [
        ("[", "a", "]"), ("{parallel: [", "a", "]}"), ("{sequence: [", "{}", "]}"),
    ])
    func depthEndsAt32(open: String, leaf: String, close: String) {
        func problems(_ depth: Int) -> [String] {
            let (levels, own) = (open.hasPrefix("{") ? 2 : 1, leaf == "{}" ? 1 : 0)
            let count = (depth - own) / levels
            let nested =
                String(repeating: open, count: count) + leaf
                + String(repeating: close, count: count)
            // What an even number of levels leaves over is a list around all.
            return parse((depth - own) % levels == 0 ? nested : "[\(nested)]").problems.map(\.what)
        }
        #expect(problems(31) == [] && problems(32) == [])
        #expect(problems(33) == ["nested too deep"])
    }

    @Test func depthAndSizeHaveLimits() {
        let deep = String(repeating: "[", count: 100) + "a" + String(repeating: "]", count: 100)
        #expect(parse(deep).problems.first?.what == "nested too deep")
        let wide = "[" + String(repeating: "a,", count: 150_000) + "a]"
        #expect(
            parse(wide).problems.contains {
                $0.what == "too many nodes" || $0.what.contains("line")
            })
        let keys = (0..<30_000).map { "X-\($0): a\n" }.joined()
        #expect(
            parse(keys).problems.map(\.text).first?.hasPrefix("p.yaml:20001:1: too many keys: ")
                == true)
        let rows = String(repeating: "- a\n", count: 150_000)
        #expect(parse(rows).problems.first?.what == "too many nodes")
    }

    @Test func randomBytesNeverCrash() {
        var generator = Seeded(state: 11)
        let alphabet = Array("-: []{}\n\"'#&*!|>?,abcparallelcommand ".utf8)
        for _ in 0..<3000 {
            let bytes = (0..<Int.random(in: 0..<120, using: &generator)).map { _ in
                alphabet[Int.random(in: 0..<alphabet.count, using: &generator)]
            }
            _ = PipelineParser.parse(
                UnitText(name: "p.yaml", main: UnitFile(file: "p", bytes: bytes)))
        }
    }
}

@Suite struct CronTests {
    @Test(arguments: [
        ("* * * * *", [60, 24, 31, 12, 7]), ("*/15 0-6/2 1,15 jan-mar mon", [4, 4, 2, 3, 1]),
        ("0 0 * * 7", [1, 1, 31, 12, 1]), ("@daily", [1, 1, 31, 12, 7]),
        ("5  4 * * sun,SAT", [1, 1, 31, 12, 2]),
    ])
    func fieldsAreRead(text: String, counts: [Int]) throws {
        let cron = try CronExpression(text)
        #expect(cron.fields?.map(\.nonzeroBitCount) == counts)
    }

    @Test(arguments: [
        "", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *",
        "* * * * 8", "*/0 * * * *", "5/2 * * * *", "3-1 * * * *", "a * * * *", "1, * * * *",
        "@never",
        "* * * foo *", "-1 * * * *", "* * * * mon-", "@reboot x",
    ])
    func wrongOnesAreRefused(text: String) {
        #expect(throws: ValueProblem.self) { try CronExpression(text) }
    }

    @Test func rebootHasNoFields() throws {
        #expect(try CronExpression("@reboot").fields == nil)
    }
}
