// SPDX-License-Identifier: Apache-2.0
import TaskModel
import TaskPlan
import TaskUnit
import Testing

/// [Then]: a task NAME.then behind NAME, which whoever follows NAME follows instead.
@Suite struct ThenTests {
    private static let then = "[Command]\ncommand=x\n[Then]\ncommand=t\n"

    @Test func itIsTheUnitsOwnSettings() {
        let unit = """
            [Dependencies]
            Description=words
            [Service]
            User=me
            WorkingDirectory=/w
            Restart=3
            LimitMem=1G
            StandardInput=text:hi
            RequireEnd=yes
            [Jail]
            PrivateNetwork=yes
            [Checks]
            one=true
            [Environment]
            WHO=me
            [Args]
            args=-a
            [Command]
            command=x
            [Then]
            command=t --all "one word"
            args=-b 'two words'
            args=%n
            [End]
            """
        let own = "User=me WorkingDirectory=/w Restart=3 LimitMem=1G StandardInput=text:hi"
        #expect(
            World(units: ["a.task": unit]).lines("a.task") == [
                "task 0 a Description=words \(own) PrivateNetwork=yes check=one%3Dtrue"
                    + " env=WHO%3Dme arg=-a command=x",
                "task 1 a.then \(own) PrivateNetwork=yes env=WHO%3Dme arg=--all"
                    + " arg=one%20word arg=-b arg=two%20words arg=a command=t then=yes",
                "edge 0 1 ok",
            ])
    }

    @Test(arguments: [
        (
            "[Dependencies]\nRequires=a\n[Command]\ncommand=b\n",
            [
                "task 0 a command=x", "task 1 a.then command=t then=yes", "task 2 b command=b",
                "edge 0 1 ok", "edge 1 2 ok",
            ]
        ),
        (
            "[Dependencies]\nWants=a\n[Command]\ncommand=b\n",
            [
                "task 0 a command=x optional=yes",
                "task 1 a.then command=t optional=yes then=yes", "task 2 b command=b",
                "edge 0 1 ok", "edge 1 2 end",
            ]
        ),
        (
            "[Dependencies]\nRequires=a c\n[Command]\ncommand=b\n",
            [
                "task 0 a command=x", "task 1 a.then command=t then=yes", "task 2 c command=c",
                "task 3 b command=b", "edge 0 1 ok", "edge 1 2 end", "edge 1 3 ok", "edge 2 3 ok",
            ]
        ),
        (
            "[Dependencies]\nRequires=a d\n[Command]\ncommand=b\n",
            [
                "task 0 d command=d", "task 1 a command=x", "task 2 a.then command=t then=yes",
                "task 3 b command=b", "edge 0 1 end", "edge 0 3 ok", "edge 1 2 ok", "edge 2 3 ok",
            ]
        ),
    ])
    func whoDependsOnItFollowsTheThen(unit: String, lines: [String]) {
        let world = World(units: [
            "a.task": Self.then, "b.task": unit,
            "c.task": "[Dependencies]\nAfter=a\n[Command]\ncommand=c\n",
            "d.task": "[Dependencies]\nBefore=a\n[Command]\ncommand=d\n",
        ])
        #expect(world.lines("b.task") == lines)
    }

    @Test func itsOwnBeforeHoldsForTheThen() {
        let world = World(units: [
            "a.task": "[Dependencies]\nBefore=c\n" + Self.then,
            "b.task": "[Dependencies]\nRequires=a c\n", "c.task": "[Command]\ncommand=c\n",
        ])
        #expect(
            world.lines("b.task").filter { $0.hasPrefix("edge") }
                == ["edge 0 1 ok", "edge 1 2 end", "edge 1 3 ok", "edge 2 3 ok"])
    }

    @Test func whatFollowsItsEndFollowsTheThen() {
        let world = World(units: [
            "a.task": "[Dependencies]\nOnSuccess=s\nOnFailure=f\n" + Self.then,
            "s.task": "[Command]\ncommand=s\n", "f.task": "[Command]\ncommand=f\n",
        ])
        #expect(
            world.lines("a.task") == [
                "task 0 a command=x", "task 1 a.then command=t then=yes",
                "task 2 s:a command=s optional=yes", "task 3 f:a command=f optional=yes",
                "edge 0 1 ok", "edge 1 2 ok", "edge 1 3 fail",
            ])
    }

    @Test func ofAHandlerItHangsOnTheHandler() {
        let world = World(units: [
            "a.task": "[Dependencies]\nOnFailure=f\n[Command]\ncommand=x\n", "f.task": Self.then,
        ])
        #expect(
            world.lines("a.task") == [
                "task 0 a command=x", "task 1 f:a command=x optional=yes",
                "task 2 f:a.then command=t optional=yes then=yes",
                "edge 0 1 fail", "edge 1 2 ok",
            ])
    }

    @Test func theConditionDecidesItToo() {
        let world = World(units: ["a.task": "[RunIf]\nRequires=ask\n" + Self.then])
        let plan = world.compile(firing: "a.task").plan
        #expect(plan?.tasks.map(\.spec.name) == ["a.check", "a", "a.then"])
        #expect(plan?.name == "a")
        #expect(plan?.edges.map { [$0.from, $0.to] } == [[0, 1], [0, 2], [1, 2]])
        #expect(plan?.tasks.map(\.spec.thenOf) == [nil, nil, "a"])
    }

    @Test func membersOfAPipeline() {
        let world = World(units: [
            "a.task": Self.then, "p.yaml": "- a\n- command: m\n  name: m\n- a\n",
        ])
        #expect(
            world.lines("p.yaml") == [
                "task 0 a command=x", "task 1 a.then command=t then=yes", "task 2 m command=m",
                "task 3 a:2 command=x", "task 4 a:2.then command=t then=yes",
                "edge 0 1 ok", "edge 1 2 ok", "edge 2 3 ok", "edge 3 4 ok",
            ])
    }

    /// Written out in a pipeline it is the same as in a unit's file.
    @Test func ofAMemberThatIsWrittenOut() {
        let world = World(units: [
            "p.yaml": """
            - {name: a, command: x, MaxTime: 1s, Then: {command: t --all, args: [one word, b]}}
            - parallel:
                - {name: m, command: m, Then: {command: t, args: b 'c d'}}
                - {name: m, command: n}
            - {name: z, command: z, Items: e f, Then: {command: t, X-why: [1]}}
            """
        ])
        #expect(
            world.lines("p.yaml") == [
                "task 0 a MaxTime=1s command=x",
                "task 1 a.then MaxTime=1s arg=--all arg=one%20word arg=b command=t then=yes",
                "task 2 m command=m", "task 3 m:2 command=n",
                "task 4 m.then arg=b arg=c%20d command=t then=yes", "task 5 z command=z",
                "task 6 z.then command=t then=yes",
                "edge 0 1 ok", "edge 1 2 ok", "edge 1 3 ok", "edge 2 4 ok", "edge 3 5 ok",
                "edge 4 5 ok", "edge 5 6 ok", "items 5 2 0",
            ])
        #expect(world.compile("p.yaml").plan?.name == "z")
    }

    @Test func ofAPipelineThatIsNamed() {
        let world = World(units: [
            "a.task": "[Dependencies]\nRequires=p\n[Command]\ncommand=x\n",
            "p.yaml": "- {name: m, command: m, Then: {command: t}}\n",
        ])
        #expect(
            world.lines("a.task") == [
                "task 0 p:begin", "task 1 m command=m", "task 2 m.then command=t then=yes",
                "task 3 p", "task 4 a command=x",
                "edge 0 1 ok", "edge 1 2 ok", "edge 2 3 ok", "edge 3 4 ok",
            ])
    }

    @Test(arguments: [
        (
            "{command: x, Then: t}",
            "p.yaml:1:20: Then: is no mapping: command: and args: lines below it"
        ),
        (
            "{command: x, Then: {args: t}}",
            "p.yaml:1:27: args= without command= in [Then]: both, or neither"
        ),
        (
            "{Then: {command: t}}",
            "p.yaml:1:18: [Then] without [Command]: [Command] with command=, which [Then] follows"
        ),
        (
            "{command: x, Then: {command: t, Restart: 2}}",
            "p.yaml:1:33: unknown key Restart: in Then:: Restart= stands in [Service]"
        ),
        (
            "{command: x, Then: {command: [t]}}",
            "p.yaml:1:30: command: is not a text: a program and its arguments"
        ),
        (
            "{command: x, Count: 2, Then: {command: t %i}}",
            "p.yaml:1:40: command: %i in [Then], which runs once for all items:"
                + " %i in NAME@.task; %% for a percent sign"
        ),
        (
            "{command: x, RemainAfterExit: 1h, Then: {command: t}}",
            "p.yaml:1:31: RemainAfterExit= beside command= in [Then]:"
                + " one of them, or a unit of its own that Requires= this one"
        ),
        ("{command: x, cron: '@daily'}", "p.yaml:1:14: unknown key cron:: cron= stands in [RunIf]"),
    ])
    func whatIsRefusedOfAMember(member: String, text: String) {
        let world = World(units: ["p.yaml": member + "\n"])
        #expect(world.compile("p.yaml").diagnostics.map(\.text) == [text])
    }

    @Test func ofAnArrayItRunsOnce() {
        let array = """
            [Service]
            StandardInput=text:50%% of it
            LimitCPU=50%
            [Array]
            Items=a b
            MaxParallel=1
            [Environment]
            OUT=%i.txt
            HALF=50%%
            [Args]
            args=%i
            [Command]
            command=x
            [Then]
            command=t 100%%
            """
        #expect(
            World(units: ["a.task": array]).lines("a.task") == [
                "task 0 a LimitCPU=50%25 StandardInput=text:50%25%25%20of%20it env=OUT%3D%25i.txt"
                    + " env=HALF%3D50%25%25 arg=%25i command=x MaxParallel=1",
                "task 1 a.then LimitCPU=50%25 StandardInput=text:50%25%20of%20it"
                    + " env=HALF%3D50%25 arg=100%25 command=t then=yes",
                "edge 0 1 ok", "items 0 2 0",
            ])
    }

    @Test func whatItCarries() {
        let world = World(
            units: [
                "a.task": "[Service]\nFiles=list\n[Command]\ncommand=./x\n[Then]\ncommand=./t\n",
                "s.sh": "#!/bin/sh\n#TASK [Then]\n#TASK command=./s.sh\n#TASK args=end\n",
            ], files: ["list": "l", "x": "1", "t": "2", "s.sh": "not this one"])
        let plan = world.compile("a.task").plan
        let files = plan?.tasks.map { $0.spec[.file].map { String($0.prefix { $0 != ":" }) } }
        #expect(files == [["x", "list"], ["t", "list"]])
        #expect(plan?.tasks.map { $0.spec.text(.dir) } == ["/d", "/d"])
        let script = world.compile("s.sh").plan
        #expect(script?.tasks.map(\.spec.argv) == [["./s.sh"], ["./s.sh", "end"]])
        #expect(script?.tasks.first?.spec[.file].count == 1)
        #expect(script?.tasks.first?.spec[.file] == script?.tasks.last?.spec[.file])
    }

    @Test(arguments: [
        (
            "[Then]\ncommand=t\n",
            "a.task:2:9: [Then] without [Command]: [Command] with command=, which [Then] follows"
        ),
        (
            "[Command]\ncommand=x\n[Then]\nargs=t\n",
            "a.task:4:6: args= without command= in [Then]: both, or neither"
        ),
        (
            "[Service]\nWorkingDirectory=/w/%i\n[Array]\nCount=2\n" + then,
            "a.task:2:18: WorkingDirectory=/w/%i is an item's, and [Then] runs for none:"
                + " a value without %i, or another unit that Requires= this one"
        ),
        (
            "[Array]\nCount=2\n[Command]\ncommand=x\n[Then]\ncommand=t %i\n",
            "a.task:6:9: command=: %i in [Then], which runs once for all items:"
                + " %i in NAME@.task; %% for a percent sign"
        ),
        (
            "[Command]\ncommand=x\n[Then]\ncommand=t | u\n",
            "a.task:4:9: warning: | is an argument: no shell reads this line:"
                + " sh with -c and the line in quotes"
        ),
        (
            "[Command]\ncommand=x\n[Then]\ncommand=t\ncommand=u\n",
            "a.task:5:1: command= stands in line 4 too: one command: a shell's -c, a script or a"
                + " pipeline for several"
        ),
        (
            "[Command]\ncommand=x\n[Then]\ncommand=t\nRestart=2\n",
            "a.task:5:1: unknown key Restart= in [Then]: Restart= stands in [Service]"
        ),
    ])
    func whatIsRefused(unit: String, text: String) {
        let problems = World(units: ["a.task": unit]).compile("a.task").diagnostics.map(\.text)
        #expect(problems == [text])
    }

    @Test func itsNameIsItsOwn() {
        let world = World(units: [
            "a.task": "[Dependencies]\nRequires=a.then\n" + Self.then,
            "a.then.task": "[Command]\ncommand=y\n",
        ])
        #expect(
            world.lines("a.task") == [
                "a.task:6:9: a.then is a task beside this [Then]: another name for it"
            ])
        let long = String(repeating: "n", count: 79)
        let chain = World(units: [
            "\(long).task": "[Dependencies]\nOnFailure=\(long)x\n[Command]\ncommand=x\n",
            "\(long)x.task": Self.then,
        ])
        #expect(
            chain.compile("\(long).task").diagnostics.map(\.what)
                == ["the name \(long)x:\(long).then is too long"])
    }
}
