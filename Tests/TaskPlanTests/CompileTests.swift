// SPDX-License-Identifier: Apache-2.0
import TaskModel
import TaskPlan
import TaskUnit
import Testing

/// A world of units and files in memory.
struct World {
    var units: [String: String] = [:]
    var files: [String: String] = [:]
    var raw: [String: [UInt8]] = [:]

    var inputs: PlanInputs {
        PlanInputs(
            unit: { name in
                units[name].map { .found(text(name, $0)) } ?? .absent
            },
            file: { _, path, limit in
                guard let bytes = raw[path] ?? files[path].map({ Array($0.utf8) }) else {
                    return .absent
                }
                return bytes.count > limit ? .tooLarge : .found(bytes: bytes, mode: 0o755)
            }, places: "units")
    }

    func text(_ name: String, _ text: String) -> UnitText {
        UnitText(name: name, main: UnitFile(file: name, bytes: Array(text.utf8)), directory: "/d")
    }

    func compile(_ name: String) -> CompiledPlan {
        PlanCompiler.compile(text(name, units[name] ?? ""), inputs: inputs)
    }

    func compile(firing name: String) -> CompiledPlan {
        PlanCompiler.compile(firing: text(name, units[name] ?? ""), inputs: inputs)
    }

    /// The lines of the plan without blobs and digest.
    func lines(_ name: String) -> [String] {
        let compiled = compile(name)
        guard let plan = compiled.plan else { return compiled.diagnostics.map(\.text) }
        var head = plan
        head.blobs = []
        return String(decoding: head.encode(), as: UTF8.self).split(separator: "\n").map(
            String.init
        )
        .dropFirst().dropLast()
    }
}

@Suite struct CompileTests {
    /// An error that comes after many warnings counts.
    @Test func anErrorBehindAThousandWarnings() {
        let names = (0..<1500).map { "absent\($0)" }.joined(separator: " ")
        let world = World(
            units: [
                "a.task": """
                [Dependencies]
                After=\(names)
                [Service]
                Dir=/d
                Files=absent
                [Command]
                command=true
                """
            ])
        let compiled = world.compile("a.task")
        #expect(compiled.plan == nil)
        #expect(compiled.hasErrors)
    }

