// SPDX-License-Identifier: Apache-2.0
import TaskModel
import TaskUnit
import Testing

func parse(
    _ text: String, name: String = "site.task", dropIns: [String] = []
) -> (unit: UnitDefinition, problems: [Diagnostic]) {
    let files = dropIns.enumerated().map {
        UnitFile(file: "\($0).conf", bytes: Array($1.utf8))
    }
    return UnitParser.parse(
        UnitText(name: name, main: UnitFile(file: name, bytes: Array(text.utf8)), dropIns: files))
}

func line(_ spec: TaskSpec) -> String {
    var bytes: [UInt8] = []
    spec.append(to: &bytes)
    return String(decoding: bytes, as: UTF8.self)
}

@Suite struct UnitTests {
    /// The mission's examples, word for word.
    @Test(arguments: [
        (
            "[Checks]\ncheck-pandoc=\"./check-pandoc\"\n",
            " check=check-pandoc%3D./check-pandoc"
        ),
        (
            """
            [Checks]
            check-pandoc="./check-pandoc"

            [Environment]
            DOCKER_PORT="0.0.0.0"

            [Args]
            args="site.md -o site.html --template=_template.html"

            [Command]
            command="pandoc"
            """,
            " check=check-pandoc%3D./check-pandoc env=DOCKER_PORT%3D0.0.0.0 arg=site.md arg=-o"
                + " arg=site.html arg=--template%3D_template.html command=pandoc"
        ),
        (
            """
            [Service]
            Restart=5 # restart 5 times at most.
            LimitMem=8G # allocate 8GB for this task.
            LimitDisk=4G # allocate 4GB of memory for this task.
            """,
            " Restart=5 LimitMem=8G LimitDisk=4G"
        ),
        ("[Dependencies]\nRequires=libjpeg.service # make sure that libjpeg is running\n", ""),
        (
            "[RunIf]\ncron=\"* * * * *\" # run every minute\n\n[Command]\n"
                + "command=\"./heartbeat.sh\" # check if the other server is still up.\n",
            " command=./heartbeat.sh"
        ),
    ])
    func missionExamplesAreRead(text: String, fields: String) {
        let (unit, problems) = parse(text)
        #expect(problems.map(\.text) == [])
        #expect(line(unit.spec) == fields)
    }

    @Test func theMissionsLongExample() {
        let (unit, problems) = parse(
            """
            [Dependencies]
            Requires=libpng.service # make sure that libpng is running.
            After=network.target # make sure the network is running

            [Service]
            User=test
            Group=test
            WorkingDirectory=/tmp/pandoc
            Restart=never
            LimitMem=infinity # infinite memory
            MaxTime=2s # if it doesn't return in 2s, kill this job

            [Checks]
            check-pandoc="./check-pandoc"

            [Environment]
            DOCKER_PORT="0.0.0.0"

            [Args]
            args="site.md -o site.html --template=_template.html"

            [Command]
            command="pandoc"
            """)
        #expect(problems.map(\.text) == [])
        #expect(unit.settings(.requires).map(\.value) == ["libpng.service"])
        #expect(unit.settings(.requires).first?.place.line == 2)
        #expect(unit.settings(.after).map(\.value) == ["network.target"])
        #expect(unit.spec.span(.maxTime).microseconds == 2_000_000)
        #expect(!unit.spec.has(.limitMem) && unit.spec.size(.limitMem).isInfinite)
        #expect(unit.spec[.workingDirectory] == ["/tmp/pandoc"])
    }