    /// A plan with a line that is too long could not be read again. Bytes that are coded count three times.
    @Test(arguments: [(500, false), (800, true)])
    func whatNoPlanHoldsIsRefused(_ lines: Int, _ isTooLong: Bool) {
        let words = String(repeating: String(repeating: "é", count: 250) + " \\\n", count: lines)
        let world = World(units: ["a.task": "[Command]\ncommand=x \(words)\n"])
        let compiled = world.compile("a.task")
        #expect((compiled.plan == nil) == isTooLong)
        #expect(compiled.diagnostics.contains { $0.what.contains("is too long") } == isTooLong)
        if let plan = compiled.plan { #expect((try? Plan(parsing: plan.encode())) == plan) }
    }

    @Test func theMissionsSite() {
        let world = World(
            units: [
                "site.task": """
                [Dependencies]
                Requires=libpng.service # make sure that libpng is running.
                After=network.target # make sure the network is running

                [Service]
                MaxTime=2s # if it doesn't return in 2s, kill this job

                [Checks]
                check-pandoc="./check-pandoc"

                [Command]
                command="pandoc"
                """,
                "libpng.service":
                    "[Dependencies]\nRequires=libjpeg.service # make sure that libjpeg is running\n",
                "libjpeg.service": "[Checks]\nworks=\"true\"\n",
            ], files: ["check-pandoc": "#!/bin/sh\n"])
        let digest = SHA256.hex(Array("#!/bin/sh\n".utf8))
        #expect(
            world.lines("site.task") == [
                "task 0 libjpeg.service check=works%3Dtrue",
                "task 1 systemd:network.target Jail=no arg=await arg=--optional arg=network.target"
                    + " command=taskdep optional=yes",
                "task 2 libpng.service",
                "task 3 site Dir=/d MaxTime=2s check=check-pandoc%3D./check-pandoc command=pandoc"
                    + " file=check-pandoc:755:\(digest)",
                "edge 0 2 ok", "edge 1 3 end", "edge 2 3 ok",
            ])
        let plan = world.compile("site.task").plan
        #expect(
            plan?.blobs.map(\.name)
                == ["site.task", "libpng.service", "libjpeg.service", "check-pandoc"])
        #expect(plan?.digest == world.compile("site.task").plan?.digest)
    }

    @Test(arguments: [
        ("[Dependencies]\nRequires=b\n", ["task 0 b command=x", "task 1 a", "edge 0 1 ok"]),
        (
            "[Dependencies]\nWants=b\n",
            ["task 0 b command=x optional=yes", "task 1 a", "edge 0 1 end"]
        ),
        ("[Dependencies]\nAfter=b\n", ["task 0 a"]),
        (
            "[Dependencies]\nRequires=b c\nAfter=d\n",
            [
                "task 0 b command=x", "task 1 d", "task 2 c", "task 3 a", "edge 0 3 ok",
                "edge 1 2 ok",
                "edge 1 3 end", "edge 2 3 ok",
            ]
        ),
        (
            "[Dependencies]\nRequires=b d\nBefore=e\nWants=e\nAfter=e\n",
            ["a.task:3:8: a cycle of 2: "]
        ),
        (
            "[Dependencies]\nOnFailure=b\nOnSuccess=d\n[Command]\ncommand=y\n",
            [
                "task 0 a command=y", "task 1 b:a command=x optional=yes",
                "task 2 d:a optional=yes",
                "edge 0 1 fail", "edge 0 2 ok",
            ]
        ),
        (
            "[Dependencies]\nRequires=systemd:dbus.service\n",
            [
                "task 0 systemd:dbus.service Jail=no arg=await arg=dbus.service command=taskdep",
                "task 1 a", "edge 0 1 ok",
            ]
        ),
        (
            "[Dependencies]\nRequires=w@1.task w@2\n",
            [
                "task 0 w@1 arg=1 command=x", "task 1 w@2 arg=2 command=x", "task 2 a",
                "edge 0 2 ok",
                "edge 1 2 ok",
            ]
        ),
        (
            "[Dependencies]\nRequires=nowhere.task\n",
            [
                "a.task:2:10: Requires=nowhere.task: no such unit: a unit file in units, or systemd:NAME"
            ]
        ),
        (
            "[Dependencies]\nRequires=twice\n",
            ["a.task:2:10: twice is ambiguous: twice.task and twice.yaml: a name with its suffix"]
        ),
        ("[Dependencies]\nRequires=bad\n", ["bad.task:1:1: unknown section [Nope]: "]),
        (
            "[Dependencies]\nOnFailure=loop\n",
            ["loop.task:2:11: OnFailure=loop leads back to itself: "]
        ),
        (
            "[Dependencies]\nRequires=b\nOnFailure=b\n",
            [
                "task 0 b command=x", "task 1 a", "task 2 b:a command=x optional=yes",
                "edge 0 1 ok",
                "edge 1 2 fail",
            ]
        ),
        (
            "[Array]\nItems=p 'q r'\nMaxParallel=1\n[Command]\ncommand=x\n",
            ["task 0 a command=x MaxParallel=1", "items 0 2 0"]
        ),
        ("[Array]\nItems=@list\n[Command]\ncommand=x\n", ["task 0 a command=x", "items 0 2 0"]),
        ("[Array]\nCount=5\n[Command]\ncommand=x\n", ["task 0 a command=x", "items 0 5 0"]),
        (
            "[Array]\nItems=@none\n[Command]\ncommand=x\n",
            ["a.task:2:7: Items=@none: no such file in /d: a file there"]
        ),
        (
            "[Service]\nFiles=none\n[Command]\ncommand=x\n",
            ["a.task:2:7: Files=none: no such file in /d: "]
        ),
        (
            "[Service]\nFiles=../x\n[Command]\ncommand=x\n",
            ["a.task:2:7: Files=: ../x is not understood: "]
        ),
        ("[Command]\ncommand=../x\n", ["a.task:2:9: ../x leaves Dir=: "]),
        ("[Command]\ncommand=./absent\n", ["task 0 a Dir=/d command=./absent"]),
        ("[Service]\nLimitMem=1K\n", ["task 0 a LimitMem=1K"]),
    ])
    func unitsBecomeTasksAndEdges(text: String, lines: [String]) {
        var world = World(
            units: [
                "b.task": "[Command]\ncommand=x\n", "c.task": "[Dependencies]\nRequires=d\n",
                "d.task": "", "e.task": "", "w@.task": "[Command]\ncommand=x\n[Args]\nargs=%i\n",
                "twice.task": "", "twice.yaml": "- b\n", "bad.task": "[Nope]\n",
                "loop.task": "[Dependencies]\nOnFailure=loop\n",
            ], files: ["list": "one\n\ntwo\n"])
        world.units["a.task"] = text
        let got = world.lines("a.task")
        #expect(got.count == lines.count)
        for (one, other) in zip(got, lines) { #expect(one.hasPrefix(other), "\(got)") }
    }

    @Test(arguments: [
        ("Items=@latin", "Items=@latin is no text"),
        ("Items=@zero", "Items=@zero: line 2 has a zero byte"),
        ("Items=@empty", "no items: the list is empty"),
        ("Items=@long", "Items=@long: line 1 has 16385 bytes"),
        ("Items=@../list", "Items=@../list: "), ("Items=a%", "unknown specifier %"),
        ("Items=@list\nCount=3", "Count= beside Items="),
    ])
    func badItemsAreNamed(setting: String, words: String) {
        let long = String(repeating: "x", count: 16385)
        var world = World(
            units: ["a.task": "[Array]\n\(setting)\n[Command]\ncommand=x\n"],
            files: ["zero": "a\n\0\n", "empty": "\n\n", "long": long, "list": "a\n"])
        world.raw = ["latin": [0x61, 0xff, 0x0a]]
        let problems = world.compile("a.task").diagnostics
        #expect(problems.first?.text.contains(words) == true, "\(problems)")
    }

    @Test func itemsKeepWhatTheyAre() {
        let world = World(
            units: ["a.task": "[Array]\nItems='p  q' 50%% @list\n[Command]\ncommand=x\n"],
            files: ["list": " b c \n\nd%i\r\nlast"])
        let list = world.compile("a.task").plan?.itemList(of: 0)
        #expect(
            list.map { String(decoding: $0.bytes, as: UTF8.self) }
                == "p  q\n50%\n b c \nd%i\r\nlast\n")
    }

    @Test func aCycleIsNamedWithItsLines() {
        let world = World(units: [
            "a.task": "[Dependencies]\nRequires=b\n", "b.task": "[Dependencies]\n\nRequires=c\n",
            "c.task": "[Dependencies]\nAfter=a\n",
        ])
        let problems = world.compile("a.task").diagnostics
        #expect(problems.count == 1)
        for part in [
            "a cycle of 3: ", "Requires=b at a.task:2", "Requires=c at b.task:3",
            "After=a at c.task:2",
        ] { #expect(problems.first?.what.contains(part) == true, "\(problems.map(\.text))") }
    }

    @Test func aLongCycleNamesTwenty() {
        var world = World()
        for index in 0..<5000 {
            world.units["n\(index).task"] = "[Dependencies]\nRequires=n\((index + 1) % 5000)\n"
        }
        let what = world.compile("n0.task").diagnostics.first?.what ?? ""
        #expect(what.hasPrefix("a cycle of 5000: ") && what.hasSuffix("and 4980 more"))
    }

    @Test func aDeepChainIsNoRecursion() {
        var world = World()
        for index in 0..<20_000 {
            world.units["n\(index).task"] =
                index == 19_999 ? "" : "[Dependencies]\nRequires=n\(index + 1)\n"
        }
        #expect(world.compile("n0.task").plan?.tasks.first?.spec.name == "n19999")
    }

    @Test(arguments: [
        (
            "- b\n- d\n- b\n",
            [
                "task 0 b command=x", "task 1 d", "task 2 b:2 command=x", "edge 0 1 ok",
                "edge 1 2 ok",
            ]
        ),
        (
            "- parallel: [b, d]\n- e\n",
            ["task 0 b command=x", "task 1 d", "task 2 e", "edge 0 2 ok", "edge 1 2 ok"]
        ),
        (
            "- parallel: [{command: p}, {command: q}, {command: p}]\n- parallel: [b, d, e]\n",
            [
                "task 0 pipe.p command=p", "task 1 pipe.q command=q", "task 2 pipe.p:2 command=p",
                "task 3 pipe:join", "task 4 b command=x", "task 5 d", "task 6 e", "edge 0 3 ok",
                "edge 1 3 ok", "edge 2 3 ok", "edge 3 4 ok", "edge 3 5 ok", "edge 3 6 ok",
            ]
        ),
        (
            "- b\n- inner\n- e\n",
            [
                "task 0 b command=x", "task 1 inner:begin", "task 2 d", "task 3 inner.z command=z",
                "task 4 inner", "task 5 e", "edge 0 1 ok", "edge 1 2 ok", "edge 2 3 ok",
                "edge 3 4 ok", "edge 4 5 ok",
            ]
        ),
        (
            "- parallel:\n  - sequence: [{command: p}, b]\n- command: p\n",
            [
                "task 0 pipe.p command=p", "task 1 b command=x", "task 2 pipe.p:2 command=p",
                "edge 0 1 ok", "edge 1 2 ok",
            ]
        ),
        ("- c\n", ["task 0 d", "task 1 c", "edge 0 1 ok"]),
        ("- pipe\n", ["pipe.yaml:1:3: pipe contains itself: "]),
        ("- nowhere\n", ["pipe.yaml:1:3: Requires=nowhere: no such unit: "]),
    ])
    func pipelinesBecomeTasksAndEdges(text: String, lines: [String]) {
        let world = World(units: [
            "b.task": "[Command]\ncommand=x\n", "c.task": "[Dependencies]\nRequires=d\n",
            "d.task": "", "e.task": "", "inner.yaml": "- d\n- command: z\n", "pipe.yaml": text,
        ])
        let got = world.lines("pipe.yaml")
        #expect(got.count == lines.count, "\(got)")
        for (one, other) in zip(got, lines) { #expect(one.hasPrefix(other), "\(got)") }
    }

    @Test func aScriptIsItsOwnCommand() {
        let world = World(units: [
            "report.py": "#!/usr/bin/env python3\n#TASK LimitMem=1G\nprint()\n"
        ])
        let lines = world.lines("report.py")
        #expect(lines.count == 1)
        #expect(
            lines.first?.hasPrefix(
                "task 0 report.py LimitMem=1G command=./report.py file=report.py:755:") == true)
    }

    @Test func whatHasRunIfIsAnInstallation() {
        let world = World(units: ["h.task": "[RunIf]\ncron=@daily\n[Command]\ncommand=x\n"])
        #expect(world.compile("h.task").isInstallation)
        #expect(world.lines("h.task") == ["task 0 h command=x"])
    }

    @Test func aConditionComesBeforeAllThatItDecides() {
        let unit = """
            [Dependencies]
            Requires=lib.task
            OnFailure=alarm.task
            [Service]
            MaxTime=5s
            Restart=3
            [RunIf]
            Requires=./ask.sh --all
            Every=1h
            [Checks]
            one=true
            [Environment]
            WHO=me
            [Command]
            command=x
            """
        let world = World(
            units: [
                "h.task": unit, "lib.task": "[Command]\ncommand=l\n",
                "alarm.task": "[Command]\ncommand=m\n",
            ])
        let plan = world.compile(firing: "h.task").plan
        let lines = (plan?.encode()).map { String(decoding: $0, as: UTF8.self) } ?? ""
        let own = lines.split(separator: "\n").filter {
            $0.hasPrefix("task") || $0.hasPrefix("edge")
        }
        #expect(
            own.map(String.init) == [
                "taskplan 1",
                "task 0 h.check Dir=/d MaxTime=5s env=WHO%3Dme arg=--all command=./ask.sh"
                    + " condition=yes",
                "task 1 lib command=l",
                "task 2 h Restart=3 MaxTime=5s check=one%3Dtrue env=WHO%3Dme command=x",
                "task 3 alarm:h command=m optional=yes",
                "edge 0 1 ok", "edge 0 2 ok", "edge 1 2 ok", "edge 2 3 fail",
            ])
        #expect(world.lines("h.task").allSatisfy { !$0.contains("condition") })
    }

    @Test func thePlanParses() throws {
        let world = World(units: [
            "pipe.yaml": "- parallel: [{command: p}, {command: q}]\n- command: r\n"
        ])
        let plan = try #require(world.compile("pipe.yaml").plan)
        #expect(try Plan(parsing: plan.encode()) == plan)
    }
}