    @Test func aWrappedCommentIsAWarning() {
        let (unit, problems) = parse(
            """
            [RunIf]
            Requires="./check-if-too-many-users.sh" # checks for user count of all
            accounts, returns 0 if the task needs to run, 1 otherwise.

            [Command]
            command="./prune-users.sh"
            """)
        #expect(problems.map(\.severity) == [.warning])
        #expect(
            problems.first?.text
                == "site.task:3:1: warning: a line without = is read as part of the comment"
                + " before it: begin a comment's line with #")
        #expect(unit.isInstallation)
        #expect(unit.spec[.runIfRequires] == ["./check-if-too-many-users.sh"])
    }

    @Test(arguments: [
        ("[Service]\nLimitMem 8G\n", "site.task:2:1: no = in LimitMem 8G: "),
        ("[Service]\nNice=5 # c\nLimitMem 8G\n", "site.task:3:1: no = in LimitMem 8G: "),
        (
            "[Service]\nMemoryMax=8G\n",
            "site.task:2:1: unknown key MemoryMax= in [Service]: write LimitMem="
        ),
        (
            "[Service]\nRuntimeMaxSec=8\n",
            "site.task:2:1: unknown key RuntimeMaxSec= in [Service]: write MaxTime="
        ),
        ("[Unit]\nRequires=a\n", "site.task:1:1: unknown section [Unit]: write [Dependencies]"),
        ("[Servce]\n", "site.task:1:1: unknown section [Servce]: write [Service]"),
        (
            "[Service]\nLimitMme=1G\n",
            "site.task:2:1: unknown key LimitMme= in [Service]: write LimitMem="
        ),
        (
            "[Service]\nRequires=a\n",
            "site.task:2:1: unknown key Requires= in [Service]: Requires= stands in [Dependencies]"
        ),
        (
            "[Service]\nLimitMem=8GB\n",
            "site.task:2:10: LimitMem=: 8GB is no size (write 8G): a size such as"
        ),
        (
            "[Service]\nMaxTime=soon\n",
            "site.task:2:9: MaxTime=: soon is not understood: a span such as"
        ),
        ("LimitMem=1G\n", "site.task:1:1: LimitMem= before any section: "),
        ("[Service\n", "site.task:1:1: a section's ] is missing: "),
        ("[Service] x\n", "site.task:1:1: text after ]: "),
        ("[Service]\n=x\n", "site.task:2:1: no key before =: "),
        ("[Command]\ncommand=\"x\n", "site.task:2:9: a quote is not closed: "),
        ("[Command]\ncommand=\n", "site.task:2:9: command=: no program: "),
        ("[Command]\ncommand=a 'b\n", "site.task:2:9: command=: a quote is not closed: "),
        ("[Args]\nargs=x\n", "site.task:2:6: no [Command] for this: "),
        ("[RunIf]\ncron=* * * *\n", "site.task:2:6: cron=: 4 fields: five fields"),
        (
            "[RunIf]\ncron=61 * * * *\n",
            "site.task:2:6: cron=: minute 61 is not understood: * or 0-59"
        ),
        ("[RunIf]\nEvery=5s\n", "site.task:2:7: Every= without Requires=: "),
        (
            "[Environment]\nTASK_ID=1\n",
            "site.task:2:9: TASK_ID=: TASK_ID=1 is not understood: NAME=VALUE"
        ),
        ("[Service]\nRequireEnd=yes\n", "site.task:2:12: the file does not end with [End]: "),
        ("[End]\n[Service]\n", "site.task:2:1: text after [End]: "),
        (
            "[Service]\nWorkingDirectory=%x\n",
            "site.task:2:18: WorkingDirectory=: unknown specifier %x: "
        ),
        (
            "[Service]\nWorkingDirectory=/%i\n",
            "site.task:2:18: WorkingDirectory=: %i in a unit that is no instance: "
        ),
        (
            "[Dependencies]\nPackages=pkg:pypi/requests@2.31.0\n",
            "site.task:2:10: Packages=pkg:pypi/requests@2.31.0 is not carried out by this version: "
        ),
        ("[Array]\nCount=0\n", "site.task:2:7: Count=: 0 is not understood: "),
        (
            "[Array]\nCount=2\nItems=a\n[Command]\ncommand=x\n",
            "site.task:2:7: Count= beside Items=: "
        ),
        ("a\0b\n", "site.task:1:2: a NUL byte: "),
        (
            "[Command]\ncommand=x\ncommand=y\n",
            "site.task:3:1: command= stands in line 2 too: one command: "
        ),
        (
            "[Checks]\na=x\nb=y\na=z\n",
            "site.task:4:1: a check a stands in line 2 too: each check a name of its own"
        ),
        (
            "[Service]\nLoadCredential=a:/x b:/y\nLoadCredential=a:/z\n[Command]\ncommand=x\n",
            "site.task:3:16: two credentials are called a: a name each: ID:PATH"
        ),
        (
            "[Jail]\nSystemCallFilter=~@ipc @system-service\n[Command]\ncommand=x\n",
            "site.task:2:18: @system-service alone as what is allowed is not carried out: @debug, or"
        ),
        (
            "[Service]\nLoadCredential=a:/x\n[Jail]\nJail=no\n[Command]\ncommand=x\n",
            "site.task:2:16: LoadCredential= with Jail=no: a jail: leave out Jail=no"
        ),
    ])
    func problemsSayWhereAndWhatIsAllowed(text: String, message: String) {
        let (_, problems) = parse(text)
        #expect(problems.count == 1)
        #expect(problems.first?.text.hasPrefix(message) == true, "\(problems.map(\.text))")
        #expect(problems.first?.severity == .error)
    }

    @Test func allProblemsAtOnce() {
        let (_, problems) = parse(
            "[Service]\nNice=90\nBogus=1\nLimitMem=x\n[Nope]\na=b\nno equals\n")
        #expect(problems.map(\.place.line) == [2, 3, 4, 5, 7])
    }

    @Test(arguments: [
        (
            Array("[Service]\nUser=\u{e9}".utf8.dropLast()),
            "site.task:2:6: a byte that is not UTF-8"
        ),
        ([UInt8](repeating: 0x61, count: 1 << 21), "site.task:1:1: a file of 2097152 bytes"),
        ([UInt8](repeating: 0x61, count: 70_000), "site.task:1:1: a line of 70000 bytes"),
    ])
    func whatIsNoTextIsSaid(bytes: [UInt8], message: String) {
        let problems = UnitParser.parse(
            UnitText(name: "site.task", main: UnitFile(file: "site.task", bytes: bytes))
        ).problems
        #expect(problems.first?.text.hasPrefix(message) == true, "\(problems.map(\.text))")
    }

    @Test(arguments: [
        ("a # b", "a"), ("a#b", "a#b"), ("#a", "#a"), (" # a", ""), ("\"a # b\"", "a # b"),
        ("don't # x", "don't"), ("'a ; b' c ; d", "'a ; b' c"), ("a;b", "a;b"),
        ("\"say \\\"hi\\\"\"", "say \"hi\""), ("a \\\n b", "a   b"), ("a \\\n# c\nb", "a  b"),
        ("it 'x # y", "it 'x"), ("\"a\" \"b\"", "\"a\" \"b\""), ("a\r", "a"),
        ("--x='a # b'", "--x='a # b'"),
    ])
    func valuesAreScanned(raw: String, value: String) {
        let (unit, problems) = parse("[Dependencies]\nDescription=\(raw)\n")
        #expect(problems.isEmpty)
        #expect(unit.settings(.description).map(\.value) == [value])
    }

    @Test func listsAppendAndReset() {
        let (unit, _) = parse(
            "[Dependencies]\nRequires=a b\nRequires=c\nWants=x\nWants=\n[Args]\nargs=1 '2 3'\nargs=4\n"
                + "[Checks]\na=x\nb=y\na=z\nb=\n[Environment]\nA=1\nA=\n[Command]\ncommand=p q\n")
        #expect(unit.settings(.requires).map(\.value) == ["a", "b", "c"])
        #expect(unit.settings(.wants).isEmpty)
        #expect(unit.spec.argv == ["p", "q", "1", "2 3", "4"])
        #expect(unit.spec[.check] == ["a=z"])
        #expect(unit.spec[.env] == ["A="])
    }

    @Test(arguments: [
        ("[Command]\ncommand=ls | wc\n", "site.task:2:9: warning: | is an argument: "),
        ("[Checks]\na=\"test -e x && test -e y\"\n", "site.task:2:3: warning: && is an argument: "),
        (
            "[Args]\nargs=hi > out\n[Command]\ncommand=echo\n",
            "site.task:2:6: warning: > is an argument: "
        ),
    ])
    func whatOnlyAShellReadsIsAWarning(text: String, message: String) {
        let (_, problems) = parse(text)
        #expect(problems.count == 1)
        #expect(problems.first?.text.hasPrefix(message) == true, "\(problems.map(\.text))")
        #expect(parse("[Args]\nargs=-c \"a | b\"\n[Command]\ncommand=sh\n").problems.isEmpty)
    }

    @Test func whatCountsNoMoreIsAWarning() {
        let (unit, problems) = parse("[Service]\nNice=1\nNice=2\n[Environment]\nA=1\nA=2\n")
        #expect(
            problems.map(\.text) == [
                "site.task:3:1: warning: Nice= in line 2 counts no more: one value; the last one counts",
                "site.task:6:1: warning: A= in line 5 counts no more: one value; the last one counts",
            ])
        #expect(line(unit.spec) == " Nice=2 env=A%3D2")
        // Taken back first, or changed by a drop-in: nothing is lost unseen.
        #expect(parse("[Service]\nMaxTime=1s\nMaxTime=\nMaxTime=2s\n").problems.isEmpty)
        #expect(
            parse("[Command]\ncommand=x\n", dropIns: ["[Command]\ncommand=y\n"]).problems.isEmpty)
    }

    @Test func dropInsChangeTheUnit() {
        let (unit, problems) = parse(
            "[Service]\nLimitMem=1G\n[Args]\nargs=a\n[Command]\ncommand=x\n",
            dropIns: ["[Service]\nLimitMem=2G\n", "[Args]\nargs=\nargs=b\n[Service]\nNice=x\n"])
        #expect(unit.spec[.limitMem] == ["2G"])
        #expect(unit.spec.argv == ["x", "b"])
        #expect(problems.map(\.place.description) == ["1.conf:5"])
    }

    @Test func templatesTakeTheirInstance() {
        let (unit, problems) = parse(
            "[Args]\nargs=\"%i %n 100%%\"\n[Command]\ncommand=x\n", name: "resize@big one.task")
        #expect(problems.isEmpty)
        #expect(unit.spec.argv == ["x", "big one", "resize@big one", "100%"])
        let (array, _) = parse("[Args]\nargs=%i %% %n\n[Command]\ncommand=x\n[Array]\nCount=2\n")
        #expect(array.spec.argv == ["x", "%i", "%%", "site"])
        #expect(UnitText.template(of: "resize@big.task") == "resize@.task")
        #expect(UnitText.template(of: "resize@.task") == nil)
    }

    @Test func aPercentageIsNoSpecifier() {
        let (unit, problems) = parse("[Service]\nLimitCPU=50%\n[Command]\ncommand=x\n")
        #expect(problems.isEmpty)
        #expect(unit.spec[.limitCPU] == ["50%"])
    }

    @Test func scriptsCarryTheirUnit() {
        let (unit, problems) = parse(
            "#!/usr/bin/env python3\n# words\n#TASK LimitMem=1G # much\n#TASK [Environment]\n#TASK A=b\n\n"
                + "import os\n#TASK Nice=5\n", name: "report.py")
        #expect(line(unit.spec) == " LimitMem=1G env=A%3Db")
        #expect(!unit.isGroup)
        #expect(problems.map(\.severity) == [.warning])
        #expect(problems.first?.place.line == 8)
        let (_, wrong) = parse("#!/bin/sh\n#TASK LimitMme=1\n", name: "x")
        #expect(wrong.map(\.text) == ["x:2:7: unknown key LimitMme=: write LimitMem="])
    }

    @Test func foreignKeysAreIgnored() {
        let (_, problems) = parse(
            "[X-Mine]\na=b\n[Service]\nX-Team=me\n[Command]\ncommand=x\n[End]\n")
        #expect(problems.isEmpty)
    }

    /// Whoever drops a unit must not stop the daemon that reads it: each setting costs the same.
    @Test(.timeLimit(.minutes(1)))
    func asManySettingsAsAUnitMayHaveCostWhatTheyAre() {
        let places = (0..<UnitLimits.settings - 1).map { "BindReadOnlyPaths=/usr:/mnt/\($0)\n" }
        let (unit, problems) = parse(
            "[Command]\ncommand=x\n[Jail]\n" + places.joined(), name: "x")
        #expect(problems.isEmpty)
        #expect(unit.settings(.bindReadOnlyPaths).count == places.count)
        #expect(unit.spec[.bindReadOnlyPaths].count == places.count)
    }

    @Test func randomBytesNeverCrash() {
        var generator = Seeded(state: 7)
        let alphabet = Array("[]=#;\"'\\ \n\tabRequiresServiceCommand%i@\0\u{e9}".utf8) + [0xff]
        for _ in 0..<2000 {
            let bytes = (0..<Int.random(in: 0..<200, using: &generator)).map { _ in
                alphabet[Int.random(in: 0..<alphabet.count, using: &generator)]
            }
            _ = UnitParser.parse(UnitText(name: "x.task", main: UnitFile(file: "x", bytes: bytes)))
            _ = UnitParser.parse(
                UnitText(
                    name: "x", main: UnitFile(file: "x", bytes: Array("#!\n#TASK ".utf8) + bytes)))
        }
    }
}

/// A generator whose failures can be repeated.
struct Seeded: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return (state ^ (state >> 33)) &* 0xff51_afd7_ed55_8ccd
    }
}
